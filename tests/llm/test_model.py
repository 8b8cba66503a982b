"""Asking: order, samples, names of models, questions that are equal, and what is refused before anything is asked."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import synthmill
from synthmill.llm.budget import Prices
from synthmill.llm.model import Model, named
from synthmill.llm.question import Answer, Question
from synthmill.plugins import _read
from synthmill.refusal import Halt, Refusal
from synthmill.spec import parse_spec


def questions(n: int, seed: int = 1) -> list[Question]:
    return [Question(({"role": "user", "content": f"number {i}"},), seed) for i in range(n)]


def test_answers_come_in_the_order_of_the_questions() -> None:
    async def slow_first(messages: Any, parameters: Any, seed: int, index: int) -> str:
        import asyncio

        n = int(messages[0]["content"].split()[1])
        await asyncio.sleep(0.02 if n % 2 == 0 else 0)
        return f"answer {n}"

    answers = Model(engine=slow_first).ask(questions(20))
    assert [a.text for a in answers] == [f"answer {i}" for i in range(20)]


def test_the_stub_depends_on_question_seed_and_sample_alone() -> None:
    q = Question(({"role": "user", "content": "say something"},), 7)
    model = Model(model="stub")
    first, again = model.ask([q]), Model(model="stub").ask([q])
    assert first[0].text == again[0].text
    others = model.ask([Question(q.messages, 8), Question(q.messages, 7, 1)])
    assert len({first[0].text, *(o.text for o in others)}) == 3


def test_the_stub_fits_a_json_schema() -> None:
    import json

    schema = {
        "type": "object",
        "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}, "why": {"type": "string"}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "judgement", "schema": schema}}
    [answer] = Model(model="stub").ask(
        [Question(({"role": "user", "content": "judge"},), 1, 0, {"response_format": form})]
    )
    said = json.loads(answer.text)
    assert 1 <= said["score"] <= 5
    assert isinstance(said["why"], str)


def test_equal_questions_that_are_out_together_are_asked_once() -> None:
    calls = []

    async def count(messages: Any, parameters: Any, seed: int, index: int) -> str:
        import asyncio

        calls.append(seed)
        await asyncio.sleep(0.05)
        return f"answer {len(calls)}"

    model = Model(engine=count)
    q = questions(1)[0]
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.extend(model.ask([q, q]))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a.text for a in answers} == {"answer 1"}
    assert len(answers) == 8


def test_an_engines_mistake_is_an_error_of_that_question_alone() -> None:
    def moody(messages: Any, parameters: Any, seed: int, index: int) -> str:
        if messages[0]["content"].endswith("3"):
            raise KeyError("three")
        return "fine"

    answers = Model(engine=moody).ask(questions(5))
    assert [bool(a.error) for a in answers] == [False, False, False, True, False]
    assert "KeyError" in answers[3].error


def test_what_ends_a_run_is_raised() -> None:
    def spent(messages: Any, parameters: Any, seed: int, index: int) -> str:
        raise Halt("nothing goes any more", 1)

    with pytest.raises(Halt, match="nothing goes"):
        Model(engine=spent).ask(questions(3))


def test_no_more_are_out_than_allowed() -> None:
    out, most = 0, 0

    async def watch(messages: Any, parameters: Any, seed: int, index: int) -> str:
        import asyncio

        nonlocal out, most
        out += 1
        most = max(most, out)
        await asyncio.sleep(0.001)
        out -= 1
        return "x"

    Model(engine=watch, concurrency=5).ask(questions(60))
    assert most == 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("stub", Model(model="stub")),
        ({"model": "m", "base_url": "http://x/v1", "temperature": 0}, Model("m", "http://x/v1", temperature=0)),
        ("teacher", Model("big", "http://x/v1")),
        ({"model": "teacher", "max_tokens": 9}, Model("big", "http://x/v1", max_tokens=9)),
        ({"prices": {"input": 1, "output": 2}}, Model(prices=Prices(1, 2))),
    ],
)
def test_a_model_is_read_from_a_name_a_mapping_or_the_specs_models(given: Any, expected: Model) -> None:
    with named({"teacher": {"model": "big", "base_url": "http://x/v1"}}):
        assert _read(given, Model, "generate: x: model") == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"modle": "m"}, "unknown key 'modle' of a model; did you mean 'model'"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens: 0 is less than 1"),
        ({"concurrency": 0}, "concurrency"),
        ({"engine": "x"}, "unknown key 'engine'"),
    ],
)
def test_a_wrong_model_is_one_sentence(given: Any, said: str) -> None:
    with pytest.raises(Refusal, match="generate: x: model") as e:
        _read(given, Model, "generate: x: model")
    assert said in str(e.value)


def test_a_key_in_place_of_its_name_is_refused_and_not_repeated() -> None:
    with pytest.raises(Refusal, match="name of an environment variable") as e:
        _read({"key": "sk-abc123-secret"}, Model, "generate: x: model")
    assert "abc123" not in str(e.value)


@pytest.mark.parametrize("url", ["https://me:abc123@host/v1", "https://host/v1?key=abc123"])
def test_a_secret_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Refusal, match="an address without user, password") as e:
        _read({"base_url": url}, Model, "generate: x: model")
    assert "abc123" not in str(e.value)


def test_a_key_that_is_not_set_is_said_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(Refusal, match="NO_SUCH_KEY is not set"):
        Model("m", "http://127.0.0.1:9/v1", key="NO_SUCH_KEY").ask(questions(1))


def test_a_model_travels_without_its_desk() -> None:
    import pickle

    model = Model(model="stub", temperature=0.1)
    model.ask(questions(1))
    assert pickle.loads(pickle.dumps(model)) == model


def address_of(model: Model) -> str:
    return model._entry(questions(1)[0]).address


def test_a_model_file_is_known_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    one.write_bytes(b"GGUF and so on")
    other.write_bytes(b"GGUF and so on")
    first = Model(str(one))
    assert address_of(first) == address_of(Model(str(other))), "the same file by another name"
    assert first.identity.startswith("gguf sha256:")
    other.write_bytes(b"GGUF and so no")
    assert address_of(first) != address_of(Model(str(other))), "swapped for another"
    monkeypatch.setattr("synthmill.llm.known.sha256_of", lambda path: pytest.fail("read again"))
    assert address_of(first) == address_of(Model(str(one)))
    with pytest.raises(Refusal, match="no such file"):
        address_of(Model(str(tmp_path / "none.gguf")))


def test_a_model_on_this_machine_says_how_it_samples() -> None:
    assert Model().parameters == {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.7, "max_tokens": 512}
    assert Model(top_p=0.5, extra={"min_p": 0}).parameters["top_p"] == 0.5
    assert Model(extra={"min_p": 0}).parameters["min_p"] == 0
    assert "top_k" not in Model(base_url="http://x/v1").parameters
    assert "top_k" not in Model("stub").parameters


def test_another_file_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "one.gguf"
    spec = {"name": "t", "cover": {"total": 1}, "generate": {"use": "writers:Writer", "model": str(file)}}
    digests = []
    for content in (b"GGUF and so on", b"GGUF and so no", b"GGUF and so on"):
        file.write_bytes(content)
        digests.append(synthmill.check(parse_spec(spec)).digest)
    assert digests[0] == digests[2] != digests[1]
