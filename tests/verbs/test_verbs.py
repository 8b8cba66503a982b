"""The whole way of a person with a table: init, check, preview, make, extend, blend, trace, sample, evaluate, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import synthmill
from synthmill.cli.main import main
from synthmill.data import adult
from synthmill.frame import Status, payload
from synthmill.refusal import Refusal
from synthmill.run import Run

COLUMNS = ["age", "education", "hours_per_week", "sex", "income"]
SPEC: dict[str, Any] = {
    "name": "tiny",
    "seed": 7,
    "real": {"path": "mine.csv", "target": "income"},
    "cover": {"axes": {"income": ["<=50K", ">50K"]}, "quota": 40},
    "generate": "tabular.copula",
    "verify": ["schema", {"use": "rules", "all": ["age >= 17"]}, {"use": "rules", "all": ["hours_per_week < 60"]}],
    "filter": ["duplicates", "copies"],
    "blend": {"real": 0.5, "regime": "replace"},
    "evaluate": "fidelity",
    "release": {"fidelity.shapes": ">= 0.5"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a spec and its finished run."""
    folder = tmp_path_factory.mktemp("home")
    adult().head(500).select(COLUMNS).write_csv(folder / "mine.csv")
    (folder / "s.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    result = synthmill.make(folder / "s.yaml", folder / "run")
    assert result.accepted == 80
    return folder


@pytest.fixture(autouse=True)
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(argv) == code
    return capsys.readouterr().out


def test_init_check_preview(capsys: pytest.CaptureFixture[str]) -> None:
    assert "synthmill preview i.yaml" in said(capsys, "init", "mine.csv", "-o", "i.yaml")
    assert "i.yaml: valid" in said(capsys, "check", "i.yaml")
    before = {p for p in Path().rglob("*") if p.is_file()}
    told = said(capsys, "preview", "s.yaml", "-n", "3")
    assert "candidate 3" in told
    assert "rules.2: " in told
    assert "of candidates pass" in told
    assert {p for p in Path().rglob("*") if p.is_file()} == before, "preview keeps nothing"


def test_a_preview_shows_every_cell_and_every_verdict() -> None:
    seen = synthmill.preview("s.yaml", 10)
    assert seen.candidates.height == seen.verdicts.height == 10
    assert set(seen.candidates["income"]) == {"<=50K", ">50K"}
    assert set(seen.verdicts.columns) == {"schema", "rules", "rules.2", "copies", "duplicates"}
    assert 0.3 < seen.yield_ <= 1
    assert seen.asked == 80


def test_make_leaves_a_run_that_holds_everything(home: Path) -> None:
    run = Run.open(home / "run")
    names = {p.name for p in run.root.iterdir()}
    assert {"spec.yaml", "manifest.json", "report.html", "README.md", "croissant.json", "evaluation.json"} <= names
    data = run.data()
    assert dict(data["income"].value_counts().iter_rows()) == {"<=50K": 40, ">50K": 40}
    assert payload(data) == COLUMNS
    assert run.manifest["released"] is True


def test_the_same_command_goes_on_and_a_runs_own_spec_is_the_same_run(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Run.open("run").data()
    assert "80 of 80 records accepted" in said(capsys, "make", "s.yaml", "-o", "run", "--quiet")
    assert "80 of 80 records accepted" in said(capsys, "make", "run/spec.yaml", "-o", "run", "--quiet")
    assert Run.open("run").data().equals(before)


def test_another_spec_does_not_touch_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("o.yaml").write_text(yaml.safe_dump({**SPEC, "seed": 8}))
    assert main(["make", "o.yaml", "-o", "run", "--quiet"]) == 2
    assert "another spec" in capsys.readouterr().err


def test_fresh_starts_anew_but_not_under_somebody_elses_feet(tmp_path: Path) -> None:
    toy = {"name": "t", "generate": [{"use": "toys:Coin"}], "cover": {"quota": 20}}
    first = synthmill.make(synthmill.Spec(**toy), tmp_path / "t")
    other = synthmill.Spec(**{**toy, "seed": 1})
    held = Run.start(tmp_path / "t", {"digest": first.run.manifest["digest"]})
    with pytest.raises(Refusal, match="another process"):
        synthmill.make(other, tmp_path / "t", fresh=True)
    held.close()
    assert synthmill.make(other, tmp_path / "t", fresh=True).run.id != first.run.id


def test_a_missed_bar_is_code_3_and_the_data_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("high.yaml").write_text(yaml.safe_dump({**SPEC, "release": {"fidelity.shapes": ">= 0.9999"}}))
    told = said(capsys, "make", "high.yaml", "-o", "run", "--quiet", code=3)
    assert "fidelity.shapes >= 0.9999: missed by" in told
    assert "not released" in told
    assert Run.open("run").manifest["released"] is False
    assert Run.open("run").data().height == 80
    assert main(["make", "s.yaml", "-o", "run", "--quiet"]) == 0


def test_extend_adds_to_one_cell_and_keeps_what_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    synthmill.make(synthmill.Spec(**{**SPEC, "evaluate": [], "release": {}}), tmp_path / "run")
    before = Run.open(tmp_path / "run").data()
    told = said(capsys, "extend", str(tmp_path / "run"), "--quota", "7", "--cell", "income=>50K", "--quiet")
    assert "87 of 87 records accepted" in told
    after = Run.open(tmp_path / "run").data()
    assert after.head(80).equals(before)
    assert set(after.tail(7)["income"]) == {">50K"}
    assert after["_id"].n_unique() == 87
    with pytest.raises(Refusal, match="did you mean 'income=>50K'"):
        synthmill.extend(tmp_path / "run", 1, "income=50K")
    assert Run.open(tmp_path / "run").manifest["filled"], "a refused extension leaves the run as it was"


def test_a_users_own_plugin_is_found_again_from_the_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def odd(row):\n    return row['x'] % 2 == 1\n")
    toy = {"name": "t", "generate": [{"use": "toys:Coin"}], "verify": [{"use": "program", "function": "mine.py:odd"}]}
    (tmp_path / "t.yaml").write_text(yaml.safe_dump({**toy, "cover": {"quota": 10}}))
    synthmill.make(tmp_path / "t.yaml", tmp_path / "deep" / "run")
    assert synthmill.extend(tmp_path / "deep" / "run", 5).accepted == 15


def test_blend_says_what_it_holds_and_guards_real_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert "80 real and 80 synthetic records (50% real)" in said(capsys, "blend", "run")
    assert "(20% real)" in said(capsys, "blend", "run", "--real", "0.2")
    assert main(["blend", "run", "--export", "b.parquet"]) == 2
    assert "--include-real" in capsys.readouterr().err
    assert not Path("b.parquet").exists()
    said(capsys, "blend", "run", "--export", "b.parquet", "--include-real")
    mixed = pl.read_parquet("b.parquet")
    assert mixed.height == 160
    assert dict(mixed.select(COLUMNS).schema) == dict(pl.read_csv("mine.csv").schema)
    with pytest.raises(Refusal, match=r"1\.5 is not a share"):
        synthmill.blend("run", 1.5)
    with pytest.raises(synthmill.Refusal, match="did you mean 'replace'"):
        synthmill.blend("run", 0.5, regime="replaced")
    assert synthmill.blend("run", 0.5, regime="accumulate").real > 80  # every one there is


def test_trace_tells_every_kind_of_record(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.open("run")
    accepted = run.data().row(3, named=True)
    story = synthmill.trace("run", accepted["_id"])
    assert story["status"] == "accepted"
    assert story["record"] == {c: accepted[c] for c in COLUMNS}
    assert story["checks"] == dict.fromkeys(run.manifest["checks"][1:-1], "pass")
    assert story["cell"] == f"income={accepted['income']}"
    assert story["models"]
    assert all((run.root / place).is_file() for place in story["models"]), "places as they lie in the run"
    assert any(place.startswith("private/models/") for place in story["models"])
    rejected = run.rejected().filter(pl.col("_status") == Status.FAIL)
    assert rejected.height, "the second rule rejects some"
    story = synthmill.trace("run", rejected["_id"][0])
    assert (story["status"], story["by"], story["verdict"]) == ("rejected", "rules.2", "fail")
    assert story["checks"] == {"schema": "pass", "rules": "pass"}
    for record in run.private_rejected()["_id"]:
        assert synthmill.trace("run", record)["status"] == "rejected, kept private"
    assert json.loads(said(capsys, "trace", "run", accepted["_id"], "--json"))["request"]["cell asked"].startswith(
        "income"
    )
    assert "status: accepted" in said(capsys, "trace", "run", accepted["_id"])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("nonsense", "is not the id of a synthetic record"),
        ("000000000000-0-1", "is of run 000000000000"),
        ("{id}-999-1", "request 999 was never admitted"),
        ("{id}-99999999999999999999999-1", "was never admitted"),
        ("{id}-0-99999", "there is no record"),
    ],
)
def test_trace_of_what_is_not_there(record: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        synthmill.trace("run", record.format(id=Run.open("run").id))


def test_a_model_is_fitted_kept_and_sampled(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "worlds=3", "--set", "privacy=strict"]
    assert "Next: synthmill sample m" in said(capsys, "fit", "mine.csv", "-o", "m", *options)
    assert '"privacy": "strict"' in (Path("m") / "model.json").read_text("utf-8")
    where = ["--where", "income=>50K", "--where", "age>=30", "--where", "age<40"]
    said(capsys, "sample", "m", "-n", "25", *where, "-o", "rows.parquet")
    rows = pl.read_parquet("rows.parquet")
    assert rows.height == 25
    assert set(rows["income"]) == {">50K"}
    assert rows["age"].is_between(30, 39).all()
    assert set(rows["_origin"]) == {"synthetic"}
    assert rows["_id"].n_unique() == 25
    again = synthmill.sample("m", 25, ["income=>50K", "age>=30", "age<40"])
    assert again.equals(rows)
    fewer = synthmill.sample("m", 24, ["income=>50K", "age>=30", "age<40"])
    assert not set(fewer["_id"]) & set(rows["_id"]), "other rows have other ids"
    assert said(capsys, "sample", "run", "-n", "2").splitlines()[0].startswith("age,education,")


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (["incom=>50K"], "there is no such column; did you mean 'income'"),
        (["income>5"], "income is String; only '=' compares that"),
        (["age"], "write for example"),
        (["age>=old"], "'old' does not read as Int64"),
        (["age=30", "age<40"], "age is fixed already"),
        (["age>=400"], "the model knows no such rows"),
        (["age!=30"], "'!=' cannot be asked for"),
    ],
)
def test_where_that_cannot_be(where: list[str], words: str) -> None:
    if not Path("m").is_dir():
        synthmill.fit(pl.read_csv("mine.csv")).save("m")
    with pytest.raises(Refusal, match=words.replace("(", r"\(")):
        synthmill.sample("m", 5, where)


