"""A table as integers: each column's code is the piece of its margin that a value lies in. Ordered where values are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.cells import Level
from synthmill.schema import Column

from .grid import Floats
from .margins import Margin, Window

Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Coded:
    """One column. Code 0 is a missing number, or a level that the margin leaves out; 1... are the margin's pieces in
    order, among which a missing category is one."""

    margin: Margin

    @classmethod
    def fit(cls, column: Column, s: pl.Series, rare: int, crowd: int) -> Coded:
        return cls(Margin.fit(column, s, rare, crowd))

    @property
    def name(self) -> str:
        return self.margin.name

    @property
    def numeric(self) -> bool:
        return self.margin.grid is not None

    @property
    def size(self) -> int:
        """How many codes there are, 0 among them."""
        return len(self.margin.first) + 1

    @property
    def levelled(self) -> bool:
        """A category, whose levels are made only if enough records hold them."""
        return not self.numeric and self.margin.levels is not None and self.margin.dtype != pl.Boolean

    def present(self) -> Mask:
        """(size,) the codes that are a value: neither missing nor left out."""
        return np.append(False, self.margin.first >= 0) if not self.numeric else np.arange(self.size) > 0

    def encode(self, s: pl.Series) -> Codes:
        return (self.margin.locate(s) + 1).astype(np.int32)

    def decode(self, codes: Codes, rng: np.random.Generator, window: Window | None = None) -> pl.Series:
        """Values drawn evenly within each code's piece, and within the window where there is one."""
        u = rng.random(len(codes))
        at = np.maximum(codes - 1, 0)
        low, high = self.margin.edges[at], self.margin.edges[at + 1]
        if window is not None:
            low, high = np.maximum(low, window.low), np.minimum(high, window.high)
        places = np.minimum(low + u * (high - low), np.nextafter(self.margin.edges[at + 1], 0))
        return self.margin.draw(np.maximum(places, self.margin.edges[at]), window, codes == 0 if self.numeric else None)

    def within(self, level: Level) -> tuple[Mask, Window | None] | None:
        """(size,) the codes that a level of an axis holds, and the window its values lie in; None: it holds none."""
        held: Mask = np.zeros(self.size, bool)
        if level is None and self.numeric:
            held[0] = self.margin.missing > 0
            return (held, None) if held[0] else None
        if level is None:
            held[1:] = self.margin.first < 0
            return (held, None) if held.any() else None
        window = self.margin.window(level)
        if window is None:
            return None
        if self.numeric:
            held[1:] = (self.margin.first <= window.last) & (self.margin.last >= window.first)
        else:
            held[1:] = self.margin.first == window.first
        return held, window

    def to_json(self) -> dict[str, Any]:
        return self.margin.to_json()

    @classmethod
    def load(cls, data: dict[str, Any], arrays: dict[str, Floats]) -> Coded:
        return cls(Margin.load(data, arrays))


def encode(columns: Sequence[Coded], frame: pl.DataFrame) -> Codes:
    """(columns, rows)."""
    return np.stack([c.encode(frame[c.name]) for c in columns]) if columns else np.zeros((0, frame.height), np.int32)


def fit_columns(columns: Sequence[Column], frame: pl.DataFrame, rare: int, crowd: int) -> list[Coded]:
    return [Coded.fit(c, frame[c.name], rare, crowd) for c in columns]
