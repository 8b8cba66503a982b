"""Schema: every value has the type, the levels and the precision of its column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import payload
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal, choices
from synthmill.schema import KINDS, Column, Schema, dtype_of

_DIGITS = 12  # float64 carries 15 significant digits: finer decimals cannot be told apart
_Fault = tuple[NDArray[np.bool_], str]


@dataclass
class SchemaCheck:
    """Types, known levels, decimals, datetime granularity, finite numbers, and nulls only where real data has them.

    columns: kind or polars type per column, where there is no real data and for columns it does not have.
    A column that only the generators declare (a chain's `faker`) has their type; any other is a fault.
    ranges: numbers and datetimes must lie within what train holds (`train`) or within given bounds
    ({age: [17, 90]}, null for an open end); by default the tails stay open.
    The reason names the first column at fault and its value.
    """

    columns: dict[str, str] | None = None
    ranges: Literal["none", "train"] | dict[str, tuple[Any, Any]] = "none"

    def __post_init__(self) -> None:
        self._declared = [_declared(n, d) for n, d in (self.columns or {}).items()]
        self._columns = self._declared
        self._made: list[Column] = []

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        given = {c.name for c in self._declared}
        real = [c for c in schema if c.name in train.columns and c.name not in given]
        self._columns = self._declared + [_learned(c, train[c.name]) for c in real]
        self._columns += [c for c in self._made if c.name not in schema]
        if isinstance(self.ranges, dict):
            known = [c.name for c in self._columns]
            for name in self.ranges:
                if name not in known:
                    raise Refusal(f"schema: ranges: no column '{name}'; {choices(name, known)}")

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where `columns` declares another."""
        for column in self._declared:
            if column.name not in columns:
                raise Refusal(f"schema: columns: no column '{column.name}'; {choices(column.name, columns)}")
        given = {c.name for c in self._declared}
        self._made = [_declared(name, str(dtype)) for name, dtype in columns.items() if name not in given]
        self._columns = self._declared + self._made

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        if not self._columns:
            raise Refusal(
                "schema: there is no real data to learn from; name the columns, such as columns: {age: integer}"
            )
        n = frame.height
        known = [c.name for c in self._columns]
        for name in known:
            if name not in frame.columns:
                return Verdicts.where(pl.repeat(False, n, eager=True), f"{name}: the column is missing")
        for name in payload(frame):
            if name not in known:
                return Verdicts.where(pl.repeat(False, n, eager=True), f"{name}: the column is not in the schema")
        ok = np.ones(n, bool)
        rows: list[NDArray[np.int64]] = []
        reasons: list[pl.Series] = []
        for column in self._columns:
            values = frame[column.name]
            for bad, fault in self._faults(column, values):
                new = bad & ok
                if new.any():
                    ok &= ~new
                    rows.append(np.flatnonzero(new))
                    reasons.append(_reasons(column.name, values.filter(pl.Series(new)), fault))
        if not rows:
            return Verdicts.all_pass(n)
        reason = pl.repeat(None, n, dtype=pl.String, eager=True).scatter(np.concatenate(rows), pl.concat(reasons))
        return Verdicts.where(pl.Series(ok), reason)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = pl.DataFrame({"age": [17, 40, 90], "sex": ["F", "M", "F"]})
        return good, pl.DataFrame({"age": [None, 30], "sex": ["F", "robot"]}, schema=good.schema)

    def _faults(self, column: Column, values: pl.Series) -> Iterator[_Fault]:
        """(rows at fault, what is wrong with them), the plainest fault first."""
        if column.missing == 0:
            yield values.is_null().to_numpy(), "is missing"
        expected = column.polars
        if not _same_family(values.dtype, expected):
            yield values.is_not_null().to_numpy(), f"is {values.dtype}, not {expected}"
            return
        if column.levels:
            levels = pl.Series(column.levels, dtype=expected, strict=False)
            known = values.cast(expected, strict=False).is_in(levels.implode())
            yield _true(~known), "is not a known level"
        if expected.is_integer() and not values.dtype.is_integer():
            yield _true(values != values.floor()), "is not a whole number"
        if values.dtype.is_float():
            yield _true(~values.is_finite()), "is not finite"
            if column.kind == "decimal" and column.digits <= _DIGITS:
                tolerance = values.abs() * 1e-15
                yield (
                    _true((values.round(column.digits) - values).abs() > tolerance),
                    f"has more than {column.digits} decimals",
                )
        if column.granularity and isinstance(values.dtype, pl.Datetime):
            yield _true(values.dt.truncate(column.granularity) != values), f"is finer than {column.granularity}"
        low, high = self._bounds(column)
        declared = isinstance(self.ranges, dict)  # train's own bounds are single people's, so no reason names them
        if low is not None:
            yield _true(values < low), "is below " + (f"{low}" if declared else "every real value")
        if high is not None:
            yield _true(values > high), "is above " + (f"{high}" if declared else "every real value")

    def _bounds(self, column: Column) -> tuple[Any, Any]:
        if isinstance(self.ranges, dict):
            return self.ranges.get(column.name, (None, None))
        if self.ranges == "none" or column.low is None or column.high is None:
            return None, None
        if column.kind != "datetime":
            return column.low, column.high
        ends = pl.Series([column.low, column.high]).cast(pl.Int64).cast(pl.Datetime("us")).cast(column.polars)
        return ends[0], ends[1]


def _declared(name: str, what: str) -> Column:
    """A column known by its kind or type alone: nulls are allowed, nothing else is known."""
    if what in KINDS:
        dtype = {"integer": "Int64", "decimal": "Float64", "datetime": "Datetime(time_unit='us', time_zone=None)"}
        dtype["boolean"] = "Boolean"
        return Column(name, what, dtype.get(what, "String"), missing=1.0, digits=_DIGITS + 1)  # type: ignore[arg-type]
    try:
        dtype_of(what)
    except ValueError:
        known = [*KINDS, "Int64", "Float64", "String", "Boolean", "Date"]
        raise Refusal(
            f"schema: columns: {name}: '{what}' is neither a kind nor a type; {choices(what, known)}"
        ) from None
    return Column(name, "nested" if "(" in what else "text", what, missing=1.0)


def _learned(column: Column, values: pl.Series) -> Column:
    """The schema's column with what the check needs to know taken from train itself."""
    changes: dict[str, Any] = {"missing": values.null_count() / max(1, len(values))}
    if column.kind in ("categorical", "constant"):
        changes["levels"] = column.levels or tuple(values.drop_nulls().unique().sort())
    else:
        changes["levels"] = ()
    return Schema((column,)).replace(column.name, **changes)[column.name]


def _same_family(given: pl.DataType, expected: pl.DataType) -> bool:
    if expected.is_nested() or expected == pl.Boolean:
        return given == expected or given == pl.Null
    number = given.is_numeric() and expected.is_numeric()
    moment = given.is_temporal() and type(given) is type(expected)
    return (
        number
        or moment
        or given in (expected, pl.Null)
        or {type(given), type(expected)} <= {pl.String, pl.Categorical, pl.Enum}
    )


def _true(s: pl.Series) -> NDArray[np.bool_]:
    """Null is no fault here: missing values have their own."""
    return s.fill_null(False).to_numpy()


def _reasons(name: str, values: pl.Series, fault: str) -> pl.Series:
    shown = (
        values.cast(pl.String, strict=False)
        if not values.dtype.is_nested()
        else pl.Series([None] * len(values), dtype=pl.String)
    )
    text = (
        pl.when(shown.is_null())
        .then(pl.lit(f"{name} {fault}"))
        .otherwise(pl.concat_str(pl.lit(f"{name}: "), shown.str.slice(0, 80), pl.lit(f" {fault}")))
    )
    return pl.select(text).to_series()
