import math

import numpy as np
import polars as pl
import pytest

from population import FRESH, evidence
from synthmill.frame import rng_of
from synthmill.tables.interval import REPLICATES, UNKNOWN, Estimate, entities, measured, resamples, seeds


def estimate_of_mean(x, groups, rng):
    w = resamples(groups, rng)
    return Estimate((w * x).sum(axis=1) / w.sum(axis=1), int(groups.max()) + 1)


def test_first_line_is_the_sample_and_every_resample_draws_as_many_entities():
    w = resamples(np.arange(7), rng_of("w"))
    assert w.shape == (1 + REPLICATES, 7)
    assert (w[0] == 1).all()
    assert (w.sum(axis=1) == 7).all()


def test_rows_of_one_entity_are_drawn_together():
    w = resamples(np.array([0, 0, 1, 2, 2]), rng_of("w"))
    assert (w[:, 0] == w[:, 1]).all()
    assert (w[:, 3] == w[:, 4]).all()
    assert (w[:, 0] != w[:, 2]).any()


def test_entities_number_the_declared_key_and_default_to_rows():
    frame = pl.DataFrame({"id": ["b", "a", None, "b"]})
    assert entities(frame, "id").tolist() == [2, 1, 0, 2]
    assert entities(frame, None).tolist() == [0, 1, 2, 3]
    assert entities(frame, "absent").tolist() == [0, 1, 2, 3]


def test_rows_without_an_entity_are_their_own():
    groups = entities(pl.DataFrame({"id": ["b", None, "b", None]}), "id").tolist()
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


@pytest.mark.parametrize("n", [5, 12, 200])
def test_interval_covers_the_truth_about_95_times_in_100(n):
    hits = 0
    for i in range(200):
        rng = rng_of("cover", n, i)
        m = measured("m", [estimate_of_mean(rng.random(n), np.arange(n), rng)], "higher")
        hits += m.low <= 0.5 <= m.high
    assert 0.91 <= hits / 200 <= 1.0


def test_clustered_rows_widen_the_interval():
    x = np.repeat(rng_of("x").random(20), 10)
    rows = measured("m", [estimate_of_mean(x, np.arange(200), rng_of("a"))], "higher")
    grouped = measured("m", [estimate_of_mean(x, np.repeat(np.arange(20), 10), rng_of("a"))], "higher")
    assert grouped.high - grouped.low > 2 * (rows.high - rows.low)


def test_agreeing_rows_are_no_proof():
    m = measured("m", [estimate_of_mean(np.ones(10), np.arange(10), rng_of("a"))], "higher")
    assert m.value == 1.0
    assert m.low == pytest.approx(0.05 ** (1 / 10))


def test_one_entity_leaves_everything_open():
    m = measured("m", [estimate_of_mean(np.array([0.3]), np.arange(1), rng_of("a"))], "higher")
    assert (m.low, m.value, m.high) == (0.0, 0.3, 1.0)


def test_seeds_are_averaged_and_their_spread_widens():
    still = np.full(1 + REPLICATES, 0.5)
    alone = measured("m", [Estimate(still, 10_000)], "higher")
    m = measured("m", [Estimate(still + d, 10_000) for d in (-0.1, 0.0, 0.1)], "higher")
    assert m.value == pytest.approx(0.5)
    assert m.high - m.value == pytest.approx(4.3027 * 0.1 / math.sqrt(3), abs=0.001)  # t with 2 degrees of freedom
    assert alone.high - alone.low < 0.01
    assert m.detail["seeds"] == pytest.approx([0.4, 0.5, 0.6])


def test_unknown_is_nan_with_a_note():
    m = measured("m", [UNKNOWN], "lower")
    assert math.isnan(m.value)
    assert m.note


def test_one_further_draw_is_no_spread():
    assert len(seeds(evidence(FRESH, draws=(FRESH,)))) == 1
    assert len(seeds(evidence(FRESH, draws=(FRESH, FRESH)))) == 3
