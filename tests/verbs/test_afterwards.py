"""What is done to a run that is there: extended, stopped while extending, blended anew, sampled, traced."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import synthmill
from synthmill.data import adult
from synthmill.refusal import Refusal
from synthmill.verbs import make as making


@pytest.fixture
def run(tmp_path: Path) -> Path:
    people = adult().head(600).with_columns(badge=pl.format("B-{}", pl.int_range(pl.len()) * 7919 % 100_003 + 100_000))
    people.write_csv(tmp_path / "people.csv")
    spec = synthmill.Spec.model_validate(
        {
            "name": "after",
            "real": {"path": str(tmp_path / "people.csv"), "target": "income"},
            "cover": {"axes": {"income": ["<=50K", ">50K"]}, "quota": 60},
            "generate": "tabular.copula",
            "blend": {"real": 0.5},
            "evaluate": ["utility"],
            "release": {"utility.blend": ">= 0.1"},
        }
    )
    synthmill.make(spec, tmp_path / "run")
    return tmp_path / "run"


def test_an_extension_that_was_stopped_goes_on_and_is_not_added_twice(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(making, "fill", stop)
        with pytest.raises(KeyboardInterrupt):
            synthmill.extend(run, 20)
    with pytest.raises(Refusal, match="an extension by --quota 20 was stopped"):
        synthmill.extend(run, 5)
    with monkeypatch.context() as m:
        m.setattr(making, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            synthmill.extend(run, 20)
    assert synthmill.extend(run, 20).accepted == 160
    assert synthmill.extend(run, 20).accepted == 200


def test_a_new_blend_does_not_keep_the_old_ones_numbers(run: Path) -> None:
    manifest = synthmill.Run.open(run).manifest
    assert manifest["released"] is True
    synthmill.blend(run, 0.2)
    measures = {m["name"]: m for m in json.loads((run / "evaluation.json").read_text())["measures"]}
    assert measures["utility.blend"]["value"] is None
    assert "made anew" in measures["utility.blend"]["note"]
    assert measures["utility.real"]["value"] > 0.5
    assert synthmill.Run.open(run).manifest["released"] is False
    assert synthmill.make(run / "spec.yaml", run).released


def test_samples_of_other_seeds_and_of_the_run_itself_bear_other_badges(run: Path) -> None:
    badges = [set(synthmill.Run.open(run).data()["badge"])]
    badges += [set(synthmill.sample(run, 100, seed=s)["badge"]) for s in (0, 1, 2)]
    assert sum(map(len, badges)) == len(set.union(*badges)) == 420


def test_a_real_record_of_the_blend_is_traced_without_its_content(run: Path) -> None:
    blend = pl.read_parquet(run / "private" / "blend" / "real.parquet")
    story = synthmill.trace(run, blend["_id"][3])
    assert story["status"].startswith("real")
    assert story["depth"] == 0
    assert not any(str(blend[c][3]) in json.dumps(story) for c in ("badge", "fnlwgt"))


def test_what_there_is_to_use() -> None:
    assert set(synthmill.list()) == {"generate", "verify", "filter", "monitor", "measure"}
    assert "tabular.copula" in [name for name, _, _ in synthmill.list("generate")["generate"]]
    with pytest.raises(Refusal, match="did you mean 'generate'"):
        synthmill.list("generator")


def test_a_model_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = synthmill.fit(adult().head(100))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Refusal, match="is there and holds no model"):
        model.save(tmp_path / "file")
    model.save(tmp_path / "kept")
    with monkeypatch.context() as m:
        m.setattr(type(model.maker.firsts[0].plugin), "save", lambda *_: 1 / 0)
        for place in ("kept", "new"):
            with pytest.raises(Refusal, match="ZeroDivisionError"):
                model.save(tmp_path / place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "kept"]
    assert synthmill.load(tmp_path / "kept").sample(5).height == 5
