"""Caps are hard: a question leaves only if all that is out, at its dearest, stays below them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from synthmill.llm.budget import Budget, Cost, Prices, Spending, prices_of
from synthmill.llm.desk import Desk
from synthmill.llm.model import Model
from synthmill.llm.question import Answer, Question
from synthmill.plugins import _read, relative_to
from synthmill.refusal import Halt, Refusal


def questions(n: int) -> list[Question]:
    return [Question(({"role": "user", "content": f"number {i}"},), 1) for i in range(n)]


def test_a_reservation_holds_until_the_answer_is_known() -> None:
    budget, spent = Budget(tokens=100), Spending()
    one, answer = Cost(20, 20), Answer("x", "stop", 20, 1)

    def settle(name: str, got: Answer) -> None:
        spent.paid("m", "s", got, None, 1)
        budget.release(name, one, got)

    assert budget.reserve("a", one, spent) is True
    assert budget.reserve("b", one, spent) is False, "the first goes alone"
    settle("a", answer)
    assert budget.reserve("b", one, spent) is True
    assert budget.reserve("c", one, spent) is False, "what is out may yet need it"
    settle("b", Answer("x", "stop", 40, 20))
    assert isinstance(budget.reserve("c", one, spent), Halt), "nothing is out that could be cheaper than feared"


def test_prompts_are_taken_to_be_as_long_as_the_worst_so_far() -> None:
    budget, spent = Budget(tokens=1000), Spending()
    assert budget.reserve("a", Cost(10, 10), spent) is True
    budget.release("a", Cost(10, 10), Answer("x", "stop", 100, 1))
    assert budget.reserve("b", Cost(60, 10), spent) is True
    assert budget.reserve("c", Cost(60, 10), spent) is False, "two of 600 and 10 do not fit"


def test_no_cap_is_ever_passed_at_any_concurrency() -> None:
    """Answers of random length up to max_tokens, 64 at once: what is spent never passes the cap, and comes near it."""
    lock, total = threading.Lock(), [0]

    async def speak(messages: Any, parameters: Any, seed: int, index: int) -> Answer:
        import asyncio

        n = int(messages[0]["content"].split()[1])
        await asyncio.sleep(0.001 * (n % 5))
        tokens = 10 + n * 7919 % 40
        with lock:
            total[0] += tokens
        return Answer("x", "stop", 0, tokens)

    model, desk = Model(engine=speak, max_tokens=50), Desk(budget=Budget(tokens=3000))
    model.open(desk, "stage")
    with pytest.raises(Halt, match="the budget of 3,000 tokens is spent"):
        model.ask(questions(500))
    assert 2500 < desk.spending.tokens == total[0] <= 3000


def test_nothing_leaves_after_its_time() -> None:
    model, desk = Model(engine=lambda *_: "x"), Desk(budget=Budget(until=0.0))
    model.open(desk, "s")
    with pytest.raises(Halt, match="the budget of time is spent"):
        model.ask(questions(1))


def test_money_is_counted_at_the_models_prices() -> None:
    model = Model(engine=lambda *_: Answer("x", "stop", 1000, 500), prices=Prices(2.0, 10.0), max_tokens=500)
    desk = Desk(budget=Budget(money=0.1))
    model.open(desk, "stage")
    with pytest.raises(Halt, match=r"the budget of 0\.1 \(money\) is spent"):
        model.ask(questions(100))
    assert desk.spending.money == pytest.approx(0.007 * sum(s.asked for s in desk.spending.lines.values()))
    assert 0.08 < desk.spending.money <= 0.1


def test_an_unknown_price_is_an_unknown_cost() -> None:
    desk = Desk()
    for stage, prices in (("a", None), ("b", Prices(1, 1))):
        model = Model(engine=lambda *_: Answer("x", "stop", 10, 5), prices=prices)
        model.open(desk, stage)
        model.ask(questions(2))
    assert [(s["stage"], s["money"]) for s in desk.account()] == [("a", None), ("b", pytest.approx(30e-6))]
    assert desk.spending.money is None
    capped = Desk(budget=Budget(money=5.0))
    model = Model(engine=lambda *_: "x")
    model.open(capped, "a")
    with pytest.raises(Halt, match="price is not known"):
        model.ask(questions(1))


def test_repetitions_at_temperature_zero_are_counted_and_not_asked() -> None:
    calls = []
    model = Model(engine=lambda *a: calls.append(a) or "same", temperature=0)
    desk = Desk()
    model.open(desk, "s")
    q = questions(1)[0]
    model.ask([q, Question(q.messages, 2), Question(q.messages, 3)])
    assert len(calls) == 1
    assert desk.again == {model.model: 2}


TABLE = """
version: 2026-11-01
models:
  m: {input: 0.15, output: 0.6}
  odd: {input: 0.15}
"""


def test_prices_out_of_a_table_carry_its_version(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(TABLE)
    with relative_to(tmp_path):
        known = _read({"model": "m", "prices": "prices.yaml"}, Model, "x")
        unknown = _read({"model": "other", "prices": "prices.yaml"}, Model, "x")
    assert known.prices == Prices(0.15, 0.6, "prices.yaml 2026-11-01")
    assert unknown.prices is None, "not known, and not 0"
    desk = Desk()
    for model in (known, unknown):
        model.open(desk, "stage")
    assert desk.prices == {"m": {"input": 0.15, "output": 0.6, "version": "prices.yaml 2026-11-01"}}


@pytest.mark.parametrize(
    ("table", "model", "said"),
    [
        (TABLE, "odd", r"models\.odd: expected {input: \.\.\., output: \.\.\.}"),
        ("models: {m: {input: 1, output: 1}}", "m", "expected 'version'"),
        ("version: 1\nmodels: {m: {input: -1, output: 1}}", "m", "models.m: expected"),
        ("a: [", "m", "not YAML"),
        (None, "m", "no such file"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(tmp_path: Path, table: str | None, model: str, said: str) -> None:
    path = tmp_path / "prices.yaml"
    if table is not None:
        path.write_text(table)
    with pytest.raises(Refusal, match=said):
        prices_of(path, model)
