"""Seeds come from files and finished runs, with ids and generations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from synthmill.refusal import Refusal
from synthmill.texts.seeds import Seed, content, origin, seeds


def test_lines_of_text(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("one\n\n two \n")
    assert seeds(tmp_path / "s.txt") == [Seed("s:1", {"text": "one"}), Seed("s:3", {"text": "two"})]


def test_objects_may_differ_in_their_keys(tmp_path: Path) -> None:
    rows = [{"id": "a", "instruction": "x", "instances": [{"input": "", "output": "y"}]}, {"instruction": "z"}]
    text = "\n".join(json.dumps(r) for r in rows)
    (tmp_path / "s.jsonl").write_text(text)
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    found = seeds(tmp_path / "s.jsonl")
    assert [s.id for s in found] == ["a", "s:2"]
    assert found[0].values["instances"][0]["output"] == "y"
    assert seeds(tmp_path / "s.jsonl.gz") == found
    assert content(found) != content(found[:1])


def test_a_table(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a", "b"], "n": [1, 2]}).write_csv(tmp_path / "s.csv")
    assert [s.values for s in seeds(tmp_path / "s.csv")] == [{"text": "a", "n": 1}, {"text": "b", "n": 2}]


def test_a_finished_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    (run / "manifest.json").write_text('{"digest": "0123456789abcdef"}')
    with pytest.raises(Refusal, match="has accepted no record yet"):
        seeds(run)
    ours = {"_id": ["r-0-0"], "_origin": ["synthetic"], "_run": ["r"], "_depth": [2]}
    pl.DataFrame({"text": ["a"], **ours}).write_parquet(run / "data" / "00000.parquet")
    assert seeds(run) == [Seed("r-0-0", {"text": "a"}, 2)]
    assert seeds(run)[0].source == "run 0123456789ab"
    (run / "manifest.json").write_text("{}")
    with pytest.raises(Refusal, match="damaged; it is not the manifest of a run"):
        seeds(run)


def test_a_file_is_named_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "s.txt"
    file.write_text("one")
    first = origin(file)
    assert first == "s.txt sha256:7692c3ad3540bb80"
    file.write_text("two")
    assert seeds(file)[0].source == origin(file) != first


@pytest.mark.parametrize(("name", "content", "said"), [("s.txt", "", "the file is empty"), ("s.jsonl", "", "no rows"), ("s.doc", "x", "'.doc' holds no seeds")])  # fmt: skip
def test_refusals(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(Refusal, match=said):
        seeds(tmp_path / name)
    with pytest.raises(Refusal, match="folder and not a run"):
        seeds(tmp_path)
