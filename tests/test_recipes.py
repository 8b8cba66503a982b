from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import synthmill
from synthmill.data import adult
from synthmill.documents.findings import Finding
from synthmill.plugins import Measure

RECIPES = Path(__file__).parent.parent / "recipes"


def script(name: str) -> Any:
    """The recipe's `run.py` as a module."""
    found = importlib.util.spec_from_file_location(name.replace("-", "_"), RECIPES / name / "run.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def call(module: Any, monkeypatch: pytest.MonkeyPatch, *words: object) -> Any:
    monkeypatch.setattr("sys.argv", ["run.py", *map(str, words)])
    return module.main()


def test_every_recipe_is_tested_here() -> None:
    here = ["adult", "collapse", "machines", "rare-class-table", "road", "share-a-table"]
    of_text = [
        "document-qa",
        "preferences",
        "rare-class-text",
        "self-instruct",
    ]  # test_recipes_of_text.py, test_recipe_rare_class_text.py
    assert sorted(p.parent.name for p in RECIPES.glob("*/spec.yaml")) == sorted(here + of_text)
    assert all((p.parent / "README.md").is_file() for p in RECIPES.glob("*/spec.yaml"))


def test_adult(tmp_path: Path) -> None:
    result = synthmill.make(RECIPES / "adult" / "spec.yaml", tmp_path / "run")
    assert result.accepted == 6000
    assert not result.short
    assert result.released, [b.sentence for b in result.bars]
    assert result.blend is not None
    assert result.blend.share == pytest.approx(0.7, abs=0.001)
    assert (tmp_path / "run" / "report.html").stat().st_size < 2_000_000


def test_machines(tmp_path: Path) -> None:
    data = synthmill.make(RECIPES / "machines" / "spec.yaml", tmp_path / "run").data
    assert data.group_by("machine", "censored").len()["len"].to_list() == [100] * 8
    last = data["readings"].list.last().struct.field("t")
    assert (last == data["life"]).all()


def test_road(tmp_path: Path) -> None:
    result = synthmill.make(RECIPES / "road" / "spec.yaml", tmp_path / "run")
    data = result.data
    assert dict(data.group_by("hit").len().iter_rows()) == {True: 600, False: 600}
    assert data.select((pl.col("stopping_distance") > pl.col("distance")) == pl.col("hit")).to_series().all()
    assert data["plate"].null_count() == 0


def test_collapse(tmp_path: Path) -> None:
    """The README's experiment with fewer, smaller generations: rare values go under replacement."""
    found = synthmill.collapse(
        RECIPES / "collapse" / "spec.yaml", 4, out=tmp_path / "run", repeats=1, rows=300, shares=[0], verified=False,
        regimes=["replace", "accumulate"],
    )  # fmt: skip
    replaced, accumulated = (a["points"]["coverage.tails"] for a in found.summary["arms"])
    assert replaced[-1]["median"] < replaced[0]["median"]
    assert replaced[-1]["median"] < accumulated[-1]["median"]
    assert (tmp_path / "run" / "report.html").stat().st_size < 2_000_000


def test_rare_class_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Offline, on a table of one's own: the quota is met, every arm has its line, and each is of the same holdout."""
    adult().head(3000).rename({"income": "pay"}).write_csv(tmp_path / "own.csv")
    monkeypatch.chdir(tmp_path)
    call(
        script("rare-class-table"),
        monkeypatch,
        "own.csv",
        "--target",
        "pay",
        "--rare",
        ">50K",
        "--quota",
        80,
        "--out",
        "x",
    )
    told = capsys.readouterr().out
    train, holdout = (pl.read_parquet(f"x/{name}.parquet") for name in ("train", "holdout"))
    assert (train["pay"] == ">50K").sum() == 60
    assert train.join(holdout, on=train.columns, how="semi", nulls_equal=True).is_empty()
    for name in ("forest", "SMOTE", "repeated"):
        made = synthmill.Run.open(f"x/{name}").data()
        assert dict(made.group_by("pay").len().iter_rows()) == {">50K": 80, "<=50K": 20}
        assert f"real rows + {name} " in told
    assert told.count("(0.") >= 8, "every arm with its interval"


@pytest.mark.parametrize(
    ("recipe", "words", "said"),
    [
        ("rare-class-table", ["nofile.csv"], "nofile.csv: there is no such file"),
        ("rare-class-table", ["own.csv"], "--target: say which column"),
        ("rare-class-table", ["own.csv", "--target", "pya"], "'pya' is not a column; did you mean 'pay'"),
        ("rare-class-table", ["own.csv", "--target", "pay"], "--rare: say which value of 'pay'"),
        ("rare-class-table", ["own.csv", "--target", "age", "--rare", "old"], "'old' is no value of 'age'"),
        (
            "rare-class-table",
            ["own.csv", "--target", "pay", "--rare", ">50K", "--keep", "9999"],
            "are too few to learn",
        ),
        ("rare-class-table", ["own.csv", "--target", "pay", "--rare", ">50K", "--quota", "0"], "both count records"),
        ("rare-class-table", ["own.csv", "--target", "pay", "--rare", ">50K", "--out", "own.csv"], "is a file"),
        ("share-a-table", ["nofile.csv"], "nofile.csv: there is no such file"),
        ("share-a-table", ["nofile.csv", "--target", "pay"], "nofile.csv: there is no such file"),
        ("share-a-table", ["own.csv", "--target", "pya"], "no column 'pya'"),
        ("share-a-table", ["--target", "pay"], "goes with a FILE"),
        ("share-a-table", ["own.csv", "--out", "own.csv"], "is a file"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    recipe: str, words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    adult().head(500).rename({"income": "pay"}).write_csv(tmp_path / "own.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHMILL_DATA", raising=False)
    assert call(script(recipe), monkeypatch, *words) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not shown.out
    assert [p.name for p in tmp_path.iterdir()] == ["own.csv"]


def gain(low: float, high: float) -> Measure:
    return Measure("utility.blend_gain", (low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("forest", "smote", "words"),
    [
        (gain(-0.01, 0.02), gain(-0.02, 0.01), ["Plain real rows win", "forest's records do most, but not beyond chance"]),
        (gain(0.01, 0.02), gain(-0.02, 0.005), ["Surely better than real rows alone: forest.", "forest's records do most."]),
        (gain(-0.03, -0.02), gain(0.01, 0.02), ["better than real rows alone: SMOTE.", "worse than real rows alone: forest.", "SMOTE does more than the forest."]),
        (gain(-0.01, 0.02), gain(0.0, 0.02), ["Plain real rows win", "SMOTE does more than the forest, but not beyond chance."]),
    ],
)  # fmt: skip
def test_rare_class_table_says_who_wins(forest: Measure, smote: Measure, words: list[str]) -> None:
    said = " ".join(script("rare-class-table").verdict({"forest": forest, "SMOTE": smote}))
    assert all(w in said for w in words), said


def test_share_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A small table: everything is made and said, and what is put aside holds nothing private; a leak puts nothing aside."""
    columns = ["age", "workclass", "education_num", "occupation", "sex", "hours_per_week", "income"]
    adult().head(1000).select(columns).write_csv(tmp_path / "own.csv")
    monkeypatch.chdir(tmp_path)
    module, sent = script("share-a-table"), []
    decide = module.sent
    monkeypatch.setattr(module, "sent", lambda *given: sent.extend(given) or decide(*given))
    code = call(module, monkeypatch, "own.csv", "--target", "income", "--out", "x")
    result, made, out = sent
    assert code == (3 if made.leaks or not result.released else 0)
    assert (out / "send").is_dir() == (code == 0)
    assert pl.read_parquet(out / "audit" / "private" / "exposed.parquet").height
    assert "Membership" in capsys.readouterr().out

    held = replace(result, bars=())
    assert decide(held, replace(made, findings=()), out) == 0
    files = {p.relative_to(out / "send").as_posix() for p in (out / "send").rglob("*") if p.is_file()}
    assert {f for f in files if not f.startswith("data/")} == {*module.SENT, "audit.html"}
    assert not any(str(tmp_path).encode() in (out / "send" / f).read_bytes() for f in files)

    leak = Finding("attack.copies", "leak", "strong", "Half of the rows are real ones.", ())
    assert decide(held, replace(made, findings=(leak,)), out) == 3
    assert not (out / "send").exists()
    assert leak.sentence in capsys.readouterr().out
