"""Rebalanced tables of a known law: what is right within cells is right, whatever the cells' shares."""

import math
from dataclasses import replace

import polars as pl
import pytest

from population import FRESH, HOLDOUT, REAL, TRAIN, evidence, people
from synthmill.cells import grid
from synthmill.evaluation import evaluate
from synthmill.plugins import Measure
from synthmill.refusal import Refusal
from synthmill.shares import ENOUGH, Stratum, at_real_shares, pool, spread_over, strata

JOBS = ("cook", "clerk", "judge")
CELLS = grid({"job": JOBS}, 600)
SOURCE = people(9000, "u")
UNIFORM = pl.concat([SOURCE.filter(job=j)[:600] for j in JOBS])
MANY = people(3000, "many")
FIDELITY, PRIVACY = [{"use": "fidelity"}], [{"use": "privacy", "rows": 1000}]


def test_every_row_counts_in_one_stratum_at_its_cells_share():
    found = strata(evidence(UNIFORM, draws=(UNIFORM, UNIFORM)), CELLS)
    assert [s.label for s in found] == ["job=cook", "2 cells together"]
    assert sum(s.share for s in found) == pytest.approx(1)
    assert found[0].share == (TRAIN["job"] == "cook").mean() == found[0].evidence.share
    assert found[0].evidence.synthetic.equals(UNIFORM.filter(job="cook"))
    assert pl.concat([s.evidence.holdout for s in found]).height == HOLDOUT.height
    assert found[1].evidence.synthetic["job"].value_counts(sort=True)["count"][0] == 600  # clerks, at real shares
    assert found[0].evidence.seed != found[1].evidence.seed


def test_cells_too_small_are_joined_until_they_are_enough():
    few = evidence(UNIFORM, holdout=HOLDOUT.filter(pl.col("job") != "clerk"))
    assert [s.label for s in strata(few, CELLS)] == ["3 cells together"]  # judges need the clerks, and they the cooks
    many = evidence(UNIFORM, train=MANY, holdout=people(1200, "h"))
    assert [s.label for s in strata(many, CELLS)] == ["job=cook", "2 cells together"]  # judges need the clerks
    assert [s.label for s in strata(many, CELLS[:2])] == ["job=cook", "job=clerk"]
    lacking = evidence(UNIFORM.filter(pl.col("job") != "judge"))
    assert [s.label for s in strata(lacking, CELLS)] == ["job=cook", "2 cells together"]  # the shortfall stays in sight
    with pytest.raises(Refusal, match="no train row"):
        strata(evidence(UNIFORM), grid({"job": ["pilot", "nurse"]}, 5))


def test_entities_decide_what_is_enough():
    person = pl.int_range(pl.len()) % 50
    whose = evidence(UNIFORM, train=TRAIN.with_columns(id=person), holdout=HOLDOUT.with_columns(id=person), entity="id")
    assert ENOUGH > 50
    assert len(strata(whose, CELLS)) == 1


def test_a_generator_that_is_perfect_within_cells_scores_as_a_perfect_one():
    judged = evaluate(UNIFORM, REAL, FIDELITY, cells=CELLS)
    perfect = evaluate(FRESH, REAL, FIDELITY, cells=CELLS)
    naive = evaluate(UNIFORM, REAL, FIDELITY)
    for name in ("fidelity.shapes", "fidelity.trends"):
        m = judged.get(name)
        assert m.value == pytest.approx(perfect.get(name).value, abs=0.03)
        assert m.value == pytest.approx(m.ceiling, abs=0.03)
        assert m.floor < m.low
        assert naive.get(name).high < m.low
    cells = judged.get("fidelity.shapes").detail["cells"]
    assert [c["cell"] for c in cells] == ["job=cook", "2 cells together"]
    assert sum(c["share"] * c["value"] for c in cells) == pytest.approx(judged.get("fidelity.shapes").value)


def test_errors_of_two_cells_do_not_cancel():
    """Jobs dealt out anew: every column keeps its shape, and every cell holds the others' rows."""
    anew = SOURCE.with_columns(job=SOURCE["job"].shuffle(seed=1))
    dealt = pl.concat([anew.filter(job=j)[:600] for j in JOBS])
    real = replace(REAL, train=people(8000, "many"), holdout=people(4000, "held"))  # every job is enough alone
    found, honest = (evaluate(t, real, FIDELITY, cells=CELLS).get("fidelity.shapes") for t in (dealt, UNIFORM))
    mixed = at_real_shares(evidence(dealt), CELLS).synthetic
    assert found.high < evaluate(mixed, real, FIDELITY).get("fidelity.shapes").low
    assert found.high < honest.low


