"""A model in a child process: its crashes, its deadline and its end with a fake in the child; its answers with a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fake_llama
from synthmill.llm.channel import loop
from synthmill.llm.embedded import Embedded
from synthmill.llm.known import locate
from synthmill.llm.llama import Whole
from synthmill.llm.model import Model
from synthmill.llm.pull import pull
from synthmill.llm.question import Answer, Question
from synthmill.refusal import Halt, Refusal

FAKE = (sys.executable, str(Path(fake_llama.__file__)))


def closed(engine: Embedded) -> None:
    import asyncio

    asyncio.run_coroutine_threadsafe(engine.close(), loop()).result(10)


@pytest.fixture
def fake() -> Iterator[Embedded]:
    import asyncio

    async def made() -> Embedded:
        return Embedded("fake", slots=4, command=FAKE)

    engine = asyncio.run_coroutine_threadsafe(made(), loop()).result()
    yield engine
    closed(engine)


def question(text: str, seed: int = 1, **parameters: object) -> Question:
    return Question(({"role": "user", "content": text},), seed, parameters=parameters)


def ask(engine: Embedded, *texts: str, deadline: float = 60.0) -> list[Answer]:
    model = Model(engine=engine, concurrency=4, deadline=deadline, retries=0)
    return model.ask([question(t, seed=i) for i, t in enumerate(texts)])


def gone(pid: int, within: float = 10.0) -> bool:
    """Whether the process ended; one that nobody buried yet counts as ended."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_answers_come_in_order_with_their_counts(fake: Embedded) -> None:
    answers = ask(fake, "one", "two", "three", "four", "five", "six")
    assert [a.text.split()[0] for a in answers] == ["one", "two", "three", "four", "five", "six"]
    assert {(a.finish, a.prompt_tokens, a.completion_tokens, a.error) for a in answers} == {("stop", 3, 3, "")}


def test_only_what_the_engine_knows_is_sent(fake: Embedded) -> None:
    sent = ask(fake, "keys")[0].text
    assert "'model'" not in sent
    assert "'index'" not in sent
    assert "'temperature'" in sent


def test_a_crash_costs_a_repetition_and_nothing_else(fake: Embedded, tmp_path: Path) -> None:
    before = ask(fake, "hello")[0]
    first = fake.pid
    answers = ask(fake, "wait 0.2", f"die once {tmp_path / 'died'}", "wait 0.3")
    assert [a.error for a in answers] == ["", "", ""]
    assert answers[1].text.startswith("die once")
    assert fake.pid not in (None, first)
    assert ask(fake, "hello")[0].text == before.text


def test_a_question_that_kills_the_engine_is_an_error_and_the_others_are_answered(fake: Embedded) -> None:
    answers = ask(fake, "wait 0.2", "die", "wait 0.2", "wait 0.1", "five", "six")
    assert [bool(a.error) for a in answers] == [False, True, False, False, False, False]
    assert answers[1].error.startswith("the engine died: ended by SIGKILL (out of memory?)")
    assert answers[1].error.endswith("; restarted once, and it died again on this question alone")
    assert ask(fake, "still there?")[0].text.startswith("still there?")


def test_an_engine_that_talks_nonsense_is_ended_and_named(fake: Embedded) -> None:
    assert "the engine died" in ask(fake, "nonsense")[0].error
    assert ask(fake, "again")[0].error == ""


def test_what_the_engine_refuses_is_that_questions_error(fake: Embedded) -> None:
    refused, fine = ask(fake, "raise", "fine")
    assert refused.error == "the engine refused the question: no such schema"
    assert fine.error == ""


def test_a_deadline_frees_the_slot(fake: Embedded) -> None:
    late = ask(fake, "wait 30", "wait 31", "wait 32", "wait 33", deadline=0.5 if fake.pid else 5)
    assert all("no answer within" in a.error for a in late)
    end = time.monotonic() + 10
    while time.monotonic() < end and ask(fake, "dropped")[0].text.count("wait") < 4:
        time.sleep(0.05)
    assert ask(fake, "dropped")[0].text.count("wait") == 4


@pytest.mark.parametrize(
    ("model", "why"), [("broken", "RuntimeError: no tensors"), ("killed", "ended by SIGKILL (out of memory?) (loading")]
)
def test_a_model_that_cannot_be_loaded_stops_the_run_with_the_reason(model: str, why: str) -> None:
    import asyncio

    async def made() -> Embedded:
        return Embedded(model, command=FAKE)

    engine = asyncio.run_coroutine_threadsafe(made(), loop()).result()
    with pytest.raises(Halt, match="could not be loaded") as refused:
        ask(engine, "hello")
    assert why in str(refused.value)
    closed(engine)


PARENT = """
import os, sys, time
from synthmill.llm.channel import loop
from synthmill.llm.embedded import Embedded
from synthmill.llm.model import Model
from synthmill.llm.question import Question
import asyncio
async def made(): return Embedded("fake", command={command!r})
engine = asyncio.run_coroutine_threadsafe(made(), loop()).result()
m = Model(engine=engine)
m.ask([Question(({{"role": "user", "content": "hi"}},), 1)])
holder = os.fork() if {fork} else 0
if {fork} and holder == 0:
    time.sleep(60)
    os._exit(0)
sys.stdout.write(f"{{engine.pid}} {{holder}}\\n")
sys.stdout.flush()
if {wait}:
    time.sleep(60)
"""


