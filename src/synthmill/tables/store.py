"""A frame of modelled columns as npz + JSON, without pickle: numbers as arrays, other values as places in a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from synthmill.schema import dtype_of


def save_frame(frame: pl.DataFrame, folder: Path, name: str) -> None:
    """`<name>.npz` and `<name>.json` in the folder; `load_frame` gives the equal frame back."""
    arrays: dict[str, Any] = {}
    columns = []
    for i, s in enumerate(frame):
        values = s.to_physical()
        about: dict[str, Any] = {"name": s.name, "dtype": str(s.dtype)}
        arrays[f"{i}.missing"] = np.packbits(s.is_null().to_numpy())
        if values.dtype.is_numeric():
            arrays[f"{i}.values"] = values.fill_null(0).to_numpy()
        else:
            levels = values.drop_nulls().unique().sort()
            about["levels"] = levels.to_list()
            arrays[f"{i}.values"] = places(values, levels)
        columns.append(about)
    np.savez(folder / f"{name}.npz", **arrays)
    (folder / f"{name}.json").write_text(json.dumps({"height": frame.height, "columns": columns}), "utf-8")


def load_frame(folder: Path, name: str) -> pl.DataFrame:
    data = json.loads((folder / f"{name}.json").read_text("utf-8"))
    columns = []
    with np.load(folder / f"{name}.npz") as arrays:
        for i, about in enumerate(data["columns"]):
            missing = np.unpackbits(arrays[f"{i}.missing"], count=data["height"]).astype(bool)
            values = pl.Series(about["name"], arrays[f"{i}.values"]).set(pl.Series(missing, dtype=pl.Boolean), None)
            dtype = dtype_of(about["dtype"])
            if "levels" in about:
                values = pl.Series(about["name"], about["levels"], dtype=dtype).gather(values)
            columns.append(values.cast(dtype))
    return pl.DataFrame(columns)


def places(s: pl.Series, levels: pl.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(n,) place of each value in `levels`, -1 where it is missing."""
    if not len(levels):
        return np.full(len(s), -1, np.int64)
    at = pl.int_range(len(levels), dtype=pl.Int64, eager=True)
    return s.replace_strict(levels, at, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
