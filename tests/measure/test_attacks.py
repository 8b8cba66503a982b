"""Each attack finds what was planted and leaves fresh rows alone."""

import json
import math

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from population import BOOTSTRAP, FRESH, HOLDOUT, INDEPENDENT, SCHEMA, TRAIN, evidence, people
from synthmill.documents.findings import status_of
from synthmill.frame import rng_of
from synthmill.measure.attack.inference import right
from synthmill.measure.attack.singling_out import _without
from synthmill.plugins import build, known
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.tables.queries import coded
from synthmill.tables.risk import excess

ATTACKS = [n for n in known("measure") if n.startswith("attack.")]
PERTURBED = TRAIN.with_columns(pl.col("wage") + 0.1)


def attack(name, synthetic, changes=None, **options):
    with threadpool_limits(1):
        metric = build("measure", {"use": f"attack.{name}", **options})
        return {m.name: m for m in metric.measure(evidence(synthetic, **(changes or {})))}


def status(attack_name, m):
    return status_of({"name": f"{attack_name}.{m.name}", "value": m.value if math.isfinite(m.value) else None,
                      "low": m.low if math.isfinite(m.low) else None,
                      "high": m.high if math.isfinite(m.high) else None, "better": m.better, "detail": m.detail})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "measure", "least"),
    [
        ("membership", "nearest_auc", 0.75),
        ("membership", "nearest_tpr_1pct", 0.3),
        ("membership", "kernel_auc", 0.54),
        ("lira", "auc", 0.7),
        ("singling_out", "multivariate", 0.4),
        ("singling_out", "univariate", 0.8),
        ("linkability", "risk", 0.1),
        ("inference", "mean", 0.4),
        ("inference", "worst", 0.3),
        ("outliers", "memorised", 5),
        ("copies", "exact", 0.9),
        ("copies", "near", 0.9),
        ("subsets", "piece", 0.9),
        ("subsets", "value", 0.8),
    ],
)
def test_copied_rows_are_caught(name, measure, least):
    found = attack(name, BOOTSTRAP)[measure]
    assert found.low >= least
    assert status(f"attack.{name}", found) == "leak"


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("name", ATTACKS)
def test_fresh_people_accuse_nobody(name, draw):
    found = attack(name.removeprefix("attack."), people(1500, "fresh", draw))
    assert {status(name, m) for m in found.values()} <= {"clear", "hint", "unknown"}
    assert all(m.note for m in found.values() if math.isnan(m.value))


@pytest.mark.parametrize("name", ["membership", "lira", "inference", "linkability", "outliers", "copies"])
def test_lightly_perturbed_rows_are_caught(name):
    found = attack(name, PERTURBED)
    assert "leak" in {status(f"attack.{name}", m) for m in found.values()}


def test_one_memorised_outlier_is_caught():
    hermit = TRAIN[0].with_columns(
        age=pl.lit(79, pl.Int64), wage=pl.lit(4321.5), job=pl.lit("judge"), rich=pl.lit("no")
    )
    train = pl.concat([TRAIN[1:], hermit])
    clean = attack("outliers", FRESH, {"train": train})["memorised"]
    caught = attack("outliers", pl.concat([FRESH[1:], hermit]), {"train": train})["memorised"]
    near = attack("outliers", pl.concat([FRESH[1:], hermit.with_columns(pl.col("wage") + 0.4)]), {"train": train})[
        "memorised"
    ]
    assert (clean.value, caught.value, near.value) == (0, 1, 1)
    assert caught.low >= 1


def test_columns_glued_from_two_people_are_caught_where_no_row_is_a_copy():
    glued = pl.concat([BOOTSTRAP.select("age", "wage"), FRESH.select("job", "town", "rich")], how="horizontal")
    assert attack("copies", glued)["exact"].high < 0.1  # by chance in what is left
    piece = attack("subsets", glued)["piece"]
    assert piece.low > 0.9
    assert piece.detail["columns"] == ["age", "wage"]


def test_shuffled_columns_pass_dcr_and_give_every_rare_number_away():
    assert status("attack.copies", attack("copies", INDEPENDENT)["dcr_share"]) == "clear"
    assert attack("singling_out", INDEPENDENT)["univariate"].low > 0.9
    assert attack("subsets", INDEPENDENT)["value"].low > 0.8


def test_what_the_data_tells_of_everybody_is_no_inference():
    """Riches follow from the wage on both sides: guesses are often right, and the risk is nothing."""
    found = attack("inference", people(1500, "more"), secrets=["rich"], known=["wage", "job"])["mean"]
    assert found.detail["attack"] > 0.7 > found.detail["baseline"]
    assert found.low < 0 < found.high


def test_the_control_of_singling_out_is_exact():
    """On tables of one law the expected control rate is the attack's, however small the holdout."""
    rng = rng_of("exchange")
    for n, m in ((400, 80), (300, 300)):
        inside, outside = rng.binomial(n, 0.004, 40_000), rng.binomial(m, 0.004, 40_000)
        hit = (inside == 1).astype(float)
        control = _without(hit, inside, outside, m / n)
        assert control.mean() == pytest.approx(hit.mean(), abs=0.025)
    known_twice = _without(np.array([1.0]), np.array([1]), np.array([0]), 0.25)
    assert known_twice == pytest.approx(0)  # one train row fits, no held-out one: all of it is memory


