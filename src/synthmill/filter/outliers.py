"""Outliers: records far from everything real. Only where asked for: tails are what synthetic data should keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.frame import rng_of
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables.space import Space, nearest

_SAMPLE = 4096


@dataclass
class Outliers:
    """A record farther from the real ones than all but a share `quantile` of real records are.

    Distance to the nearest of up to 4,096 train records in `tables.space`; the limit comes from as many other train
    records, so fresh real records are rejected at the rate `quantile`. Never the holdout. No score: a distance
    to single real records would point at them.
    """

    quantile: Annotated[float, Field(gt=0, lt=0.5)] = 0.001

    needs_real = True

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._space = Space.fit(train, schema)
        chosen = rng_of("outliers", "sample").permutation(train.height)[: 2 * _SAMPLE]
        points = self._space.embed(train[chosen])
        half = (len(points) + 1) // 2
        self._base = points[:half]
        apart = nearest(points[half:], self._base)[0][:, 0]
        self.limit = float(np.quantile(apart, 1 - self.quantile, method="higher")) if len(apart) else np.inf

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        if not hasattr(self, "_base"):
            raise Refusal("outliers: there is no real data to compare with")
        apart = pl.Series(nearest(self._space.embed(frame), self._base)[0][:, 0])
        return Verdicts.where(apart <= self.limit, "farther from real records than real records are")

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = pl.DataFrame({"x": [i / 100 for i in range(200)]})
        return good, pl.DataFrame({"x": [-500.0, 1000.0]})
