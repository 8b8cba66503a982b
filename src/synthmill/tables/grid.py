"""Numeric and date columns as codes on their own finest step, so that what is made is written as the real column is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.cells import Bin, Bound
from synthmill.schema import Column, dtype_of

Floats = NDArray[np.float64]

_EXACT = 2.0**53
_COARSE = 2.0**30
"""A continuous column whose largest value is fewer steps than this would lose digits on the finest grid there is."""
CROWD = 10
"""What fewer than this many records hold may not be read from what is stored."""
_NEAR = 2**40
"""Codes stay below this where the range allows it: float64 then tells 4000 places within a step."""
_EPOCH = datetime(1970, 1, 1)
_TICK = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


@dataclass(frozen=True)
class Grid:
    """value = (base + step * code) / scale, in physical units (datetimes: microseconds since 1970).

    step is the greatest common divisor of the differences between the real values, or one unit where that would tell the
    values of few records; step 0 is a continuous column, whose codes are the values themselves. base is the remainder
    that all values share, or, for values far from 0, a round number near them: never the least value as such.
    """

    dtype: str
    base: int = 0
    step: int = 0
    scale: int = 1

    @classmethod
    def fit(cls, column: Column, s: pl.Series) -> Grid:
        known = physical(s).drop_nulls()
        dtype = str(s.dtype)
        scale = 10 ** min(column.digits, 15) if column.kind == "decimal" else 1
        if not len(known):
            return cls(dtype, 0, 1, scale)
        if known.dtype.is_float():
            x = known.to_numpy()
            largest = float(np.abs(x).max()) * scale
            if largest >= _EXACT or (column.digits >= 15 and largest < _COARSE):
                return cls(dtype)
            whole = np.round(x * scale).astype(np.int64)
        else:
            low, high = int(known.min()), int(known.max())  # type: ignore[arg-type]
            if high - low >= 2**63 or high >= 2**63:  # beyond int64
                return cls(dtype)
            whole = known.cast(pl.Int64).to_numpy()
        step = _step(whole, _unit(column))
        low = int(whole.min())
        first = low // step
        if abs(first) >= _NEAR:
            first -= first % _NEAR
            base = low % step + step * first
            return cls(dtype, base if base >= -(2**63) else low, step, scale)
        return cls(dtype, low % step, step, scale)

    def codes(self, s: pl.Series) -> Floats:
        """(n,) float64, NaN where missing or not finite."""
        x = physical(s)
        missing = x.is_null().to_numpy()
        if not self.step:
            return np.where(missing, np.nan, x.fill_null(0).cast(pl.Float64).to_numpy())
        filled = x.fill_null(0)
        whole = np.round(filled.to_numpy() * self.scale) if x.dtype.is_float() else filled.cast(pl.Int64).to_numpy()
        return np.where(missing, np.nan, np.round((whole - self.base) / self.step))

    def series(self, name: str, codes: Floats, missing: NDArray[np.bool_]) -> pl.Series:
        """Codes rounded to the grid, in the column's own type; null where `missing`."""
        safe = np.where(missing, 0.0, codes)
        dtype = dtype_of(self.dtype)
        if not self.step:
            made = pl.Series(name, safe)
        else:
            whole = self.base + self.step * np.rint(safe).astype(np.int64)
            made = pl.Series(name, whole / self.scale if dtype.is_float() else whole)
            if dtype.is_temporal():
                zone = getattr(dtype, "time_zone", None)
                made = made.cast(pl.Datetime("us", zone))
        if missing.any():
            made = made.set(pl.Series(missing), None)
        return made.cast(dtype)

    def within(self, level: Any) -> tuple[float, float] | None:
        """The lowest and highest code a level (a Bin, or one value) holds, unbounded as infinity; None: it holds none."""
        if not isinstance(level, Bin):
            if level is None or isinstance(level, bool | str):
                return None
            level = Bin(level, level, closed=True)
        low = -np.inf if level.low is None else self._first(_number(level.low), strictly=False)
        high = np.inf if level.high is None else self._last(_number(level.high), level.closed)
        return (low, high) if low <= high else None

    def _value(self, code: float) -> float:
        return (self.base + self.step * int(code)) / self.scale if self.step else code

    def _first(self, bound: float, strictly: bool) -> float:
        """The lowest code whose value reaches the bound: what is compared is the value as it will be written."""
        if not self.step:
            return float(np.nextafter(bound, np.inf)) if strictly else bound
        code = float(np.floor((bound * self.scale - self.base) / self.step)) - 1
        while self._value(code) < bound or (strictly and self._value(code) == bound):
            code += 1
        return code

    def _last(self, bound: float, closed: bool) -> float:
        if not self.step:
            return bound if closed else float(np.nextafter(bound, -np.inf))
        return self._first(bound, strictly=closed) - 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def physical(s: pl.Series) -> pl.Series:
    """Numbers as they are, dates and datetimes as microseconds since 1970; NaN and infinities are missing."""
    if s.dtype.is_temporal():
        zone = getattr(s.dtype, "time_zone", None)
        return s.cast(pl.Datetime("us", zone)).cast(pl.Int64)
    if s.dtype.is_float():
        x = s.cast(pl.Float64)
        return x.set(~x.is_finite().fill_null(True), None)
    return s


def _number(bound: Bound) -> float:
    if isinstance(bound, datetime):
        aware = bound.tzinfo is not None
        return (bound - (_EPOCH.replace(tzinfo=UTC) if aware else _EPOCH)) // timedelta(microseconds=1)
    if isinstance(bound, date):
        return (datetime(bound.year, bound.month, bound.day) - _EPOCH) // timedelta(microseconds=1)
    return float(bound)


def _step(whole: NDArray[np.int64], unit: int) -> int:
    """The common step, if CROWD rare values or those of a crowd alone show it; else a few records would tell it."""
    values, counts = np.unique(whole, return_counts=True)
    step = int(np.gcd.reduce(values - values[0]))
    common = values[counts >= CROWD]
    if 0 < len(values) - len(common) < CROWD and (len(common) < 2 or np.gcd.reduce(common - common[0]) != step):
        return unit
    return step or unit


def _unit(column: Column) -> int:
    """The step of a column whose values show none."""
    if column.kind != "datetime":
        return 1
    digits = "".join(c for c in column.granularity if c.isdigit())
    return _TICK.get(column.granularity.lstrip("0123456789"), 1) * int(digits or 1)
