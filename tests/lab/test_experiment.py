"""The experiment as people run it: small, on a table of its own, resumed, refused and drawn."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.cli.main import main
from synthmill.data import adult
from synthmill.documents.collapse import drawing, sentences_of
from synthmill.frame import rng_of
from synthmill.lab import collapse as experiment
from synthmill.lab.chain import Arm, Mill, generations
from synthmill.lab.regimes import batch, corpus
from synthmill.lab.summary import over_repeats
from synthmill.lab.sweep import Mix, choose, mixed
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.verbs.collapse import Collapse, price

COLUMNS = ["age", "education", "sex", "income"]


def rows(n: int, depth: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"x": range(n)}).with_columns(pl.lit(depth, pl.UInt16).alias("_depth"))


def rng(*names: object) -> np.random.Generator:
    return rng_of("experiment", *names)


@pytest.mark.parametrize(("share", "real"), [(0.0, 0), (0.1, 10), (0.3, 30), (0.5, 50)])
def test_a_batch_has_its_share_of_real_rows_and_none_twice(share: float, real: int) -> None:
    made = batch(rows(100), rows(100, 3), share, 100, rng())
    assert made.height == 100
    assert (made["_depth"] == 0).sum() == real
    assert not made.is_duplicated().any()


def test_a_batch_of_which_too_little_was_made_shrinks_and_keeps_its_share() -> None:
    made = batch(rows(100), rows(35, 1), 0.3, 100, rng())
    assert (made.height, (made["_depth"] == 0).sum()) == (50, 15)


def test_regimes_keep_what_they_say() -> None:
    batches = [rows(10, 1), rows(10, 2)]
    depths = {r: sorted(corpus(r, rows(10), batches, rng())["_depth"]) for r in experiment.Regime.__args__}  # type: ignore[attr-defined]
    assert depths["replace"] == [2] * 10
    assert depths["accumulate"] == [0] * 10 + [1] * 10 + [2] * 10
    assert len(depths["accumulate-subsample"]) == 10
    assert len(set(depths["accumulate-subsample"])) > 1
    assert corpus("replace", rows(10), [], rng()).equals(rows(10))


def test_arms_share_their_first_generation_and_their_streams() -> None:
    real = pl.DataFrame({"x": rng("x").standard_normal(50)})
    mill = Mill([{"use": "lab.gaussian"}], Schema((Column("x", "decimal", "Float64"),)), seed=1)
    chains = [list(generations(mill, real, Arm(r), 3)) for r in ("replace", "accumulate", "replace")]
    first, other, again = ([g.drawn.frame["x"].to_list() for g in c if g] for c in chains)
    assert first == again
    assert first[0] == other[0]
    assert first[1] == other[1] or first[2] != other[2]


@dataclass
class Brittle:
    """Learns the rows, forgets the largest tenth, and cannot be fitted to fewer than four distinct ones."""

    rows: pl.DataFrame = field(init=False, repr=False, default_factory=pl.DataFrame)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        if train["x"].n_unique() < 4:
            raise ValueError("too few distinct values")
        self.rows = train.sort("x").head(max(1, train.height * 6 // 10))

    def schema(self) -> dict[str, pl.DataType]:
        return {"x": pl.Float64()}

    def generate(self, request: Request) -> pl.DataFrame:
        return self.rows[request.rng().integers(self.rows.height, size=request.n)]


def test_a_chain_that_dies_is_an_outcome(tmp_path: Path) -> None:
    table = pl.DataFrame({"x": rng("t").standard_normal(120), "y": rng("y").standard_normal(120)}).select("x")
    spec = synthmill.Spec.model_validate({"name": "b", "generate": f"{__name__}:Brittle"})
    found = synthmill.collapse(
        spec, 9, real=table, out=tmp_path / "b", repeats=1, rows=20, shares=[0], regimes=["replace", "accumulate"]
    )
    replaced, accumulated = found.summary["arms"]
    assert "too few distinct values" in replaced["ended"][0]
    assert replaced["ended"][0].startswith("generation ")
    assert len(replaced["points"]["lab.spread"]) < 9
    assert accumulated["ended"] == []
    assert any("1 of 1 chain ended early" in s for s in sentences_of(found.summary))


def spec_of(**changes: Any) -> synthmill.Spec:
    data = {
        "name": "s",
        "real": {"path": "real.parquet", "target": "income"},
        "generate": "tabular.copula",
        "verify": [{"use": "schema"}, {"use": "rules", "all": ["age >= 20"]}],
        "filter": ["duplicates"],
    }
    return synthmill.Spec.model_validate(data | changes)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("desk")
    adult().select(COLUMNS).with_row_index("id").head(260).write_parquet(root / "real.parquet")
    return root


SMALL: dict[str, Any] = {"repeats": 2, "rows": 60, "shares": [0.25], "regimes": ["replace", "accumulate"]}


@pytest.fixture(scope="module")
def found(desk: Path) -> Collapse:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk)
        return synthmill.collapse(spec_of(), 3, out=desk / "whole", **SMALL)


def test_every_generation_of_every_arm_is_measured(found: Collapse) -> None:
    table = found.table
    assert set(table["measure"]) == set(found.summary["measures"])
    arms = table.drop_nulls("regime").select("regime", "real_share", "verified", "repeat", "generation").unique()
    assert arms.height == 2 * 2 * 2 * 3
    assert table.filter(pl.col("regime").is_null())["repeat"].n_unique() == 2  # the real rows themselves
    grown = table.filter((pl.col("regime") == "accumulate") & (pl.col("generation") == 3))
    assert set(grown["corpus"]) == {180}
    assert set(grown["corpus_real"].round(4)) == {0.5}  # (60 + 2 * 15) / 180
    assert set(table.filter((pl.col("regime") == "replace") & (pl.col("generation") > 1))["corpus"]) == {60}
    taken = table.filter(pl.col("verified") & (pl.col("generation") > 0))["acceptance"]
    assert 0.3 < taken.min() < taken.max() <= 1  # type: ignore[operator]
    assert table.filter(~pl.col("verified"))["acceptance"].unique().to_list() == [1.0]


def test_its_data_can_be_read_again(found: Collapse) -> None:
    assert pl.read_parquet(found.root / "generations.parquet").equals(found.table)
    assert pl.read_csv(found.root / "generations.csv").height == found.table.height
    assert json.loads((found.root / "collapse.json").read_text()) == found.summary
    assert not list((found.root / "private").rglob("*.parquet"))


def test_the_report_says_that_the_mean_hides_collapse_and_opens_offline(found: Collapse) -> None:
    page = (found.root / "report.html").read_text()
    assert "the mean alone hides collapse" in page
    assert page.count("<svg") == 6 * 2 * 2  # measures (52 held-out rows show no tail), regimes, verified or not
    assert not re.search(r"https?:|\bnan\b", page, re.I)
    assert drawing(found.summary, ["coverage.tails"]).startswith("<svg xmlns")


class Killed(Exception):
    pass


def test_it_goes_on_where_it_was_stopped_with_the_same_bytes(
    desk: Path, found: Collapse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    made: list[int] = []
    judge = experiment.vitals

    def fragile(*given: Any) -> Any:
        made.append(1)
        if len(made) % 9 == 0:
            raise Killed
        return judge(*given)

    monkeypatch.setattr(experiment, "vitals", fragile)
    for _ in range(20):
        try:
            again = synthmill.collapse(spec_of(), 3, out="resumed", **SMALL)
            break
        except Killed:
            continue
    assert len(made) == 22 + len(made) // 9  # every table once, and those that the kills took
    for name in ("generations.parquet", "collapse.json", "report.html"):
        assert (again.root / name).read_bytes() == (found.root / name).read_bytes(), name


def test_another_experiment_is_not_mixed_in(desk: Path, found: Collapse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    with pytest.raises(Refusal, match="holds another experiment"):
        synthmill.collapse(spec_of(seed=1), 3, out=found.root, **SMALL)
    (desk / "mine").mkdir(exist_ok=True)
    (desk / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(Refusal, match="not empty and no experiment"):
        synthmill.collapse(spec_of(), 3, out="mine", **SMALL)


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({}, {"regimes": ["replase"]}, "did you mean 'replace'"),
        ({}, {"shares": [1.0]}, "1.0 is not a share"),
        ({}, {"rows": 0}, "--rows: 0"),
        ({"real": None}, {}, "real: is needed"),
        ({"generate": {"use": "faker", "columns": {"a": "name"}}}, {}, "learns nothing from data"),
        ({"verify": [], "filter": []}, {"verified": True}, "nothing can be verified"),
        ({"generate": "lab.gaussian"}, {}, "makes no column 'education'"),
    ],
)
def test_what_makes_no_experiment_is_refused(
    desk: Path, monkeypatch: pytest.MonkeyPatch, changes: Any, options: Any, said: str
) -> None:
    monkeypatch.chdir(desk)
    with pytest.raises(Refusal, match=said):
        synthmill.collapse(spec_of(**changes), 2, out="refused", **options)


def test_a_dry_run_keeps_nothing(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    cost = price(spec_of(), 3, **SMALL)
    assert cost.tables == 2 * (2 + 4 * 2)
    assert cost.seconds > 0
    (desk / "s.yaml").write_text(json.dumps(spec_of().model_dump(mode="json", exclude={"base"})))
    assert main(["collapse", "s.yaml", "--dry-run", "--rows", "60", "-o", "dry"]) == 0
    assert "nothing was kept" in capsys.readouterr().out
    assert not (desk / "dry").exists()


def test_the_median_tells_what_the_mean_hides() -> None:
    told = over_repeats([0.0, 0.0, 0.0, 0.0, 5.0])
    assert (told["mean"], told["median"], told["low"], told["high"], told["n"]) == (1.0, 0.0, 0.0, 5.0, 5)


def test_mixes_hold_their_share() -> None:
    real, made = rows(100), rows(900, 1)
    counts = {}
    for regime in experiment.Regime.__args__:  # type: ignore[attr-defined]
        whole = mixed(regime, 0.25, real, made, rng(regime))
        counts[regime] = ((whole["_depth"] == 0).sum(), (whole["_depth"] == 1).sum())
    assert counts["replace"] == (75, 25)
    assert counts["accumulate"] == (100, 33)
    assert sum(counts["accumulate-subsample"]) == 100


def mix(share: float, low: float, value: float, high: float) -> Mix:
    return Mix("accumulate", share, 1, 1, (0.9, 0.8, 1.0), (value, low, high))


def test_only_a_sure_gain_is_recommended_and_the_least_synthetic_of_equals() -> None:
    none, why = choose([mix(0.1, -0.01, 0.01, 0.03), mix(0.3, -0.02, 0.02, 0.06)])
    assert none is None
    assert why.startswith("none: no mix beats real rows for sure; the best, accumulate, 30% synthetic, gains +0.0200")
    chosen, why = choose([mix(0.1, 0.010, 0.038, 0.066), mix(0.3, 0.012, 0.040, 0.068), mix(0.5, -0.01, 0.05, 0.11)])
    assert chosen is not None
    assert chosen.share == 0.1
    assert "gains +0.0380 over real rows alone or repeated" in why


def test_a_sweep_finds_what_pays_and_what_does_not(tmp_path: Path) -> None:
    """Twelve real rows of a line and its noise: the fitted law, drawn again, adds nothing that is not in them; more rows of
    the true law do. The judge cannot know which is which, and must tell."""
    truth = f"{__name__}:Truth"
    table = Truth().generate(Request(0, None, 0, 400, 5))  # type: ignore[arg-type]
    common = {"name": "w", "real": {"target": "y", "holdout": 0.9}}
    good = synthmill.blend_sweep(
        synthmill.Spec.model_validate({**common, "generate": truth}), real=table, shares=[0.5, 0.9], draws=2,
        regimes=["accumulate"], out=tmp_path / "good",
    )  # fmt: skip
    assert good.recommended is not None, good.why
    poor = synthmill.blend_sweep(
        synthmill.Spec.model_validate({**common, "generate": "tabular.independent"}), real=table, shares=[0.5], draws=2,
        regimes=["accumulate", "replace"], out=tmp_path / "poor",
    )  # fmt: skip
    assert poor.recommended is None
    assert poor.why.startswith("none")
    assert "no synthetic data" in (tmp_path / "poor" / "report.html").read_text()
    assert json.loads((tmp_path / "good" / "sweep.json").read_text())["recommended"] == good.recommended.label


@dataclass
class Truth:
    """The law itself: a generator as good as fresh real rows."""

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self.fitted = True

    def schema(self) -> dict[str, pl.DataType]:
        return {"x": pl.Float64(), "z": pl.Float64(), "y": pl.Float64()}

    def generate(self, request: Request) -> pl.DataFrame:
        x, z, e = request.rng().standard_normal((3, request.n))
        return pl.DataFrame({"x": x, "z": z, "y": x + np.abs(z) + 0.3 * e})


def test_a_sweep_needs_a_target(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    with pytest.raises(Refusal, match=r"real\.target: is needed"):
        synthmill.blend_sweep(spec_of(real={"path": "real.parquet"}))


def test_the_command_prints_what_to_use(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    (desk / "w.yaml").write_text(json.dumps(spec_of().model_dump(mode="json", exclude={"base"})))
    command = ["blend-sweep", "w.yaml", "--shares", "0.3", "--draws", "1", "--regimes", "replace", "--quiet"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "replace, 30% synthetic" in shown
    assert "recommended" in shown
    assert (desk / "runs" / "s-sweep" / "report.html").is_file()
