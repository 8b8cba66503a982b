"""Outliers: are the people unlike anybody else rebuilt in the synthetic table?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Evidence, Measure
from synthmill.schema import Schema
from synthmill.tables.encode import is_numeric, numbers
from synthmill.tables.interval import Floats, Ints, entities, resamples, seeds
from synthmill.tables.isolation import Isolated
from synthmill.tables.membership import renumbered, unknown
from synthmill.tables.risk import Rates, rates, risk
from synthmill.tables.space import Space, nearest

_FALSE = 0.05


@dataclass
class Outliers:
    """Reconstruction of outliers: does a synthetic row stand where a real record stands alone?

    Outliers are the `share` of train rows that are farthest from any other train row, at least 10 and at most 1,000; the
    control are held-out rows as far from train. An outlier is rebuilt when a synthetic row lies within `near` of its
    distance to its nearest fellow. `reconstructed`: the risk, the rate of train outliers rebuilt beyond the control's,
    over what there was to gain; 0 is private.

    `memorised`: how many outliers are too near to be chance, even if it is only one. Each one's number of synthetic rows
    that would come as near in every column if columns were independent, lambda, must be below 0.05 over the number of
    outliers, and below that of every pair that is chance for certain: a train outlier and its nearest held-out row, a held-out
    outlier and its nearest synthetic row. 0 is private; the interval reaches up to all that were rebuilt. Baseline (detail
    `expected`): what the control's rate would give.

    Source: this project; outliers as the exposed ones: Stadler et al. (2022), Meeus et al. (2023).
    """

    share: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    near: Annotated[float, Field(gt=0, lt=1)] = 0.25
    measures: ClassVar[tuple[str, ...]] = ("reconstructed", "memorised")
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        if evidence.train.height < 20 or not evidence.schema.modelled or not evidence.synthetic.height:
            return [unknown(m, "needs 20 train rows and a column to compare") for m in self.measures]
        rng = evidence.rng("attack.outliers")
        space = Space.fit(evidence.train, evidence.schema)
        real, held = space.embed(evidence.train), space.embed(evidence.holdout)
        found = Isolated.find(real, held, self.share, rng)
        if len(found.control) < 2:
            return [unknown(m, "fewer than 2 held-out rows are as lonely as train's outliers") for m in self.measures]
        groups = [entities(f, evidence.entity) for f in (evidence.train, evidence.holdout)]
        w = [resamples(renumbered(g[at]), rng) for g, at in zip(groups, (found.train, found.control), strict=True)]
        each, counts = [], []
        for table in seeds(evidence):
            made = space.embed(table)
            gaps = [nearest(p, made) for p in (real[found.train], held[found.control])]
            ratio = [g[0][:, 0] / d for g, d in zip(gaps, (found.reach, found.control_reach), strict=True)]
            hit = [(r <= self.near).astype(np.float64) for r in ratio]
            each.append(rates(hit[0], hit[1], w[0], w[1]))
            others = [g[1][:, 0] for g in gaps]
            counts.append(
                self._memorised(found, hit[0] > 0, others, nearest(real[found.train], held)[1][:, 0], table, evidence)
            )
        n = min(len(found.train), len(found.control))
        chance = self._chance(each[0], len(found.train))
        told = {"outliers": len(found.train), "control_outliers": len(found.control)}
        return [risk("reconstructed", each, n, 0.0, told), _counted(counts, each, len(found.train), told | chance)]

    def _chance(self, found: Rates, outliers: int) -> dict[str, float]:
        return {"expected": float(found[1][0] * outliers), "rebuilt": float(found[0][0] * outliers)}

    def _memorised(
        self,
        found: Isolated,
        hit: NDArray[np.bool_],
        others: list[Ints],
        fresh: Ints,
        table: pl.DataFrame,
        evidence: Evidence,
    ) -> int:
        if not hit.any():
            return 0
        train, holdout, schema = evidence.train, evidence.holdout, evidence.schema
        mine = _expected(train[found.train[hit]], table[others[0][hit]], train, schema, 1) * table.height
        innocent = [
            _expected(train[found.train], holdout[fresh], train, schema, 1) * table.height,
            _expected(holdout[found.control], table[others[1]], train, schema, 0) * table.height,
        ]
        limit = min(_FALSE / len(found.train), *(float(x.min()) for x in innocent if len(x)))
        return int((mine < limit).sum())


def _counted(counts: list[int], each: list[Rates], outliers: int, detail: dict[str, float]) -> Measure:
    value = float(np.mean(counts))
    high = max(value, *(float(a[0]) * outliers for a, _ in each))
    return Measure("memorised", value, float(min(counts)), high, "lower", detail)


def _expected(rows: pl.DataFrame, near: pl.DataFrame, train: pl.DataFrame, schema: Schema, own: int) -> Floats:
    """(n,) probability that a row of independent columns is in every column as near to `rows` as `near` is.

    own: how many times `rows` are in train themselves; at least one train row always counts, so it is never 0.
    """
    out = np.ones(len(rows))
    for name in schema.modelled:
        if is_numeric(schema, name):
            base = numbers(train[name])
            sorted_, at, by = np.sort(base[~np.isnan(base)]), numbers(rows[name]), numbers(near[name])
            gap = np.abs(at - by)
            reach = np.searchsorted(sorted_, at + gap, "right") - np.searchsorted(sorted_, at - gap, "left")
            missing = int(np.isnan(base).sum())
            count = np.where(np.isnan(at) & np.isnan(by), missing, np.where(np.isnan(gap), len(base), reach))
        else:
            text = train[name].cast(pl.String).fill_null("\0")
            values = dict(text.value_counts().iter_rows())
            a, b = (s[name].cast(pl.String).fill_null("\0").to_list() for s in (rows, near))
            count = np.array([values.get(x, 0) if x == y else len(text) for x, y in zip(a, b, strict=True)])
        out *= np.maximum(1, count - own) / len(train)
    return out
