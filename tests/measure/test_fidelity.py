import math

import numpy as np
import polars as pl
import pytest

from population import BOOTSTRAP, FRESH, HOLDOUT, INDEPENDENT, SCHEMA, TRAIN, evidence
from synthmill.evaluation import reference
from synthmill.measure.fidelity import Fidelity
from synthmill.schema import Column, Schema


def measure(synthetic, **changes):
    return {m.name: m for m in Fidelity().measure(evidence(synthetic, **changes))}


def sdmetrics_report(real, synthetic, **thresholds):
    report = pytest.importorskip("sdmetrics.reports.single_table").QualityReport()
    for name, value in thresholds.items():
        setattr(report, name, value)
    kinds = {c.name: {"sdtype": "categorical" if c.kind == "categorical" else "numerical"} for c in SCHEMA}
    report.generate(real.to_pandas(), synthetic.to_pandas(), {"columns": kinds}, verbose=False)
    scores = report.get_properties().set_index("Property")["Score"]
    return scores["Column Shapes"], scores["Column Pair Trends"], report.get_details("Column Pair Trends")


@pytest.mark.parametrize("table", [FRESH, INDEPENDENT, BOOTSTRAP], ids=["fresh", "independent", "bootstrap"])
@pytest.mark.filterwarnings("ignore")
def test_the_numbers_are_sdmetrics(table):
    real, synthetic = (f.with_columns(pl.col("town").fill_null("?")) for f in (HOLDOUT, table))
    m = measure(synthetic, holdout=real)
    shapes, strong, _ = sdmetrics_report(real, synthetic)
    every = {"real_correlation_threshold": 0, "real_association_threshold": 0}
    _, trends, pairs = sdmetrics_report(real, synthetic, **every)
    assert m["shapes"].value == pytest.approx(shapes, abs=1e-9)
    assert m["trends"].value == pytest.approx(trends, abs=1e-9)
    assert m["trends"].detail["strong"]["value"] == pytest.approx(strong, abs=1e-9)
    theirs = {(r["Column 1"], r["Column 2"]): r["Score"] for _, r in pairs.iterrows()}
    assert {(p["a"], p["b"]): p["score"] for p in m["trends"].detail["pairs"]} == pytest.approx(theirs)


def test_missing_is_a_value_of_its_own():
    schema = Schema((Column("x", "decimal", "Float64"), Column("k", "categorical", "String")))
    real = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "k": ["a", "a", "b", "b"]})
    made = pl.DataFrame({"x": [None, None, 3.0, 4.0], "k": ["a", None, "b", "b"]})
    m = measure(made, train=real, holdout=real, schema=schema)
    assert m["shapes"].detail["columns"] == {"x": 0.5, "k": 0.75}


def test_independent_columns_keep_their_shapes_and_lose_their_trends():
    floor, ceiling = measure(INDEPENDENT), measure(FRESH)
    assert floor["shapes"].value > 0.95
    assert floor["trends"].high < ceiling["trends"].low


def test_each_floor_is_one_where_it_is_one():
    for kind, names in (("uniform", {"shapes"}), ("independent", {"trends"}), ("fresh", {"shapes", "trends"})):
        assert set(measure(INDEPENDENT, reference=kind)) == names
    uniform = reference("uniform", evidence(FRESH))
    assert measure(uniform.synthetic)["shapes"].high < measure(INDEPENDENT)["shapes"].low


def test_a_cell_takes_its_part_of_the_held_out_rows(monkeypatch):
    assert [evidence(FRESH, share=s).part(20_000) for s in (1.0, 0.1, 0.001)] == [20_000, 2_000, 500]
    assert evidence(FRESH, share=0.001).part(100) == 100
    monkeypatch.setattr("synthmill.measure.fidelity._HOLDOUT", 2_000)
    assert "against 600 held-out rows" in measure(FRESH, share=0.3)["shapes"].note


def test_the_interval_is_paired_with_the_held_out_rows_and_shrinks_with_them():
    few, many = measure(FRESH, holdout=HOLDOUT[:40]), measure(FRESH)
    for name in few:
        assert few[name].low <= few[name].value <= few[name].high <= 1
        assert few[name].high - few[name].low > 2 * (many[name].high - many[name].low)


def test_declared_entities_are_resampled_whole():
    ten_rows_each = pl.concat([HOLDOUT[:60].with_columns(id=pl.Series(range(60)))] * 10)
    rows, grouped = (measure(FRESH, holdout=ten_rows_each, entity=e)["shapes"] for e in (None, "id"))
    assert grouped.high - grouped.low > 2 * (rows.high - rows.low)


def test_same_answer_twice():
    assert measure(FRESH) == measure(FRESH)


def test_wide_tables_take_every_pair_into_the_value():
    rng = np.random.default_rng(0)
    wide = pl.DataFrame({f"x{i}": rng.normal(size=60) for i in range(26)})
    schema = Schema(tuple(Column(c, "decimal", "Float64") for c in wide.columns))
    m = measure(wide, train=wide, holdout=wide, schema=schema)["trends"]
    assert len(m.detail["pairs"]) == 26 * 25 // 2
    assert m.value == pytest.approx(1.0)
    assert m.low < 1.0


def test_constant_and_all_missing_columns_are_no_accident():
    changed = [f.with_columns(age=pl.lit(7), town=pl.lit(None, pl.String)) for f in (TRAIN, HOLDOUT, FRESH)]
    m = measure(changed[2], train=changed[0], holdout=changed[1])
    assert m["shapes"].detail["columns"]["age"] == m["shapes"].detail["columns"]["town"] == 1.0
    pair = next(p for p in m["trends"].detail["pairs"] if (p["a"], p["b"]) == ("age", "wage"))
    assert pair["score"] is None
    assert math.isfinite(m["trends"].value)


def test_columns_that_a_resample_may_leave_constant_do_not_undo_the_interval():
    rare = {f"rare{i}": pl.int_range(pl.len()) == i for i in range(15)}  # 1 resample in 1,000 holds all fifteen
    tables = [f.with_columns(**{n: e.cast(pl.Float64) for n, e in rare.items()}) for f in (TRAIN, HOLDOUT, FRESH)]
    schema = Schema((*SCHEMA, *(Column(n, "decimal", "Float64") for n in rare)))
    m = measure(tables[2], train=tables[0], holdout=tables[1], schema=schema)["trends"]
    assert 0.005 < m.high - m.low < 0.1


def test_nothing_to_compare_is_unknown():
    assert math.isnan(measure(FRESH[:0])["shapes"].value)
    assert math.isnan(measure(FRESH, holdout=HOLDOUT[:0])["trends"].value)
    assert math.isnan(measure(FRESH, schema=SCHEMA.select(["age"]))["trends"].value)
    assert math.isnan(measure(FRESH, schema=Schema(()))["shapes"].value)