def test_copies_in_one_cell_are_found_at_that_cells_share():
    """Half of the cooks are train's; a third of the table are cooks, but half of the real people."""
    planted = pl.concat([TRAIN.filter(job="cook")[:300], UNIFORM[300:]])
    e = evaluate(planted, REAL, PRIVACY, cells=CELLS)
    copies = e.get("privacy.exact_copies")
    half = (TRAIN["job"] == "cook").mean() / 2
    assert copies.value == pytest.approx(half, abs=0.005)
    assert copies.low < half < copies.high
    assert [c["value"] > 0.4 for c in copies.detail["cells"]] == [True, False]
    assert copies.floor > 0.9
    assert e.get("privacy.membership").low > 0.5
    clean = evaluate(UNIFORM, REAL, PRIVACY, cells=CELLS)
    assert clean.get("privacy.exact_copies").low <= 0 <= clean.get("privacy.exact_copies").high
    assert clean.get("privacy.membership").low <= 0.5 <= clean.get("privacy.membership").high
    assert clean == evaluate(UNIFORM, REAL, PRIVACY, cells=CELLS)


ONE, TWO = (Stratum(n, s, evidence(FRESH)) for n, s in (("one", 0.75), ("two", 0.25)))


def pooled(one: Measure, two: Measure, together: bool = False) -> Measure:
    (m,) = pool([(ONE, [one]), (TWO, [two])], together)
    return m


def test_variances_add_and_entities_in_both_add_half_widths():
    one, two = Measure("x", 0.5, 0.46, 0.58), Measure("x", 0.9, 0.78, 0.94)
    m = pooled(one, two)
    assert m.value == pytest.approx(0.6)
    assert m.value - m.low == pytest.approx(math.hypot(0.75 * 0.04, 0.25 * 0.12))
    assert m.high - m.value == pytest.approx(math.hypot(0.75 * 0.08, 0.25 * 0.04))
    both = pooled(one, two, together=True)
    assert (both.low, both.high) == pytest.approx((0.54, 0.67))


def test_an_interval_that_was_cut_is_pooled_whole_and_cut_again():
    one = Measure("x", 0.01, 0.0, 0.05, uncut=(-0.03, 0.05))
    two = Measure("x", 0.5, 0.4, 0.6, uncut=(0.4, 0.6))
    m = pooled(one, two)
    assert m.low == pytest.approx(m.value - math.hypot(0.03, 0.025))
    assert pooled(one, one).low == 0.0
    unbounded = pooled(two, Measure("x", 0.5, 0.0, 1.0, uncut=(-math.inf, math.inf)))
    assert (unbounded.low, unbounded.high) == (0.0, 1.0)


def test_what_one_cell_does_not_know_is_unknown():
    known, unknown = Measure("x", 0.5, 0.4, 0.6), Measure("x", math.nan, math.nan, math.nan, note="unknown: no luck")
    m = pooled(known, unknown)
    assert math.isnan(m.value)
    assert m.note == "unknown within two: no luck"
    (lacking,) = pool([(ONE, [known]), (TWO, [])], False)
    assert math.isnan(lacking.value)


def test_details_are_pooled_alike():
    one = {"columns": {"a": 1.0, "b": 0.5}, "pairs": [{"a": "x", "score": None}], "n": 3, "kind": "AUC", "only": 1.0}
    two = {"columns": {"a": 0.6, "b": 0.5}, "pairs": [{"a": "x", "score": 0.4}], "n": 4, "kind": "AUC"}
    detail = pooled(*(Measure("x", 0.5, 0.4, 0.6, detail=d) for d in (one, two))).detail
    assert detail.pop("cells")[1] == {"cell": "two", "share": 0.25, "value": 0.5, "low": 0.4, "high": 0.6, "note": ""}
    assert detail["columns"] == pytest.approx({"a": 0.9, "b": 0.5})
    assert detail["pairs"] == [{"a": "x", "score": 0.4}]
    assert (detail["n"], detail["kind"]) == (7, "AUC")
    assert "only" not in detail


def test_who_has_rows_in_several_cells_is_noticed():
    apart = people(1200, "h").with_columns(id=pl.int_range(pl.len()))
    shared = apart.with_columns(id=pl.when(pl.col("job").is_first_distinct()).then(0).otherwise("id"))
    for holdout, expected in ((apart, False), (shared, True)):
        whose = evidence(UNIFORM, train=MANY.with_columns(id=pl.int_range(pl.len())), holdout=holdout, entity="id")
        assert spread_over(whose, strata(whose, CELLS[:2])) is expected
