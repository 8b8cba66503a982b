from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import synthmill

RECIPES = Path(__file__).parent.parent / "recipes"


def test_every_recipe_is_tested_here() -> None:
    assert sorted(p.parent.name for p in RECIPES.glob("*/spec.yaml")) == ["adult", "collapse", "machines", "road"]
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
