"""Columns of any Faker provider."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import polars as pl

from synthmill.plugins import Request
from synthmill.refusal import Refusal, choices
from synthmill.tables.patterns import number

from ._locale import faker_of

_POOL = 2_000
_TYPES: dict[type, pl.DataType] = {
    str: pl.String(), bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), Decimal: pl.Float64(),
    datetime: pl.Datetime("us"), date: pl.Date(),
}  # fmt: skip


@dataclass
class Faker:
    """Adds columns of made-up values: `columns: {who: name, mail: email}` names a Faker provider for each.

    Completes `request.given`, or makes n rows of its own. Columns are independent of one another; for whole persons
    use `tabular.identity`. Providers that look at today's date are refused. A request draws from 2,000 values of each provider (Faker makes some 30,000 a second), so
    values repeat in larger requests, save in the text columns named in `unique`: there a number that no other row of
    the run has is added, before the `@` of an address.
    """

    columns: dict[str, str]
    locale: str = "en_US"
    unique: list[str] = field(default_factory=list)
    completes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fake = self._fake = faker_of(self.locale, "faker")
        fake.seed_instance(0)
        for name, provider in self.columns.items():
            if provider.startswith("_") or not callable(getattr(fake, provider, None)):
                raise Refusal(
                    f"faker: columns.{name}: '{provider}' is no Faker provider; {choices(provider, _providers(fake))}"
                )
        self._types = {name: self._type(fake, name, provider) for name, provider in self.columns.items()}
        for name, provider in self.columns.items():
            if _clocked(getattr(fake.factories[0], provider)):
                raise Refusal(
                    f"faker: columns.{name}: '{provider}' depends on today's date: tomorrow it makes other data"
                )
        for name in self.unique:
            if self._types.get(name) != pl.String:
                raise Refusal(f"faker: unique: '{name}' is no text column here; {choices(name, self.columns)}")

    def schema(self) -> dict[str, pl.DataType]:
        return dict(self._types)

    def generate(self, request: Request) -> pl.DataFrame:
        n = request.n if request.given is None else request.given.height
        made = [self._column(request, name, n) for name in self.columns]
        return pl.DataFrame(made) if request.given is None else request.given.with_columns(made)

    def _column(self, request: Request, name: str, n: int) -> pl.Series:
        rng = request.rng("faker", name)
        self._fake.seed_instance(int(rng.integers(2**63)))
        provider = getattr(self._fake, self.columns[name])
        values: Sequence[Any] = [provider() for _ in range(min(n, _POOL))]
        if n > _POOL:
            values = [values[i] for i in rng.integers(_POOL, size=n).tolist()]
        if self._types[name] == pl.Float64:
            values = [float(v) for v in values]
        if name in self.unique:
            values = [_numbered(v, number(request.k, i)) for i, v in enumerate(values)]
        return pl.Series(name, values, dtype=self._types[name])

    def _type(self, fake: Any, name: str, provider: str) -> pl.DataType:
        try:
            value = getattr(fake, provider)()
        except TypeError as e:
            raise Refusal(f"faker: columns.{name}: '{provider}' cannot be called without arguments ({e})") from None
        if type(value) not in _TYPES:
            raise Refusal(f"faker: columns.{name}: '{provider}' makes {type(value).__name__}, not a single value")
        return _TYPES[type(value)]


def _providers(fake: Any) -> list[str]:
    inner = fake.factories[0]
    return sorted(
        {n for p in inner.get_providers() for n in dir(p) if not n.startswith("_") and callable(getattr(p, n))}
    )


def _clocked(method: Any) -> bool:
    """Does the provider look at today's date? Faker offers no way to say which day it is."""
    if "faker.providers.date_time" in method.__module__:
        return method.__name__ not in ("timezone", "pytimezone")
    return re.search(r"\b(now|today)\(|date_time|\.date|unix_time|passport_do", inspect.getsource(method)) is not None


def _numbered(text: str, mark: int) -> str:
    local, at, domain = text.partition("@")
    return f"{local}{mark}@{domain}" if at else f"{text} {mark}"
