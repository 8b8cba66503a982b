"""Kinds of record, cut by single columns: the levels of categories, and ranges of numbers with round edges."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.cells import Bin, Level, holds
from synthmill.schema import Column, Schema

from .encode import Floats, Ints, numbers

FEWEST = 10
"""A kind that fewer people are of is not named: what is found here is shown around."""
_LEVELS = 30
_RANGES = 5


@dataclass(frozen=True)
class Literal:
    """One column at one level. rows: (n,) which rows are so."""

    column: str
    level: Level
    rows: NDArray[np.bool_]

    @property
    def text(self) -> str:
        return f"{self.column} {self.level}" if isinstance(self.level, Bin) else f"{self.column}={self.level}"


def literals(frame: pl.DataFrame, schema: Schema, people: Ints, support: int = FEWEST) -> list[Literal]:
    """All that `support` people are of. people: (n,) which person each row belongs to, numbered from 0.

    Categories with more than 30 levels that many people hold, dates and identifiers make none. A number of few values
    has levels, any other five ranges between its quintiles, rounded: an edge is no person's value but by chance.
    """
    made = []
    for c in schema:
        if c.kind not in ("categorical", "boolean", "integer", "decimal") or frame[c.name].dtype == pl.Null:
            continue
        found = [
            Literal(c.name, level, rows)
            for level in _levels(c, frame[c.name])
            if count(rows := frame.select(holds({c.name: level})).to_series().to_numpy(), people) >= support
        ]
        if 1 < len(found) <= _LEVELS:
            made += found
    return made


def count(rows: NDArray[np.bool_], people: Ints) -> int:
    """How many people the rows belong to."""
    return len(np.unique(people[rows]))


def _levels(c: Column, s: pl.Series) -> list[Level]:
    known = s.drop_nulls()
    if c.kind in ("categorical", "boolean") or (c.kind == "integer" and known.n_unique() <= 2 * _RANGES):
        if s.dtype.is_float():
            return []  # a cell names no fraction
        counted = known.value_counts(sort=False).filter(pl.col("count") >= FEWEST)
        return counted[s.name].sort().to_list()
    edges = round_edges(numbers(known), c.kind == "integer", _RANGES)
    if not edges:
        return []
    inner = [Bin(a, b) for a, b in itertools.pairwise(edges)]
    return [Bin(None, edges[0]), *inner, Bin(edges[-1], None)]


def round_edges(x: Floats, whole: bool, ranges: int) -> list[int | float]:
    """Edges between quantiles, on a grid of a twentieth of the middle nine tenths' power of ten; none where all are one."""
    x = x[np.isfinite(x)]
    if not len(x):
        return []
    low, high = np.quantile(x, (0.05, 0.95))
    span = high - low if high > low else x.max() - x.min()
    if span <= 0:
        return []
    step = 10.0 ** math.floor(math.log10(span)) / 2
    while span / step < 2 * ranges:
        step /= 5 if f"{step:e}"[0] == "5" else 2
    step = max(step, 1.0) if whole else step
    places = np.round(np.quantile(x, np.linspace(0, 1, ranges + 1)[1:-1]) / step)
    edges = np.unique(places) * step
    inside = [e for e in edges if x.min() < e <= x.max()]
    digits = max(0, -math.floor(math.log10(step)))
    return [int(e) if whole else round(float(e), digits) for e in inside]
