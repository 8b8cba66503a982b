"""Cells are combinations of coverage values with a quota; the Ledger knows what is still missing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

Bound = int | float | date | datetime
ANY = -1
"""Index of the cell of a request to a generator that cannot condition: anything will do."""


@dataclass(frozen=True)
class Bin:
    """An interval of a numeric or date axis, low <= x < high; the last bin of an axis is `closed` at the top."""

    low: Bound | None
    high: Bound | None
    closed: bool = False

    def __str__(self) -> str:
        if self.low is None:
            return f"<{self.high}"
        if self.high is None:
            return f">={self.low}"
        return f"[{self.low}, {self.high}{']' if self.closed else ')'}"

    def holds(self, column: str) -> pl.Expr:
        x = pl.col(column)
        inside = pl.lit(True)
        if self.low is not None:
            inside = x >= self.low
        if self.high is not None:
            inside = inside & ((x <= self.high) if self.closed else (x < self.high))
        elif isinstance(self.low, int | float):
            inside = inside & (x <= math.inf)  # polars sorts NaN above every number
        return inside


Level = Any
"""One value of an axis: a categorical value (str, int, bool) or a Bin."""


@dataclass(frozen=True)
class Cell:
    """`levels` pairs axis and level; () means anything."""

    index: int
    levels: tuple[tuple[str, Level], ...]
    quota: int

    @property
    def where(self) -> dict[str, Level]:
        return dict(self.levels)

    @property
    def label(self) -> str:
        return " & ".join(f"{a} {v}" if isinstance(v, Bin) else f"{a}={v}" for a, v in self.levels) or "all"

    def holds(self) -> pl.Expr:
        """True for the rows of a frame that belong to this cell."""
        return holds(self.where)


def holds(where: Mapping[str, Level]) -> pl.Expr:
    parts = [v.holds(a) if isinstance(v, Bin) else pl.col(a).eq(v) for a, v in where.items()]
    return pl.all_horizontal(*parts).fill_null(False) if parts else pl.lit(True)


def written(levels: Sequence[tuple[str, Level]]) -> list[list[Any]]:
    """A cell's levels as JSON, from which `understood` makes the equal ones."""
    return [
        [a, {"low": _bound(v.low), "high": _bound(v.high), "closed": v.closed} if isinstance(v, Bin) else v]
        for a, v in levels
    ]


def understood(levels: Sequence[Sequence[Any]]) -> tuple[tuple[str, Level], ...]:
    return tuple(
        (a, Bin(_time(v["low"]), _time(v["high"]), v["closed"]) if isinstance(v, Mapping) else v) for a, v in levels
    )


def _bound(bound: Bound | None) -> Any:
    if isinstance(bound, datetime):
        return {"datetime": bound.isoformat(), "zone": getattr(bound.tzinfo, "key", None)}
    return {"date": bound.isoformat()} if isinstance(bound, date) else bound


def _time(bound: Any) -> Bound | None:
    if not isinstance(bound, Mapping):
        return bound
    if "date" in bound:
        return date.fromisoformat(bound["date"])
    stamp = datetime.fromisoformat(bound["datetime"])
    return stamp.astimezone(ZoneInfo(bound["zone"])) if bound["zone"] else stamp


def bins(edges: Sequence[Bound]) -> list[Bin]:
    """[17, 30, 91] -> [17, 30), [30, 91]."""
    pairs = list(itertools.pairwise(edges))
    return [Bin(a, b, closed=i == len(pairs) - 1) for i, (a, b) in enumerate(pairs)]


def grid(axes: Mapping[str, Sequence[Level]], quotas: Mapping[tuple[Level, ...], int] | int) -> list[Cell]:
    """Every combination of the axes' levels, in order; without axes one cell that holds anything."""
    combos = list(itertools.product(*axes.values()))
    return [
        Cell(i, tuple(zip(axes, v, strict=True)), quotas if isinstance(quotas, int) else quotas[v])
        for i, v in enumerate(combos)
    ]


