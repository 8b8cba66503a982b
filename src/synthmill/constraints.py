"""Constraints between columns, as data: what every record, real or made, must meet. Part of the vocabulary.

`- inequality: [ordered, shipped, delivered]`   each known value is at least the one before (`strict: true`: more)
`- total: living`, `plus: [above, basement]`    the total is the sum (`minus: [...]`, `tolerance: 0.01`)
`- combinations: [city, state]`                 only combinations of values that train holds
`- one_hot: [is_red, is_green, is_blue]`        exactly one flag is set
`- unique: [student, course]`                   no two records share a key

Null as in SQL's CHECK: a constraint is broken only by what is known. A combination is the exception: there null is a
value like any other, so that the pattern of what is missing is kept too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import polars as pl

from .frame import Keys, row_keys
from .refusal import Refusal, choices

_ROUNDING = 1e-9
"""What sums of float64 may be off, relative to the largest number in them."""


@dataclass(frozen=True)
class Inequality:
    """columns[0] <= columns[1] <= ...; with `strict` <. Unknown values are skipped: in a <= b <= c, a <= c stays."""

    kind: ClassVar[str] = "inequality"
    columns: tuple[str, ...]
    strict: bool = False

    @property
    def text(self) -> str:
        return (" < " if self.strict else " <= ").join(self.columns)

    def holds(self, frame: pl.DataFrame) -> pl.Series:
        ok = pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True)
        before = frame[self.columns[0]]
        for name in self.columns[1:]:
            now = frame[name]
            ok &= ((before < now) if self.strict else (before <= now)).fill_null(True)
            before = pl.select(pl.coalesce(now, before)).to_series()
        return ok

    def check(self, types: Mapping[str, pl.DataType], at: str) -> None:
        named = [(n, types[n]) for n in self.columns]
        for name, dtype in named:
            if not (dtype.is_numeric() or dtype == pl.Date or isinstance(dtype, pl.Datetime)):
                raise Refusal(f"{at}: column '{name}' is {dtype}; numbers and dates have an order")
        one = named[0][1]
        for name, dtype in named[1:]:
            if (one.is_temporal() or dtype.is_temporal()) and dtype != one:
                raise Refusal(
                    f"{at}: '{named[0][0]}' is {one} and '{name}' is {dtype}; dates compare with their own type"
                )

    def to_json(self) -> dict[str, Any]:
        return {"inequality": list(self.columns)} | ({"strict": True} if self.strict else {})


@dataclass(frozen=True)
class Total:
    """total = sum of plus - sum of minus, up to `tolerance` and the rounding of float64; true where any is unknown."""

    kind: ClassVar[str] = "total"
    total: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    tolerance: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.total, *self.plus, *self.minus)

    @property
    def text(self) -> str:
        return f"{self.total} = {' + '.join(self.plus)}" + "".join(f" - {m}" for m in self.minus)

    def holds(self, frame: pl.DataFrame) -> pl.Series:
        x = {n: frame[n].cast(pl.Float64) for n in self.columns}
        off, largest = x[self.total], x[self.total].abs()
        for n in (*self.plus, *self.minus):
            off = off - x[n] if n in self.plus else off + x[n]
            largest = pl.select(pl.max_horizontal(largest, x[n].abs())).to_series()
        allowed = pl.select(pl.max_horizontal(largest, pl.lit(1.0))).to_series() * _ROUNDING + self.tolerance
        return (off.abs() <= allowed).fill_null(True)

    def check(self, types: Mapping[str, pl.DataType], at: str) -> None:
        for name in self.columns:
            if not types[name].is_numeric():
                raise Refusal(f"{at}: column '{name}' is {types[name]}; only numbers have sums")

    def to_json(self) -> dict[str, Any]:
        made: dict[str, Any] = {"total": self.total, "plus": list(self.plus)}
        made |= {"minus": list(self.minus)} if self.minus else {}
        return made | ({"tolerance": self.tolerance} if self.tolerance else {})


@dataclass(frozen=True)
class Combinations:
    """Only combinations of values that train holds; null is a value. seen: their sorted row keys, once `learned`."""

    kind: ClassVar[str] = "combinations"
    columns: tuple[str, ...]
    seen: Keys | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        return f"combinations of {', '.join(self.columns)}"

    def learned(self, train: pl.DataFrame) -> Combinations:
        return replace(self, seen=np.unique(row_keys(train.select(self.columns))))

    def holds(self, frame: pl.DataFrame) -> pl.Series:
        """Raises Refusal before the combinations are learned."""
        if self.seen is None:
            raise Refusal(f"{self.text}: there is no real data whose combinations these could be")
        return pl.Series(np.isin(row_keys(frame.select(self.columns)), self.seen))

    def check(self, types: Mapping[str, pl.DataType], at: str) -> None:
        pass

    def to_json(self) -> dict[str, Any]:
        return {"combinations": list(self.columns)}


@dataclass(frozen=True)
class OneHot:
    """Exactly one of the flags (true, or 1) is set and the others are not; an unknown flag may be either."""

    kind: ClassVar[str] = "one_hot"
    columns: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"exactly one of {', '.join(self.columns)}"

    def holds(self, frame: pl.DataFrame) -> pl.Series:
        x = frame.select(pl.col(n).cast(pl.Float64) for n in self.columns)
        flags = x.select(pl.all_horizontal(pl.all().is_in([0.0, 1.0]).fill_null(True)))["".join(x.columns[:1])]
        ones, unknown = x.sum_horizontal(), x.select(pl.any_horizontal(pl.all().is_null())).to_series()
        return flags & (ones <= 1) & ((ones == 1) | unknown)

    def check(self, types: Mapping[str, pl.DataType], at: str) -> None:
        for name in self.columns:
            if not (types[name].is_numeric() or types[name] == pl.Boolean):
                raise Refusal(f"{at}: column '{name}' is {types[name]}; flags are true and false, or 1 and 0")

    def to_json(self) -> dict[str, Any]:
        return {"one_hot": list(self.columns)}


@dataclass(frozen=True)
class Unique:
    """No two records share the key; a key with a null in it is no key (as in SQL)."""

    kind: ClassVar[str] = "unique"
    columns: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"unique {', '.join(self.columns)}"

    def holds(self, frame: pl.DataFrame) -> pl.Series:
        """False for a row whose key an earlier row of this frame has; across frames the filter `unique` remembers."""
        key = frame.select(self.columns)
        return key.select(pl.struct(pl.all()).is_first_distinct() | pl.any_horizontal(pl.all().is_null())).to_series()

    def check(self, types: Mapping[str, pl.DataType], at: str) -> None:
        pass

    def to_json(self) -> dict[str, Any]:
        return {"unique": list(self.columns)}


Constraint = Inequality | Total | Combinations | OneHot | Unique
_OPTIONS = {
    "inequality": ("strict",), "total": ("plus", "minus", "tolerance"), "combinations": (), "one_hot": (), "unique": (),
}  # fmt: skip


def parse(given: Any, at: str = "constraints") -> tuple[Constraint, ...]:
    """What a spec's list says. Raises Refusal naming place, key, value and choices."""
    if not isinstance(given, list | tuple):
        raise Refusal(f"{at}: {given!r}: expected a list such as [{{inequality: [ordered, shipped]}}]")
    made = tuple(_one(g, f"{at}.{i}") for i, g in enumerate(given))
    for i, c in enumerate(made):
        if c in made[:i]:
            raise Refusal(f"{at}.{i}: '{c.text}' is declared twice")
    return made


