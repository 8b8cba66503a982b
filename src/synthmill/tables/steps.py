"""How single constraints are drawn by construction: columns left out, what is drawn in their place, and the way back.

A step leaves out the columns `outs`, adds the columns `made`, and computes `outs` from `made` and the columns `ins`.
`back` answers for whatever a generator drew in `made`: a gap below zero is zero, so the constraint holds in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl

from synthmill.schema import Column, Kind, Schema, dtype_of

Columns = Mapping[str, pl.Series]
_CONTINUOUS = 13
"""Decimals from here on are no grid that values could be rounded to: float64 carries 15 significant digits."""
_STEPS = {"1d": 86_400_000_000, "1h": 3_600_000_000, "1m": 60_000_000, "1s": 1_000_000, "1ms": 1_000, "1us": 1}
COUNT = "_count"
_UNITS = {"ms": 1e-3, "us": 1.0, "ns": 1e3}


@dataclass(frozen=True)
class Grid:
    """What values a column can take. dtype: as polars writes it; step: of a date, in its physical unit."""

    name: str
    dtype: str
    digits: int = 0
    step: int = 1

    @classmethod
    def of(cls, column: Column) -> Grid:
        dtype = column.polars
        if isinstance(dtype, pl.Datetime):
            step = int(_STEPS[column.granularity or "1us"] * _UNITS[dtype.time_unit])
            return cls(column.name, column.dtype, 0, max(1, step))
        fraction = dtype.is_float() or dtype.is_decimal()
        return cls(column.name, column.dtype, (column.digits if column.kind == "decimal" else 15) if fraction else 0)

    @property
    def polars(self) -> pl.DataType:
        return dtype_of(self.dtype)

    @property
    def whole(self) -> bool:
        return self.polars.is_integer() or self.polars.is_temporal()

    def physical(self, s: pl.Series) -> pl.Series:
        """Int64 where values are whole (days, ticks), else Float64; not a number is null."""
        if self.whole:
            return s.cast(self.polars, strict=False).to_physical().cast(pl.Int64)
        return s.cast(pl.Float64).fill_nan(None)

    def logical(self, x: pl.Series) -> pl.Series:
        """On the grid, in the column's own type."""
        if self.whole:
            x = x.round(0).cast(pl.Int64) if x.dtype.is_float() else x
        elif self.digits < _CONTINUOUS:
            x = x.cast(pl.Float64).round(self.digits)
        if self.polars.is_temporal() and x.dtype == pl.Int64:
            x = x.cast(pl.Int32) if self.polars == pl.Date else x
        return x.cast(self.polars, strict=False).alias(self.name)