class Assign:
    """Measures the cell of every row from the row itself: (n,) int32, -1 where no cell holds it."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = list(cells)
        self.axes: dict[str, list[Level]] = {}
        for cell in cells:
            for axis, level in cell.levels:
                known = self.axes.setdefault(axis, [])
                if level not in known:
                    known.append(level)
        size = math.prod(len(v) for v in self.axes.values())
        self._table = np.full(size, -1, np.int32)
        for cell in cells:
            code = 0
            for axis, levels in self.axes.items():
                code = code * len(levels) + levels.index(cell.where[axis])
            self._table[code] = cell.index

    def __call__(self, frame: pl.DataFrame) -> NDArray[np.int32]:
        code = np.zeros(frame.height, np.int64)
        outside = np.zeros(frame.height, bool)
        for axis, levels in self.axes.items():
            at = pl.lit(-1, pl.Int32)
            for j, level in reversed(list(enumerate(levels))):
                at = pl.when(holds({axis: level})).then(pl.lit(j, pl.Int32)).otherwise(at)
            index = frame.select(at.alias("at"))["at"].to_numpy()
            outside |= index < 0
            code = code * len(levels) + np.maximum(index, 0)
        return np.where(outside, np.int32(-1), self._table[code])


_COUNTS = ("accepted", "good", "judged", "asked", "inflight", "ordinal")


class Ledger:
    """Pure bookkeeping in admission order: `plan` reserves, `credit` and `settle` book. It never sees a clock or a worker.

    With `conditions` each request is for one cell. Without, requests ask for anything, every cell is credited by
    what turned up, and the neediest cell decides how much more to ask.
    What is in flight counts at its measured yield, so late answers never overshoot a quota.
    """

    def __init__(self, cells: Sequence[Cell], max_attempts: int, size: int, conditions: bool = True) -> None:
        self.cells, self.max_attempts, self.size, self.conditions = list(cells), max_attempts, size, conditions
        n = len(self.cells)
        self.quota = np.array([c.quota for c in cells], np.int64)
        self.accepted = np.zeros(n, np.int64)
        self.good = np.zeros(n, np.int64)
        pools = n if conditions else 1
        self.judged, self.asked, self.inflight, self.ordinal = (np.zeros(pools, np.int64) for _ in range(4))
        self.k = 0
        self.pending: dict[int, tuple[int, int, int]] = {}

    def plan(self) -> tuple[int, int, int, int] | None:
        """(k, cell or ANY, ordinal, n) of the next request, or None: nothing to ask before the next admission."""
        return self._plan_cell() if self.conditions else self._plan_any()

    def _plan_cell(self) -> tuple[int, int, int, int] | None:
        # good counts rows by measured cell, so a cell fed by its neighbours may look better than 1
        rate = np.minimum((self.good + 1.0) / (self.judged + 1.0), 1.0)
        left = self.quota * self.max_attempts - self.asked
        missing = self.quota - self.accepted - self.inflight * rate
        missing = np.where((left > 0) & (self.accepted < self.quota), missing, 0)
        c = int(np.argmax(missing))
        if missing[c] <= (0.5 if self.inflight[c] else 0):
            return None
        return self._reserve(c, c, int(min(left[c], math.ceil(missing[c] / rate[c]))))

    def _plan_any(self) -> tuple[int, int, int, int] | None:
        left = int(self.quota.sum()) * self.max_attempts - int(self.asked[0])
        open_ = self.accepted < self.quota
        if left <= 0 or not open_.any():
            return None
        share = self.quota / max(1, int(self.quota.sum()))
        rate = (self.good + share) / (self.judged[0] + 1.0)
        missing = self.quota - self.accepted - self.inflight[0] * rate
        need = np.where(open_ & (missing > (0.5 if self.inflight[0] else 0)), missing / rate, 0)
        n = int(min(left, math.ceil(need.max())))
        return self._reserve(0, ANY, n) if n > 0 else None

    def _reserve(self, pool: int, cell: int, n: int) -> tuple[int, int, int, int]:
        n = max(1, min(self.size, n))
        k, ordinal = self.k, int(self.ordinal[pool])
        self.k += 1
        self.ordinal[pool] += 1
        self.asked[pool] += n
        self.inflight[pool] += n
        self.pending[k] = (cell, ordinal, n)
        return k, cell, ordinal, n

    def settle(self, ks: Sequence[int]) -> None:
        """Requests whose answers were admitted."""
        for k in ks:
            cell, _, n = self.pending.pop(k)
            pool = max(cell, 0)
            self.inflight[pool] -= n
            self.judged[pool] += n

    def credit(self, good: NDArray[np.int64], accepted: NDArray[np.int64]) -> None:
        """Rows that passed everything, and those of them that found room, per cell."""
        self.good += good
        self.accepted += accepted

    def room(self) -> NDArray[np.int64]:
        return np.maximum(self.quota - self.accepted, 0)

    def state(self) -> dict[str, Any]:
        pending = [[k, *v] for k, v in self.pending.items()]
        return {"k": self.k, "pending": pending, **{a: getattr(self, a).tolist() for a in _COUNTS}}

    def load(self, state: Mapping[str, Any]) -> None:
        self.k = state["k"]
        self.pending = {p[0]: (p[1], p[2], p[3]) for p in state["pending"]}
        for a in _COUNTS:
            setattr(self, a, np.array(state[a], np.int64))
