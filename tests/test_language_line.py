"""The journal on the command line, and which models a plugin is found to hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synthmill.accounts import models_of, sentences
from synthmill.cli.main import main
from synthmill.compose import maker
from synthmill.job import Job
from synthmill.lineage import traced
from synthmill.llm.model import Model
from synthmill.plugins import Request


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one run of a stub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHMILL_JOURNAL", raising=False)
    spec = {"name": "t", "cover": {"total": 12}, "generate": {"use": "writers:Writer", "model": "stub"}}
    Path("spec.yaml").write_text(json.dumps(spec))
    assert main(["make", "spec.yaml", "--quiet"]) == 0
    return tmp_path / "runs"


def test_the_journal_is_shown_exported_and_pruned(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["journal"]) == 0
    said = capsys.readouterr().out
    assert "12 answers" in said
    assert "0.0% of 12 questions found" in said
    assert "not known" in said
    assert main(["journal", "runs", "--json"]) == 0
    [line] = json.loads(capsys.readouterr().out)["lines"]
    assert (line["model"], line["stage"], line["answers"]) == ("stub", "writers:Writer", 12)
    assert main(["journal", "runs", "--export", "all.jsonl"]) == 0
    assert len(Path("all.jsonl").read_text().splitlines()) == 12
    assert main(["journal", "runs", "--prune", "--run", line["run"]]) == 0
    assert "12 answers forgotten" in capsys.readouterr().out
    assert main(["journal", "runs", "--prune"]) == 2
    assert main(["journal", "elsewhere"]) == 2


def test_a_second_run_finds_its_answers(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make", "spec.yaml", "--quiet", "-o", "runs/again"]) == 0
    assert "12 more were in the journal" in capsys.readouterr().out
    assert main(["journal"]) == 0
    assert "50.0% of 24 questions found" in capsys.readouterr().out


@dataclass
class Inner:
    judge: Model


@dataclass
class Holder:
    model: Model
    panel: list[Model]
    inner: Inner
    texts: list[str] = field(default_factory=list)


class Plain:
    def __init__(self) -> None:
        self.chosen = Model(model="stub")


def test_models_are_found_wherever_a_plugin_holds_them() -> None:
    a, b, c = Model("a"), Model("b"), Model("c")
    assert list(models_of(Holder(a, [b, b], Inner(c), ["x"] * 10))) == [a, b, b, c]
    assert [m.model for m in models_of(Plain())] == ["stub"]


def test_spending_is_a_sentence_per_stage() -> None:
    line = {"model": "m", "stage": "s", "asked": 1200, "remembered": 3, "repeats": 2, "errors": 1, "refusals": 4}
    [said] = sentences([{**line, "prompt_tokens": 5000, "completion_tokens": 70, "money": None}])
    assert said == (
        "s asked m 1,200 questions: 5,000 tokens in, 70 out, cost not known; 3 more were in the journal; 2 tries repeated; "
        "1 errors; 4 refusals"
    )
    [said] = sentences(
        [
            {
                **dict.fromkeys(line, 0),
                "model": "m",
                "stage": "s",
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "money": 0.25,
            }
        ]
    )
    assert said.endswith("cost 0.25")


class First:
    """Two of its four rows fail."""

    def schema(self) -> Any:
        return {"x": pl.Int64()}

    def generate(self, request: Request) -> pl.DataFrame:
        return pl.DataFrame({"x": range(4), "_error": [None, "lost", None, "gone"], "_asked": list("abcd")})


class Second:
    completes = True

    def schema(self) -> Any:
        return {"y": pl.Int64()}

    def generate(self, request: Request) -> pl.DataFrame:
        given = request.given
        assert given is not None
        assert given.columns == ["x"], "what is ours is not shown to a step"
        assert request.n == 2, "nobody pays for what is lost already"
        return given.select(pl.col("x").alias("y") * 10).with_columns(
            pl.Series("_error", [None, "late"]), pl.Series("_asked", [["p", "a"], None])
        )


def test_a_chain_keeps_every_steps_errors_and_answers() -> None:
    made = maker([{"use": f"{__name__}:First"}, {"use": f"{__name__}:Second"}])
    job = Job(1, made, [], [], [])
    frame = made.generate(job.request(0, -1, 0, 4))
    assert frame["x"].to_list() == [0, 1, 2, 3]
    assert frame["y"].to_list() == [0, None, 20, None]
    assert frame["_error"].to_list() == [None, "lost", "late", "gone"]
    assert traced(frame, "_asked").to_list() == [["a", "p"], ["b"], ["c"], ["d"]]
