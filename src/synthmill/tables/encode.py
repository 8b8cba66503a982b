"""Columns as arrays: numbers as float64, everything else as codes shared by all tables of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.schema import Schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Encoded = dict[str, Floats | Ints]

NUMERIC = ("integer", "decimal", "datetime")
_MOST_LEVELS = 250
"""Beyond it a tree sees a category's rank by frequency: scikit-learn's histograms hold 255 values."""


def is_numeric(schema: Schema, name: str) -> bool:
    return schema[name].kind in NUMERIC


def numbers(s: pl.Series) -> Floats:
    """(n,) float64; times as microseconds; missing and infinite are NaN."""
    if s.dtype.is_temporal():
        s = s.cast(pl.Datetime("us")) if s.dtype == pl.Date or isinstance(s.dtype, pl.Datetime) else s
        s = s.to_physical()
    x: Floats = s.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
    return np.where(np.isfinite(x), x, np.nan)


def codes(parts: Sequence[pl.Series]) -> tuple[list[Ints], int]:
    """One coding for the same column of several tables, and its size. 0: missing; 1...: the values as sorted text."""
    text = pl.concat([p.cast(pl.String).rename("") for p in parts])
    ranks: Ints = text.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    cuts = np.cumsum([len(p) for p in parts])[:-1]
    return np.split(ranks, cuts), int(ranks.max(initial=0)) + 1


def encode(frames: Sequence[pl.DataFrame], schema: Schema) -> list[Encoded]:
    """The modelled columns of each frame: float64 with NaN for numbers, int64 codes with 0 for missing otherwise."""
    out: list[Encoded] = [{} for _ in frames]
    for name in schema.modelled:
        parts = [f[name] for f in frames]
        columns: Sequence[Floats | Ints] = [numbers(p) for p in parts] if is_numeric(schema, name) else codes(parts)[0]
        for encoded, column in zip(out, columns, strict=True):
            encoded[name] = column
    return out


def features(tables: Sequence[Encoded], names: Sequence[str], schema: Schema) -> tuple[list[Floats], list[bool]]:
    """One matrix (n, len(names)) per table for a tree learner, and which of its columns are categories."""
    columns: list[list[Floats]] = [[] for _ in tables]
    categories = []
    for name in names:
        parts = [t[name].astype(np.float64) for t in tables]
        category = not is_numeric(schema, name)
        if category and max((p.max(initial=0) for p in parts), default=0) > _MOST_LEVELS:
            parts, category = _by_frequency(parts), False
        categories.append(category)
        for held, part in zip(columns, parts, strict=True):
            held.append(part)
    return [np.stack(c, axis=1) if c else np.zeros((0, 0)) for c in columns], categories


def _by_frequency(parts: Sequence[Floats]) -> list[Floats]:
    pooled = np.concatenate(parts).astype(np.int64)
    counts = np.bincount(pooled)
    rank = np.empty(len(counts))
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.split(rank[pooled], np.cumsum([len(p) for p in parts])[:-1])
