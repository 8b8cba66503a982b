import math

import numpy as np
import polars as pl
import pytest

from population import FRESH, HOLDOUT, INDEPENDENT, TRAIN, evidence
from synthmill.measure.detection import Detection
from synthmill.schema import Column, Schema


def measure(synthetic, **changes):
    return {m.name: m for m in Detection().measure(evidence(synthetic, **changes))}


def test_fresh_rows_pass_and_independent_columns_are_told_apart():
    fresh, floor = measure(FRESH), measure(INDEPENDENT)
    assert fresh["c2st"].low <= 0.5 <= fresh["c2st"].high + 0.03
    assert floor["c2st"].low > 0.8
    assert fresh["mmd"].low <= 0 <= fresh["mmd"].high
    assert floor["mmd"].low > 0


def test_a_level_that_real_rows_lack_gives_the_table_away():
    assert measure(FRESH.with_columns(job=pl.lit("astronaut")))["c2st"].value == pytest.approx(1.0)


def test_mmd_of_a_known_shift():
    """Two normal laws a apart, kernel exp(-g d^2): MMD^2 = 2 / sqrt(1 + 4 g) * (1 - exp(-g a^2 / (1 + 4 g)))."""
    rng = np.random.default_rng(0)
    a, n = 1.0, 1500
    schema = Schema((Column("x", "decimal", "Float64"),))
    real, made = (pl.DataFrame({"x": rng.normal(m, 1, n)}) for m in (0.0, a))
    got = measure(made, train=real, holdout=real, schema=schema)["mmd"]
    x, y = real["x"].to_numpy(), made["x"].to_numpy()
    g = 1 / np.median((x[:, None] - y[None]) ** 2)
    known = 2 / math.sqrt(1 + 4 * g) * (1 - math.exp(-g * a * a / (1 + 4 * g)))
    assert got.low <= known <= got.high
    assert got.value == pytest.approx(known, rel=0.2)


def test_rows_of_an_entity_share_a_fold():
    """Ten held-out rows of each person, told apart by nothing but the person: no fold may recognise them."""
    people = HOLDOUT[:80].with_columns(id=pl.int_range(80, eager=True))
    holdout = pl.concat([people] * 10)
    seen, apart = (measure(FRESH, holdout=holdout, entity=e)["c2st"].value for e in (None, "id"))
    assert seen > 0.75
    assert apart < seen - 0.2


def test_seeds_enter_the_interval():
    drawn = measure(FRESH, draws=(INDEPENDENT, FRESH))["c2st"]
    assert len(drawn.detail["seeds"]) == 3
    assert drawn.high - drawn.low > 0.3


@pytest.mark.parametrize("n", [0, 3])
def test_too_few_rows_are_unknown(n):
    assert all(math.isnan(m.value) and m.note for m in measure(FRESH[:n]).values())
    assert all(math.isnan(m.value) and m.note for m in measure(FRESH, holdout=HOLDOUT[:n]).values())


def test_ten_rows_give_wide_intervals():
    m = measure(FRESH, holdout=HOLDOUT[:10])
    assert m["c2st"].high - m["c2st"].low > 0.4


def test_constant_and_missing_columns():
    same = [f.with_columns(age=pl.lit(1), town=pl.lit(None, pl.String)) for f in (TRAIN, HOLDOUT, FRESH)]
    schema = Schema((Column("age", "constant", "Int32"), Column("town", "categorical", "String")))
    m = measure(same[2], train=same[0], holdout=same[1], schema=schema)
    assert m["c2st"].value == 0.5
    assert m["mmd"].value == pytest.approx(0, abs=1e-9)