@dataclass(frozen=True)
class Gaps:
    """a <= b <= c as one of its ends and the gaps from there, each from the last known value.

    grids: from the end that is kept; up: values rise from it. start: the column that says which is the first known one
    (then `base` is its value), needed only where the end may be missing while others are known; "" else.
    """

    kind: ClassVar[str] = "gaps"
    grids: tuple[Grid, ...]
    gaps: tuple[str, ...]
    up: bool = True
    strict: bool = False
    base: str = ""
    start: str = ""

    @property
    def outs(self) -> tuple[str, ...]:
        return tuple(g.name for g in (self.grids if self.start else self.grids[1:]))

    @property
    def ins(self) -> tuple[str, ...]:
        return () if self.start else (self.grids[0].name,)

    @property
    def made(self) -> tuple[str, ...]:
        return (self.base, self.start, *self.gaps) if self.start else self.gaps

    @property
    def _unit(self) -> int:
        return min(g.step for g in self.grids)

    def there(self, frame: pl.DataFrame) -> list[pl.Series]:
        x = self._physical({n: frame[n] for n in (g.name for g in self.grids)})
        made, before = [], x[0]
        for name, now in zip(self.gaps, x[1:], strict=True):
            gap = (now - before) if self.up else (before - now)
            made.append(self._counted(self._at_least(gap)).alias(name))
            before = pl.select(pl.coalesce(now, before)).to_series()
        if not self.start:
            return made
        first = pl.lit(None, pl.String)
        for grid, column in reversed(list(zip(self.grids, x, strict=True))):
            first = pl.when(column.is_not_null()).then(pl.lit(grid.name)).otherwise(first)
        base = self._first.logical(pl.select(pl.coalesce(x)).to_series())
        return [base, pl.select(first.alias(self.start)).to_series(), *made]

    def back(self, columns: Columns) -> list[pl.Series]:
        out = []
        if self.start:
            base, first = self._common(self._first.physical(columns[self.base])), columns[self.start].cast(pl.String)
            before = self._placed(self.grids[0], base, first)
            out.append(before)
        else:
            before = self._physical({n: columns[n] for n in self.ins})[0]
        known = before
        for grid, name in zip(self.grids[1:], self.gaps, strict=True):
            now = self._beyond(known, columns[name], grid)
            if self.start:
                now = pl.select(pl.coalesce(self._placed(grid, base, first), now)).to_series()
            out.append(now)
            known = pl.select(pl.coalesce(now, known)).to_series()
        named = self.grids if self.start else self.grids[1:]
        return [g.logical(x) for g, x in zip(named, out, strict=True)]

    @property
    def _first(self) -> Grid:
        """What `base` can be: a value of any of the columns."""
        if not self._whole:
            return Grid(self.base, "Float64", max(g.digits for g in self.grids))
        return Grid(self.base, self.grids[0].dtype if self.grids[0].polars.is_temporal() else "Int64", 0, self._unit)

    @property
    def _whole(self) -> bool:
        return all(g.whole for g in self.grids)

    def _common(self, s: pl.Series) -> pl.Series:
        return s.cast(pl.Int64) if self._whole else s.cast(pl.Float64).fill_nan(None)

    def _physical(self, columns: Columns) -> list[pl.Series]:
        return [self._common(g.physical(columns[g.name])) for g in self.grids if g.name in columns]

    def _counted(self, gap: pl.Series) -> pl.Series:
        """Gaps as they are drawn: whole numbers of steps, or decimals as fine as the finest column."""
        if self._whole:
            return gap // self._unit
        digits = max(g.digits for g in self.grids)
        return gap.round(digits) if digits < _CONTINUOUS else gap

    def _at_least(self, gap: pl.Series) -> pl.Series:
        return gap.clip(lower_bound=self._unit if self.strict and self._whole else 0)

    def _placed(self, grid: Grid, base: pl.Series, first: pl.Series) -> pl.Series:
        """The base where this column is the first known one."""
        value = base if self._whole else grid.logical(base).cast(pl.Float64)
        return pl.select(pl.when(first == grid.name).then(value)).to_series()

    def _beyond(self, before: pl.Series, gap: pl.Series, grid: Grid) -> pl.Series:
        if not self._whole:
            gap = self._at_least(gap.cast(pl.Float64).fill_nan(None))
            return self._corrected((before + gap) if self.up else (before - gap), before, grid)
        ticks = self._at_least((gap.round(0) if gap.dtype.is_float() else gap).cast(pl.Int64) * self._unit)
        now = before + ticks if self.up else before - ticks
        if grid.step == 1:
            return now
        outer = -(-now // grid.step) if self.up else now // grid.step  # away from `before`, never across it
        return outer * grid.step

    def _corrected(self, now: pl.Series, before: pl.Series, grid: Grid) -> pl.Series:
        """On the column's grid, and on the right side of `before`: rounding may have carried it across."""
        null = now.is_null()
        x, edge = (s.fill_null(0.0).to_numpy() for s in (now, before))
        sign = 1.0 if self.up else -1.0
        if grid.digits < _CONTINUOUS:
            scale = 10.0**grid.digits
            x = np.round(x, grid.digits)
            wrong = (sign * (x - edge) <= 0) if self.strict else (sign * (x - edge) < 0)
            nearest = sign * np.ceil(sign * edge * scale)
            nearest = np.where(self.strict & (sign * (nearest / scale - edge) <= 0), nearest + sign, nearest)
            x = np.where(wrong, np.round(nearest / scale, grid.digits), x)
        wrong = (sign * (x - edge) <= 0) if self.strict else (sign * (x - edge) < 0)
        least = np.nextafter(edge, sign * np.inf) if self.strict else edge
        answer = pl.Series(np.where(wrong, least, x))
        return pl.select(pl.when(~null).then(answer)).to_series()

    def describe(self, schema: Schema) -> list[Column]:
        """The columns it makes."""
        digits = 0 if self._whole else max(g.digits for g in self.grids)
        number = Column(
            "", "integer" if self._whole else "decimal", "Int64" if self._whole else "Float64", digits=digits
        )
        made = [_named(number, n) for n in self.gaps]
        if not self.start:
            return made
        kind: Kind = "datetime" if self._first.polars.is_temporal() else made[0].kind
        finest = min((schema[g.name].granularity for g in self.grids), key=lambda g: _STEPS.get(g, 0))
        base = Column(self.base, kind, self._first.dtype, digits=digits, granularity=finest)
        return [base, Column(self.start, "categorical", "String"), *made]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Rest:
    """One column of a sum, computed from the others.

    signs: of the others in that sum. given: where not all others are known, the column's own value, drawn as such;
    hidden: whether it is missing although all others are known. Both only where train has such rows; "" else.
    """

    kind: ClassVar[str] = "rest"
    grid: Grid
    others: tuple[Grid, ...]
    signs: tuple[int, ...]
    given: str = ""
    hidden: str = ""
    tolerance: float = 0.0

    @property
    def outs(self) -> tuple[str, ...]:
        return (self.grid.name,)

    @property
    def ins(self) -> tuple[str, ...]:
        return tuple(g.name for g in self.others)

    @property
    def made(self) -> tuple[str, ...]:
        return tuple(n for n in (self.given, self.hidden) if n)

    def there(self, frame: pl.DataFrame) -> list[pl.Series]:
        known = frame.select(pl.all_horizontal(pl.col(self.ins).is_not_null())).to_series()
        own = frame[self.grid.name]
        made = []
        if self.given:
            made.append(pl.select(pl.when(~known).then(own).alias(self.given)).to_series())
        if self.hidden:
            made.append((known & own.is_null()).alias(self.hidden))
        return made

    def back(self, columns: Columns) -> list[pl.Series]:
        parts = [g.physical(columns[g.name]) for g in self.others]
        total = sum((p * s for p, s in zip(parts[1:], self.signs[1:], strict=True)), parts[0] * self.signs[0])
        if self.hidden:
            hidden = columns[self.hidden].cast(pl.Boolean).fill_null(False)
            total = pl.select(pl.when(~hidden).then(total)).to_series()
        made = self.grid.logical(total)
        if self.given:
            known = pl.select(pl.all_horizontal(*(p.is_not_null() for p in parts))).to_series()
            own = self.grid.logical(self.grid.physical(columns[self.given]))
            made = pl.select(pl.when(known).then(made).otherwise(own).alias(self.grid.name)).to_series()
        return [made]

    def describe(self, schema: Schema) -> list[Column]:
        own = [_named(schema[self.grid.name], self.given)] if self.given else []
        return own + ([Column(self.hidden, "boolean", "Boolean")] if self.hidden else [])

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Lookup:
    """Columns that another decides. table: that column first, one row for each of its values, and how many train rows
    have it (`_count`)."""

    kind: ClassVar[str] = "lookup"
    table: pl.DataFrame = field(compare=False)

    made: ClassVar[tuple[str, ...]] = ()

    @property
    def ins(self) -> tuple[str, ...]:
        return tuple(self.table.columns[:1])

    @property
    def outs(self) -> tuple[str, ...]:
        return tuple(self.table.columns[1:-1])

    def there(self, frame: pl.DataFrame) -> list[pl.Series]:
        return []

    def back(self, columns: Columns) -> list[pl.Series]:
        """A value that train does not hold decides nothing: null, which the check then rejects."""
        return _joined(columns[self.ins[0]], self.table)

    def describe(self, schema: Schema) -> list[Column]:
        return []

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind}


