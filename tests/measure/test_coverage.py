import math

import numpy as np
import polars as pl
import pytest

from population import FRESH, HOLDOUT, INDEPENDENT, TRAIN, evidence, people
from synthmill.measure.coverage import Coverage
from synthmill.schema import Schema


def measure(synthetic, **changes):
    return {m.name: m for m in Coverage().measure(evidence(synthetic, **changes))}


def test_fresh_rows_are_near_ideal():
    m = measure(FRESH)
    assert m["alpha_precision"].value > 0.93
    assert 0.4 < m["beta_recall"].value < 0.6  # a fresh row is as near to a real one as another real one: half the time
    assert measure(people(6000, "a"), holdout=people(6000, "b"))["tails"].value > 0.85


def test_independent_columns_lose_recall_and_keep_tails():
    floor, fresh = measure(INDEPENDENT), measure(FRESH)
    assert floor["beta_recall"].high < fresh["beta_recall"].low
    assert floor["tails"].high > fresh["tails"].value


def test_a_table_of_the_middle_alone_is_precise_at_no_level_and_has_no_tails():
    middle = FRESH.filter(pl.col("town").is_in(["aa", "bb"]), pl.col("wage").is_between(400, 900), pl.col("age") > 20)
    m = measure(middle.filter(pl.col("age") < 78))
    assert m["beta_recall"].value < measure(FRESH)["beta_recall"].low
    assert m["tails"].value < 0.1


def test_tails_by_hand():
    """Held-out: 10% `zz` among rare levels, the table has 5%: half covered; train's share says it is rare."""
    train = pl.DataFrame({"town": ["aa"] * 97 + ["zz"] * 3})
    holdout = pl.DataFrame({"town": ["aa"] * 90 + ["zz"] * 10})
    made = pl.DataFrame({"town": ["aa"] * 95 + ["zz"] * 5})
    schema = evidence(FRESH).schema.select(["town"])
    m = measure(made, train=train, holdout=holdout, schema=schema)["tails"]
    assert m.value == pytest.approx(0.5)
    assert m.detail["tails"] == [{"column": "town", "tail": "zz", "real": 0.1, "synthetic": 0.05}]
    assert m.low < 0.4 < 0.6 < m.high


def test_a_repeated_extreme_is_no_tail():
    """Nine in ten earn nothing: the lower tail would hold them all, so there is none below zero."""
    wage = np.where(np.arange(1000) < 900, 0.0, np.arange(1000.0))
    frame = pl.DataFrame({"wage": wage})
    m = measure(frame, train=frame, holdout=frame, schema=evidence(FRESH).schema.select(["wage"]))["tails"]
    assert [t["tail"].split()[0] for t in m.detail["tails"]] == ["highest"]
    assert m.value == 1.0


def test_small_and_degenerate_tables():
    tiny = measure(FRESH[:3], holdout=HOLDOUT[:6])
    assert tiny["beta_recall"].high - tiny["beta_recall"].low > 0.3
    assert math.isnan(tiny["tails"].value)
    assert math.isnan(measure(FRESH[:0])["alpha_precision"].value)
    assert math.isnan(measure(FRESH, schema=Schema(()))["tails"].value)
    blank = [f.with_columns(wage=pl.lit(None, pl.Float64), job=pl.lit("x")) for f in (TRAIN, HOLDOUT, FRESH)]
    m = measure(blank[2], train=blank[0], holdout=blank[1])
    assert all(math.isfinite(v.value) for v in m.values())
