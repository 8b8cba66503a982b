import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import polars as pl
import pytest

from population import BOOTSTRAP, FRESH, HOLDOUT, REAL, TRAIN, evidence, people
from synthmill.cells import grid
from synthmill.evaluation import Evaluation, evaluate, reference
from synthmill.measure.detection import Detection
from synthmill.measure.utility import Utility
from synthmill.plugins import Evidence, Measure
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.shares import at_real_shares

CHEAP = [{"use": "fidelity"}]
HERE = f"{__file__}:"


@dataclass
class Broken:
    """Fails as it likes."""

    measures: ClassVar[tuple[str, ...]] = ("one", "two")

    def measure(self, evidence: Evidence) -> list[Measure]:
        raise ZeroDivisionError("no luck")


@dataclass
class Rows:
    """How many rows it was shown."""

    measures: ClassVar[tuple[str, ...]] = ("n", "n_unfiltered")
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        n = float(evidence.synthetic.height)
        made = [Measure("n", n, n, math.inf, "none", {"x": [math.nan, 1.0]}, note=evidence.reference)]
        return made if evidence.unfiltered is None else [*made, Measure("n_unfiltered", n + 1, n, n)]


@dataclass
class AsMade:
    """What it was shown of a rebalanced table."""

    measures: ClassVar[tuple[str, ...]] = ("n",)
    as_made: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> list[Measure]:
        n = float(evidence.synthetic.height)
        return [Measure("n", n, n, n)]


@dataclass
class Within:
    """How many rows it was shown of each cell."""

    measures: ClassVar[tuple[str, ...]] = ("n",)
    pooled: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> list[Measure]:
        n = float(evidence.synthetic.height)
        return [Measure("n", n, n, n)]


def test_every_family_orders_floor_value_and_ceiling():
    uses = [{"use": u} for u in ("fidelity", "detection", "coverage", "utility", "privacy")]
    said = []
    e = evaluate(FRESH, REAL, uses, seed=1, progress=said.append)
    assert said[:3] == ["fidelity", "fidelity on uniform", "fidelity on independent"]
    arms = ("utility.synthetic", "utility.real", "utility.oversampled")
    for name in ("fidelity.shapes", "fidelity.trends", "coverage.beta_recall", *arms):
        m = e.get(name)
        assert m.floor < m.value, name
        assert m.ceiling == pytest.approx(m.value, abs=0.08), name
    assert all(m.floor is not None and m.ceiling is not None for m in e.measures)
    for name in ("detection.c2st", "detection.mmd", "privacy.membership", "privacy.exact_copies"):
        assert e.get(name).floor > e.get(name).high, name
    gap = e.get("utility.gap")
    assert gap.floor > 0.2
    assert gap.ceiling == pytest.approx(0, abs=0.05)
    assert e.sizes == {"synthetic": 1500, "train": 1500, "holdout": 800, "draws": 0}
    assert evaluate(FRESH, REAL, uses, seed=1) == e


def test_json_round_trip_keeps_what_is_unknown_unknown():
    e = evaluate(FRESH, REAL, [*CHEAP, {"use": HERE + "Broken"}, {"use": HERE + "Rows"}])
    text = json.dumps(e.to_json(), allow_nan=False)
    back = Evaluation.from_json(json.loads(text))
    assert json.dumps(back.to_json(), allow_nan=False) == text
    assert back.get("fidelity.shapes") == e.get("fidelity.shapes")
    assert math.isnan(back.get("broken.one").value)
    assert back.get("rows.n").detail == {"x": [None, 1.0]}


def test_what_the_filter_hid_is_read_against_the_same_references():
    e = evaluate(FRESH, REAL, [{"use": HERE + "Rows"}], unfiltered=FRESH)
    plain, hidden = e.get("rows.n"), e.get("rows.n_unfiltered")
    assert hidden.value == plain.value + 1
    assert (hidden.floor, hidden.ceiling) == (plain.floor, plain.ceiling)
    assert plain.floor == plain.value


def test_a_failing_metric_is_unknown_and_stops_no_other():
    e = evaluate(FRESH, REAL, [{"use": HERE + "Broken"}, *CHEAP])
    assert [m.name for m in e.measures] == ["broken.one", "broken.two", "fidelity.shapes", "fidelity.trends"]
    assert math.isnan(e.get("broken.two").value)
    assert e.get("broken.two").note == "unknown: ZeroDivisionError: no luck"
    assert math.isfinite(e.get("fidelity.shapes").value)


