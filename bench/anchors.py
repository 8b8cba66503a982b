"""Real tables with a fixed split, as every benchmark here sees them.

`load(name, folder)` knows `adult_sample` (8,000 rows that come with synthmill), `king_county` (from `king_county.csv.gz`),
and whatever the folder holds as NAME_train.csv, NAME_test.csv and NAME.json (`num`, `cat`, `target`, `task`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "tabular"
"""Where the larger tables lie beside a checkout; `--data` names another place."""

HOLDOUT = 0.2


@dataclass(frozen=True)
class Meta:
    """numbers: columns compared as numbers, dates among them; the others are categories, held as text.

    task: `bin` predicts the second most frequent class of the target, `reg` its number.
    """

    name: str
    target: str
    task: Literal["bin", "reg"]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Anchor:
    """train and holdout: the same columns, categories as String, numbers as Int64, Float64 or Date."""

    meta: Meta
    train: pl.DataFrame
    holdout: pl.DataFrame


def names(folder: Path = FOLDER) -> list[str]:
    """What `load` finds, the packaged sample first."""
    split = sorted(p.name.removesuffix("_train.csv") for p in folder.glob("*_train.csv"))
    return ["adult_sample", *split, *(["king_county"] if (folder / "king_county.csv.gz").is_file() else [])]


def load(name: str, folder: Path = FOLDER) -> Anchor:
    if name not in names(folder):
        sys.exit(f"--data {folder}: there is no table '{name}'; there are {', '.join(names(folder))}")
    if name == "adult_sample":
        return _adult_sample()
    if name == "king_county":
        return _king_county(folder)
    return _split(name, folder)


def _split(name: str, folder: Path) -> Anchor:
    about = json.loads((folder / f"{name}.json").read_text("utf-8"))
    train, holdout = (_typed(folder / f"{name}_{part}.csv", about["num"]) for part in ("train", "test"))
    wide = [c for c in about["num"] if train[c].dtype != holdout[c].dtype]
    train, holdout = (f.with_columns(pl.col(wide).cast(pl.Float64)) for f in (train, holdout))
    return Anchor(_meta(name, train, about["target"], about["task"]), train, holdout)


def _typed(path: Path, numbers: list[str]) -> pl.DataFrame:
    """The file with `numbers` as Int64 where they are whole, Float64 elsewhere; all else as text."""
    text = pl.read_csv(path, infer_schema=False)
    values = text.with_columns(pl.col(numbers).cast(pl.Float64, strict=False))
    whole = [c for c in numbers if (values[c].drop_nulls() % 1 == 0).all()]
    return values.with_columns(pl.col(whole).cast(pl.Int64))


def _adult_sample() -> Anchor:
    from synthmill.data import adult

    frame = adult()
    order = np.random.default_rng(0).permutation(frame.height)
    cut = int(HOLDOUT * frame.height)
    train, holdout = frame[np.sort(order[cut:])], frame[np.sort(order[:cut])]
    return Anchor(_meta("adult_sample", train, "income", "bin"), train, holdout)


def _king_county(folder: Path) -> Anchor:
    """House sales without their identifier. A house sold twice is on one side, or members had twins among non-members."""
    frame = pl.read_csv(folder / "king_county.csv.gz", infer_schema_length=None, null_values=["", "?"])
    frame = frame.with_columns(
        pl.col("date").str.to_date("%m/%d/%Y"),
        pl.col("zipcode").cast(pl.String),
        pl.col("yr_renovated").cast(pl.Int64),
        pl.col("sqft_basement").cast(pl.Int64),
        pl.col("price").cast(pl.Int64),
    )
    houses = frame["id"].unique().sort()
    out = houses.gather(np.random.default_rng(0).permutation(len(houses))[: int(HOLDOUT * len(houses))])
    held = frame["id"].is_in(out.implode())
    train, holdout = frame.filter(~held).drop("id"), frame.filter(held).drop("id")
    return Anchor(_meta("king_county", train, "price", "reg"), train, holdout)


def _meta(name: str, train: pl.DataFrame, target: str, task: Literal["bin", "reg"]) -> Meta:
    categories = tuple(c for c in train.columns if train[c].dtype == pl.String)
    return Meta(name, target, task, tuple(c for c in train.columns if c not in categories), categories)
