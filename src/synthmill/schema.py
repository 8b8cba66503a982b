"""What is known about each column before anything is generated. Part of the vocabulary: every family needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import polars as pl

from .constraints import Constraint

Kind = Literal[
    "categorical", "integer", "decimal", "datetime", "boolean", "identifier", "personal", "constant", "text", "nested"
]
KINDS: tuple[str, ...] = get_args(Kind)
MODELLED = ("categorical", "integer", "decimal", "datetime", "boolean", "constant")
"""Kinds a table model learns. Identifiers and personal data are made up afresh; text and nested columns it leaves out."""


@dataclass(frozen=True)
class Column:
    """One column. `levels`, `low` and `high` are what train holds; `low` and `high` are physical numbers
    (datetimes: microseconds since 1970).

    format: personal: what it is (name, email, phone, address, city, postcode, country, company, iban, ...);
    identifier: how it is written (integer, uuid, or a pattern such as `CUST-#####`).
    digits: decimal places of a decimal. granularity: finest step of a datetime as polars writes it (1d, 1h, 1m, 1s, 1us).
    """

    name: str
    kind: Kind
    dtype: str
    missing: float = 0.0
    levels: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    digits: int = 0
    granularity: str = ""
    format: str = ""
    note: str = ""

    @property
    def polars(self) -> pl.DataType:
        return dtype_of(self.dtype)


@dataclass(frozen=True)
class Schema:
    """The columns in the user's order. constraints: what the spec declares between them."""

    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __contains__(self, name: str) -> bool:
        return any(c.name == name for c in self.columns)

    def __getitem__(self, name: str) -> Column:
        for c in self.columns:
            if c.name == name:
                return c
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    @property
    def modelled(self) -> list[str]:
        """Columns a table model learns and makes."""
        return [c.name for c in self.columns if c.kind in MODELLED]

    def of(self, *kinds: str) -> list[str]:
        return [c.name for c in self.columns if c.kind in kinds]

    def select(self, names: Sequence[str]) -> Schema:
        """Constraints stay whose columns are all among `names`."""
        kept = tuple(c for c in self.constraints if set(c.columns) <= set(names))
        return Schema(tuple(self[n] for n in names), kept)

    def replace(self, name: str, **changes: Any) -> Schema:
        return Schema(tuple(replace(c, **changes) if c.name == name else c for c in self.columns), self.constraints)

    def dtypes(self) -> dict[str, pl.DataType]:
        return {c.name: c.polars for c in self.columns}

    def published(self) -> list[dict[str, Any]]:
        """The schema without what single records decide: bounds, and levels that one person may hold alone."""
        return Schema(tuple(replace(c, levels=(), low=None, high=None) for c in self.columns)).to_json()

    def to_json(self) -> list[dict[str, Any]]:
        """The columns alone; constraints are kept in the spec."""
        return [asdict(c) for c in self.columns]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> Schema:
        return cls(tuple(Column(**{**d, "levels": tuple(d.get("levels", ()))}) for d in data))


_SIMPLE: dict[str, pl.DataType] = {
    str(t): t
    for t in (
        pl.Boolean(), pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64(),
        pl.Float32(), pl.Float64(), pl.String(), pl.Date(), pl.Time(), pl.Binary(), pl.Null(),
    )
}  # fmt: skip


def dtype_of(name: str) -> pl.DataType:
    """The polars dtype that `str(dtype)` names; nested types are read recursively, nothing is evaluated."""
    if name in _SIMPLE:
        return _SIMPLE[name]
    head, _, rest = name.partition("(")
    body = rest.removesuffix(")")
    if head == "Datetime":
        args = dict(a.strip().split("=") for a in body.split(",") if "=" in a)
        zone = args.get("time_zone", "None").strip("'")
        return pl.Datetime(args.get("time_unit", "us").strip("'"), None if zone == "None" else zone)  # type: ignore[arg-type]
    if head == "Duration":
        return pl.Duration(body.partition("=")[2].strip("'"))  # type: ignore[arg-type]
    if head == "List":
        return pl.List(dtype_of(body))
    if head == "Struct":
        return pl.Struct({k: dtype_of(v) for k, v in _fields(body.strip("{}"))})
    raise ValueError(f"{name!r} is not a column type synthmill knows")


def _fields(body: str) -> Iterator[tuple[str, str]]:
    """`'a': Int64, 'b': List(String)` -> pairs, splitting only at the outermost commas."""
    depth, start = 0, 0
    for i, ch in enumerate([*body, ","]):
        depth += (ch in "([{") - (ch in ")]}")
        if ch == "," and not depth and body[start:i].strip():
            name, _, dtype = body[start:i].strip().partition(": ")
            yield name.strip("'\""), dtype
            start = i + 1
