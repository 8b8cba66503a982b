"""recipes/rare-class-text: a rare class topped up by a scripted model, and judged on held-out real texts before and after."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.frame import rng_of

RECIPE = Path(__file__).parent.parent / "recipes" / "rare-class-text" / "run.py"
SPAM = [
    "free prize claim your reward by calling this number today",
    "win cash now text back before friday to collect your money",
    "urgent your account has been chosen for a holiday offer",
    "get the newest ringtones for your mobile phone every week",
]
HAM = [
    "shall we have lunch together after the lecture on monday",
    "sorry i was late the train stopped between two stations",
    "can you bring the green book when you come home tonight",
    "mother says the garden looks lovely since the rain came",
]
OTHERS = [
    "and",
    "then",
    "so",
    "please",
    "really",
    "maybe",
    "again",
    "soon",
    "with",
    "without",
    "about",
    "around",
    "over",
    "under",
    "before",
    "after",
]


def letters(n: int) -> pl.DataFrame:
    """Messages of which no two are alike; one in five is spam."""
    rng, rows = rng_of("letters"), []
    for i in range(n):
        kind = "spam" if i % 5 == 0 else "ham"
        words = rng.permutation((SPAM if kind == "spam" else HAM)[rng.integers(4)].split())[:7]
        rows.append({"label": kind, "text": " ".join([*words, *rng.choice(OTHERS, 5)])})
    return pl.DataFrame(rows)


def writer(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], seed: int, index: int) -> str:
    """Every third time it says its first example again; else a message of its own in English."""
    asked = str(messages[-1]["content"])
    if seed % 3 == 0:
        return next(line for line in asked.splitlines() if line.startswith('{"'))
    rng = np.random.default_rng(seed)
    words = rng.permutation(" ".join(SPAM).split())[:9]
    return json.dumps({"text": " ".join(words)})


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> Any:
    found = importlib.util.spec_from_file_location("rare_class_text", RECIPE)
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["run.py", *map(str, words)])
    return module.main()


def test_the_quota_is_met_and_every_arm_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{y}\t{t}" for y, t in letters(400).iter_rows()]
    (tmp_path / "Collection").write_text("\n".join([*lines, ""]), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("synthmill.llm.stub.plausible", writer)
    assert call(monkeypatch, "Collection", "--model", "stub", "--keep", 12, "--quota", 10, "--out", "x") == 0
    told = capsys.readouterr().out
    train, holdout = (pl.read_parquet(f"x/{name}.parquet") for name in ("train", "holdout"))
    assert (train["label"] == "spam").sum() == 12
    assert not set(train["text"]) & set(holdout["text"])
    run = synthmill.Run.open("x/run")
    made = run.data()
    assert made["label"].to_list() == ["spam"] * 10
    assert not set(made["text"]) & set(train["text"]), "what a model says again is no new text"
    assert "10 of 10 texts of 'spam' accepted" in told
    assert told.count("(0.") + told.count("(-0.") == 8, "four arms with their intervals, by two scores"
    report = Path("x/run/report.html").read_text("utf-8")
    assert "Usefulness of the texts" in report
    assert "Not measured" not in report
    blend = pl.concat(
        [pl.read_parquet(p).select("label", "text") for p in sorted(Path("x/run").glob("**/blend/*.parquet"))]
    )
    assert blend.height == train.height + 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "FILE: which texts?"),
        (["nofile.csv"], "nofile.csv: there is no such file"),
        (["own.csv", "--target", "lable"], "--target: 'lable' is not a column; did you mean 'label'"),
        (["own.csv", "--text", "label2"], "--text: 'label2' is not a column"),
        (["own.csv", "--text", "size"], "holds Int64, no texts"),
        (["own.csv", "--rare", "spma"], "'spma' is no label; did you mean 'spam'"),
        (["own.csv", "--keep", "999"], "are too few to learn from 999"),
        (["own.csv", "--quota", "0"], "both count texts"),
        (["own.csv", "--out", "own.csv"], "is a file"),
        (["own.csv", "--model", "no-such"], "neither a known open model"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    letters(300).with_columns(size=pl.int_range(300)).write_csv(tmp_path / "own.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHMILL_DATA", raising=False)
    if words and words[0] == "own.csv" and "--keep" not in words:
        words = [*words, "--keep", "20"]
    assert call(monkeypatch, *words) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not shown.out
    assert [p.name for p in tmp_path.iterdir()] == ["own.csv"]