def check_types(constraints: Sequence[Constraint], types: Mapping[str, pl.DataType], at: str = "constraints") -> None:
    """Raises Refusal for a constraint on a column that is not there, or that cannot have it."""
    for i, c in enumerate(constraints):
        for name in c.columns:
            if name not in types:
                raise Refusal(f"{at}.{i}: {c.kind}: there is no column '{name}'; {choices(name, types)}")
        c.check(types, f"{at}.{i}: {c.kind}")


def _one(given: Any, at: str) -> Constraint:
    if not isinstance(given, Mapping):
        raise Refusal(f"{at}: {given!r}: expected a mapping such as {{inequality: [ordered, shipped]}}")
    kinds = [k for k in given if k in _OPTIONS]
    if len(kinds) != 1:
        key = next((k for k in given if k not in _OPTIONS), "")
        said = f"only one of {', '.join(kinds)} fits in one constraint" if kinds else f"'{key}' is no constraint"
        raise Refusal(f"{at}: {said}; {choices(key, _OPTIONS)}")
    kind = kinds[0]
    for key in given:
        if key != kind and key not in _OPTIONS[kind]:
            raise Refusal(f"{at}: {kind}: unknown key '{key}'; {choices(key, _OPTIONS[kind] or ['none'])}")
    if kind == "total":
        return _total(given, at)
    names = _names(given[kind], f"{at}: {kind}", 1 if kind == "unique" else 2)
    if kind == "inequality":
        strict = given.get("strict", False)
        if not isinstance(strict, bool):
            raise Refusal(f"{at}: inequality: strict: {strict!r}: expected true or false")
        return Inequality(names, strict)
    return {"combinations": Combinations, "one_hot": OneHot, "unique": Unique}[kind](names)


def _total(given: Mapping[str, Any], at: str) -> Total:
    total = given["total"]
    if not isinstance(total, str):
        raise Refusal(f"{at}: total: {total!r}: expected a column")
    if "plus" not in given:
        raise Refusal(f"{at}: total: 'plus' is required: the columns whose sum it is")
    plus = _names(given["plus"], f"{at}: plus", 1)
    minus = _names(given["minus"], f"{at}: minus", 1) if given.get("minus") else ()
    tolerance = given.get("tolerance", 0.0)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < np.inf:
        raise Refusal(f"{at}: total: tolerance: {tolerance!r}: expected a number from 0 up")
    names = (total, *plus, *minus)
    if len(set(names)) < len(names):
        raise Refusal(f"{at}: total: a column stands in it twice")
    if len(names) < 3:
        raise Refusal(f"{at}: total: '{total}' and '{plus[0]}' alone would be one column; name two parts or more")
    return Total(total, plus, minus, float(tolerance))


def _names(given: Any, at: str, least: int) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise Refusal(f"{at}: {given!r}: expected a list of columns")
    if len(names) < least:
        raise Refusal(f"{at}: {list(names)}: at least {least} column{'s' * (least > 1)} are needed")
    if len(set(names)) < len(names):
        raise Refusal(f"{at}: {list(names)}: a column stands in it twice")
    return tuple(names)
