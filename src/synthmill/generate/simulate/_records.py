"""Records as a simulator returns them, held against declared columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from synthmill.refusal import choices

_Check = Callable[[Any, str], "str | None"]
_PYTHON: dict[type[pl.DataType], tuple[type, ...]] = {
    pl.String: (str,),
    pl.Boolean: (bool,),
    pl.Datetime: (datetime,),
    pl.Time: (time,),
    pl.Duration: (timedelta,),
    pl.Binary: (bytes,),
}


def plain(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's own, at any depth."""
    if type(value) in (float, str, int, bool):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def checker(schema: Mapping[str, pl.DataType]) -> Callable[[Mapping[str, Any]], str | None]:
    """A function that says what is wrong with a record, naming the key and the types; None if it fits.

    Keys left out are an error in the record itself and null in what it nests.
    """
    check = _of_fields(schema)

    def fault(record: Mapping[str, Any]) -> str | None:
        missing = next((k for k in schema if k not in record), None)
        return f"'{missing}' is not in the record" if missing is not None else check(record, "")

    return fault


def _of_fields(schema: Mapping[str, pl.DataType]) -> _Check:
    checks = {k: _of_type(v) for k, v in schema.items()}

    def check(record: Any, at: str) -> str | None:
        for key, value in record.items():
            if key not in checks:
                return f"unknown key '{at}{key}'; {choices(key, checks)}"
            if value is not None and (wrong := checks[key](value, f"{at}{key}")):
                return wrong
        return None

    return check


def _of_type(dtype: pl.DataType) -> _Check:
    if isinstance(dtype, pl.List):
        inner: Any = dtype.inner
        item = _of_type(inner)

        def of_list(value: Any, at: str) -> str | None:
            if not isinstance(value, list):
                return _unfit(value, dtype, at)
            found = (item(v, f"{at}[{i}]") for i, v in enumerate(value) if v is not None)
            return next((w for w in found if w), None)

        return of_list
    if isinstance(dtype, pl.Struct):
        types: dict[str, Any] = {f.name: f.dtype for f in dtype.fields}
        fields = _of_fields(types)
        return lambda value, at: fields(value, f"{at}.") if isinstance(value, dict) else _unfit(value, dtype, at)
    fits = _fits(dtype)
    return lambda value, at: None if fits(value) else _unfit(value, dtype, at)


def _unfit(value: Any, dtype: pl.DataType, at: str) -> str:
    return f"'{at}' is {type(value).__name__} {value!r:.40}, expected {dtype}"


def _fits(dtype: pl.DataType) -> Callable[[Any], bool]:
    if dtype.is_integer():
        bounds = np.iinfo(str(dtype).lower())
        low, high = int(bounds.min), int(bounds.max)
        return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high
    if dtype.is_float():
        return lambda v: isinstance(v, int | float) and not isinstance(v, bool)
    if dtype == pl.Date:
        return lambda v: isinstance(v, date) and not isinstance(v, datetime)
    known = _PYTHON.get(type(dtype), (object,))
    return lambda v: isinstance(v, known)
