"""A small mixed table and requests, for the tests of table generators."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from synthmill.cells import Cell
from synthmill.plugins import Request
from synthmill.schema import Column, Schema


def schema_of(frame: pl.DataFrame, digits: int = 2) -> Schema:
    columns = []
    for s in frame:
        kind = "categorical"
        if s.dtype == pl.Boolean:
            kind = "boolean"
        elif s.dtype.is_integer():
            kind = "integer"
        elif s.dtype.is_float():
            kind = "decimal"
        elif s.dtype.is_temporal():
            kind = "datetime"
        columns.append(Column(s.name, kind, str(s.dtype), digits=digits if kind == "decimal" else 0))
    return Schema(tuple(columns))


def mixed(n: int = 600, seed: int = 5) -> pl.DataFrame:
    """Dependent columns of every kind; income is missing more often for the young, flag with note."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((3, n))
    age = np.clip(np.round(40 + 12 * z[0]), 18, 90).astype(int)
    pay = np.round(np.exp(7 + 0.5 * (0.7 * z[0] + 0.7 * z[1])), 2)
    quiet = rng.random(n) < np.where(age < 35, 0.5, 0.05)
    job = np.where(z[1] > 0.8, "lead", np.where(z[1] > -0.5, "clerk", "temp"))
    return pl.DataFrame(
        {
            "age": age,
            "pay": pl.Series(pay).set(pl.Series(quiet), None),
            "job": job,
            "note": pl.Series(np.where(z[2] > 0, "a", "b")).set(pl.Series(z[2] > 1), None),
            "flag": pl.Series(z[2] > 0.5).set(pl.Series(z[2] > 1), None),
            "since": [date(2020, 1, 1) + timedelta(days=int(7 * abs(v) * 20)) for v in z[1]],
            "seen": [datetime(2024, 1, 1) + timedelta(hours=int(100 * abs(v))) for v in z[0]],
            "same": ["x"] * n,
            "label": np.where(z[0] + z[1] > 1.5, "rare", "common"),
        }
    )


def ask(generator, rows=200, seed=1, **where):
    return generator.generate(Request(0, Cell(0, tuple(where.items()), rows), 0, rows, seed))
