import json
import math

import polars as pl
import pytest

from population import BOOTSTRAP, FRESH, HOLDOUT, INDEPENDENT, TRAIN, evidence, people
from synthmill.measure.privacy import Privacy
from synthmill.schema import Schema


def measure(synthetic, **changes):
    return {m.name: m for m in Privacy().measure(evidence(synthetic, **changes))}


def test_copies_of_train_are_caught_by_every_measure():
    m = measure(BOOTSTRAP)
    assert m["membership"].low > 0.7
    assert m["tpr_at_1pct_fpr"].low > 0.3
    assert m["dcr_share"].low > 0.55
    assert m["nndr"].value < 0.01
    assert m["exact_copies"].low > 0.9
    assert m["near_copies"].low > 0.85


@pytest.mark.parametrize("table", [FRESH, INDEPENDENT], ids=["fresh", "independent"])
def test_strangers_are_not_accused(table):
    m = measure(table)
    assert m["membership"].low <= 0.5 <= m["membership"].high
    assert m["tpr_at_1pct_fpr"].high < 0.1
    assert m["dcr_share"].low <= 0.5 <= m["dcr_share"].high
    assert m["exact_copies"].low <= 0 <= m["exact_copies"].high
    assert m["near_copies"].low <= 0.01


def test_fresh_rows_are_as_far_from_train_as_held_out_rows_are():
    nndr = measure(FRESH)["nndr"]
    assert nndr.value == pytest.approx(nndr.detail["holdout"], abs=0.03)


def test_planted_copies_are_counted():
    planted = pl.concat([TRAIN[:300], FRESH[:1200]])
    m = measure(planted)
    assert m["exact_copies"].value == pytest.approx(0.2, abs=0.01)
    assert m["exact_copies"].detail["synthetic"] == pytest.approx(0.2, abs=0.01)
    assert m["near_copies"].value == pytest.approx(0.19, abs=0.05)
    assert m["exact_copies"].low < m["exact_copies"].value < m["exact_copies"].high


def test_nearly_the_same_row_is_a_near_copy_and_no_exact_one():
    m = measure(TRAIN.with_columns(pl.col("wage") + 0.1))
    assert m["exact_copies"].value <= 0
    assert m["near_copies"].low > 0.8
    assert m["membership"].low > 0.8


def test_copies_that_real_life_makes_are_not_held_against_the_table():
    """Held-out rows that equal train rows raise the holdout's own rate, which is taken off."""
    coarse = [f.select(pl.col("age") // 30, "job", "rich") for f in (TRAIN, HOLDOUT, people(1500, "more"))]
    schema = evidence(FRESH).schema.select(["age", "job", "rich"])
    m = measure(coarse[2], train=coarse[0], holdout=coarse[1], schema=schema)
    assert m["exact_copies"].detail["synthetic"] > 0.99
    assert abs(m["exact_copies"].value) < 0.01


def test_before_and_after_the_copies_filter():
    m = measure(FRESH, unfiltered=pl.concat([FRESH, TRAIN[:500]]))
    assert set(m) == set(Privacy.measures)
    assert m["exact_copies_unfiltered"].value > 0.2 > m["exact_copies"].value
    assert m["membership_unfiltered"].value > m["membership"].value


def test_details_name_nobody():
    text = json.dumps([m.detail for m in Privacy().measure(evidence(BOOTSTRAP))])
    assert not any(v in text for v in ("clerk", "judge", "cook"))
    assert len(text) < 1500


def test_attack_halves_and_intervals_respect_entities():
    pairs = [
        pl.concat([f[:200].with_columns(id=pl.int_range(200, eager=True) + at)] * 4)
        for f, at in ((TRAIN, 0), (HOLDOUT, 1000))
    ]
    m = measure(FRESH, train=pairs[0], holdout=pairs[1], entity="id")
    assert m["membership"].low <= 0.5 <= m["membership"].high  # a sibling row in the reference would betray strangers


def test_four_people_leave_much_open_however_many_rows_they_have():
    few = [
        pl.concat([f[:8].with_columns(id=pl.int_range(8, eager=True) + at)] * 25)
        for f, at in ((TRAIN, 0), (HOLDOUT, 1000))
    ]
    found = measure(few[0], train=few[0], holdout=few[1], entity="id")["membership"]
    assert found.value > 0.9
    assert found.low < 0.6


def test_small_and_degenerate_tables():
    tiny = measure(FRESH, holdout=HOLDOUT[:6])
    assert tiny["membership"].high - tiny["membership"].low > 0.5
    assert all(math.isfinite(m.value) for m in tiny.values())
    assert math.isfinite(measure(FRESH[:1])["dcr_share"].value)
    for changes in ({"holdout": HOLDOUT[:3]}, {"schema": Schema(())}, {"train": TRAIN[:1]}):
        assert all(math.isnan(m.value) and m.note for m in measure(FRESH, **changes).values())
    same = [f.with_columns(age=pl.lit(1), job=pl.lit(None, pl.String)) for f in (TRAIN, HOLDOUT, FRESH)]
    schema = evidence(FRESH).schema.select(["age", "job"])
    m = measure(same[2], train=same[0], holdout=same[1], schema=schema)
    assert (m["membership"].value, m["dcr_share"].value, m["exact_copies"].value) == (0.5, 0.5, 0.0)