def test_risk_is_that_of_giomi_et_al():
    assert excess(np.array([0.6]), np.array([0.2])) == pytest.approx(0.5)
    assert excess(np.array([0.2]), np.array([0.2])) == pytest.approx(0)
    assert excess(np.array([1.0]), np.array([1.0])) == pytest.approx(0)


def test_a_guess_is_right_when_it_is_near_enough():
    schema = Schema(
        (Column("x", "decimal", "Float64"), Column("t", "datetime", "Date"), Column("c", "categorical", "String"))
    )
    x = right(pl.Series("x", [100.0, 100.0, 0.0, -10.0, None, None, 3.0]), pl.Series("x", [104.0, 110.0, 0.0, 10.0, None, 1.0, None]), schema, pl.Series([1.0]))  # fmt: skip
    assert x.tolist() == [1, 0, 1, 0, 1, 0, 0]
    days = pl.Series("t", ["2020-01-01", "2020-12-31"]).str.to_date()
    assert right(days, days.shift(1), schema, days).tolist() == [0, 0]
    assert right(days, days.dt.offset_by("3d"), schema, days).tolist() == [1, 1]
    assert right(pl.Series("c", ["a", "b", None]), pl.Series("c", ["a", "c", None]), schema, pl.Series(["a"])).tolist() == [1, 0, 1]  # fmt: skip


def test_counting_stops_early_and_never_lies():
    table = coded([pl.concat([TRAIN] * 1), HOLDOUT], SCHEMA)[0]
    for query in (
        (((0, ">=", 10), (2, "==", 1))),
        (((1, "<=", 3),)),
        (((3, "==", -1),)),
        (((2, "!=", 0), (4, "==", 1))),
    ):
        mask = np.ones(table.rows, bool)
        for column, op, code in query:
            values = table.columns[column]
            mask &= {
                "==": values == code,
                "!=": values != code,
                "<=": (values >= 0) & (values <= code),
                ">=": values >= code,
            }[op]
        assert table.count(query, table.rows) == mask.sum()
        assert table.count(query, 2) == min(3, mask.sum())


def test_a_named_generator_is_rerun():
    """SMOTE's rows lie between two people: its own shadows know how near that is."""
    smote = build("generate", {"use": "tabular.smote"})
    smote.target = "rich"
    smote.fit(TRAIN, SCHEMA)
    from synthmill.cells import ANY, Cell
    from synthmill.plugins import Request

    rows = smote.generate(Request(0, Cell(ANY, (), 1500), 0, 1500, 5))
    found = attack("lira", rows, generator="tabular.smote")["auc"]
    assert found.detail["generator"] == "tabular.smote"
    assert not found.detail["stand_in"]
    assert found.low > 0.5
    assert attack("lira", FRESH)["auc"].detail["stand_in"]
    wrong = attack("lira", BOOTSTRAP, generator="tabular.copula")["auc"]
    assert wrong.low > 0.6  # a generator that does not memorise leaves the order to the distance


def test_wrong_options_are_one_sentence():
    for options, said in (
        ({"use": "attack.inference", "secrets": ["wgae"]}, "did you mean 'wage'"),
        ({"use": "attack.linkability", "left": ["age"], "right": ["age"]}, "on both sides"),
        ({"use": "attack.lira", "generator": {"rare": 2}}, "has no 'use'"),
        ({"use": "attack.lira", "generator": "tabular.none"}, "is not known"),
    ):
        with pytest.raises(Refusal, match=said):
            build("measure", options).measure(evidence(FRESH[:50]))


@pytest.mark.parametrize("name", ATTACKS)
def test_small_degenerate_and_grouped_tables(name):
    short = name.removeprefix("attack.")
    same = [f.with_columns(age=pl.lit(1), job=pl.lit(None, pl.String)) for f in (TRAIN, HOLDOUT, FRESH)]
    for synthetic, changes in (
        (FRESH, {"holdout": HOLDOUT[:2]}),
        (FRESH[:1], {}),
        (FRESH, {"schema": Schema(())}),
        (FRESH, {"train": TRAIN[:3]}),
        (same[2], {"train": same[0], "holdout": same[1], "schema": SCHEMA.select(["age", "job"])}),
    ):
        found = attack(short, synthetic, changes, **({"shadows": 4} if short == "lira" else {}))
        assert found
        for m in found.values():
            assert math.isfinite(m.value) or m.note
            assert status(name, m) != "leak"
            json.dumps(m.detail)


def test_siblings_in_the_holdout_are_not_strangers_to_each_other():
    pairs = [
        pl.concat([f[:200].with_columns(id=pl.int_range(200, eager=True) + at)] * 3)
        for f, at in ((TRAIN, 0), (HOLDOUT, 1000))
    ]
    found = attack("membership", FRESH, {"train": pairs[0], "holdout": pairs[1], "entity": "id"})
    assert found["nearest_auc"].low <= 0.5 <= found["nearest_auc"].high
