"""Several samples of one prompt: asked for at once where a server gives them, kept one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server import Server, complaint
from synthmill.llm.budget import Budget, Prices
from synthmill.llm.desk import Desk
from synthmill.llm.engine import answers_in
from synthmill.llm.journal import Journal
from synthmill.llm.model import Model
from synthmill.llm.question import Question


def samples(n: int, text: str = "x", seed: int = 5) -> list[Question]:
    return [Question(({"role": "user", "content": text},), seed, i) for i in range(n)]


def several(body: dict[str, Any], n: int) -> Any:
    """As many choices as are wanted, last first; ten tokens for the prompt, three for each."""
    wanted = range(body.get("n", 1))
    choices = [{"index": i, "message": {"content": f"{i} of {n}"}, "finish_reason": "stop"} for i in wanted]
    return 200, {}, {"choices": choices[::-1], "usage": {"prompt_tokens": 10, "completion_tokens": 3 * len(wanted)}}


def test_samples_are_asked_for_at_once_and_kept_one_by_one(tmp_path: Path) -> None:
    with Server(several) as s:
        journal = Journal(tmp_path / "j.sqlite")
        model, desk = Model("m", s.url, prices=Prices(1e6, 1e6)), Desk(journal, Budget(tokens=10_000))
        model.open(desk, "stage")
        found = model.ask([*samples(3), *samples(2, "y"), *samples(1, "y", 6)])
        assert sorted(b.get("n", 1) for b in s.bodies) == [1, 2, 3]
        assert ["seed" in b for b in sorted(s.bodies, key=lambda b: b.get("n", 1))] == [True, False, False]
        assert [a.text.split()[0] for a in found] == ["0", "1", "2", "0", "1", "0"]
        assert len({a.address for a in found}) == 6
        assert [a.prompt_tokens for a in found] == [10, 0, 0, 10, 0, 10], "the prompt is paid for once"
        [line] = desk.account()
        assert (line["asked"], line["prompt_tokens"], line["completion_tokens"]) == (6, 30, 18)
        assert line["money"] == 48
        assert journal.spent().money == 48
        again = model.ask(samples(5))
        assert [a.text for a in again[:3]] == [a.text for a in found[:3]]
        assert s.bodies[-1]["n"] == 2, "only what the journal does not know"
        assert len(s.bodies) == 4


@pytest.mark.parametrize(
    "refusal",
    [
        lambda body, n: f"one of {n}",
        lambda body, n: (400, {}, complaint("Only n = 1 is supported")) if "n" in body else f"one of {n}",
    ],
)
def test_a_server_that_gives_one_is_asked_one_by_one(refusal: Any) -> None:
    with Server(refusal) as s:
        model = Model("m", s.url, concurrency=1)
        found = model.ask(samples(3))
        assert len({a.text for a in found}) == 3
        assert not any(a.error for a in found)
        before = len(s.bodies)
        model.ask(samples(3, "y"))
    assert all("n" not in b for b in s.bodies[before:]), "it is asked once whether it does"


def test_what_is_wrong_with_a_prompt_is_wrong_with_every_sample() -> None:
    with Server(lambda b, n: (400, {}, complaint("maximum context length is 10 tokens"))) as s:
        found = Model("m", s.url).ask(samples(4))
        assert len(s.bodies) == 1
    assert ["too long" in a.error for a in found] == [True] * 4


def test_no_more_than_a_few_at_once_and_none_at_temperature_0() -> None:
    with Server(several) as s:
        Model("m", s.url).ask(samples(40))
        assert sorted(b["n"] for b in s.bodies) == [8, 16, 16]
        s.bodies.clear()
        Model("m", s.url, temperature=0).ask(samples(4))
        assert [b.get("n") for b in s.bodies] == [None], "one answer, whatever the sample"


def test_a_budget_holds_for_all_samples_of_a_question() -> None:
    with Server(several) as s:
        model = Model("m", s.url, max_tokens=100)
        model.open(Desk(budget=Budget(tokens=500)), "stage")
        with pytest.raises(Exception, match="the budget of 500 tokens is spent"):
            model.ask(samples(8))
        assert not s.bodies, "eight answers of a hundred tokens do not fit"


def test_tokens_of_several_texts_add_up() -> None:
    texts = ["", "a", "much longer than the others"]
    choices = [{"index": i, "text": t, "finish_reason": "stop"} for i, t in enumerate(texts)]
    found = answers_in({"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 20}})
    assert [a.text for a in found] == texts
    assert sum(a.completion_tokens for a in found) == 20
    assert found[2].completion_tokens > found[1].completion_tokens
    assert found[0].error == "the answer is empty"


def test_a_server_that_counts_one_choice_alone_is_found_out():
    choices = [{"index": i, "message": {"content": "one two three four"}, "finish_reason": "stop"} for i in range(3)]
    counted = {"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 5}}
    assert [a.completion_tokens for a in answers_in(counted)] == [5, 5, 5]
    all_of_them = {"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 15}}
    assert [a.completion_tokens for a in answers_in(all_of_them)] == [5, 5, 5]
    alone = {"choices": choices[:1], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    assert [a.completion_tokens for a in answers_in(alone)] == [3]
