"""Language models through the whole line: the same bytes however they are asked, errors as data, budgets, and what a kill costs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import synthmill
from lines import bytes_of
from server import Server, complaint
from synthmill.cli.console import made, previewed
from synthmill.llm.journal import journal_path
from synthmill.refusal import Refusal
from synthmill.run import Run
from synthmill.spec import parse_spec
from synthmill.verbs.expense import expense, wilson

KEY = "sk-test-0123456789abcdef"


def spec(url: str, quota: int = 60, **changes: Any) -> dict[str, Any]:
    model = {"model": "m", "base_url": url, "max_tokens": 20, **changes.pop("model", {})}
    return {
        "name": "texts",
        "cover": {"axes": {"topic": ["cats", "dogs"]}, "quota": quota},
        "models": {"teacher": model},
        "generate": {"use": "writers:Writer", "model": "teacher", **changes.pop("writer", {})},
        "verify": ["writers:Odd"],
        **changes,
    }


def run(data: dict[str, Any], root: Path) -> Any:
    return synthmill.make(parse_spec(data), root)


def spending(root: Path) -> dict[str, Any]:
    [line] = Run.open(root).manifest["spending"]
    return line


def test_the_same_bytes_at_any_concurrency_and_from_the_journal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers come in any order and with trouble; a second workspace repeats the run without a network."""
    chance = random.Random(1)

    def reply(body: dict[str, Any], n: int) -> Any:
        return (
            (500, {}, complaint("boom"))
            if chance.random() < 0.05
            else f"{body['messages'][0]['content']} {body['seed']}"
        )

    seen = []
    for name, cap in (("a", 1), ("b", 7), ("c", 64)):
        with Server(reply, latency=0.001) as s:
            data = spec(s.url, model={"concurrency": cap, "retries": 50})
            assert run(data, tmp_path / name / "run").accepted == 120
            seen.append(sorted(s.asked))
    assert seen[0] == seen[1] == seen[2]
    assert bytes_of(tmp_path / "a" / "run") == bytes_of(tmp_path / "b" / "run") == bytes_of(tmp_path / "c" / "run")
    monkeypatch.setenv("SYNTHMILL_JOURNAL", str(tmp_path / "a" / ".synthmill" / "journal.sqlite"))
    monkeypatch.setenv("SYNTHMILL_OFFLINE", "1")
    again = run(spec("http://127.0.0.1:9/v1", model={"key": "NOT_SET"}), tmp_path / "d" / "run")
    assert again.accepted == 120
    assert bytes_of(tmp_path / "d" / "run") == bytes_of(tmp_path / "a" / "run")
    assert spending(tmp_path / "d" / "run")["asked"] == 0
    with pytest.raises(Refusal, match="SYNTHMILL_OFFLINE is set, and a question is not in the journal"):
        run(spec("http://127.0.0.1:9/v1", seed=2), tmp_path / "e" / "run")


def test_what_a_record_was_made_of_is_kept_and_traced(tmp_path: Path) -> None:
    steps = [{"use": "writers:Writer", "model": "teacher"}, {"use": "writers:Reviewer", "model": "teacher"}]
    with Server() as s:
        result = run(spec(s.url, 5, generate=steps, verify=["writers:Odd"]), tmp_path / "run")
    assert [c for c in result.data.columns if not c.startswith("_")] == ["topic", "text", "comment"]
    story = synthmill.trace(tmp_path / "run", result.data["_id"][0])
    first, second = story["answers"]
    assert first["answer"] == story["record"]["text"]
    assert second["answer"] == story["record"]["comment"]
    assert second["messages"] == [{"role": "user", "content": f"comment on {first['answer']}"}]
    assert story["parents"] == [f"seed-{story['request']['row']}"]
    rejected = synthmill.trace(tmp_path / "run", result.run.rejected()["_id"][0])
    assert len(rejected["answers"]) == 2
    journal_path(tmp_path).unlink()
    story = synthmill.trace(tmp_path / "run", result.data["_id"][0])
    assert story["answers"][0]["answer"] == "no longer in the journal"


def test_errors_and_refusals_are_verdicts_of_their_rows(tmp_path: Path) -> None:
    def reply(body: dict[str, Any], n: int) -> Any:
        last = body["seed"] % 5
        if last == 0:
            return 400, {}, complaint("maximum context length is 10 tokens", "context_length_exceeded")
        return (400, {}, complaint("no", "content_policy_violation")) if last == 1 else f"fine {body['seed']}"

    with Server(reply) as s:
        result = run(spec(s.url, 20), tmp_path / "run")
    assert result.accepted == 40
    reasons = set(result.run.rejected().filter(result.run.rejected()["_check"] == 0)["_reason"])
    assert reasons == {
        "the question is too long for the model's context: maximum context length is 10 tokens",
        "refused: no",
    }
    line = spending(tmp_path / "run")
    assert line["errors"] > 0
    assert line["refusals"] > 0