def test_references_are_what_they_say():
    e = evidence(FRESH, draws=(FRESH,), unfiltered=FRESH, blend=FRESH)
    independent = reference("independent", e).synthetic
    assert independent.sort("wage")["wage"].equals(TRAIN.sort("wage")["wage"])
    assert not independent.equals(TRAIN)
    again = reference("bootstrap", e).synthetic
    assert again.join(TRAIN, on=TRAIN.columns, how="semi", nulls_equal=True).height == 1500
    fresh = reference("fresh", e)
    assert fresh.holdout.equals(HOLDOUT)
    assert pl.concat([fresh.train, fresh.synthetic]).sort(TRAIN.columns).equals(TRAIN.sort(TRAIN.columns))
    assert (fresh.draws, fresh.unfiltered, fresh.blend, fresh.reference) == ((), None, None, "fresh")
    assert reference("uniform", e).synthetic["job"].value_counts()["count"].to_list() == pytest.approx(
        [500] * 3, rel=0.15
    )
    with pytest.raises(Refusal, match="no reference"):
        reference("perfect", e)


def test_uniform_columns_know_extremes_levels_and_missing_shares_alone():
    start = datetime(2020, 1, 1, tzinfo=UTC)
    train = pl.DataFrame(
        {
            "n": [None, None] + [1] * 97 + [1001],
            "day": [start.date() + timedelta(days=i % 2) for i in range(100)],
            "at": [start + timedelta(minutes=i) for i in range(100)],
            "level": ["a"] * 98 + ["b", None],
            "blank": pl.Series([None] * 100, dtype=pl.Float64),
            "id": range(100),
        }
    )
    kinds = {"n": "integer", "day": "datetime", "at": "datetime", "level": "categorical", "blank": "decimal"}
    schema = Schema(tuple(Column(n, k, str(train[n].dtype)) for n, k in kinds.items()))
    made = reference("uniform", evidence(pl.concat([train] * 40), train=train, holdout=train, schema=schema)).synthetic
    assert made.schema == train.schema
    assert made.height == 4000
    assert made["n"].mean() == pytest.approx(501, abs=30)
    assert made["n"].null_count() == pytest.approx(80, abs=40)
    assert made["day"].n_unique() == 2
    assert made["at"].is_between(train["at"].min(), train["at"].max()).all()
    assert made["level"].value_counts()["count"].to_list() == pytest.approx([1333] * 3, rel=0.1)
    assert made["blank"].null_count() == 4000


def test_references_are_blended_as_the_judged_table_was():
    judged = evidence(FRESH, blend=pl.concat([TRAIN[:900], FRESH[:300]]), anchored=900)
    floor, ceiling = reference("independent", judged), reference("fresh", judged)
    assert (floor.blend.height, ceiling.blend.height) == (1200, 1000)
    assert _of(floor.blend, floor.synthetic) == 300
    assert (_of(ceiling.blend, ceiling.train), _of(ceiling.blend, ceiling.synthetic)) == (750, 250)
    assert reference("fresh", replace(judged, anchored=None)).blend is None
    alone = reference("fresh", replace(judged, anchored=0)).blend
    assert _of(alone, ceiling.synthetic) == alone.height == 750


def _of(rows: pl.DataFrame, source: pl.DataFrame) -> int:
    return rows.join(source, on=rows.columns, how="semi", nulls_equal=True).height


def test_fresh_halves_never_share_an_entity():
    train = pl.concat([TRAIN[:100].with_columns(id=pl.int_range(100, eager=True))] * 3)
    fresh = reference("fresh", evidence(FRESH, train=train, entity="id"))
    assert set(fresh.train["id"]).isdisjoint(fresh.synthetic["id"])
    assert fresh.train.height == fresh.synthetic.height == 150


def test_floors_and_ceilings_come_from_the_references_a_metric_asks_for():
    m = evaluate(FRESH, REAL, [{"use": HERE + "Rows"}]).get("rows.n")
    assert (m.value, m.floor, m.ceiling, m.note) == (1500, 1500, 750, "")


CELLS = grid({"job": ["cook", "clerk", "judge"]}, 600)
UNIFORM = pl.concat([people(9000, "u").filter(job=j)[:600] for j in ("cook", "clerk", "judge")])


def test_what_is_not_pooled_is_judged_at_real_shares():
    fair = at_real_shares(evidence(UNIFORM, draws=(UNIFORM,), unfiltered=UNIFORM), CELLS)
    for table in (fair.synthetic, *fair.draws, fair.unfiltered):
        shares = table["job"].value_counts(normalize=True, sort=True)
        real = TRAIN["job"].value_counts(normalize=True, sort=True)
        assert shares["job"].to_list() == real["job"].to_list()
        assert shares["proportion"].to_list() == pytest.approx(real["proportion"].to_list(), abs=0.002)
        assert table["job"].value_counts()["count"].max() == 600  # the neediest cell gives all it has
    assert fair.synthetic.is_duplicated().sum() <= UNIFORM.is_duplicated().sum()  # no row is taken twice


