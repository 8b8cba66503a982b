"""Predicates about a table's columns, many at a time, and how many rows each one matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import row_keys
from synthmill.schema import Schema

from .encode import codes, is_numeric, numbers

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Op = Literal["==", "!=", "<=", ">="]
Query = tuple[tuple[int, Op, int], ...]
"""Conditions on columns: (column, comparison, code). All must hold."""

MISSING = -1

_PARTS = (0, 500, 5_000)


@dataclass(frozen=True)
class Coded:
    """A table without repeated rows as whole numbers, in one coding with the others it was coded with.

    columns: (n,) each; equal codes are equal values, larger codes larger numbers, -1 is missing.
    """

    columns: tuple[Codes, ...]
    ordered: tuple[bool, ...]
    rows: int

    def count(self, query: Query, most: int = 2) -> int:
        """How many rows match, or most + 1 where they are more. Most queries show that in the first few rows."""
        found = 0
        for start, end in zip(_PARTS, (*_PARTS[1:], self.rows), strict=True):
            found += self._count(query, start, min(end, self.rows))
            if found > most or end >= self.rows:
                break
        return min(found, most + 1)

    def _count(self, query: Query, start: int, end: int) -> int:
        column, op, code = query[0]
        at = np.flatnonzero(_holds(self.columns[column][start:end], op, code))
        for column, op, code in query[1:]:
            if not len(at):
                break
            at = at[_holds(self.columns[column][start:end][at], op, code)]
        return len(at)

    def counts(self, queries: Sequence[Query], most: int = 2) -> Ints:
        return np.array([self.count(q, most) for q in queries], np.int64)


def coded(frames: Sequence[pl.DataFrame], schema: Schema) -> list[Coded]:
    """The modelled columns of each frame; equal rows count once, since nobody is alone in them."""
    names = schema.modelled
    kept = []
    for frame in frames:
        some = frame.select(names)
        kept.append(some[np.sort(np.unique(row_keys(some), return_index=True)[1])])
    columns: list[list[Codes]] = [[] for _ in kept]
    for name in names:
        for held, part in zip(columns, _column([f[name] for f in kept], is_numeric(schema, name)), strict=True):
            held.append(part)
    ordered = tuple(is_numeric(schema, n) for n in names)
    return [Coded(tuple(c), ordered, f.height) for c, f in zip(columns, kept, strict=True)]


def _column(parts: Sequence[pl.Series], numeric: bool) -> list[Codes]:
    if not numeric:
        return [(p - 1).astype(np.int32) for p in codes(parts)[0]]
    values = [numbers(p) for p in parts]
    pooled = np.concatenate(values)
    distinct = np.unique(pooled[~np.isnan(pooled)])
    return [np.where(np.isnan(v), MISSING, np.searchsorted(distinct, v)).astype(np.int32) for v in values]


def _holds(values: Codes, op: Op, code: int) -> NDArray[np.bool_]:
    if op == "==":
        return values == code
    if op == "!=":
        return values != code
    known = values != MISSING  # what is missing is neither large nor small
    return known & (values <= code) if op == "<=" else known & (values >= code)
