"""Columns as few codes, and the combinations of those whose shares were planned, as train has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema

from .encode import Floats, Ints, is_numeric, numbers

BINS = 10


@dataclass(frozen=True)
class Coder:
    """A column as codes 0..size-1: bins of a number or levels, then anything else, then missing."""

    name: str
    edges: Floats | None
    levels: tuple[str, ...]

    @classmethod
    def of(cls, s: pl.Series, numeric: bool, most: int | None = None) -> Coder:
        """Bins between the tenths of a number, else levels. most: only so many, the commonest."""
        if numeric:
            x = numbers(s)
            x = x[~np.isnan(x)]
            cuts = np.linspace(0, 1, BINS + 1)[1:-1]
            return cls(s.name, np.unique(np.quantile(x, cuts, method="lower")) if len(x) else np.empty(0), ())
        counts = s.cast(pl.String).drop_nulls().value_counts(sort=False)
        return cls(s.name, None, tuple(counts.sort(["count", s.name], descending=[True, False])[s.name][:most]))

    @property
    def size(self) -> int:
        return (len(self.edges) + 1 if self.edges is not None else len(self.levels)) + 2

    def __call__(self, frame: pl.DataFrame) -> Ints:
        s = frame[self.name]
        if self.edges is not None:
            x = numbers(s)
            return np.where(np.isnan(x), self.size - 1, np.searchsorted(self.edges, x, side="right"))
        index = {v: i for i, v in enumerate(self.levels)}
        code = s.cast(pl.String).replace_strict(index, default=len(index), return_dtype=pl.Int64).to_numpy()
        return np.where(s.is_null().to_numpy(), self.size - 1, code)


@dataclass(frozen=True)
class Planned:
    """known: (m,) the combinations of the axes' codes that train has, ascending; rows: (m,) how many of its rows each."""

    axes: tuple[Coder, ...]
    known: Ints
    rows: Ints

    @classmethod
    def of(
        cls, train: pl.DataFrame, names: Sequence[str], schema: Schema, use: str, most: int | None = None
    ) -> Planned:
        """names: of the columns whose shares were planned; none: all rows are one combination. most: as in `Coder.of`.
        Raises Refusal, which begins with `use`, for a column that is not there and for an empty train."""
        for name in names:
            if name not in schema.modelled:
                raise Refusal(f"{use}: within: no column '{name}'; {choices(name, schema.modelled)}")
        if not train.height:
            raise Refusal(f"{use}: train has no rows to compare with")
        axes = tuple(Coder.of(train[n], is_numeric(schema, n), most) for n in names)
        known, rows = np.unique(_combined(axes, train), return_counts=True)
        return cls(axes, known, rows)

    def __call__(self, frame: pl.DataFrame) -> Ints:
        """(n,) which combination each row has, -1 where train does not have it."""
        code = _combined(self.axes, frame)
        at = np.minimum(np.searchsorted(self.known, code), len(self.known) - 1)
        return np.where(self.known[at] == code, at, -1)


def _combined(axes: Sequence[Coder], frame: pl.DataFrame) -> Ints:
    code = np.zeros(frame.height, np.int64)
    for axis in axes:
        code = code * axis.size + axis(frame)
    return code