def test_a_check_that_asks_judges_row_by_row(tmp_path: Path) -> None:
    def reply(body: dict[str, Any], n: int) -> str:
        text = body["messages"][0]["content"]
        return ("yes" if len(text) % 2 else "no, it is even") if text.startswith("judge") else f"{text} {body['seed']}"

    with Server(reply) as s:
        data = spec(s.url, 15, verify=[{"use": "writers:Critic", "model": {"model": "teacher", "temperature": 0}}])
        result = run(data, tmp_path / "run")
    assert result.accepted == 30
    assert set(result.run.rejected()["_reason"]) == {"no, it is even", "cell full"}
    stages = {x["stage"] for x in result.run.manifest["spending"]}
    assert stages == {"writers:Writer", "writers:Critic"}


def test_a_budget_ends_the_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    with Server() as s:
        result = run(spec(s.url, 200, budget={"tokens": 4000}), tmp_path / "run")
        assert result.stopped == "the budget of 4,000 tokens is spent"
        assert 0 < result.accepted < 400
        first = spending(tmp_path / "run")
        assert first["prompt_tokens"] + first["completion_tokens"] <= 4000
        asked = len(s.bodies)
        result = run(spec(s.url, 200, budget={"tokens": 4000}), tmp_path / "run")
        assert len(s.bodies) == asked, "what was spent counts"
        result = run(spec(s.url, 200, budget={"tokens": 10**6}), tmp_path / "run")
        assert result.accepted == 400
        assert max(s.asked.values()) == 1, "nothing is paid twice"
        line = spending(tmp_path / "run")
        assert line["asked"] == len(s.bodies)


def test_a_cap_on_money_wants_prices(tmp_path: Path) -> None:
    with pytest.raises(
        Refusal, match=r"budget.money: what m costs is not known \(writers:Writer\); give the model's prices"
    ):
        run(spec("http://127.0.0.1:9/v1", budget={"money": 1.0}), tmp_path / "run")
    with Server() as s:
        data = spec(s.url, 200, budget={"money": 0.004}, model={"prices": {"input": 1.0, "output": 2.0}})
        result = run(data, tmp_path / "run")
    assert result.stopped == "the budget of 0.004 (money) is spent"
    assert 0.002 < spending(tmp_path / "run")["money"] <= 0.004


@pytest.mark.parametrize(
    ("status", "said"), [(401, "the key in TEST_KEY is not accepted"), (404, "there is no model 'm'")]
)
def test_what_stops_a_run_is_one_sentence_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    good = [False]

    def reply(body: dict[str, Any], n: int) -> Any:
        return f"fine {body['seed']}" if good[0] or n < 40 else (status, {}, complaint(f"not with {KEY}"))

    with Server(reply) as s:
        data = spec(s.url, 100, model={"key": "TEST_KEY", "concurrency": 8})
        result = run(data, tmp_path / "run")
        assert said in result.stopped
        assert result.accepted < 200
        good[0] = True
        assert run(data, tmp_path / "run").accepted == 200
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


def test_a_wrong_key_from_the_start_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    with (
        Server(lambda b, n: (401, {}, complaint("no"))) as s,
        pytest.raises(Refusal, match=r"the key in TEST_KEY is not accepted \(HTTP 401: no\)"),
    ):
        run(spec(s.url, model={"key": "TEST_KEY"}), tmp_path / "run")


def test_a_dead_endpoint_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"nothing answers at http://127\.0\.0\.1:9/v1"):
        run(spec("http://127.0.0.1:9/v1", model={"retries": 0}), tmp_path / "run")


def test_a_model_that_only_returns_garbage_is_said(tmp_path: Path) -> None:
    with (
        Server(lambda b, n: (200, {}, "<html>")) as s,
        pytest.raises(Refusal, match=r"failed on every one of .* answered what is no answer: '<html>'"),
    ):
        run(spec(s.url, model={"retries": 0}), tmp_path / "run")


def test_at_temperature_zero_the_same_question_is_asked_once_and_the_run_says_so(tmp_path: Path) -> None:
    with Server(lambda b, n: "always the same") as s:
        data = spec(s.url, 5, writer={"fixed": True}, model={"temperature": 0}, filter=["duplicates"])
        result = run(data, tmp_path / "run")
        assert len(s.bodies) == 2
    assert result.accepted <= 2
    assert [n for _, n in result.short]
    assert any("again at temperature 0: it would answer the same" in w for w in result.warnings)


