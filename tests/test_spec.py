from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synthmill.refusal import Refusal
from synthmill.spec import Bar, Spec, load_spec, parse_spec

LEAST: dict[str, Any] = {"name": "a", "generate": [{"use": "tabular.copula"}]}


def refusal(**changes: Any) -> str:
    with pytest.raises(Refusal) as e:
        parse_spec({**LEAST, **changes}, "s.yaml")
    assert "\n" not in str(e.value)
    assert e.value.code == 2
    return str(e.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verifi": []}, ["unknown key 'verifi'", "did you mean 'verify'?", "Choices: name, seed"]),
        ({"real": {"pth": "x"}}, ["unknown key 'real.pth'", "did you mean 'path'?"]),
        ({"cover": {"quotas": 5}}, ["'cover.quotas'", "'quota'"]),
        ({"blend": {"share": 0.5}}, ["'blend.share'", "Choices: real, regime, per_cell"]),
        ({"engine": {"worker": 1}}, ["'engine.worker'", "'workers'"]),
        ({"budget": {"second": 1}}, ["'budget.second'", "'seconds'"]),
        ({"fill": {"sizes": 1}}, ["'fill.sizes'", "'size'"]),
        ({"release": {"a.b": {"bar": "<= 1", "att": "estimate"}}}, ["'release.a.b.att'", "'at'"]),
        ({"real": 5}, ["real: 5: expected a mapping with keys such as path"]),
        ({"real": {"holdout": 2}}, ["real.holdout: 2:", "less than 1"]),
        ({"real": {"columns": {"zip": 5}}}, ["real.columns.zip: 5: expected text"]),
        ({"seed": "x"}, ["seed: 'x': expected a whole number"]),
        ({"name": "a b"}, ["name: 'a b'", "letters, digits"]),
        ({"name": "../up"}, ["name: '../up'"]),
        ({"generate": []}, ["generate: at least one generator"]),
        ({"generate": None}, ["generate: expected '{use: name}'", "None"]),
        ({"verify": 5}, ["verify: expected '{use: name}'"]),
        ({"verify": [{"uses": "schema"}]}, ["verify:", "names no plugin"]),
        ({"verify": [{"mix": []}]}, ["verify:", "names no plugin"]),
        ({"cover": {"quota": 0}}, ["cover.quota: 0: expected greater than 0"]),
        ({"cover": {"quota": -3}}, ["cover.quota: -3:"]),
        ({"cover": {"quota": 1.5}}, ["cover.quota: 1.5: expected a whole number"]),
        ({"cover": {"quota": 5, "total": 5}}, ["cover:", "'quota'", "'total'", "not both"]),
        ({"cover": {"weights": "as_reall"}}, ["cover.weights: 'as_reall'", "'as_real'", "or a mapping"]),
        ({"cover": {"axes": [1]}}, ["cover.axes: [1]: expected a mapping"]),
        ({"cover": {"axes": {"a": 5}}}, ["cover.axes.a: 5: expected a list or a mapping or 'all'"]),
        ({"blend": {"real": 2}}, ["blend.real: 2:", "1"]),
        ({"engine": {"kind": "gpu"}}, ["engine.kind: 'gpu': expected 'auto', 'serial', 'thread' or 'process'"]),
        ({"release": {"u.gap": 0.02}}, ["release.u.gap:", "'0.02' is not a bar", "'<= 0.02'"]),
        ({"release": {"u.gap": "=< 0.02"}}, ["release.u.gap:", "'=< 0.02' is not a bar"]),
        ({"release": {"u.gap": "<= low"}}, ["release.u.gap:", "'low' is not a number"]),
        ({"release": {"u.gap": "<= nan"}}, ["release.u.gap:", "'nan' is not a number"]),
        ({"release": ["u.gap"]}, ["release:", "expected a mapping"]),
    ],
    ids=str,
)
def test_one_sentence_says_what_is_wrong_in_a_spec(changes: dict[str, Any], words: list[str]) -> None:
    said = refusal(**changes)
    assert said.startswith("s.yaml: ")
    for word in words:
        assert word in said


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Refusal, match=r"s\.yaml: 'generate' is required"):
        parse_spec({"name": "a"}, "s.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"name: a\nname: b\n", ["line 2", "the key 'name' is written twice"]),
        (b"real: {path: a, path: b}\n", ["line 1", "'path' is written twice"]),
        (b"name: [a\n", ["not valid YAML"]),
        (b"name: \x00\n", ["not valid YAML"]),
        (b"? [a, b]\n: 1\n", ["a key must be a single value"]),
        (b"a: &x [*x]\n", ["not valid YAML"]),
        (b"name: !!python/object/apply:os.system [ls]\n", ["not valid YAML", "python/object"]),
        ("name: café\n".encode("latin-1"), ["not UTF-8"]),
        (b"- a\n", ["a spec is a mapping"]),
        (b"", ["a spec is a mapping"]),
    ],
    ids=str,
)
def test_unreadable_files_are_one_sentence(tmp_path: Path, text: bytes, words: list[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_bytes(text)
    with pytest.raises(Refusal) as e:
        load_spec(file)
    said = str(e.value)
    assert "\n" not in said
    for word in [str(file), *words]:
        assert word in said


@pytest.mark.parametrize(("name", "words"), [("none.yaml", "there is no such file"), (".", "is a folder")])
def test_a_spec_that_is_no_file(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        load_spec(tmp_path / name)


def test_words_and_dates_stay_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "name: a\nseed: 007\ngenerate: tabular.copula\n"
        "cover: {axes: {a: [yes, no, on, 2024-01-31, 12:30, true, 1, -2, 1.5, 1e3, ~]}}\n"
    )
    spec, _ = load_spec(file)
    assert spec.cover.axes["a"] == ["yes", "no", "on", "2024-01-31", "12:30", True, 1, -2, 1.5, 1000.0, None]
    assert spec.seed == 7
    assert spec.generate == [{"use": "tabular.copula"}]


def test_paths_start_from_the_base(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: a\ngenerate: x\nbase: ../data\n")
    assert load_spec(file)[1].resolve() == (tmp_path / "../data").resolve()


def test_the_identity_is_what_decides_bytes() -> None:
    def identity(**changes: Any) -> str:
        return parse_spec({**LEAST, **changes}).fill_digest("real", "plugins")

    same = [
        {"engine": {"workers": 2}}, {"budget": {"seconds": 1}}, {"release": {"a.b": "<= 1"}}, {"blend": {"real": 0.1}},
        {"name": "other"}, {"base": "elsewhere"}, {"evaluate": "fidelity"},
    ]  # fmt: skip
    assert {identity(**c) for c in same} == {identity()}
    different = [
        {"seed": 1},
        {"cover": {"quota": 5}},
        {"verify": "schema"},
        {"fill": {"size": 9}},
        {"monitor": "statistics"},
    ]
    assert len({identity(), *(identity(**c) for c in different)}) == 1 + len(different)
    at = {"path": "a.csv"}
    assert (
        identity(real=at) == identity(real={"path": "b.csv", "licence": "CC0"}) != identity(real={**at, "target": "x"})
    )


def test_a_bar_is_written_in_a_line_or_in_keys() -> None:
    bars = parse_spec({**LEAST, "release": {"a.b": "<= 0.02", "c.d": {"bar": "> 1", "at": "estimate"}}}).release
    assert bars["a.b"] == Bar.model_validate({"op": "<=", "value": 0.02})
    assert (bars["c.d"].op, bars["c.d"].value, bars["c.d"].at) == (">", 1.0, "estimate")
    assert str(bars["a.b"]) == "<= 0.02"


def test_python_and_yaml_build_the_same_object(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: a\ngenerate: {use: tabular.copula}\nverify: [schema]\n")
    assert load_spec(file)[0] == Spec(name="a", generate=[{"use": "tabular.copula"}], verify=[{"use": "schema"}])
