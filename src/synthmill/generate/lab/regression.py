"""Least squares, fitted again and again to answers of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Request
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.tables.encode import NUMERIC, numbers

Floats = NDArray[np.float64]


@dataclass
class Regression:
    """Least squares without intercept on standard normal features: the model whose error grows generation by generation.

    Features are drawn from the standard normal and the target is their fitted combination plus noise. Trained on N rows
    of its own output, the squared error of d coefficients after t generations is t s^2 d / (N - d - 1) if each
    generation replaces the last, and stays below pi^2/6 times the first one's if they accumulate (Gerstgrasser et al.
    2024, after Mobahi et al. 2020).

    target: the column that is explained (default: `real.target`), by all other columns of numbers; those that are none
    are left out, and rows with a missing number are not learned from. noise: its standard deviation s (default: that of
    the residuals). All columns are made as decimals.
    """

    target: str | None = None
    noise: Annotated[float, Field(ge=0)] | None = None
    _features: list[str] = field(init=False, repr=False, default_factory=list)
    _weights: Floats = field(init=False, repr=False, default_factory=lambda: np.zeros(0))
    _spread: float = field(init=False, repr=False, default=0.0)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        from threadpoolctl import threadpool_limits

        names = [c for c in train.columns if schema[c].kind in NUMERIC]
        if self.target is None or self.target not in names:
            wrong = "is required" if self.target is None else f"'{self.target}' is no column of numbers"
            raise Refusal(f"lab.regression: target: {wrong}; {choices(self.target or '', names)}")
        self._features = [c for c in names if c != self.target]
        if not self._features:
            raise Refusal("lab.regression: there is no other column of numbers to explain the target by")
        x = np.column_stack([numbers(train[c]) for c in self._features])
        y = numbers(train[self.target])
        whole = ~(np.isnan(x).any(axis=1) | np.isnan(y))
        x, y = x[whole], y[whole]
        with threadpool_limits(1):
            self._weights = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], np.float64)
            left = y - x @ self._weights
        free = max(1, len(y) - len(self._features))
        self._spread = float(np.sqrt((left**2).sum() / free)) if self.noise is None else self.noise

    @property
    def weights(self) -> Floats:
        """(d,) what was fitted, in the order of the features."""
        return self._weights.copy()

    def schema(self) -> dict[str, pl.DataType]:
        return {c: pl.Float64() for c in [*self._features, str(self.target)]} if self._features else {}

    def generate(self, request: Request) -> pl.DataFrame:
        x = request.rng("features").standard_normal((len(self._features), request.n))
        y = self._spread * request.rng("noise").standard_normal(request.n)
        for weight, column in zip(self._weights, x, strict=True):  # a sum in fixed order: no BLAS decides bytes
            y += weight * column
        return pl.DataFrame({**dict(zip(self._features, x, strict=True)), str(self.target): y})

    def save(self, folder: Path) -> None:
        np.savez(folder / "regression.npz", weights=self._weights)
        told = {"target": self.target, "features": self._features, "spread": self._spread}
        (folder / "regression.json").write_text(json.dumps(told), "utf-8")

    def load(self, folder: Path) -> None:
        told = json.loads((folder / "regression.json").read_text("utf-8"))
        self.target, self._features, self._spread = told["target"], told["features"], told["spread"]
        with np.load(folder / "regression.npz") as arrays:
            self._weights = arrays["weights"]
