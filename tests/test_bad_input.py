"""Bad input at the command line: exit code 2, one sentence on stderr that names what is wrong, and nothing half-written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from synthmill.cli.main import main

ROWS = pl.DataFrame(
    {
        "age": [20 + i % 50 for i in range(120)],
        "kind": ["a" if i % 3 else "b" for i in range(120)],
        "pay": [round(10.5 * (i % 17), 1) for i in range(120)],
    }
)
TOY: dict[str, Any] = {"name": "t", "generate": {"use": "toys:Coin"}, "cover": {"quota": 20}}
LEARNT: dict[str, Any] = {
    "name": "t", "generate": "tabular.independent", "real": {"path": "real.csv", "target": "kind"}, "cover": {"quota": 20}
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ROWS.write_csv("real.csv")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 2) -> str:
    """The one sentence that a command ended with."""
    capsys.readouterr()
    assert main(argv) == code
    said = capsys.readouterr().err.rstrip("\n")
    sentence = said.splitlines()[-1]
    assert sentence.startswith("synthmill: ")
    assert "Traceback" not in said
    if code == 2:
        assert said == sentence, "more than one line"
    return sentence


def spec(base: dict[str, Any], **changes: Any) -> str:
    Path("s.yaml").write_text(yaml.safe_dump({**base, **changes}, sort_keys=False), "utf-8")
    return "s.yaml"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generat": 1}, ["s.yaml: unknown key 'generat'", "did you mean 'generate'?"]),
        ({"generate": "tabular.copla"}, ["s.yaml: generate: use: 'tabular.copla'", "'tabular.copula'"]),
        ({"generate": {"use": "tabular.smote", "targt": "kind"}}, ["tabular.smote: unknown key 'targt'", "'target'"]),
        ({"generate": {"use": "tabular.smote", "k": "five"}}, ["tabular.smote: k: 'five'"]),
        ({"generate": [{"use": "tabular.copula"}, {"use": "tabular.copula"}]}, ["generate.1", "makes rows of its own"]),
        ({"generate": {"mix": "tabular.copula"}}, ["generate.mix", "expected a list"]),
        ({"verify": "scheme"}, ["s.yaml: verify.0: use: 'scheme'", "'schema'"]),
        ({"verify": ["schema", {"use": "rules"}]}, ["s.yaml: verify.1: rules: 'all' is required"]),
        ({"verify": {"use": "rules", "all": ["agee > 1"]}}, ["agee", "'age'"]),
        ({"verify": {"use": "rules", "all": ["age > 50", "age < 30"]}}, ["s.yaml: verify.0: rules: rule `age < 30` is met by 0 of"]),
        ({"verify": {"use": "rules", "all": ["__import__('os')"]}}, ["s.yaml: verify.0: rule", "'__import__'"]),
        ({"filter": {"use": "duplicates", "rate": 7}}, ["s.yaml: filter.0: duplicates: rate: 7"]),
        ({"monitor": "statistic"}, ["s.yaml: monitor.0: use: 'statistic'", "'statistics'"]),
        ({"evaluate": "fidelty"}, ["s.yaml: evaluate.0: use: 'fidelty'", "'fidelity'"]),
        ({"evaluate": {"use": "fidelity", "row": 5}}, ["s.yaml: evaluate.0: fidelity: unknown key 'row'"]),
        ({"evaluate": ["fidelity", "fidelity"]}, ["s.yaml: evaluate: use: 'fidelity' is listed 2 times"]),
        ({"evaluate": "fidelity", "release": {"fidelity.shape": "> 1"}}, ["s.yaml: release: there is no measure 'fidelity.shape'", "'fidelity.shapes'"]),
        ({"release": {"utility.gap": "<= 0.1"}}, ["s.yaml: release: there is no measure 'utility.gap'", "'evaluate' lists no metric"]),
        ({"evaluate": "fidelity", "release": {"fidelity.shapes": "0.9"}}, ["s.yaml: release.fidelity.shapes", "'0.9' is not a bar"]),
        ({"cover": {"axes": {"kin": "all"}}}, ["s.yaml: cover.axes.kin", "'kind'"]),
        ({"cover": {"axes": {"kind": ["c"]}}}, ["s.yaml: cover.axes.kind: 'c'", "Choices: a, b"]),
        ({"cover": {"axes": {"age": {"bins": [40, 30]}}}}, ["s.yaml: cover.axes.age", "rising order"]),
        ({"cover": {"quota": 0}}, ["s.yaml: cover.quota: 0"]),
        ({"cover": {"quota": 5, "total": 5}}, ["s.yaml: cover", "not both"]),
        ({"real": {"path": "none.csv"}}, ["s.yaml: real: none.csv: ", "there is no such file"]),
        ({"real": {"path": "real.csv", "target": "kin"}}, ["s.yaml: real.target: there is no column 'kin'", "'kind'"]),
        ({"real": {"path": "real.csv", "entity": "who"}}, ["real.entity: there is no column 'who'"]),
        ({"real": {"path": "real.csv", "columns": {"age": "integr"}}}, ["age", "'integr'", "'integer'"]),
        ({"real": {"path": "real.csv", "holdout": "gone.csv"}}, ["gone.csv", "there is no such file"]),
        ({"real": {"path": "real.csv", "holdout": 1}}, ["s.yaml: real.holdout: 1"]),
        ({"real": None}, ["s.yaml: generate: tabular.independent learns from real data", "real"]),
        ({"real": {"target": "kind"}}, ["s.yaml: real: 'path' is required"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_spec_stops_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], here: Path, changes: dict[str, Any], words: list[str]
) -> None:
    said = refused(capsys, "make", spec(LEARNT, **changes), "--quiet")
    for word in words:
        assert word in said
    made = {p.name for p in here.rglob("*") if p.is_file()} - {"real.csv", "s.yaml"}
    assert not {n for n in made if n.endswith((".parquet", ".html"))}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["the file is empty"]),
        (b"age,kind\n", ["real.csv"]),
        (b"age,kind\n1,a\n", ["real.csv", "too few"]),
        (b"age,age\n1,a\n2,b\n", ["real.csv", "'age'", "2 times"]),
        (b"age,\n1,a\n2,b\n", ["real.csv"]),
        ("age,kind\n1,é\n".encode("latin-1") * 9, ["real.csv", "UTF-8"]),
        (b"age,kind\n" + b"1,a\n2,b\n3,b,c\n" * 20, ["real.csv"]),
        (b"age,kind\n" + b"inf,a\n2.5,b\n" * 20, ["real.csv", "age", "inf"]),
        (b"_age,kind\n" + b"1,a\n2,b\n" * 20, ["real.csv", "'_age'"]),
    ],
    ids=str,
)
def test_an_unusable_real_file_is_named(capsys: pytest.CaptureFixture[str], content: bytes, words: list[str]) -> None:
    Path("real.csv").write_bytes(content)
    said = refused(capsys, "check", spec(LEARNT, real={"path": "real.csv"}))
    for word in words:
        assert word in said


def test_columns_without_values_and_nan_are_no_obstacle(capsys: pytest.CaptureFixture[str]) -> None:
    odd = ROWS.with_columns(
        pl.lit(None, pl.Int64).alias("none"), pay=pl.when(pl.col("age") > 60).then(float("nan")).otherwise("pay")
    )
    odd.write_parquet("real.parquet")
    assert main(["make", spec(LEARNT, real={"path": "real.parquet"}), "--quiet"]) == 0
    capsys.readouterr()


def test_a_table_of_nothing_to_learn_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pl.DataFrame({"id": [f"C-{i:05d}" for i in range(300)]}).write_csv("real.csv")
    said = refused(capsys, "make", spec({**LEARNT, "real": {"path": "real.csv"}}), "--quiet")
    assert "no column a table model can learn" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"evaluate": "fidelity"}, ["s.yaml: evaluate", "no real data"]),
        ({"blend": {"real": 0.5}}, ["s.yaml: blend", "no real data"]),
        ({"filter": "copies"}, ["copies", "real"]),
        ({"cover": {"axes": {"hue": ["red"]}}}, ["s.yaml: cover.axes.hue", "Choices: colour, x"]),
        ({"cover": {"axes": {"x": ["red"]}}}, ["s.yaml: cover.axes.x: 'red'", "Int64"]),
        ({"generate": [{"use": "toys:Coin"}, {"use": "faker", "columns": {"who": "nmae"}}]}, ["faker", "'nmae'", "'name'"]),
        ({"generate": {"use": "mine.py:Gen"}}, ["mine.py"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_needs_real_data_says_so(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: list[str]
) -> None:
    said = refused(capsys, "make", spec(TOY, **changes), "--quiet")
    for word in words:
        assert word in said


def test_a_cell_that_no_real_row_has_ends_short_or_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    cover = {"axes": {"kind": ["a", "b"], "age": [20, 21]}, "quota": 5, "max_attempts": 3}
    ROWS.with_columns(kind=pl.when(pl.col("age") == 20).then(pl.lit("a")).otherwise("kind")).write_csv("real.csv")
    assert main(["make", spec(LEARNT, cover=cover), "--quiet", "-o", "able"]) == 0
    assert "20 of 20 records accepted" in capsys.readouterr().out
    assert main(["make", spec(LEARNT, cover=cover, generate="tabular.bootstrap"), "--quiet", "-o", "unable"]) == 0
    said = capsys.readouterr().out
    assert "15 of 20 records accepted" in said
    assert "short 5 in kind=b & age=20" in said


def test_what_fails_on_everything_is_code_1_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "make", spec(TOY, generate={"use": "toys:Trouble", "how": "raise"}), "--quiet", code=1)
    assert "no coins left" in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["check", "none.yaml"], ["none.yaml: there is no such file"]),
        (["check", "."], ["is a folder"]),
        (["make", "real.csv"], ["real.csv:"]),
        (["init", "none.csv"], ["none.csv: there is no such file"]),
        (["init", "real.csv", "--target", "kin"], ["--target", "'kin'", "'kind'"]),
        (["init", "real.csv", "-o", "real.csv"], ["real.csv: is there already", "--force"]),
        (["preview", "none.yaml"], ["none.yaml: there is no such file"]),
        (["fit", "none.csv"], ["none.csv: there is no such file"]),
        (["fit", "real.csv", "--set", "privac=strict"], ["tabular.forest", "unknown key 'privac'", "'privacy'"]),
        (["fit", "real.csv", "--set", "privacy=lax"], ["tabular.forest", "privacy", "'lax'"]),
        (["fit", "real.csv", "--set", "strict"], ["--set strict", "KEY=VALUE"]),
        (["fit", "real.csv", "--use", "tabular.copla"], ["'tabular.copla'", "'tabular.copula'"]),
        (["fit", "real.csv", "--use", "tabular.smote"], ["tabular.smote", "'target'"]),
        (["sample", "none", "-n", "5"], ["none: neither a saved model (model.json) nor a run"]),
        (["impute", "none", "real.csv", "-o", "x.csv"], ["none: neither a saved model (model.json) nor a run"]),
        (["extend", "none", "--quota", "5"], ["none: does not exist"]),
        (["extend", "none", "--quota", "0"], ["--quota: 0"]),
        (["blend", "none"], ["none: does not exist"]),
        (["report", "."], ["is not a run directory"]),
        (["trace", ".", "x"], ["is not a run directory"]),
        (["evaluate", "none.csv", "--real", "real.csv"], ["none.csv: there is no such file"]),
        (["evaluate", "real.csv", "--real", "none.csv"], ["none.csv: there is no such file"]),
        (["evaluate", "real.csv", "--real", "real.csv", "--target", "kin"], ["'kin'", "'kind'"]),
        (["evaluate", "other.csv", "--real", "real.csv"], ["other.csv: has no column of real.csv", "Choices: age, kind, pay"]),
    ],
    ids=str,
)  # fmt: skip
def test_every_verb_refuses_in_one_sentence(
    capsys: pytest.CaptureFixture[str], argv: list[str], words: list[str]
) -> None:
    Path("other.csv").write_text("x,y\n1,2\n3,4\n")
    said = refused(capsys, *argv)
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["frobnicate"], ["invalid choice: 'frobnicate'", "init"]),
        (["sample", "m"], ["-n"]),
        (["impute", "m", "a.csv"], ["-o"]),
        (["sample", "m", "-n", "many"], ["-n", "'many'"]),
        (["evaluate", "a.csv"], ["--real"]),
        (["list", "widgets"], ["widgets", "generate"]),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_code_2(capsys: pytest.CaptureFixture[str], argv: list[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main(argv)
    assert e.value.code == 2
    said = capsys.readouterr().err
    for word in words:
        assert word in said
