"""Any tool's table, read as if it had been written like the real one."""

from __future__ import annotations

import polars as pl

from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema

from . import dates

_TRUTHS = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}


def align(frame: pl.DataFrame, train: pl.DataFrame, schema: Schema) -> tuple[pl.DataFrame, list[str]]:
    """The columns of `train` that `frame` has, in train's order and types; and what had to be changed, as sentences.

    Numbers keep their fractions even where train holds integers: rounding them would flatter the table.
    Raises Refusal when a modelled column is missing or holds nothing that can be read as its type.
    """
    missing = [n for n in schema.modelled if n not in frame.columns]
    extra = [c for c in frame.columns if c not in train.columns and not c.startswith("_")]
    if missing:
        lacks = ", ".join(f"'{m}'" for m in missing)
        has = choices(missing[0], extra or frame.columns) if frame.columns else "it has no columns"
        raise Refusal(
            f"the synthetic table lacks {lacks}; {has}. Leave out of the real tables what it was not made from"
        )
    notes = [f"columns the real table does not have were left out: {', '.join(extra)}"] if extra else []
    columns = []
    for name in (c for c in train.columns if c in frame.columns):
        s, like = frame[name], train[name]
        read = s if s.dtype == like.dtype else _read(s, like)
        lost = read.null_count() - s.null_count()
        if lost and lost == len(s) - s.null_count() and name in schema.modelled:
            raise Refusal(f"the synthetic column '{name}' holds {s.dtype}, none of it readable as {like.dtype}")
        if lost > 0:
            notes.append(f"{name}: {lost} of {len(s)} values are not {like.dtype} and count as missing")
        columns.append(read)
    return pl.DataFrame(columns), notes


def _read(s: pl.Series, like: pl.Series) -> pl.Series:
    dtype = like.dtype
    if dtype == pl.Boolean:
        return s.cast(pl.String).str.strip_chars().str.to_lowercase().replace_strict(_TRUTHS, default=None)
    if dtype.is_numeric():
        return _number(s, dtype)
    if dtype.is_temporal():
        return _time(s, dtype)
    if dtype == pl.String:
        return _respelled(s, like)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return _respelled(s, like.cast(pl.String))
    return s.cast(dtype, strict=False)


def _number(s: pl.Series, dtype: pl.DataType) -> pl.Series:
    text = s.str.strip_chars() if s.dtype == pl.String else s
    x = text.cast(pl.Float64, strict=False)
    whole = dtype.is_integer() and bool((x.drop_nulls() % 1 == 0).all())
    return x.cast(dtype, strict=False) if whole or not dtype.is_integer() else x


def _time(s: pl.Series, dtype: pl.DataType) -> pl.Series:
    if s.dtype != pl.String:
        return s.cast(dtype, strict=False)
    if dtype == pl.Time:
        return s.str.to_time(strict=False)
    if fmt := dates.date_format(s):  # as the real table's text was read: 02/03/2020 is one day in both
        return dates.parse(s, fmt).cast(dtype, strict=False)
    try:
        return s.str.to_datetime(strict=False).cast(dtype, strict=False)
    except pl.exceptions.ComputeError:  # no format fits the first values
        return pl.Series(s.name, [None] * len(s), dtype=dtype)


def _respelled(s: pl.Series, like: pl.Series) -> pl.Series:
    """Text as train writes it: `1.0` and `01` are train's `1` where only one of train's values is that number."""
    text = s.cast(pl.String)
    levels = like.unique().drop_nulls().sort()
    known = set(levels)
    by_number: dict[float, list[str]] = {}
    for level, number in zip(levels, levels.cast(pl.Float64, strict=False), strict=True):
        if number is not None:
            by_number.setdefault(number, []).append(level)
    found = text.unique().drop_nulls().sort()
    spelled = {
        value: by_number[number][0]
        for value, number in zip(found, found.cast(pl.Float64, strict=False), strict=True)
        if value not in known and number is not None and len(by_number.get(number, ())) == 1
    }
    return text.replace(spelled) if spelled else text
