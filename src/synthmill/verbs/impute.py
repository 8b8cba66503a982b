"""The missing values of a file, drawn by a fitted model."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from synthmill.tables.read import read

from .fit import load

MARK, CONFLICT = "_imputed", "_conflict"


def impute(folder: str | Path, path: str | Path, table: str | None = None, seed: int = 0) -> pl.DataFrame:
    """The file's rows with `_imputed`: the columns of a row whose value was drawn, with commas between, or null. And, from a model with
    constraints, `_conflict`: those that what is known of the row breaks, or leaves no value for; what is missing of
    them stays missing.

    folder: of a model or a run. table: of a database. Raises Refusal as `Model.impute` does.
    """
    model, before = load(folder), read(path, table)
    after, conflicts = model.imputed(before, seed)
    drawn = [pl.when(pl.Series(_absent(before[c]) & after[c].is_not_null())).then(pl.lit(c)) for c in before.columns]
    names = pl.concat_str(drawn, separator=",", ignore_nulls=True) if drawn else pl.lit("")
    after = after.with_columns(pl.when(names != "").then(names).alias(MARK))
    if model.maker.firsts[0].plan is None:
        return after
    at_odds = [pl.when(pl.Series(c.rows)).then(pl.lit(c.text)) for c in conflicts]
    told = pl.concat_str(at_odds, separator="; ", ignore_nulls=True) if at_odds else pl.lit("")
    return after.with_columns(pl.when(told != "").then(told).alias(CONFLICT))


def _absent(s: pl.Series) -> pl.Series:
    return s.is_null() | s.is_nan().fill_null(False) if s.dtype.is_float() else s.is_null()


def counted(frame: pl.DataFrame) -> dict[str, int]:
    """Column -> how many of its values were drawn, most first."""
    names = frame[MARK].drop_nulls().str.split(",").explode(empty_as_null=False, keep_nulls=False)
    return dict(names.value_counts(sort=True).sort(["count", names.name], descending=[True, False]).iter_rows())


def at_odds(frame: pl.DataFrame) -> str:
    """A sentence on rows in which values stay missing, or known ones disagree, for a constraint's sake; "" without any."""
    n = frame.height - frame[CONFLICT].null_count() if CONFLICT in frame.columns else 0
    return (
        f"\n{n:,} rows are at odds with a constraint by what is known of them: see the column {CONFLICT}" if n else ""
    )
