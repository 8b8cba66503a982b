"""Records as a simulator returns them, held against declared columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from synthmill.refusal import choices

_PYTHON: dict[type[pl.DataType], tuple[type, ...]] = {
    pl.String: (str,),
    pl.Boolean: (bool,),
    pl.Datetime: (datetime,),
    pl.Date: (date,),
    pl.Time: (time,),
    pl.Duration: (timedelta,),
    pl.Binary: (bytes,),
}


def plain(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's own, at any depth."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def fault(record: Mapping[str, Any], schema: Mapping[str, pl.DataType], at: str = "") -> str | None:
    """What is wrong with a record, naming the key and the types; None if it fits. Keys left out are nulls."""
    for key in record:
        if key not in schema:
            return f"unknown key '{at}{key}'; {choices(key, schema)}"
    for key in schema:
        if key not in record and not at:
            return f"'{key}' is not in the record"
    for key, value in record.items():
        wrong = _fault(value, schema[key], f"{at}{key}")
        if wrong:
            return wrong
    return None


def _fault(value: Any, dtype: pl.DataType, at: str) -> str | None:
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        if not isinstance(value, list):
            return f"'{at}' is {type(value).__name__}, expected {dtype}"
        inner: Any = dtype.inner
        return next((w for i, v in enumerate(value) if (w := _fault(v, inner, f"{at}[{i}]"))), None)
    if isinstance(dtype, pl.Struct):
        if not isinstance(value, dict):
            return f"'{at}' is {type(value).__name__}, expected {dtype}"
        fields: dict[str, Any] = {f.name: f.dtype for f in dtype.fields}
        return fault(value, fields, f"{at}.")
    return None if _fits(value, dtype) else f"'{at}' is {type(value).__name__} {value!r:.40}, expected {dtype}"


def _fits(value: Any, dtype: pl.DataType) -> bool:
    if dtype.is_integer():
        range_ = np.iinfo(str(dtype).lower())
        return isinstance(value, int) and not isinstance(value, bool) and range_.min <= value <= range_.max
    if dtype.is_float():
        return isinstance(value, int | float) and not isinstance(value, bool)
    known = _PYTHON.get(type(dtype), (object,))
    return isinstance(value, known) and not (dtype == pl.Date and isinstance(value, datetime))