@pytest.mark.parametrize("fork", [False, True])
def test_no_orphan_is_left_when_the_parent_is_killed(fork: bool) -> None:
    """Also where a process that it forked still holds the other end of the pipe."""
    script = PARENT.format(command=FAKE, fork=fork, wait=True)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, holder = map(int, parent.stdout.readline().split())
    assert not gone(pid, within=0.1)
    parent.kill()
    parent.wait()
    try:
        assert gone(pid)
    finally:
        if holder:
            os.kill(holder, signal.SIGKILL)


def test_a_parent_that_ends_takes_its_child_with_it() -> None:
    script = PARENT.format(command=FAKE, fork=False, wait=False)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert gone(int(done.stdout.split()[0]))
    assert done.stderr == ""


def test_a_stream_is_put_together_as_one_response() -> None:
    def delta(**d: object) -> dict[str, object]:
        return {"choices": [{"index": 0, "delta": d}]}

    whole = Whole()
    whole.add(delta(role="assistant", content=None))
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"ci'}}
    whole.add(delta(tool_calls=[call]))
    whole.add(delta(tool_calls=[{"index": 0, "function": {"arguments": 'ty": "Ulm"}'}}]))
    whole.add({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]})
    whole.add({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    whole.add({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    said = whole.said()
    choice = said["choices"][0]
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Ulm"}'}
    assert (choice["message"]["content"], choice["finish_reason"]) == ("a", "tool_calls")
    assert choice["logprobs"] == {"content": [{"token": "a"}]}
    assert said["usage"]["completion_tokens"] == 2


def test_a_model_that_is_not_here_is_refused_with_the_command_and_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Refusal, match=r"synthmill models pull qwen2\.5-0\.5b"):
        Model("qwen2.5-0.5b").ask([question("hi")])
    with pytest.raises(Refusal, match=r"generate: .*synthmill models pull qwen2\.5-0\.5b"):
        Model("qwen2.5-0.5b").check("generate")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def small() -> Model:
    """SmolLM2 in four slots."""
    pytest.importorskip("xllamacpp")
    try:
        pull("smollm2-135m")
    except Refusal as e:
        pytest.skip(f"SmolLM2 is neither in the cache nor to be had: {e}")
    return Model("smollm2-135m", slots=4, context=512, max_tokens=8, deadline=300)


def test_seeds_are_honoured(small: Model) -> None:
    """Asked alone, the same question has the same answer; in company it may not (docs/models.md)."""
    first, again, other = (small.ask([question("Name three fruits.", seed=s)])[0] for s in (3, 3, 77))
    assert first.error == other.error == ""
    assert first == again
    assert first.text != other.text


def test_slots_answer_at_once(small: Model) -> None:
    answers = small.ask([question(f"Name {n} fruits.", seed=n) for n in range(5)])
    assert [a.error for a in answers] == [""] * 5
    assert all(0 < a.completion_tokens <= 8 for a in answers)
    assert len({a.text for a in answers}) > 1


def test_json_as_the_schema_wants_it(small: Model) -> None:
    schema = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"],
              "additionalProperties": False}  # fmt: skip
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    answer = small.ask([question("Is water wet?", response_format=wanted, max_tokens=40)])[0]
    assert json.loads(answer.text)["answer"] in ("yes", "no")


def test_logprobs_are_those_of_the_tokens(small: Model) -> None:
    answer = small.ask([question("Say hello.", logprobs=True, max_tokens=4)])[0]
    tokens = answer.logprobs["content"]
    assert "".join(t["token"] for t in tokens) == answer.text
    assert len(tokens) == answer.completion_tokens == 4
    assert all(t["logprob"] <= 0 for t in tokens)


def test_a_question_longer_than_the_context_says_so(small: Model) -> None:
    answer = small.ask([question("word " * 800)])[0]
    assert answer.error.startswith("the question is too long for the model's context: ")
    assert "'context' is 512" in answer.error


def test_a_real_engine_that_is_killed_mid_request_answers_all_the_same(small: Model) -> None:
    engine = small._channel().engine
    assert isinstance(engine, Embedded)
    before = small.ask([question("Count.", max_tokens=12, temperature=0)])[0]
    first = engine.pid
    assert first is not None
    killer = threading.Timer(0.2, os.kill, (first, signal.SIGKILL))
    killer.start()
    after = small.ask([question(f"Write {n} words.", seed=n, max_tokens=24) for n in range(4)])
    killer.join()
    assert gone(first)
    assert [a.error for a in after] == [""] * 4
    assert small.ask([question("Count.", max_tokens=12, temperature=0)])[0].text == before.text
    assert engine.pid != first


def test_a_file_that_only_looks_like_a_model_is_a_halt(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "fake.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    assert locate(str(path)) == path
    with pytest.raises(Halt, match=r"fake\.gguf could not be loaded"):
        Model(str(path)).ask([question("hi")])
