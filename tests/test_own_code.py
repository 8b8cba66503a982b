"""Plugins, functions and metrics that users name by file: found from anywhere, sent to workers, part of the run's identity."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import polars as pl
import pytest

import synthmill
from synthmill.lineage import source_digest
from synthmill.plugins import load_object
from synthmill.refusal import Refusal

GENERATOR = """
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

STEP = {step}


def stepped(x):
    return x * STEP


@dataclass
class Own:
    kind: ClassVar[str] = "cpu"
    top: int = 9

    def schema(self) -> dict[str, pl.DataType]:
        return {{"x": pl.Int64()}}

    def generate(self, request):
        return pl.DataFrame({{"x": stepped(request.rng().integers(0, self.top, request.n))}})
"""
SPEC = """
name: own
cover: {total: 300}
fill: {size: 50}
generate: {use: "own.py:Own", top: 5}
verify: {use: program, function: "judge.py:fine"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(GENERATOR.format(step=2))
    (tmp_path / "judge.py").write_text("def fine(row):\n    return row['x'] % 2 == 0\n")
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def test_an_own_generator_works_from_any_folder_and_in_worker_processes(folder: Path) -> None:
    first = synthmill.make(folder / "spec.yaml", folder / "serial").data.drop("_run", "_id")
    (folder / "spec.yaml").write_text(SPEC + "engine: {kind: process, workers: 2}\n")
    other = synthmill.make(folder / "spec.yaml", folder / "process").data.drop("_run", "_id")
    assert first.equals(other)
    assert set(first["x"]) == {0, 2, 4, 6, 8}


@pytest.mark.parametrize(
    ("file", "text"),
    [("own.py", GENERATOR.format(step=4)), ("judge.py", "def fine(row):\n    return row['x'] < 4\n")],
)
def test_an_edited_plugin_or_function_is_another_run(folder: Path, file: str, text: str) -> None:
    synthmill.make(folder / "spec.yaml", folder / "run")
    (folder / file).write_text(text)
    with pytest.raises(Refusal, match="other plugin code"):
        synthmill.make(folder / "spec.yaml", folder / "run")
    assert synthmill.make(folder / "spec.yaml", folder / "run", fresh=True).accepted == 300


HELPED = """
from helpers.mint import SIDES

def fine(row):
    import purse  # as late as that
    return row['x'] < SIDES + purse.MORE
"""


def test_an_edited_module_that_own_code_imports_is_another_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    (folder / "judge.py").write_text(HELPED)
    (folder / "helpers").mkdir()
    files = {
        "helpers/__init__.py": "",
        "helpers/mint.py": "from .metal import WEIGHT\n\nSIDES = WEIGHT\n",
        "helpers/metal.py": "WEIGHT = 4\n",
        "purse.py": "MORE = 1\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "stranger.py").write_text("nobody = 'imports this'\n")
    synthmill.make(folder / "spec.yaml", folder / "run")
    (folder / "stranger.py").write_text("nobody = 'cares'\n")
    assert synthmill.make(folder / "spec.yaml", folder / "run").accepted == 300
    for name, text in files.items():
        (folder / name).write_text(text + "# edited\n")
        with pytest.raises(Refusal, match="other plugin code"):
            synthmill.make(folder / "spec.yaml", folder / "run")
        (folder / name).write_text(text)
    assert synthmill.make(folder / "spec.yaml", folder / "run").accepted == 300
    for module in [m for m in sys.modules if m.split(".")[0] in ("helpers", "purse")]:
        del sys.modules[module]


def test_of_a_package_its_own_modules_count_and_no_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "minters").mkdir()
    files = {
        "minters/__init__.py": "",
        "minters/own.py": "import minters.coins\nimport neighbour\n\ndef fine(row):\n    return True\n",
        "minters/coins.py": "from . import alloy\n",
        "minters/alloy.py": "from minters import own\n",
        "neighbour.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    fine = load_object("minters.own:fine", "test")
    before = source_digest(fine)
    for name, text in files.items():
        if name != "minters/own.py":  # its source is what Python has read
            (tmp_path / name).write_text(text + "# edited\n")
            assert (source_digest(fine) != before) == name.startswith("minters"), name
            (tmp_path / name).write_text(text)
    assert source_digest(fine) == before
    (tmp_path / "minters/coins.py").write_text("this is (no Python")
    assert source_digest(fine) not in (before, "unknown")
    for module in [m for m in sys.modules if m.split(".")[0] in ("minters", "neighbour")]:
        del sys.modules[module]


def test_a_run_of_an_own_generator_is_sampled_and_extended_from_any_folder(folder: Path) -> None:
    synthmill.make(folder / "spec.yaml", folder / "runs" / "own")
    rows = synthmill.sample(folder / "runs" / "own", 20)
    assert set(rows["x"]) <= {0, 2, 4, 6, 8}
    assert synthmill.extend(folder / "runs" / "own", 10).accepted == 310


def test_a_model_finds_its_own_generator_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    model = synthmill.fit(pl.DataFrame({"x": [0, 2, 4]}), "own.py:Own")
    model.save(folder / "model")
    monkeypatch.chdir(os.sep)
    assert synthmill.load(folder / "model").sample(5).equals(model.sample(5))


METRIC = """
from synthmill.plugins import Measure


class Rows:
    measures = ("rows",)

    def measure(self, evidence):
        n = evidence.synthetic.height
        return [Measure("rows", n, n, n, "none")]
"""


def test_an_own_metric_is_found_beside_the_spec(folder: Path) -> None:
    (folder / "counts.py").write_text(METRIC)
    pl.DataFrame({"x": range(200), "y": ["a", "b"] * 100}).write_csv(folder / "real.csv")
    (folder / "spec.yaml").write_text(
        "name: own\nreal: {path: real.csv}\ncover: {total: 50}\ngenerate: tabular.independent\n"
        'evaluate: {use: "counts.py:Rows"}\nrelease: {rows.rows: ">= 50"}\n'
    )
    result = synthmill.make(folder / "spec.yaml", folder / "run")
    assert result.released
    assert result.evaluation is not None
    assert [(m.name, m.value) for m in result.evaluation.measures] == [("rows.rows", 50)]


REAL_SPEC = """
name: own
real: {path: real.csv}
cover: {total: 40}
generate: {use: tabular.independent}
verify: {use: program, function: "judge.py:fine"}
"""


def test_edited_code_stops_more_records_but_not_another_blend(folder: Path) -> None:
    pl.DataFrame({"x": [2 * i for i in range(200)]}).write_csv(folder / "real.csv")
    (folder / "spec.yaml").write_text(REAL_SPEC)
    synthmill.make(folder / "spec.yaml", folder / "run")
    (folder / "judge.py").write_text("def fine(row):\n    return True\n")
    with pytest.raises(Refusal, match="code of a plugin has changed"):
        synthmill.extend(folder / "run", 5)
    assert synthmill.blend(folder / "run", 0.5, regime="replace").share == 0.5
    pl.DataFrame({"x": [3 * i for i in range(200)]}).write_csv(folder / "real.csv")
    with pytest.raises(Refusal, match="real data has changed"):
        synthmill.blend(folder / "run", 0.5)


def test_a_handful_of_rows_is_no_table_to_learn(folder: Path) -> None:
    with pytest.raises(Refusal, match="3 different rows are too few"):
        synthmill.fit(pl.DataFrame({"x": [1, 2, 3] * 50}))


BROKEN = """
from dataclasses import dataclass

import polars as pl

from synthmill.plugins import Verdicts


@dataclass
class {name}:
    def __post_init__(self):
        if "{how}" == "init":
            raise KeyError("no such luck")

    def fit(self, train, schema):
        if "{how}" == "fit":
            raise KeyError("no such luck")

    def schema(self):
        if "{how}" == "schema":
            raise KeyError("no such luck")
        return ["x"] if "{how}" == "list" else {{"_id" if "{how}" == "ours" else "x": pl.Int64()}}

    def save(self, folder):
        if "{how}" == "save":
            raise KeyError("no such luck")

    def generate(self, request):
        return pl.DataFrame({{"x": [1] * request.n}})

    def judge(self, frame):
        return Verdicts.all_pass(frame.height)
"""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("init", "KeyError: 'no such luck'"),
        ("fit", "KeyError: 'no such luck'"),
        ("schema", "KeyError: 'no such luck'"),
        ("save", "KeyError: 'no such luck'"),
        ("list", "schema() answers list"),
        ("ours", "column '_id'"),
    ],
)
def test_a_generator_that_breaks_outside_of_requests_is_one_sentence(folder: Path, how: str, words: str) -> None:
    (folder / "own.py").write_text(BROKEN.format(name="Own", how=how))
    pl.DataFrame({"x": [i % 50 for i in range(200)]}).write_csv(folder / "real.csv")
    (folder / "spec.yaml").write_text('name: own\nreal: {path: real.csv}\ncover: {total: 50}\ngenerate: "own.py:Own"\n')
    with pytest.raises(Refusal) as e:
        synthmill.make(folder / "spec.yaml", folder / "run")
    assert e.value.code == 1
    assert "own.py:Own" in str(e.value)
    assert words in str(e.value)
    assert not (folder / "run" / "manifest.json").exists()


@pytest.mark.parametrize("how", ["init", "fit"])
def test_a_check_that_breaks_outside_of_requests_is_one_sentence(folder: Path, how: str) -> None:
    (folder / "broken.py").write_text(BROKEN.format(name="Broken", how=how))
    pl.DataFrame({"x": [i % 50 for i in range(200)]}).write_csv(folder / "real.csv")
    (folder / "spec.yaml").write_text(
        "name: own\nreal: {path: real.csv}\ncover: {total: 50}\ngenerate: tabular.independent\n"
        'verify: {use: "broken.py:Broken"}\n'
    )
    with pytest.raises(Refusal, match=r"broken\.py:Broken: KeyError: 'no such luck'"):
        synthmill.make(folder / "spec.yaml", folder / "run")
