from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synthmill.cells import ANY, Cell
from synthmill.compose import maker
from synthmill.plugins import Request
from synthmill.real import from_frame
from synthmill.refusal import Refusal

FIRST = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Tony")
LAST = ("Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Hoare", "Smith", "Jones", "Brown", "Taylor")
PEOPLE = pl.DataFrame(
    {
        "id": [f"C-{i:04d}" for i in range(200)],
        "age": [20 + i % 50 for i in range(200)],
        "name": [f"{FIRST[i % 7]} {LAST[i % 11]}" for i in range(200)],
        "kind": ["a" if i % 3 else "b" for i in range(200)],
    }
)


def request(n: int = 50, seed: int = 1, **changes: Any) -> Request:
    return Request(**{"k": 0, "cell": Cell(ANY, (), 0), "ordinal": 0, "n": n, "seed": seed, **changes})


def test_a_chain_completes_rows() -> None:
    made = maker([{"use": "toys:Coin"}, {"use": "faker", "columns": {"who": "name"}}])
    frame = made.generate(request())
    assert frame.columns == ["colour", "x", "who"]
    assert dict(frame.schema) == made.schema()
    alone = maker([{"use": "toys:Coin"}]).generate(request())
    assert frame.select("colour", "x").equals(alone)


def test_steps_draw_from_streams_of_their_own() -> None:
    made = maker([{"mix": [{"use": "toys:Coin"}, {"use": "toys:Coin"}]}])
    ordinals = [next(o for o in range(9) if made.member(o, 0) == m) for m in (0, 1)]
    first, second = (made.generate(request(ordinal=o)) for o in ordinals)
    assert not first.equals(second)


@pytest.mark.parametrize("shares", [[1, 1], [3, 1], [1, 2, 7]])
def test_a_mix_keeps_its_shares_over_any_stretch(shares: list[int]) -> None:
    made = maker([{"mix": [{"use": "toys:Coin", "share": s} for s in shares]}])
    for cell in (0, 3):
        for start in (0, 57):
            got = Counter(made.member(o, cell) for o in range(start, start + 100))
            for j, share in enumerate(shares):
                assert got[j] == pytest.approx(100 * share / sum(shares), abs=4)


def test_identifiers_and_personal_data_are_made_up_afresh() -> None:
    real = from_frame(PEOPLE, holdout=None)
    assert real.schema["id"].kind == "identifier"
    made = maker([{"use": "tabular.bootstrap"}])
    made.fit(real.train, real.schema)
    frame = made.generate(request())
    assert list(made.schema()) == PEOPLE.columns
    assert dict(frame.select(PEOPLE.columns).schema) == made.schema()
    assert not set(frame["id"]) & set(PEOPLE["id"])
    assert real.schema["name"].kind == "personal"
    assert len(set(frame["name"]) & set(PEOPLE["name"])) < 5


def test_a_declared_generator_of_such_a_column_is_left_to_it() -> None:
    real = from_frame(PEOPLE.drop("id"), holdout=None)
    made = maker([{"use": "tabular.bootstrap"}, {"use": "faker", "columns": {"name": "first_name"}}])
    made.fit(real.train, real.schema)
    assert [s.use for s in made.steps] == ["tabular.bootstrap", "faker"]


def test_saved_and_loaded_it_makes_the_same(tmp_path: Path) -> None:
    real = from_frame(PEOPLE, holdout=None)
    made = maker([{"mix": [{"use": "tabular.copula", "share": 2}, {"use": "tabular.independent"}]}])
    made.fit(real.train, real.schema)
    made.save(tmp_path / "models", tmp_path / "private")
    again = maker(made.declared())
    again.load(tmp_path / "models", tmp_path / "private", real.schema.names)
    assert again.schema() == made.schema()
    for ordinal in range(4):
        asked = request(ordinal=ordinal)
        assert again.generate(asked).equals(made.generate(asked))


def test_a_step_that_answers_for_other_rows_is_named() -> None:
    made = maker([{"use": "toys:Coin"}, {"use": "test_compose:Half"}])
    with pytest.raises(ValueError, match="test_compose:Half completed 25 of 50 rows"):
        made.generate(request())


class Half:
    """Completes every other row."""

    completes = True

    def schema(self) -> dict[str, pl.DataType]:
        return {"y": pl.Int64()}

    def generate(self, request: Request) -> pl.DataFrame:
        assert request.given is not None
        return request.given.select(y="x").gather_every(2)


@pytest.mark.parametrize(
    ("uses", "words"),
    [
        ([{"use": "tabular.copla"}], ["generate: use: 'tabular.copla'", "did you mean 'tabular.copula'?"]),
        ([{"use": 5}], ["generate: use: '5'"]),
        ([{"use": "toys:Coin", "bia": 1}], ["generate: toys:Coin: unknown key 'bia'", "'bias'"]),
        ([{"use": "toys:Coin", "bias": "much"}], ["generate: toys:Coin: bias: 'much'", "number"]),
        ([{"use": "toys:Trouble"}], ["generate: toys:Trouble: 'how' is required"]),
        ([{"use": "toys:Penny"}], ["generate", "toys", "Penny"]),
        ([{"use": "nowhere.at_all:Coin"}], ["generate", "cannot import nowhere.at_all"]),
        ([{"use": "nowhere.py:Coin"}], ["generate", "nowhere.py"]),
        ([{"mix": 5}], ["generate.mix: 5: expected a list"]),
        ([{"mix": []}], ["generate.mix: []: expected a list"]),
        ([{"mix": [{"share": 1}]}], ["generate.mix.0", "expected a member"]),
        ([{"mix": [{"use": "toys:Coin", "share": 0}]}], ["generate.mix.0: share: 0"]),
        ([{"mix": [{"use": "toys:Coin", "share": "half"}]}], ["generate.mix.0: share: 'half'"]),
        ([{"mix": [{"use": "toys:Coin", "share": True}]}], ["generate.mix.0: share: True"]),
        ([{"mix": [{"use": "toys:Coin"}], "bias": 1}], ["generate: unknown key 'bias' beside 'mix'"]),
        ([{"mix": [{"use": "toys:Coin", "bia": 1}]}], ["generate.mix.0: toys:Coin: unknown key 'bia'"]),
        ([{"use": "toys:Coin"}, {"mix": [{"use": "toys:Coin"}]}], ["generate.1: 'mix' can only make the rows"]),
        ([{"use": "toys:Coin"}, {"use": "toys:Coin"}], ["generate.1: toys:Coin makes rows of its own"]),
    ],
    ids=str,
)
def test_one_sentence_says_what_is_wrong(uses: list[Any], words: list[str]) -> None:
    with pytest.raises(Refusal) as e:
        maker(uses, "s.yaml")
    said = str(e.value)
    assert said.startswith("s.yaml: generate")
    assert "\n" not in said
    for word in words:
        assert word in said
