"""Outliers: are the people unlike anybody else rebuilt in the synthetic table?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Evidence, Measure
from synthmill.schema import Schema
from synthmill.tables.encode import is_numeric, numbers
from synthmill.tables.interval import Floats, Ints, entities, resamples, seeds
from synthmill.tables.isolation import Isolated
from synthmill.tables.membership import renumbered, unknown
from synthmill.tables.risk import Rates, rates, risk
from synthmill.tables.space import Points, Space, nearest

_FALSE = 0.05
_LEAST = 1e-6


@dataclass
class Outliers:
    """Reconstruction of outliers: whether a synthetic row stands where a real record stands alone.

    Outliers are the `share` of train rows that are farthest from any other train row, at least 10 and at most 1,000; the
    control are held-out rows as far from train. An outlier is rebuilt when a synthetic row lies within `near` of its
    distance to its nearest fellow. `reconstructed`: the risk, the rate of train outliers rebuilt beyond the control's,
    over what there was to gain; 0 is private.

    `memorised`: how many outliers are too near to be chance, even if it is only one. Two bounds have to agree, each at 0.05
    over the number of outliers: how near fresh rows come to the lonely, read off the held-out rows and continued as a power
    law; and how many synthetic rows would come as near in every column if columns were independent. 0 is private; the
    interval reaches up to all that were rebuilt. Baseline (detail `expected`): what the control's rate would give.

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
        chance = _Chance.of(found, real, held)
        each, counts = [], []
        for table in seeds(evidence):
            made = space.embed(table)
            gaps = [nearest(p, made) for p in (real[found.train], held[found.control])]
            ratio = [g[0][:, 0] / d for g, d in zip(gaps, (found.reach, found.control_reach), strict=True)]
            hit = [(r <= self.near).astype(np.float64) for r in ratio]
            each.append(rates(hit[0], hit[1], w[0], w[1]))
            counts.append(self._memorised(found, ratio[0], gaps[0][1][:, 0], chance, table, evidence))
        n = min(len(found.train), len(found.control))
        told = {"outliers": len(found.train), "control_outliers": len(found.control)}
        return [
            risk("reconstructed", each, n, 0.0, told),
            _counted(counts, each, len(found.train), told | _numbers(each[0], len(found.train))),
        ]

    def _memorised(
        self, found: Isolated, ratio: Floats, near: Ints, chance: _Chance, table: pl.DataFrame, evidence: Evidence
    ) -> int:
        hit = np.flatnonzero(ratio <= self.near)
        if not len(hit):
            return 0
        level = _FALSE / len(found.train)
        rare = chance.of_a_fresh_table(ratio[hit], table.height) < level
        alike = _expected(evidence.train[found.train[hit]], table[near[hit]], evidence.train, evidence.schema)
        return int((rare & (alike * table.height < level)).sum())


@dataclass(frozen=True)
class _Chance:
    """How near fresh rows come to the lonely, as a share of their distance to their fellows: a power law below the median,
    its exponent (the local dimension) by Hill (1975). rows: how many fresh rows it was seen on."""

    middle: float
    power: float
    rows: int

    @classmethod
    def of(cls, found: Isolated, real: Points, held: Points) -> _Chance:
        lonely, reach = np.concatenate([found.train, found.next]), np.concatenate([found.reach, found.next_reach])
        known = reach > 0
        ratio = nearest(real[lonely[known]], held)[0][:, 0] / reach[known]
        middle = float(np.median(ratio))
        low = np.maximum(ratio[ratio < middle], _LEAST)
        power = 1 / float(np.log(middle / low).mean()) if len(low) else 1.0
        return cls(middle, power, len(held))

    def of_a_fresh_table(self, ratio: Floats, rows: int) -> Floats:
        """(n,) probability that a fresh table of so many rows comes as near to a lonely record."""
        reached = np.minimum(1.0, ratio / max(self.middle, _LEAST)) ** self.power / 2
        return np.minimum(1.0, reached * max(1.0, rows / self.rows))


def _numbers(found: Rates, outliers: int) -> dict[str, float]:
    return {"expected": float(found[1][0] * outliers), "rebuilt": float(found[0][0] * outliers)}


def _counted(counts: list[int], each: list[Rates], outliers: int, detail: dict[str, float]) -> Measure:
    value = float(np.mean(counts))
    high = max(value, *(float(a[0]) * outliers for a, _ in each))
    return Measure("memorised", value, float(min(counts)), high, "lower", detail)


def _expected(rows: pl.DataFrame, near: pl.DataFrame, train: pl.DataFrame, schema: Schema) -> Floats:
    """(n,) probability that a row of independent columns is in every column as near to `rows` as `near` is.

    rows: train rows; each counts once itself, so that no probability is 0.
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
        out *= np.maximum(1, count - 1) / len(train)
    return out
