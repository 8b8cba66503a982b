"""The missing values of a file, drawn by a fitted model."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from synthmill.tables.read import read

from .fit import load

MARK = "_imputed"


def impute(folder: str | Path, path: str | Path, table: str | None = None, seed: int = 0) -> pl.DataFrame:
    """The file's rows with `_imputed`: the columns of a row whose value was drawn, with commas between, or null.

    folder: of a model or a run. table: of a database. Raises Refusal as `Model.impute` does.
    """
    model, before = load(folder), read(path, table)
    after: pl.DataFrame = model.impute(before, seed)
    drawn = [pl.when(pl.Series(_absent(before[c]) & after[c].is_not_null())).then(pl.lit(c)) for c in before.columns]
    names = pl.concat_str(drawn, separator=",", ignore_nulls=True) if drawn else pl.lit("")
    return after.with_columns(pl.when(names != "").then(names).alias(MARK))


def _absent(s: pl.Series) -> pl.Series:
    return s.is_null() | s.is_nan().fill_null(False) if s.dtype.is_float() else s.is_null()


def counted(frame: pl.DataFrame) -> dict[str, int]:
    """Column -> how many of its values were drawn, most first."""
    names = frame[MARK].drop_nulls().str.split(",").explode(empty_as_null=False, keep_nulls=False)
    return dict(names.value_counts(sort=True).sort(["count", names.name], descending=[True, False]).iter_rows())
