"""What a server may answer, and what becomes of it: each trouble is one clear sentence, and the key is in none of them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from server import Server, complaint, said
from synthmill.llm.desk import Desk
from synthmill.llm.endpoint import seconds
from synthmill.llm.journal import Journal
from synthmill.llm.model import Model
from synthmill.llm.question import Answer, Question
from synthmill.refusal import Halt

KEY = "sk-test-0123456789abcdef"


def ask(model: Model, text: str = "hello", **parameters: Any) -> Answer:
    return model.ask([Question(({"role": "user", "content": text},), 5, 0, parameters)])[0]


def test_a_question_is_sent_as_the_api_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    with Server() as s:
        model = Model("m", s.url, key="TEST_KEY", temperature=0.5, top_p=0.9, max_tokens=7, extra={"min_p": 0.1})
        answer = ask(model, response_format=form, tools=tools, logprobs=True)
    body = s.bodies[0]
    assert body.pop("seed") == int(answer.text.split(" / ")[1])
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "min_p": 0.1,
        "response_format": form, "tools": tools, "logprobs": True,
    }  # fmt: skip
    assert s.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (answer.finish, answer.prompt_tokens, answer.completion_tokens) == ("stop", 10, 3)


def test_samples_of_one_question_have_seeds_of_their_own() -> None:
    with Server() as s:
        model = Model("m", s.url, together=False)
        answers = model.ask([Question(({"role": "user", "content": "x"},), 5, i) for i in range(4)])
    assert len({a.text for a in answers}) == len({b["seed"] for b in s.bodies}) == 4
    assert all(0 <= b["seed"] < 2**31 for b in s.bodies)


def test_a_completion_continues_the_text() -> None:
    def reply(body: dict[str, Any], n: int) -> Any:
        return 200, {}, {"choices": [{"text": f"{body['prompt']} and on", "finish_reason": "length"}]}

    with Server(reply) as s:
        answer = ask(Model("m", s.url, completion=True), "once")
    assert (answer.text, answer.finish) == ("once and on", "length")
    assert "messages" not in s.bodies[0]


def test_logprobs_and_tool_calls_are_handed_on() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    body = said("", "tool_calls", tool_calls=[call])
    body["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -0.1}]}
    with Server(lambda b, n: (200, {}, body)) as s:
        answer = ask(Model("m", s.url))
    assert answer.tool_calls == (call,)
    assert answer.logprobs == {"content": [{"token": "a", "logprob": -0.1}]}
    assert answer.error == ""


@pytest.mark.parametrize(
    ("reply", "said_", "refused"),
    [
        ((400, {}, complaint("This model's maximum context length is 4096 tokens", "context_length_exceeded")), "too long for the model's context", False),
        ((400, {}, complaint("the request exceeds the available context size, try increasing it")), "too long for the model's context", False),
        ((400, {}, {"detail": "unknown parameter min_p"}), "HTTP 400: unknown parameter min_p", False),
        ((400, {}, complaint("flagged by our policy", "content_policy_violation")), "refused: flagged by our policy", True),
        ((200, {}, said("", refusal="I cannot help with that")), "refused: I cannot help with that", True),
        ((200, {}, said("", "content_filter")), "withheld by a content filter", True),
        ((200, {}, said("")), "the answer is empty", False),
        ((200, {}, said("", "length")), "max_tokens was too small", False),
        ((200, {}, "<html>gateway</html>"), "answered what is no answer: '<html>gateway</html>' (2 tries)", False),
        ((200, {}, {"choices": []}), "answered what is no answer", False),
        ((500, {}, complaint("boom")), "HTTP 500: boom (2 tries)", False),
        ((502, {}, "not JSON"), "HTTP 502: not JSON (2 tries)", False),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_question_is_its_answer(reply: Any, said_: str, refused: bool) -> None:
    with Server(lambda body, n: reply) as s:
        answer = ask(Model("m", s.url, retries=1))
    assert said_ in answer.error
    assert answer.refused == refused
    assert answer.text == ""


@pytest.mark.parametrize(
    ("reply", "said_"),
    [
        ((401, {}, complaint(f"Incorrect API key provided: {KEY}")), "the key in TEST_KEY is not accepted (HTTP 401: Incorrect API key provided: ***)"),
        ((403, {}, complaint("sk-test-01***cdef may not")), "the key in TEST_KEY is not accepted (HTTP 403: sk-*** may not)"),
        ((404, {}, complaint("no such model")), "there is no model 'm', or no such address (HTTP 404: no such model)"),
        ((402, {}, complaint("pay")), "no credit left"),
        ((429, {}, complaint("You exceeded your quota", "insufficient_quota")), "no credit left"),
    ],
)  # fmt: skip
def test_what_no_question_can_get_past_stops_the_run(reply: Any, said_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    with Server(lambda body, n: reply, latency=0.01) as s:
        model = Model("m", s.url, key="TEST_KEY", concurrency=4)
        with pytest.raises(Halt) as e:
            model.ask([Question(({"role": "user", "content": str(i)},), 1) for i in range(50)])
    assert said_ in str(e.value)
    assert KEY not in str(e.value)
    assert len(s.bodies) <= 8, "nothing more leaves once it is known"


def test_a_dead_endpoint_is_said_with_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(Halt, match=f"nothing answers at {url} .*is the server running"):
        ask(Model("m", url, retries=1))


def test_a_server_that_asks_to_wait_is_given_time_and_asked_again() -> None:
    with Server(lambda b, n: (429, {"Retry-After": "0.05"}, complaint("slow down")) if n == 0 else "fine") as s:
        answers = Model("m", s.url, concurrency=1).ask(
            [Question(({"role": "user", "content": str(i)},), 1) for i in range(3)]
        )
    assert [a.text for a in answers] == ["fine"] * 3
    assert len(s.bodies) == 4


def test_every_tenth_a_500_costs_one_more_request_each() -> None:
    with Server(lambda b, n: (500, {}, complaint("boom")) if n % 10 == 9 else "fine") as s:
        answers = Model("m", s.url, concurrency=16).ask(
            [Question(({"role": "user", "content": str(i)},), 1) for i in range(200)]
        )
    assert all(a.text == "fine" for a in answers)
    failures = sum(n > 1 for n in s.asked.values())
    assert len(s.bodies) - 200 <= 1.3 * failures + 2


def test_no_answer_in_time_is_an_error_of_that_question() -> None:
    with Server(latency=2) as s:
        assert ask(Model("m", s.url, deadline=0.1)).error == "no answer within 0.1 s"


def test_the_key_is_nowhere_but_in_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    replies = ["fine", (400, {}, complaint(f"your key {KEY} sent nonsense"))]
    with Server(lambda b, n: replies[n]) as s:
        model = Model("m", s.url, key="TEST_KEY")
        model.open(Desk(Journal(tmp_path / "journal.sqlite", "run")), "x")
        answers = [ask(model, str(i)) for i in range(2)]
    assert KEY not in repr(answers) + repr(model)
    assert answers[1].error.endswith("your key *** sent nonsense")
    for file in tmp_path.iterdir():
        assert KEY.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2", 2),
        ("1.5s", 1.5),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1h2m3s", 3723),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_times_as_servers_write_them(written: str, expected: float | None) -> None:
    assert seconds(written) == expected
