"""Column types as the `datasets` library writes them in a card."""

from __future__ import annotations

from typing import Any

import polars as pl

from .facts import Facts

_SUFFIXES = {
    "image": (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"),
    "audio": (".wav", ".flac", ".mp3", ".ogg", ".opus"),
}


def features(facts: Facts) -> list[dict[str, Any]]:
    """One entry per column of the data; media are decoded as such."""
    return [{"name": n, **(_media(facts, n, t) or feature(t))} for n, t in facts.columns.items()]


def feature(dtype: pl.DataType) -> dict[str, Any]:
    if isinstance(dtype, pl.Struct):
        return {"struct": [{"name": f.name, **feature(f.dtype)} for f in dtype.fields]}  # type: ignore[arg-type]
    if isinstance(dtype, pl.List | pl.Array):
        item = feature(dtype.inner)  # type: ignore[arg-type]
        return {"list": item.get("struct") or (item["dtype"] if set(item) == {"dtype"} else item)}
    return {"dtype": _value(dtype)}


def _value(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        zone = f", tz={dtype.time_zone}" if dtype.time_zone else ""
        return f"timestamp[{dtype.time_unit}{zone}]"
    if isinstance(dtype, pl.Duration):
        return f"duration[{dtype.time_unit}]"
    if isinstance(dtype, pl.Decimal):
        return f"decimal128({dtype.precision or 38}, {dtype.scale})"
    return _VALUES.get(type(dtype), str(dtype).lower())


_VALUES = {
    pl.Boolean: "bool",
    pl.Date: "date32",
    pl.Time: "time64[ns]",
    pl.String: "string",
    pl.Categorical: "string",
    pl.Enum: "string",
    pl.Binary: "binary",
    pl.Null: "null",
}


def is_media(dtype: pl.DataType) -> bool:
    """The `struct{bytes, path}` that media columns are."""
    return isinstance(dtype, pl.Struct) and {f.name: f.dtype for f in dtype.fields} == {
        "bytes": pl.Binary(),
        "path": pl.String(),
    }


def medium(facts: Facts, name: str, dtype: pl.DataType) -> str | None:
    """`image` or `audio`: as the schema says, else as the first record's path ends."""
    if not is_media(dtype):
        return None
    schema = (facts.manifest.get("real") or {}).get("schema") or []
    said = next((c["format"] for c in schema if c["name"] == name), "")
    if said in _SUFFIXES:
        return str(said)
    paths = pl.scan_parquet(facts.run.path("data", 0)).select(pl.col(name).struct.field("path").drop_nulls().head(1))
    first = paths.collect()["path"].to_list()
    return next((k for k, ends in _SUFFIXES.items() if first and first[0].lower().endswith(ends)), None)


def _media(facts: Facts, name: str, dtype: pl.DataType) -> dict[str, Any] | None:
    kind = medium(facts, name, dtype)
    return {"dtype": kind} if kind else None
