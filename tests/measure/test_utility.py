import math
import re

import numpy as np
import polars as pl
import pytest

from population import FRESH, HOLDOUT, INDEPENDENT, TRAIN, evidence
from synthmill.measure.utility import Utility


def measure(synthetic, **changes):
    return {m.name: m for m in Utility().measure(evidence(synthetic, **changes))}


def test_fresh_rows_train_as_well_as_real_ones():
    m = measure(FRESH)
    assert set(m) == set(Utility.measures)
    assert m["real"].value > 0.85
    assert m["gap"].low <= 0 <= m["gap"].high
    assert m["gap"].value == pytest.approx(m["real"].value - m["synthetic"].value)
    assert m["blend_gain"].value > -0.01


def test_independent_columns_teach_nothing():
    m = measure(INDEPENDENT)
    assert abs(m["synthetic"].value - 0.5) < 0.1
    assert m["gap"].low > 0.25


def test_floors_are_what_shuffled_columns_teach():
    floor, real = measure(INDEPENDENT, reference="independent"), measure(INDEPENDENT)
    for arm in ("real", "oversampled", "synthetic"):
        assert floor[arm].value == real["synthetic"].value
    for arm in ("gap", "blend", "blend_gain"):
        assert floor[arm].value == real[arm].value
    assert floor["blend_gain"].value < measure(FRESH)["blend_gain"].value


def test_ceilings_are_the_arms_on_two_halves_of_train():
    m = measure(TRAIN[:750], train=TRAIN[750:], reference="fresh")
    assert set(m) == set(Utility.measures)
    for arm in ("real", "synthetic", "oversampled"):
        assert m[arm].value == pytest.approx(m["blend"].value, abs=0.05)
    assert m["blend"].value >= max(m["real"].value, m["synthetic"].value) - 0.01  # twice as many rows


def test_pairing_makes_the_gap_sharper_than_its_arms():
    m = measure(FRESH)
    assert m["gap"].high - m["gap"].low < 0.8 * (m["real"].high - m["real"].low)


def test_more_data_helps_where_real_rows_are_few():
    m = measure(FRESH, train=TRAIN[:40])
    assert m["blend_gain"].low > 0
    assert m["synthetic"].value > m["real"].value


def test_oversampling_repeats_train_to_the_blends_size():
    doubled = measure(FRESH, blend=pl.concat([TRAIN, TRAIN]))
    assert doubled["oversampled"].value == doubled["blend"].value


def test_a_number_is_scored_by_r2():
    m = measure(FRESH, target="wage")
    assert m["real"].detail == {"score": "R2"}
    assert 0.5 < m["real"].value < 1
    assert measure(INDEPENDENT, target="wage")["synthetic"].value < 0.1


def test_more_than_two_classes_are_averaged_one_against_the_rest():
    m = measure(FRESH, target="job")
    assert 0.6 < m["real"].value <= 1
    lacking = measure(FRESH.filter(pl.col("job") != "judge"), target="job")
    assert lacking["gap"].value > 0.1


def test_rows_without_a_target_are_left_out():
    holed = HOLDOUT.with_columns(rich=pl.when(pl.int_range(pl.len()) % 2 == 0).then("rich"))
    assert math.isfinite(measure(FRESH, holdout=holed)["gap"].value)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"target": None}, "no target"),
        ({"target": "name"}, "cannot be predicted|not a column"),
        ({"holdout": HOLDOUT.with_columns(rich=pl.lit("no"))}, "fewer than two values"),
        ({"schema": evidence(FRESH).schema.select(["rich"])}, "no column to predict"),
    ],
)
def test_unknown_says_why(changes, note):
    m = measure(FRESH, **changes)
    assert set(m) == set(Utility.measures)
    assert all(math.isnan(v.value) for v in m.values())
    assert re.search(note, m["gap"].note)


def test_a_synthetic_target_of_one_class_teaches_nothing():
    assert measure(FRESH.with_columns(rich=pl.lit("no")))["synthetic"].value == 0.5


def test_tiny_holdout_is_wide():
    m = measure(FRESH, holdout=HOLDOUT[:8])
    assert m["real"].high - m["real"].low > 0.25


def test_draws_share_the_held_out_resamples():
    m = measure(FRESH, draws=(FRESH[:700], FRESH[700:]))
    assert m["synthetic"].value == pytest.approx(np.mean(m["synthetic"].detail["seeds"]))
    assert len(m["gap"].detail["seeds"]) == 3