@pytest.mark.parametrize("name", ["rows.txt", "no/such/folder/rows.csv"])
def test_rows_that_cannot_be_written(name: str) -> None:
    from synthmill.verbs.sample import write_table

    with pytest.raises(Refusal):
        write_table(pl.DataFrame({"x": [1]}), name)
    with pytest.raises(Refusal, match="CSV cannot hold the nested column x"):
        write_table(pl.DataFrame({"x": [[1]]}), "rows.csv")


def test_frames_come_back_as_they_went_in() -> None:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    table = pl.read_csv("mine.csv")
    for frame, kind in [(table, pl.DataFrame), (table.to_pandas(), pandas.DataFrame), (table.to_arrow(), arrow.Table)]:
        rows = synthmill.fit(frame).sample(10, {"sex": "Female"})
        assert isinstance(rows, kind)
        assert list(rows.columns if kind is not arrow.Table else rows.column_names) == COLUMNS


def test_a_model_in_python(tmp_path: Path) -> None:
    model = synthmill.fit(pl.read_csv("mine.csv"), columns={"age": "integer"})
    rows = model.sample(50, seed=3)
    assert rows.columns == COLUMNS
    assert rows.equals(model.sample(50, seed=3))
    assert not rows.equals(model.sample(50, seed=4))
    assert model.sample(0).schema == rows.schema
    assert synthmill.load(model.save(tmp_path / "m")).sample(50, seed=3).equals(rows)
    with pytest.raises(Refusal, match="-n: -1"):
        model.sample(-1)
    with pytest.raises(Refusal, match="'50K' is no value of it; did you mean '>50K'"):
        model.sample(1, {"income": "50K"})
    with pytest.raises(Refusal, match="'x' does not fit the column"):
        model.sample(1, {"age": "x"})
    (tmp_path / "m" / "model.json").write_text("{")
    with pytest.raises(Refusal, match="damaged"):
        synthmill.load(tmp_path / "m")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(Refusal, match="choose another"):
        model.save(tmp_path / "full")


