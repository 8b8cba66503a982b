"""Independent normals, fitted again and again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.schema import Schema, dtype_of
from synthmill.tables.encode import NUMERIC

Floats = NDArray[np.float64]


@dataclass
class Gaussian:
    """Each number drawn alone from a normal of its mean and variance: the model whose collapse is known exactly.

    Trained on n rows of its own output T times over, its expected variance falls to (1 - 1/n)^T; where generations
    accumulate, to the product of 1 - 1/(n t^2), which never falls below sin(x)/x at x = pi/sqrt(n) (Shumailov et al.
    2024; Kazdan et al. 2024). unbiased: divide by n - 1 instead; the mean over repeats then stays at 1 for ever, while
    the median still falls to 0.

    Columns that are no numbers are left out; missing numbers are neither learned nor made. Columns are independent, so
    a table of many standard normals is as many repeats of the experiment at once.
    """

    unbiased: bool = False
    _dtypes: dict[str, pl.DataType] = field(init=False, repr=False, default_factory=dict)
    _mean: Floats = field(init=False, repr=False, default_factory=lambda: np.zeros(0))
    _variance: Floats = field(init=False, repr=False, default_factory=lambda: np.zeros(0))

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        names = [c for c in train.columns if schema[c].kind in NUMERIC]
        if not names:
            raise Refusal("lab.gaussian: the table has no column of numbers")
        self._dtypes = {c: train[c].dtype for c in names}
        x = train.select(pl.col(names).to_physical().cast(pl.Float64)).to_numpy().T
        known = np.isfinite(x)
        n = known.sum(axis=1)
        filled = np.where(known, x, 0.0)
        self._mean = filled.sum(axis=1) / np.maximum(n, 1)
        squares = (np.where(known, x - self._mean[:, None], 0.0) ** 2).sum(axis=1)
        self._variance = squares / np.maximum(n - self.unbiased, 1)

    @property
    def variance(self) -> dict[str, float]:
        """What was fitted, by column."""
        return dict(zip(self._dtypes, self._variance.tolist(), strict=True))

    def schema(self) -> dict[str, pl.DataType]:
        return dict(self._dtypes)

    def generate(self, request: Request) -> pl.DataFrame:
        z = request.rng().standard_normal((len(self._dtypes), request.n))
        x = self._mean[:, None] + np.sqrt(self._variance)[:, None] * z
        return pl.DataFrame([as_column(name, x[i], dtype) for i, (name, dtype) in enumerate(self._dtypes.items())])

    def save(self, folder: Path) -> None:
        np.savez(folder / "gaussian.npz", mean=self._mean, variance=self._variance)
        (folder / "gaussian.json").write_text(json.dumps({c: str(t) for c, t in self._dtypes.items()}), "utf-8")

    def load(self, folder: Path) -> None:
        named = json.loads((folder / "gaussian.json").read_text("utf-8"))
        self._dtypes = {c: dtype_of(t) for c, t in named.items()}
        with np.load(folder / "gaussian.npz") as arrays:
            self._mean, self._variance = arrays["mean"], arrays["variance"]


def as_column(name: str, x: Floats, dtype: pl.DataType) -> pl.Series:
    """Numbers in the column's own type: whole numbers and moments are rounded."""
    if dtype.is_float():
        return pl.Series(name, x, dtype=dtype)
    limit = 2.0**62
    return pl.Series(name, np.rint(np.clip(x, -limit, limit)).astype(np.int64)).cast(dtype, strict=False)
