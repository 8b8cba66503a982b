"""Text generators through the whole line: chains, cells, lineage, the next generation, the same bytes at any worker count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import synthmill
from synthmill.refusal import Refusal
from synthmill.run import Run
from synthmill.spec import parse_spec

CHAIN: list[dict[str, Any]] = [
    {"use": "text.self_instruct", "answers": False, "model": "stub", "facets": {"topic": ["law", "tea"]}},
    {"use": "text.distill", "model": "stub", "samples": 2},
    {"use": "text.label", "model": "stub", "column": "output", "labels": ["good", "bad"], "samples": 3},
]


def make(out: Path, generate: Any, **more: Any) -> synthmill.Result:
    spec = {"name": "text", "cover": {"axes": {"topic": ["law", "tea"]}, "quota": 6}, "generate": generate, **more}
    return synthmill.make(parse_spec(spec), out)


def test_a_chain_of_three_fills_its_cells(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"id": "one", "instruction": "Name a river of Peru."}')
    first = {**CHAIN[0], "seeds": str(tmp_path / "s.jsonl")}
    made = make(tmp_path / "run", [first, *CHAIN[1:]])
    assert made.accepted == 12
    assert made.data["topic"].value_counts(sort=True)["count"].to_list() == [6, 6]
    columns = ["topic", "instruction", "input", "output", "outputs", "label", "confidence", "votes"]
    assert [c for c in made.data.columns if c[0] != "_"] == columns
    rows = made.run.rows()
    assert set(rows["_asked"].list.len()) == {6}, "one to invent, two answers, three labels"


@pytest.mark.parametrize("workers", [1, 4])
def test_the_same_bytes_at_any_worker_count(tmp_path: Path, workers: int) -> None:
    engine = {"kind": "thread", "workers": workers} if workers > 1 else {"kind": "serial"}
    fill = {"size": 2}
    one = make(tmp_path / "one", CHAIN, engine={"kind": "serial"}, fill=fill)
    other = make(tmp_path / "other", CHAIN, engine=engine, fill=fill)
    assert one.data.equals(other.data)


def test_seeds_from_a_run_are_one_generation_deeper_and_capped(tmp_path: Path) -> None:
    one = make(tmp_path / "one", CHAIN[:1])
    second = [
        {"use": "text.evolve", "model": "stub", "seeds": str(tmp_path / "one"), "facets": {"topic": ["law", "tea"]}}
    ]
    made = make(tmp_path / "two", second)
    assert set(made.data["_depth"]) == {2}
    assert made.run.manifest["generators"][0]["parents"] == (f"run {one.run.id}",)
    assert set(made.run.rows()["_parents"].explode()) <= set(one.data["_id"])
    assert not made.run.parents().height, "what a run made is nobody's"
    with pytest.raises(Refusal, match=r"guard\.max_depth: the seeds hold generation 1, .* generation 2; 1 is the last"):
        make(tmp_path / "three", second, guard={"max_depth": 1})


def test_which_seeds_of_the_users_a_record_came_from_is_private(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"id": "Ada Jones", "instruction": "Name a river of Peru."}')
    made = make(tmp_path / "run", [{**CHAIN[0], "seeds": str(tmp_path / "s.jsonl")}])
    assert set(made.run.rows()["_parents"].list.len()) == {0}
    own = made.run.parents()
    assert own["_parents"].to_list() == [["Ada Jones"]] * own.height
    assert set(own.select("_k", "_i").rows()) >= set(made.run.rows().select("_k", "_i").rows())
    [source] = Run.open(tmp_path / "run").manifest["generators"][0]["parents"]
    assert source.startswith("s.jsonl sha256:")
    told = [p for p in (tmp_path / "run").rglob("*") if p.is_file() and b"Ada Jones" in p.read_bytes()]
    assert {p.relative_to(tmp_path / "run").parts[0] for p in told} == {"private"}
    assert synthmill.trace(tmp_path / "run", made.data["_id"][0])["parents"] == ["Ada Jones"]


def test_personas_of_a_run_are_facets_of_another(tmp_path: Path) -> None:
    people = [{"use": "text.persona", "model": "stub", "by": "facets", "facets": {"topic": ["law", "tea"]}}]
    made = make(tmp_path / "people", people)
    facets = {"topic": ["law", "tea"], "persona": {"from": str(tmp_path / "people")}}
    asked = make(tmp_path / "asked", [{**CHAIN[0], "facets": facets}])
    assert set(asked.data["persona"]) <= set(made.data["persona"])
    assert set(asked.data["_depth"]) == {2}


def test_an_edited_seed_file_is_another_run(tmp_path: Path) -> None:
    seeds = tmp_path / "s.jsonl"
    seeds.write_text('{"instruction": "Name a river of Peru."}')
    uses = [{**CHAIN[0], "seeds": str(seeds)}]
    make(tmp_path / "run", uses)
    seeds.write_text('{"instruction": "Name a lake of Peru."}')
    with pytest.raises(Refusal, match="holds a run of another spec"):
        make(tmp_path / "run", uses)