def test_any_tools_table_can_be_evaluated(tmp_path: Path) -> None:
    from synthmill.verbs.score import score

    table = pl.read_csv("mine.csv")
    made, folder = score(
        table.sample(200, seed=1), table, tmp_path / "e", holdout=table.tail(100), metrics=["fidelity"]
    )
    assert made.get("fidelity.shapes") is not None
    assert (folder / "report.html").is_file()


def test_the_real_data_may_be_a_table_in_python(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    need = synthmill.Spec(**{**SPEC, "real": {"target": "income"}, "evaluate": [], "release": {}})
    table = pandas.read_csv("mine.csv")
    first = synthmill.make(need, tmp_path / "run", table)
    assert first.accepted == 80
    assert synthmill.extend(tmp_path / "run", 1, real=table).accepted == 82
    with pytest.raises(Refusal, match="'path' is required"):
        synthmill.extend(tmp_path / "run", 1)


def test_a_spec_that_fails_while_fitting_leaves_no_run_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {**SPEC, "verify": [{"use": "rules", "all": ["age > 50", "age < 30"]}], "evaluate": [], "release": {}}
    with pytest.raises(Refusal, match="age"):
        synthmill.make(synthmill.Spec(**wrong), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(Refusal, match="age"):
        synthmill.check(synthmill.Spec(**wrong))


def test_report_is_written_anew(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run/report.html").unlink()
    assert said(capsys, "report", "run").split() == ["run/report.html", "run/README.md", "run/croissant.json"]
    assert Path("run/report.html").stat().st_size > 1000


def test_doors_stay_functions_after_their_modules_were_imported() -> None:
    import synthmill.verbs.make

    assert callable(synthmill.make)
    assert synthmill.make is synthmill.verbs.make.make