def test_each_metric_sees_what_it_asks_for():
    uses = [{"use": HERE + m} for m in ("AsMade", "Rows", "Within")]
    e = evaluate(UNIFORM, REAL, uses, cells=CELLS)
    assert e.get("asmade.n").value == UNIFORM.height > e.get("rows.n").value
    rest = at_real_shares(evidence(UNIFORM), CELLS[1:]).synthetic.height
    cook = (TRAIN["job"] == "cook").mean()
    assert e.get("within.n").value == pytest.approx(cook * 600 + (1 - cook) * rest)
    assert e.notes == (
        "cells were rebalanced: measured are within within cells (job=cook, 2 cells together), pooled at real shares; "
        f"rows on {e.get('rows.n').value:,.0f} of 1,800 rows, at real shares; asmade on the table as it was made",
    )
    assert evaluate(UNIFORM, REAL, uses, cells=CELLS[:1]).notes == ()


def test_many_cells_are_counted_not_named():
    cells = grid({"job": ["cook", "clerk", "judge"], "town": ["aa", "bb", "cc", "zz"]}, 100)
    large = replace(REAL, train=people(9000, "t"), holdout=people(5000, "h"))
    (note,) = evaluate(people(9000, "s"), large, [{"use": HERE + "Within"}], cells=cells).notes
    assert "within cells (5 with at least 300 held-out records, 7 smaller ones together)" in note


def test_a_short_cell_keeps_its_deficit_and_cells_limit_what_real_rows_count():
    short = UNIFORM.filter(pl.col("job") != "cook")
    fair = at_real_shares(evidence(short), CELLS)
    assert fair.synthetic["job"].n_unique() == 2
    assert 400 < fair.synthetic.height <= 1000
    two = at_real_shares(evidence(UNIFORM), CELLS[:2])
    assert set(two.holdout["job"]) == set(two.train["job"]) == set(two.synthetic["job"]) == {"cook", "clerk"}
    with pytest.raises(Refusal, match="no train row"):
        at_real_shares(evidence(UNIFORM), grid({"job": ["pilot", "nurse"]}, 5))


def test_another_tools_file(tmp_path):
    FRESH.with_columns(pl.col("age").cast(pl.Float64), extra=pl.lit(1)).write_csv(tmp_path / "s.csv")
    e = evaluate(pl.read_csv(tmp_path / "s.csv"), REAL, CHEAP)
    assert e.get("fidelity.shapes") == evaluate(FRESH, REAL, CHEAP).get("fidelity.shapes")
    assert "extra" in e.notes[0]


@pytest.mark.parametrize(
    ("synthetic", "uses", "sentence"),
    [
        (FRESH.drop("wage", "job"), CHEAP, "lacks 'wage', 'job'"),
        (FRESH[:0], CHEAP, "no rows"),
        (FRESH, CHEAP * 2, "'fidelity' is listed 2 times"),
        (FRESH, [{"use": "fidelty"}], "did you mean 'fidelity'"),
        (FRESH, [{"use": "detection", "rows": 1}], "rows"),
    ],
)
def test_refusals_are_one_sentence(synthetic, uses, sentence):
    with pytest.raises(Refusal, match=sentence):
        evaluate(synthetic, REAL, uses)


def test_degenerate_worlds_end_in_measures_not_in_errors():
    uses = [{"use": u} for u in ("fidelity", "detection", "coverage", "utility", "privacy")]
    one_class = replace(REAL, train=TRAIN[:30].with_columns(rich=pl.lit("no")), holdout=HOLDOUT[:6])
    for real in (one_class, replace(REAL, schema=Schema(())), replace(REAL, target=None, train=TRAIN[:1])):
        for m in evaluate(FRESH[:20], real, uses).measures:
            assert "Error" not in m.note, m
            assert math.isnan(m.value) == bool(math.isnan(m.low)), m


def test_trees_do_not_depend_on_threads():
    import sklearn.ensemble  # noqa: F401  only loaded libraries can be limited
    from threadpoolctl import threadpool_limits

    answers = []
    for n in (1, 2):
        with threadpool_limits(n):
            answers.append([m.measure(evidence(BOOTSTRAP)) for m in (Detection(rows=800), Utility())])
    (detection1, utility1), (detection2, utility2) = answers
    assert detection1[0] == detection2[0]
    assert utility1 == utility2


def test_who_has_seen_the_holdout_is_told():
    uses = [{"use": f"{HERE}Rows"}]
    told = [n for n in evaluate(pl.concat([BOOTSTRAP, HOLDOUT]), REAL, uses).notes if "has seen the holdout" in n]
    assert len(told) == 1
    for honest in (BOOTSTRAP, FRESH):
        assert not any("has seen the holdout" in n for n in evaluate(honest, REAL, uses).notes)
