"""The journal: what is kept, found, forgotten and taken out; what survives; what several processes make of it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from synthmill.llm.budget import Cost, Prices
from synthmill.llm.desk import Entry
from synthmill.llm.journal import Journal, journal_path
from synthmill.llm.question import Answer, Question, address, asked, canonical
from synthmill.refusal import Refusal
from synthmill.verbs.journal import export, overview, prune


def entry(n: int, answer: Answer | None = None, prices: Prices | None = None) -> Entry:
    what = asked("m", {"temperature": 1.0}, [{"role": "user", "content": f"question {n} " + "long " * 100}], n, 0)
    answer = answer or Answer(f"answer {n}", "stop", 10, 5)
    key = address("m", {"temperature": 1.0}, what["messages"], n, 0)
    return Entry(key, canonical(what), {}, "m", "stage", Cost(10, 10, prices), answer=answer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_what_is_stored_is_found_by_another_process_whole(path: Path) -> None:
    rich = Answer("text ü \ud800", "tool_calls", 3, 4, "", False, {"content": [1]}, ({"id": "x"},))
    bad = Answer.failed("refused: no", refused=True)
    entries = [entry(0), entry(1, rich), entry(2, bad)]
    assert Journal(path, "run").store(entries) == {}
    found = Journal(path, "other").find([e.address for e in entries] + ["00" * 32])
    assert len(found) == 3
    for e in entries:
        assert e.answer is not None
        assert vars(found[e.address]) | {"address": ""} == vars(e.answer)


def test_an_answer_that_is_there_stays_and_is_returned(path: Path) -> None:
    first, second = Journal(path, "a"), Journal(path, "b")
    first.store([entry(1)])
    late = entry(1, Answer("another answer", "stop", 1, 1))
    assert second.store([late, entry(2)])[late.address].text == "answer 1"
    assert first.find([late.address])[late.address].text == "answer 1"


def test_spending_is_counted_from_the_answers_themselves(path: Path) -> None:
    journal = Journal(path, "run")
    journal.store([entry(i, prices=Prices(1.0, 2.0)) for i in range(5)])
    journal.store([entry(9, Answer.failed("HTTP 500"), Prices(1.0, 2.0))])
    Journal(path, "other run").store([entry(10)])
    [line] = Journal(path, "run").spent().lines.values()
    assert (line.asked, line.errors, line.prompt_tokens, line.completion_tokens) == (6, 1, 50, 25)
    assert line.money == pytest.approx(100e-6)
    [unpriced] = Journal(path, "other run").spent().lines.values()
    assert unpriced.money is None


def test_the_overview_the_hit_rate_pruning_and_the_export(path: Path, tmp_path: Path) -> None:
    journal = Journal(path, "run")
    journal.store([entry(i) for i in range(5)] + [entry(5, Answer.failed("boom"))])
    journal.book({("m", "stage"): (6, 0)})
    journal.book({("m", "stage"): (0, 2)})
    seen = overview(path)
    assert (seen.asked, seen.remembered, seen.hit_rate) == (6, 2, 0.25)
    assert [(x["run"], x["answers"], x["errors"]) for x in seen.lines] == [("run", 6, 1)]
    assert prune(path, errors=True) == 1
    assert prune(path, days=1) == 0
    assert export(path, tmp_path / "out.jsonl") == 5
    lines = [json.loads(x) for x in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {x["answer"]["text"] for x in lines} == {f"answer {i}" for i in range(5)}
    assert lines[0]["question"]["messages"][0]["content"].startswith("question")
    assert prune(path, model="m") == 5
    assert overview(path).lines == []


def test_pruning_everything_by_accident_is_refused(path: Path) -> None:
    Journal(path).store([entry(1)])
    with pytest.raises(Refusal, match="say what to forget"):
        prune(path)


def test_looking_makes_no_journal(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="there is no journal"):
        overview(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_journal_is_one_sentence(path: Path) -> None:
    path.write_text("not a database, but long enough to be taken for one " * 100)
    with pytest.raises(Refusal, match="the journal cannot be opened"):
        Journal(path)


def test_a_journal_of_another_version_is_refused(path: Path) -> None:
    Journal(path).close()
    c = sqlite3.connect(path)
    c.execute("PRAGMA user_version = 99")
    c.close()
    with pytest.raises(Refusal, match="version 99"):
        Journal(path)


def test_the_journal_is_the_users_alone_and_no_repositorys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNTHMILL_JOURNAL", raising=False)
    Journal(journal_path(tmp_path))
    folder = tmp_path / ".synthmill"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / ".gitignore").read_text() == "*\n"
    monkeypatch.setenv("SYNTHMILL_JOURNAL", str(tmp_path / "mine.sqlite"))
    assert journal_path(tmp_path) == tmp_path / "mine.sqlite"


def test_an_address_depends_on_what_decides_the_answer_and_on_nothing_else() -> None:
    message = {"role": "user", "content": "x"}
    q = Question((message,), 1)
    base = address("m", {"temperature": 0.7, "max_tokens": 5}, q.messages, 1, 0)
    assert base == address("m", {"max_tokens": 5, "temperature": 0.7}, [dict(message)], 1, 0)
    others = [
        address("n", {"temperature": 0.7, "max_tokens": 5}, q.messages, 1, 0),
        address("m", {"temperature": 0.8, "max_tokens": 5}, q.messages, 1, 0),
        address("m", {"temperature": 0.7, "max_tokens": 5}, [{**message, "content": "y"}], 1, 0),
        address("m", {"temperature": 0.7, "max_tokens": 5}, q.messages, 2, 0),
        address("m", {"temperature": 0.7, "max_tokens": 5}, q.messages, 1, 1),
    ]
    assert len({base, *others}) == 6


def test_at_temperature_zero_a_repetition_is_the_same_question() -> None:
    messages = [{"role": "user", "content": "x"}]
    assert address("m", {"temperature": 0}, messages, 1, 0) == address("m", {"temperature": 0.0}, messages, 2, 3)
