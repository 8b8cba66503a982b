"""Planted contamination is found in every disguise; clean text is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from synthmill.filter.decontaminate import Decontaminate
from synthmill.frame import rng_of
from synthmill.lineage import version_of
from synthmill.plugins import build
from synthmill.prepare import prepare
from synthmill.refusal import Refusal
from synthmill.spec import parse_spec

VOCABULARY = np.array([f"{a}{b}" for a in ("ka", "lo", "mi", "tu", "re") for b in range(400)])


def items(n: int, low: int, high: int, name: str) -> list[str]:
    rng = rng_of("decontaminate", name)
    return [" ".join(rng.choice(VOCABULARY, int(rng.integers(low, high)))) for _ in range(n)]


QUESTIONS = items(300, 12, 60, "questions")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "bench.jsonl"
    rows = [
        {"id": i, "question": f"Answer the following question with one word only: {q}", "answer": "yes"}
        for i, q in enumerate(QUESTIONS)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def caught(bench: Path, texts: list[str]) -> np.ndarray:
    return (Decontaminate(files=str(bench)).judge(pl.DataFrame({"text": texts})).status == 1).to_numpy()


def changed(text: str, share: float, seed: int) -> str:
    rng = rng_of("changed", seed)
    parts = text.split()
    for i in rng.choice(len(parts), round(share * len(parts)), replace=False):
        parts[i] = str(rng.choice(VOCABULARY))
    return " ".join(parts)


DISGUISES = {
    "verbatim": lambda q, i: q,
    "case": lambda q, i: q.upper(),
    "punctuation": lambda q, i: q.replace(" ", ", ") + "?!",
    "spaces": lambda q, i: q.replace(" ", "\n\t  "),
    "quoted": lambda q, i: f'{items(1, 200, 201, f"before{i}")[0]} "{q}" {items(1, 200, 201, f"after{i}")[0]}',
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_planted_contamination_is_found(bench, disguise):
    assert caught(bench, [DISGUISES[disguise](q, i) for i, q in enumerate(QUESTIONS)]).all()


def test_one_word_in_ten_may_be_changed(bench):
    assert caught(bench, [changed(q, 0.1, i) for i, q in enumerate(QUESTIONS)]).mean() >= 0.97


def test_clean_text_and_the_wording_of_the_benchmark_pass(bench):
    clean = [*items(500, 20, 400, "clean"), "Answer the following question with one word only: is it so?", "yes", ""]
    assert not caught(bench, clean).any()


def test_the_row_is_named_and_the_share_is_told(bench):
    frame = pl.DataFrame(
        {
            "a": ["nothing", None, "x"],
            "messages": [[{"role": "user", "content": c}] for c in ("hello", QUESTIONS[41], "x")],
        }
    )
    verdicts = Decontaminate(files=[str(bench)]).judge(frame)
    assert verdicts.status.to_list() == [0, 1, 0]
    assert verdicts.reason.to_list() == [None, "contains 95% of bench.jsonl, row 42", None]
    assert verdicts.score.is_null().to_list() == [True, False, True]  # the wording before the question is not there


def test_a_long_passage_is_caught_by_thirteen_words_in_a_row(tmp_path):
    passage = items(1, 600, 601, "passage")[0]
    path = tmp_path / "passages.txt"
    path.write_text(passage)
    parts = passage.split()
    texts = [" ".join(["so", *parts[300 : 300 + n], "then"]) for n in (12, 13)]
    assert caught(path, texts).tolist() == [False, True]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "txt"])
def test_every_kind_of_file_is_read(tmp_path, kind):
    path, table = tmp_path / f"bench.{kind}", pl.DataFrame({"q": QUESTIONS[:9]})
    if kind == "txt":
        path.write_text("\n".join(QUESTIONS[:9]))
    else:
        getattr(table, {"csv": "write_csv", "parquet": "write_parquet", "jsonl": "write_ndjson"}[kind])(path)
    assert caught(path, QUESTIONS[:12]).tolist() == [True] * 9 + [False] * 3


def test_short_rows_are_one_passage_and_shorter_ones_are_counted(tmp_path):
    path = tmp_path / "short.jsonl"
    path.write_text('{"a": "what is two", "b": ["and two", "in all"]}\n{"a": "yes"}\n')
    check = Decontaminate(files=str(path))
    assert check.skipped == 1
    assert check.judge(
        pl.DataFrame({"t": ["Yes.", "What is two and two, in all?", "what is two and"]})
    ).status.to_list() == [0, 1, 0]


def test_a_passage_that_many_rows_ask_about_is_searched_for(tmp_path):
    path = tmp_path / "reading.jsonl"
    path.write_text("\n".join(json.dumps({"context": QUESTIONS[0], "question": q}) for q in QUESTIONS[1:31]))
    assert caught(path, [QUESTIONS[0], QUESTIONS[30], QUESTIONS[31]]).tolist() == [True, True, False]


def test_another_file_is_another_run(tmp_path):
    path = tmp_path / "bench.txt"
    path.write_text(QUESTIONS[0])
    one = version_of(Decontaminate(files=str(path)))
    assert version_of(Decontaminate(files=str(path))) == one
    path.write_text(QUESTIONS[1])
    assert version_of(Decontaminate(files=str(path))) != one


@pytest.mark.parametrize(
    ("text", "said"),
    [("yes\nno\n", "no text of 6 or more words"), (None, "there is no such file|no such file"), ("", "empty|holds no")],
)
def test_files_that_cannot_serve_are_refused(tmp_path, text, said):
    path = tmp_path / "bench.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Refusal, match=said):
        build("filter", {"use": "decontaminate", "files": [str(path)]})


def test_a_key_of_the_spec_adds_the_filter(bench, tmp_path):
    spec = {"name": "x", "generate": {"use": "faker", "columns": {"t": "paragraph"}}, "cover": {"total": 3}}
    plain, guarded = (
        prepare(parse_spec({**spec, **more}), base=bench.parent) for more in ({}, {"decontaminate": "bench.jsonl"})
    )
    assert [s.use for s in plain.job.stations] == []
    assert [s.use for s in guarded.job.stations] == ["decontaminate"]
    assert plain.digest != guarded.digest
    with pytest.raises(Refusal, match=r"other\.jsonl: there is no such file"):
        prepare(parse_spec({**spec, "decontaminate": ["other.jsonl"]}), base=bench.parent)


def test_what_the_user_placed_is_not_added_again(bench):
    own = {"use": "decontaminate", "files": ["bench.jsonl"], "words": 6}
    spec = {"name": "x", "generate": {"use": "faker", "columns": {"t": "paragraph"}}, "cover": {"total": 3}}
    made = prepare(parse_spec({**spec, "filter": own, "decontaminate": ["bench.jsonl"]}), base=bench.parent)
    assert [(s.use, s.plugin.words) for s in made.job.stations] == [("decontaminate", 6)]
