"""Is every synthetic row plausible, is every kind of real row represented, and do the tails survive?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Evidence, Measure
from synthmill.tables import scores
from synthmill.tables.encode import Floats, codes, is_numeric, numbers
from synthmill.tables.interval import UNKNOWN, Estimate, entities, measured, resamples, seeds
from synthmill.tables.space import Space, nearest

_RARE = 0.05
_FEWEST = 10
_LEVELS = np.linspace(0, 1, 30)


@dataclass
class Coverage:
    """Alpha-precision, beta-recall and the coverage of tails, against held-out rows.

    `alpha_precision`, `beta_recall`: Alaa et al. (2022), computed on embedded rows without a learned hypersphere
    (the "naive" variant of synthcity). Beta-recall of fresh real rows is about 0.5, not 1.
    `tails`: for every categorical level and every missing-value pattern with a train share below 5%, and each number
    below train's 1% or above its 99% quantile: min(1, synthetic share / held-out share), averaged over those that at
    least 10 held-out entities show. rows: the most of each side for precision and recall; tails use every row.
    """

    rows: Annotated[int, Field(ge=10)] = 4_000
    measures: ClassVar[tuple[str, ...]] = ("alpha_precision", "beta_recall", "tails")
    references: ClassVar[tuple[str, ...]] = ("independent", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        tables = seeds(evidence)
        if evidence.holdout.height < 2 or not all(t.height for t in tables) or not evidence.schema.modelled:
            return [measured(m, [UNKNOWN], "higher", note="too few rows or no columns") for m in self.measures]
        space = Space.fit(evidence.train, evidence.schema)
        precision, recall = [], []
        for i, table in enumerate(tables):
            a, b = self._alpha_beta(evidence, space, table, i)
            precision.append(a)
            recall.append(b)
        used = f"{min(evidence.holdout.height, evidence.synthetic.height, self.rows):,} rows a side"
        return [
            measured("alpha_precision", precision, "higher", note=used),
            measured("beta_recall", recall, "higher", note=used),
            _tails(evidence, tables),
        ]

    def _alpha_beta(
        self, evidence: Evidence, space: Space, table: pl.DataFrame, seed: int
    ) -> tuple[Estimate, Estimate]:
        rng = evidence.rng("coverage", seed)
        n = min(table.height, evidence.holdout.height, self.rows)
        held = evidence.holdout[np.sort(rng.permutation(evidence.holdout.height)[:n])]
        real, made = space.embed(held), space.embed(table[np.sort(rng.permutation(table.height)[:n])])
        groups = entities(held, evidence.entity)
        w, count = resamples(groups, rng), int(groups.max()) + 1
        center = real.mean(axis=0, dtype=np.float64)
        radii = scores.quantiles(np.linalg.norm(real - center, axis=1), _LEVELS, w)
        inside = np.searchsorted(np.sort(np.linalg.norm(made - center, axis=1)), radii, "right") / n
        reach = nearest(real, real, exclude_self=True)[0][:, 0]
        gap, at = (found[:, 0] for found in nearest(real, made))
        core = np.linalg.norm(made[at] - made.mean(axis=0, dtype=np.float64), axis=1)
        covered = core[gap <= reach], w[:, gap <= reach]
        limits = scores.quantiles(core, _LEVELS, w)
        total = w.sum(axis=1)
        found = np.stack([(covered[1] * (covered[0] <= limits[:, [j]])).sum(axis=1) / total for j in range(30)], axis=1)
        return Estimate(_agreement(inside), count), Estimate(_agreement(found), count)


def _agreement(curve: Floats) -> Floats:
    """1 for a curve on the diagonal: 1 - (area between) / (area below the diagonal)."""
    answer: Floats = 1 - np.abs(_LEVELS - curve).sum(axis=1) / _LEVELS.sum()
    return answer


def _tails(evidence: Evidence, tables: list[pl.DataFrame]) -> Measure:
    groups = entities(evidence.holdout, evidence.entity)
    w = resamples(groups, evidence.rng("tails"))
    total = w.sum(axis=1)
    ratios: list[list[Floats]] = [[] for _ in tables]
    detail: list[dict[str, Any]] = []
    for name in evidence.schema.modelled:
        for label, (real, made) in _rare(evidence, tables, name).items():
            if len(np.unique(groups[real])) < _FEWEST:
                continue
            share = w[:, real].sum(axis=1) / total
            with np.errstate(divide="ignore", invalid="ignore"):
                for held, rows in zip(ratios, made, strict=True):
                    held.append(np.where(share > 0, np.minimum(1, rows.mean() / share), np.nan))
            detail.append({"column": name, "tail": label, "real": float(share[0]), "synthetic": float(made[0].mean())})
    if not detail:
        return measured("tails", [UNKNOWN], "higher", note=f"no tail has {_FEWEST} held-out entities")
    estimates = [Estimate(np.nanmean(r, axis=0), int(groups.max()) + 1) for r in ratios]
    return measured("tails", estimates, "higher", detail={"tails": detail}, note=f"{len(detail)} tails")


Rows = np.ndarray[Any, np.dtype[np.bool_]]


def _rare(evidence: Evidence, tables: list[pl.DataFrame], name: str) -> dict[str, tuple[Rows, list[Rows]]]:
    """The tails of one column: which held-out rows and which rows of each table lie in it."""
    train, *parts = (f[name] for f in (evidence.train, evidence.holdout, *tables))
    out: dict[str, tuple[Rows, list[Rows]]] = {}
    if is_numeric(evidence.schema, name):
        known, *columns = (numbers(p) for p in (train, *parts))
        missing = np.isnan(known)
        if 0 < missing.mean() < _RARE:
            out["missing"] = np.isnan(columns[0]), [np.isnan(c) for c in columns[1:]]
        known = known[~missing]
        if len(known):
            low, high = np.quantile(known, (0.01, 0.99))
            # a tail that is mostly one repeated value (zero income) is no tail: step past it
            below = np.less_equal if (known <= low).mean() < _RARE else np.less
            above = np.greater_equal if (known >= high).mean() < _RARE else np.greater
            out["lowest 1%"] = below(columns[0], low), [below(c, low) for c in columns[1:]]
            out["highest 1%"] = above(columns[0], high), [above(c, high) for c in columns[1:]]
        return out
    (coded, *others), size = codes([train, *parts])
    share = np.bincount(coded, minlength=size) / max(1, len(coded))
    text = train.cast(pl.String)
    for level in np.flatnonzero((share > 0) & (share < _RARE)):
        label = text[int(np.argmax(coded == level))] if level else "missing"
        out[str(label)] = others[0] == level, [o == level for o in others[1:]]
    return out
