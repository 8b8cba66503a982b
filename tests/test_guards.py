"""Limits of training on what was made, and of trusting a check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import synthmill
from synthmill.data import adult
from synthmill.guards import turned, wrong_share
from synthmill.job import Station
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal

COLUMNS = ["age", "education", "sex", "income"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    adult().select(COLUMNS).head(300).write_parquet("real.parquet")
    return tmp_path


def spec(**changes: Any) -> synthmill.Spec:
    data = {
        "name": "g",
        "real": {"path": "real.parquet"},
        "cover": {"total": 40},
        "generate": "tabular.copula",
        **changes,
    }
    return synthmill.Spec.model_validate(data)


def test_generation_after_generation_ends_at_the_anchor(desk: Path) -> None:
    """A finished run as real data, and its files: synthetic, wherever they are from."""
    first = synthmill.make(spec(), "one")
    assert set(first.data["_depth"]) == {1}
    for path in ("one", "one/data/00000.parquet"):
        with pytest.raises(Refusal, match=r"40 of 40 rows are synthetic.*accept_synthetic"):
            synthmill.check(spec(real={"path": path}))
        with pytest.raises(Refusal, match=r"guard\.anchor: 0% of .* is real.*at least 10%"):
            synthmill.check(spec(real={"path": path, "accept_synthetic": True}))
    meant = spec(real={"path": "one", "accept_synthetic": True}, guard={"anchor": 0})
    assert set(synthmill.make(meant, "two").data["_depth"]) == {2}


def test_a_real_anchor_lets_a_second_generation_be_made(desk: Path) -> None:
    made = synthmill.make(spec(), "one").data
    pl.concat([made.drop("_id", "_run"), real_rows(20, made)], how="diagonal_relaxed").write_parquet("mixed.parquet")
    mixed = {"path": "mixed.parquet", "accept_synthetic": True}
    assert synthmill.check(spec(real=mixed)).job.depth == 2
    with pytest.raises(Refusal, match=r"guard\.anchor: \d+% of .* is real.*at least 60%"):
        synthmill.check(spec(real=mixed, guard={"anchor": 0.6}))


def real_rows(n: int, made: pl.DataFrame) -> pl.DataFrame:
    return adult().select(COLUMNS).tail(n).with_columns(_origin=pl.lit("real"), _depth=pl.lit(0, pl.UInt8))


def test_depth_has_a_cap(desk: Path) -> None:
    rows = adult().select(COLUMNS).head(200)
    depth = pl.Series("_depth", [0] * 100 + [3] * 100)
    rows.with_columns(depth).write_parquet("deep.parquet")
    deep = {"path": "deep.parquet", "accept_synthetic": True}
    with pytest.raises(Refusal, match=r"guard\.max_depth: deep\.parquet holds generation 3, so .* generation 4; 3 is"):
        synthmill.check(spec(real=deep))
    assert synthmill.check(spec(real=deep, guard={"max_depth": 4})).job.depth == 4


def test_what_learns_nothing_has_no_depth(desk: Path) -> None:
    rows = adult().select(COLUMNS).head(200).with_columns(_depth=pl.lit(9))
    rows.write_parquet("deep.parquet")
    use = {"use": "faker", "columns": {"who": "name"}}
    made = spec(real={"path": "deep.parquet", "accept_synthetic": True}, generate=use)
    assert synthmill.check(made).job.depth == 1


def tally(*rows: tuple[int, int, int]) -> Any:
    """(pass, fail, error) of the generator, each check and the cover, as the line counts."""
    import numpy as np

    return np.array([[p, f, e, 0] for p, f, e in rows], np.int64)


@dataclass
class Ruler:
    """Passes rows below a number, and brings labelled rows."""

    limit: int = 10
    bad: int = 30

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return Verdicts.where(frame["x"] < self.limit, "large")

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return pl.DataFrame({"x": range(20)}), pl.DataFrame({"x": [5] * 12 + [50] * (self.bad - 12)})


def test_acceptance_and_error_rates_say_how_much_is_wrong() -> None:
    assert wrong_share(0.9, 0.9, 0.2) == 0
    assert wrong_share(0.2, 0.9, 0.2) == 1
    assert wrong_share(0.55, 0.9, 0.2) == pytest.approx(0.5 * 0.2 / 0.55)
    assert wrong_share(0.5, 0.5, 0.5) != wrong_share(0.5, 0.5, 0.5)  # not a number: such a check says nothing


def test_a_warning_beyond_the_breakdown_line_and_none_before() -> None:
    """Of 1000 candidates 100 are the generator's own errors; 900 are judged."""
    declared = [Station("a", Ruler(), tpr=0.9, fpr=0.3), Station("b", Ruler())]
    beyond = turned(declared, tally((0, 0, 100), (0, 540, 0), (0, 0, 0), (360, 0, 0)))
    assert len(beyond) == 1
    assert beyond[0].startswith("a: beyond the breakdown line: it accepts 40.0% of 900 candidates")
    assert "about 62% of what it passes is wrong" in beyond[0]
    assert turned(declared, tally((0, 0, 100), (0, 300, 0), (0, 0, 0), (600, 0, 0))) == []
    assert turned(declared, tally((0, 0, 0), (0, 90, 0), (0, 0, 0), (10, 0, 0))) == []  # too few to say


def test_examples_measure_a_check_that_declares_nothing() -> None:
    """Passes 10 of 20 good rows and 12 of 30 bad ones: at 41% accepted nearly everything is wrong."""
    counts = tally((0, 0, 0), (0, 590, 0), (410, 0, 0))
    assert "tpr 0.5, fpr 0.4" in turned([Station("r", Ruler())], counts)[0]
    assert turned([Station("r", Ruler(bad=15))], counts) == []  # 15 labelled rows measure nothing


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tpr": 0.9}, "verify.0: rules: tpr and fpr are given together"),
        ({"tpr": 0.9, "fpr": 2}, "verify.0: rules: fpr: 2 is not a rate between 0 and 1"),
        ({"tpr": True, "fpr": 0.1}, "verify.0: rules: tpr: True is not a rate"),
    ],
)
def test_rates_are_rates(desk: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        synthmill.check(spec(verify=[{"use": "rules", "all": ["age >= 17"], **given}]))


def test_a_run_says_that_its_verifier_turned_round(desk: Path) -> None:
    check = {"use": "rules", "all": ["age >= 45"], "tpr": 0.9, "fpr": 0.3}
    result = synthmill.make(spec(cover={"total": 250}, verify=[check]), "run")
    warned = [w for w in result.warnings if "beyond the breakdown line" in w]
    assert len(warned) == 1
    assert warned[0].startswith("rules: ")
    assert warned[0] in json.loads((desk / "run" / "manifest.json").read_text())["state"]["warnings"]
    assert warned[0].split(":")[0] in (desk / "run" / "report.html").read_text()
