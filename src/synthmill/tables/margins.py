"""Margins: one column as pieces of the unit line. Shared by the copula and whatever else draws columns by quantile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.schema import Column, dtype_of

from .encode import NUMERIC
from .grid import CROWD, Floats, Grid
from .store import places

_BLOCKS = 2000


@dataclass(frozen=True)
class Window:
    """What a level leaves of a margin: u in [low, high), and the codes it may become."""

    low: float
    high: float
    first: float
    last: float


@dataclass(frozen=True)
class Margin:
    """p pieces of the unit line; piece i is u in [edges[i], edges[i + 1]) and holds the codes first[i]..last[i], evenly.

    Columns of levels (categorical, boolean, constant): one piece per level, missing among them; code = place in `levels`,
    -1 for missing. Levels of a category that fewer than `rare` records hold are left out, and their share goes to the
    others; where no level is left, everything is missing. Numeric columns: missing is left to the caller (`missing`:
    its share), and the pieces are

    * atoms: values that at least CROWD records hold, kept exactly;
    * between them, blocks of at least CROWD neighbouring order statistics, of which only the borders midway between two
      blocks are kept. The outer end of an outermost block is placed so that the block keeps its median, and short of the
      extreme: a minimum or maximum that fewer than CROWD records hold is neither stored nor drawn;
    * fewer than CROWD records (or two values) between two atoms may lie anywhere between them; beyond the last atom
      they are counted to it. Where they are all there is, one value is kept as missing, two as the one between.
    """

    name: str
    edges: Floats
    first: Floats
    last: Floats
    missing: float = 0.0
    grid: Grid | None = None
    levels: pl.Series | None = None

    @classmethod
    def fit(cls, column: Column, s: pl.Series, rare: int = 1, crowd: int = CROWD) -> Margin:
        """crowd: what fewer records hold is not told apart (CROWD above)."""
        if column.kind in NUMERIC:
            return cls._of_numbers(s, Grid.fit(column, s), crowd)
        return cls._of_levels(s, rare if column.kind == "categorical" else 1)

    @classmethod
    def _of_levels(cls, s: pl.Series, rare: int) -> Margin:
        levels = s.drop_nulls().unique().sort()
        held = np.bincount(places(s, levels) + 1, minlength=len(levels) + 1)
        absent, held = held[0], held[1:]
        kept = held >= rare
        levels, shares = levels.filter(pl.Series(kept, dtype=pl.Boolean)), held[kept]
        codes = np.arange(len(levels), dtype=np.float64)
        if not len(levels):
            return cls(s.name, np.array([0.0, 1.0]), np.array([-1.0]), np.array([-1.0]), levels=levels)
        shares = shares * (held.sum() / shares.sum())
        if absent:
            codes, shares = np.append(-1.0, codes), np.append(absent, shares)
        return cls(s.name, _edges(shares), codes, codes, levels=levels)

    @classmethod
    def _of_numbers(cls, s: pl.Series, grid: Grid, crowd: int) -> Margin:
        codes = grid.codes(s)
        values, counts = np.unique(codes[~np.isnan(codes)], return_counts=True)
        pieces = np.array(_pieces(values, counts, bool(grid.step), crowd))
        if not len(pieces):
            return cls(s.name, np.array([0.0, 1.0]), np.zeros(1), np.zeros(1), 1.0, grid)
        return cls(s.name, _edges(pieces[:, 2]), pieces[:, 0], pieces[:, 1], 1 - counts.sum() / len(s), grid)

    @property
    def dtype(self) -> pl.DataType:
        return dtype_of(self.grid.dtype) if self.grid else self._levels.dtype

    @property
    def _levels(self) -> pl.Series:
        if self.levels is None:
            raise ValueError(f"{self.name} is numeric: it has no levels")
        return self.levels

    def locate(self, s: pl.Series) -> NDArray[np.int64]:
        """(n,) the piece each value lies in, -1 where a number is missing or a level unknown. A gap counts to the piece
        above it, unless only that is a single value."""
        if self.grid is None:
            place = np.full(len(self._levels) + 1, -1, np.int64)
            place[self.first.astype(np.int64)] = np.arange(len(self.first))
            at = places(s, self._levels)
            return np.where((at < 0) & s.is_not_null().to_numpy(), -1, place[at])
        codes = self.grid.codes(s)
        at = np.minimum(np.searchsorted(self.last, codes), len(self.last) - 1)
        below, single = np.maximum(at - 1, 0), self.first == self.last
        at = np.where((codes < self.first[at]) & single[at] & ~single[below], below, at)
        return np.where(np.isnan(codes) | (self.missing == 1.0), -1, at)

    def ordered(self, order: NDArray[np.int64]) -> Margin:
        """The same margin with its levels in another order along the unit line."""
        widths = np.diff(self.edges)[order]
        edges = np.concatenate([[0.0], np.cumsum(widths)])
        edges[-1] = 1.0
        return replace(self, edges=edges, first=self.first[order], last=self.last[order])

    def only(self, kept: NDArray[np.bool_]) -> Margin:
        """A margin of levels with some of its pieces, (p,), and with the names of their levels alone; where none is kept,
        everything is missing."""
        if not kept.any():
            missing = np.array([-1.0])
            return replace(self, edges=np.array([0.0, 1.0]), first=missing, last=missing, levels=self._levels.clear())
        named = np.sort(self.first[kept & (self.first >= 0)]).astype(np.int64)
        first = np.where(self.first[kept] < 0, -1.0, np.searchsorted(named, self.first[kept]).astype(np.float64))
        levels = self._levels.gather(named)
        return replace(self, edges=_edges(np.diff(self.edges)[kept]), first=first, last=first, levels=levels)

    def window(self, level: Any) -> Window | None:
        """Where a level of an axis lies; None if this margin cannot make it."""
        if self.grid is None:
            known = self._levels.to_list()
            if level is None or level not in known:
                return None
            i = int(np.flatnonzero(self.first == known.index(level))[0])
            return Window(float(self.edges[i]), float(self.edges[i + 1]), self.first[i], self.first[i])
        span = self.grid.within(level)
        if span is None or self.missing == 1.0:
            return None
        first, last = np.maximum(self.first, span[0]), np.minimum(self.last, span[1])
        held = np.flatnonzero(first <= last)
        if not len(held):
            return None
        i, j = int(held[0]), int(held[-1])
        return Window(self._at(i, first[i]), self._at(j, last[j] + bool(self.grid.step)), first[i], last[j])

    def _at(self, i: int, code: float) -> float:
        """Where within piece i a code begins."""
        width = self.last[i] - self.first[i] + (self.grid is not None and self.grid.step > 0)
        share = (code - self.first[i]) / width if width > 0 else float(code > self.first[i])
        return float(self.edges[i] + min(1.0, share) * (self.edges[i + 1] - self.edges[i]))

    def draw(self, u: Floats, window: Window | None = None, missing: NDArray[np.bool_] | None = None) -> pl.Series:
        """The column at (n,) places u of the unit line; with a window every value lies inside it. missing: (n,), of numbers."""
        i = np.searchsorted(self.edges[1:-1], u, side="right")
        codes = self.first[i]
        if self.grid is None:
            if window is not None:
                codes = np.full(len(u), window.first)
            at = pl.Series(codes.astype(np.int32))
            return self._levels.gather(at.set(at < 0, None)).rename(self.name)
        discrete = self.grid.step > 0
        t = (u - self.edges[i]) / (self.edges[i + 1] - self.edges[i])
        codes = codes + t * (self.last[i] - codes + discrete)
        codes = np.minimum(np.floor(codes), self.last[i]) if discrete else codes
        if window is not None:
            codes = np.clip(codes, window.first, window.last)
        return self.grid.series(self.name, codes, np.full(len(u), self.missing == 1.0) if missing is None else missing)

    def to_json(self) -> dict[str, Any]:
        levels = None
        if self.levels is not None:
            levels = {"dtype": str(self.levels.dtype), "values": self.levels.to_physical().to_list()}
        grid = self.grid.to_json() if self.grid else None
        return {"name": self.name, "missing": self.missing, "grid": grid, "levels": levels}

    def arrays(self) -> dict[str, Floats]:
        return {"edges": self.edges, "first": self.first, "last": self.last}

    @classmethod
    def load(cls, data: dict[str, Any], arrays: dict[str, Floats]) -> Margin:
        levels = None
        if data["levels"] is not None:
            dtype = dtype_of(data["levels"]["dtype"])
            stored = pl.Series([], dtype=dtype).to_physical().dtype
            levels = pl.Series(data["name"], data["levels"]["values"], dtype=stored).cast(dtype)
        grid = Grid(**data["grid"]) if data["grid"] else None
        return cls(data["name"], missing=data["missing"], grid=grid, levels=levels, **arrays)


def _edges(counts: NDArray[Any]) -> Floats:
    edges = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    edges[-1] = 1.0
    return edges


def _pieces(values: Floats, counts: NDArray[np.int64], discrete: bool, crowd: int) -> list[tuple[float, float, float]]:
    """(first code, last code, records) per piece, ascending, from the distinct codes and how many records hold each."""
    atom = counts >= crowd
    if not atom.any() and len(values) < 3:
        if len(values) < 2 or (discrete and values[1] == values[0] + 1):
            return []
        middle = float(np.floor(values.mean()) if discrete else values.mean())
        return [(middle, middle, float(counts.sum()))]
    size = max(crowd, int(counts[~atom].sum()) // _BLOCKS)
    out: list[tuple[float, float, float]] = []
    over = 0.0  # records below the lowest atom
    starts = np.flatnonzero(np.diff(atom, prepend=~atom[0]) | atom)
    for a, b in zip(starts, np.append(starts[1:], len(values)), strict=True):
        held = float(counts[a:b].sum())
        if atom[a]:
            out.append((values[a], values[a], held + over))
            over = 0.0
        elif atom.any() and (held < crowd or b - a < 3):
            if not a:
                over = held
            elif b == len(values):
                out[-1] = (*out[-1][:2], out[-1][2] + held)
            else:
                out.append((values[a - 1] + discrete, values[b] - discrete, held))
        else:
            ends = _ends(values, a, b, discrete)
            out += _blocks(values[a:b], counts[a:b], size, ends, discrete)
    return out


def _blocks(
    values: Floats, counts: NDArray[np.int64], size: int, ends: tuple[float, float], discrete: bool
) -> list[tuple[float, float, float]]:
    """A run of at least three rare values, cut into blocks of at least `size` records (one if the run is smaller)."""
    heads = _heads(counts, size)
    tails = np.append(heads[1:], len(values)) - 1
    held = np.add.reduceat(counts, heads)
    low, high = ends
    borders = (values[tails[:-1]] + values[heads[1:]]) / 2
    lows = np.append(low, np.ceil(borders) if discrete else borders)
    highs = np.append(lows[1:] - discrete, high)
    if len(heads) > 1:
        first, last = (
            2 * _median(values[i : j + 1], counts[i : j + 1]) for i, j in ((0, tails[0]), (heads[-1], tails[-1]))
        )
        lows[0] = min(max(np.rint(first - highs[0]) if discrete else first - highs[0], low), highs[0])
        highs[-1] = max(min(np.rint(last - lows[-1]) if discrete else last - lows[-1], high), lows[-1])
    return list(zip(lows.tolist(), highs.tolist(), held.astype(float).tolist(), strict=True))


def _median(values: Floats, counts: NDArray[np.int64]) -> float:
    """Of values held by `counts` records each."""
    return float(values[np.searchsorted(np.cumsum(counts), counts.sum() / 2)])


def _heads(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Where each block starts; what is left over at the end joins the last block."""
    heads, held = [0], 0
    left = int(counts.sum())
    for i, c in enumerate(counts.tolist()):
        if held >= size and left >= size:
            heads.append(i)
            held = 0
        held += c
        left -= c
    return np.array(heads)


def _ends(values: Floats, a: Any, b: Any, discrete: bool) -> tuple[float, float]:
    """The least and most that the run values[a:b] may draw: a quarter of the way from each of its extremes to its
    neighbour in the run, and no farther from that neighbour than the next one is, so that how far out one record lies
    decides nothing; the extreme itself where it follows on an atom without a gap."""
    low = values[a + 1] - min((values[a + 1] - values[a]) * 0.75, values[a + 2] - values[a + 1])
    high = values[b - 2] + min((values[b - 1] - values[b - 2]) * 0.75, values[b - 2] - values[b - 3])
    if discrete:
        low = values[a] if a and values[a - 1] == values[a] - 1 else np.ceil(low)
        high = values[b - 1] if b < len(values) and values[b] == values[b - 1] + 1 else np.floor(high)
    return float(low), float(high)