@dataclass(frozen=True)
class Joint:
    """Several columns drawn as one category. table: its levels (text) first, what each stands for, `_count`."""

    kind: ClassVar[str] = "joint"
    table: pl.DataFrame = field(compare=False)

    ins: ClassVar[tuple[str, ...]] = ()

    @property
    def made(self) -> tuple[str, ...]:
        return tuple(self.table.columns[:1])

    @property
    def outs(self) -> tuple[str, ...]:
        return tuple(self.table.columns[1:-1])

    def there(self, frame: pl.DataFrame) -> list[pl.Series]:
        """Null where the combination is none of those allowed."""
        asked = frame.select(self.outs)
        found = asked.join(self.table, on=list(self.outs), how="left", nulls_equal=True, maintain_order="left")
        return [found[self.made[0]]]

    def back(self, columns: Columns) -> list[pl.Series]:
        return _joined(columns[self.made[0]], self.table)

    def describe(self, schema: Schema) -> list[Column]:
        return [Column(self.made[0], "categorical", "String")]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind}


Step = Gaps | Rest | Lookup | Joint


def _joined(keys: pl.Series, table: pl.DataFrame) -> list[pl.Series]:
    key = table.columns[0]
    asked = keys.cast(table[key].dtype, strict=False).alias(key).to_frame()
    return asked.join(table, on=key, how="left", nulls_equal=True, maintain_order="left").drop(key, COUNT).get_columns()


def _named(column: Column, name: str) -> Column:
    """Levels and bounds are observed anew."""
    return Column(name, column.kind, column.dtype, digits=column.digits, granularity=column.granularity)


def from_json(data: Mapping[str, Any], table: pl.DataFrame | None) -> Step:
    values: dict[str, Any] = {k: v for k, v in data.items() if k != "kind"}
    if data["kind"] in ("lookup", "joint"):
        assert table is not None
        return Lookup(table) if data["kind"] == "lookup" else Joint(table)
    if data["kind"] == "gaps":
        return Gaps(**{**values, "grids": _grids(values["grids"]), "gaps": tuple(values["gaps"])})
    others, signs = _grids(values["others"]), tuple(values["signs"])
    return Rest(**{**values, "grid": Grid(**values["grid"]), "others": others, "signs": signs})


def _grids(data: Sequence[Mapping[str, Any]]) -> tuple[Grid, ...]:
    return tuple(Grid(**g) for g in data)