def test_another_port_key_and_price_are_the_same_run(tmp_path: Path) -> None:
    with Server() as s:
        run(spec(s.url, 5), tmp_path / "run")
    with Server() as s:
        result = run(spec(s.url, 5, model={"prices": {"input": 1, "output": 1}, "deadline": 5}), tmp_path / "run")
        assert result.accepted == 10
        assert s.bodies == []
    with pytest.raises(Refusal, match="holds a run of another spec"):
        run(spec("http://127.0.0.1:9/v1", 5, model={"max_tokens": 21}), tmp_path / "run")


def test_processes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"engine\.kind: process: writers:Writer asks a language model"):
        run(spec("http://127.0.0.1:9/v1", engine={"kind": "process"}), tmp_path / "run")


def test_preview_estimates_the_whole_runs_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Server() as s:
        data = parse_spec(spec(s.url, 100, model={"prices": {"input": 1.0, "output": 1.0}}))
        first, again = synthmill.preview(data, 30), synthmill.preview(data, 30)
        assert len(s.bodies) == 30, "the second costs nothing"
        result = synthmill.make(data, tmp_path / "runs" / "run")
    assert first.expense == again.expense
    assert first.expense is not None
    low, middle, high = first.expense.tokens
    line = spending(result.run.root)
    assert low < middle < high
    assert low < line["prompt_tokens"] + line["completion_tokens"] < high
    assert first.expense.money == pytest.approx(tuple(x / 1e6 for x in first.expense.tokens))
    previewed(first, "spec.yaml")
    made(result)
    told = capsys.readouterr().out
    assert "tokens of language models, at a cost of about" in told
    assert f"writers:Writer asked m {line['asked']} questions" in told


def test_the_interval_of_the_expense_holds_what_it_should() -> None:
    assert wilson(0, 10)[0] == 0.0
    assert 0.3 < wilson(0, 10)[2] < 0.45
    assert expense([], 10, 10, 100, 20) is None
    from synthmill.llm.question import Answer

    none = expense([(Answer("x", "stop", 10, 0), None)] * 10, 10, 0, 100, 20)
    assert none is not None
    assert none.tokens[2] == 10 * 100 * 20
    assert none.money is None


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
import synthmill
synthmill.make(sys.argv[1], sys.argv[2])
"""


def start(at: Path, root: Path) -> subprocess.Popen[bytes]:
    """The run in a process of its own."""
    paths = [str(Path(__file__).parents[1]), *(p for p in sys.path if p)]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(paths=paths), str(at), str(root)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize(
    ("kills", "concurrency", "quota"), [(2, 16, 120), pytest.param(50, 128, 4000, marks=pytest.mark.heavy)]
)
def test_a_kill_asks_again_at_most_what_was_under_way(tmp_path: Path, kills: int, concurrency: int, quota: int) -> None:
    """SIGKILL after a random number of answers, again and again: the same bytes, nothing lost, nothing else paid twice."""
    if kills > 2 and not os.environ.get("SYNTHMILL_HEAVY"):
        pytest.skip("long; set SYNTHMILL_HEAVY=1")
    chance = random.Random(kills)
    total = 3 * quota
    points = sorted(chance.sample(range(20, total - 20), kills))
    with Server(latency=0.02) as s:
        data = spec(s.url, quota, model={"concurrency": concurrency}, engine={"checkpoint": 0.2})
        (tmp_path / "spec.yaml").write_text(json.dumps(data))
        reference = run(data, tmp_path / "reference" / "run")
        once = set(s.asked)
        s.asked.clear()
        reached = threading.Event()
        after = [0]
        plain = s.reply

        def reply(body: dict[str, Any], n: int) -> Any:
            if sum(s.asked.values()) >= after[0]:
                reached.set()
            return plain(body, n)

        s.reply = reply
        died = 0
        for point in points:
            after[0] = point
            reached.clear()
            child = start(tmp_path / "spec.yaml", tmp_path / "run")
            while not reached.wait(0.02) and child.poll() is None:
                pass
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                died += 1
            child.wait()
        assert start(tmp_path / "spec.yaml", tmp_path / "run").wait() == 0
        assert died == kills
        assert set(s.asked) == once
        twice = sum(n - 1 for n in s.asked.values())
        assert twice <= died * concurrency
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "reference" / "run")
    line = spending(tmp_path / "run")
    assert line["asked"] == len(once), "spending survives the kills"
    assert line["prompt_tokens"] == reference.run.manifest["spending"][0]["prompt_tokens"]
