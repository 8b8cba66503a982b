"""Column shapes and pair trends, the two numbers most of the field reports."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from synthmill.plugins import Evidence, Measure
from synthmill.tables import similarity
from synthmill.tables.encode import NUMERIC, Encoded, Floats, Ints, encode, is_numeric
from synthmill.tables.interval import UNKNOWN, Estimate, entities, measured, resamples, seeds

_HOLDOUT = 20_000
_PAIRS = 300
_STRONG = {"correlation": 0.5, "contingency": 0.3}


@dataclass
class Fidelity:
    """Column shapes and pair trends against held-out rows, 1 is the same (the scores of sdmetrics' quality report).

    `shapes`: mean over columns of 1 - KS (numbers, times) or 1 - total variation (the rest).
    `trends`: mean over pairs of 1 - |difference of correlations| / 2 (two numbers) or 1 - total variation of the joint
    table, numbers in ten bins. Details are per column and per pair. Differences from sdmetrics: missing is a value of
    its own in shapes; every pair counts that has no constant number in it, as in the literature; today's report (0.32)
    counts only pairs with a real correlation above 0.5 or Cramer's V above 0.3, a mean kept in the detail `strong`.
    Beyond 20,000 held-out rows a sample of them is used. Columns shuffled alone keep every shape, so the floor of shapes
    is columns drawn uniformly.
    """

    measures: ClassVar[tuple[str, ...]] = ("shapes", "trends")
    references: ClassVar[tuple[str, ...]] = ("uniform", "independent", "fresh")
    pooled: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> list[Measure]:
        rng = evidence.rng("fidelity")
        holdout, note = evidence.holdout, ""
        most = evidence.part(_HOLDOUT)
        if holdout.height > most:
            holdout = holdout[np.sort(rng.permutation(holdout.height)[:most])]
            note = f"against {most:,} held-out rows drawn at random"
        tables = seeds(evidence)
        if not holdout.height or not all(t.height for t in tables) or not evidence.schema.modelled:
            return [measured(m, [UNKNOWN], "higher", note="no rows or no columns to compare") for m in self.measures]
        real, *made = encode([holdout, *tables], evidence.schema)
        groups = entities(holdout, evidence.entity)
        compared = _Comparison(evidence, real, made, resamples(groups, rng), int(groups.max()) + 1)
        if evidence.reference == "independent":
            return [compared.trends(note)]
        if evidence.reference == "uniform":
            return [compared.shapes(note)]
        return [compared.shapes(note), compared.trends(note)]


class _Comparison:
    def __init__(self, evidence: Evidence, real: Encoded, made: list[Encoded], w: Floats, n: int) -> None:
        self.schema, self.rng = evidence.schema, evidence.rng("fidelity", "pairs")
        self.real, self.made, self.w, self.n = real, made, w, n
        self.anew: dict[str, NDArray[np.int8]] = {}

    def shapes(self, note: str) -> Measure:
        columns = []
        for name in self.schema.modelled:
            similar: Any = similarity.ks_complement if is_numeric(self.schema, name) else similarity.tv_complement
            columns.append(np.stack(similar(self.real[name], self.w, [m[name] for m in self.made])))
        means = np.mean(columns, axis=0)
        detail = {"columns": {c: float(v[0, 0]) for c, v in zip(self.schema.modelled, columns, strict=True)}}
        return measured("shapes", [Estimate(v, self.n) for v in means], "higher", detail=detail, note=note)

    def trends(self, note: str) -> Measure:
        """Every pair decides the value; on wide tables a random 300 of them decide the interval."""
        pairs = list(itertools.combinations(self.schema.modelled, 2))
        if not pairs:
            return measured("trends", [UNKNOWN], "higher", note="fewer than two columns")
        resampled = set(range(len(pairs)))
        if len(pairs) > _PAIRS:
            resampled = set(self.rng.permutation(len(pairs))[:_PAIRS].tolist())
        self.binned = [self._discrete(t) for t in [self.real, *self.made]]
        scores, detail = [], []
        for i, (a, b) in enumerate(pairs):
            score, row = self._pair(a, b, self.w if i in resampled else self.w[:1])
            detail.append({"a": a, "b": b, **row})
            scores.append(score)
        known = [s for s in scores if math.isfinite(s[0, 0])]
        if not known:
            return measured("trends", [UNKNOWN], "higher", note="every pair has a constant column")
        values = np.mean([s[:, 0] for s in known], axis=0)
        # a resample in which one column happens to be constant tells nothing about that pair, but all about the others
        wide = [np.where(np.isfinite(s), s, s[:, :1]) for s in known if s.shape[1] > 1]
        replicates = np.mean(wide, axis=0)[:, 1:] if wide else np.full((len(values), self.w.shape[0] - 1), np.nan)
        estimates = [Estimate(np.r_[v, r], self.n) for v, r in zip(values, replicates, strict=True)]
        return measured("trends", estimates, "higher", detail={"pairs": detail, "strong": _strong(detail)}, note=note)

    def _discrete(self, table: Encoded) -> dict[str, Ints]:
        numeric = self.schema.of(*NUMERIC)
        return {
            n: similarity.binned(x.astype(np.float64)) if n in numeric else x.astype(np.int64) for n, x in table.items()
        }

    def _rebinned(self, number: str) -> NDArray[np.int8]:
        """Kept for the next pair: binning anew for every resample is most of the work."""
        if number not in self.anew:
            self.anew[number] = similarity.rebinned(self.real[number].astype(np.float64), self.w)
        return self.anew[number]

    def _pair(self, a: str, b: str, w: Floats) -> tuple[Floats, dict[str, Any]]:
        """(tables, 1 + replicates) scores, and what the report shows of the pair."""
        if is_numeric(self.schema, a) and is_numeric(self.schema, b):
            real = similarity.correlation(self.real[a].astype(float), self.real[b].astype(float), w)
            ones = [np.ones((1, len(m[a]))) for m in self.made]
            made = [similarity.correlation(m[a].astype(float), m[b].astype(float), o)[0] for m, o in
                    zip(self.made, ones, strict=True)]  # fmt: skip
            score = np.stack([1 - np.abs(real - m) / 2 for m in made])
            shown = {"kind": "correlation", "real": _known(real[0]), "synthetic": _known(made[0])}
            return score, {"score": _known(score[0, 0]), **shown}
        if is_numeric(self.schema, a) or is_numeric(self.schema, b):
            number, level = (a, b) if is_numeric(self.schema, a) else (b, a)
            made = [(t[number], t[level]) for t in self.binned[1:]]
            bins = self._rebinned(number) if len(w) > 1 else self.binned[0][number][None]
            score = np.stack(similarity.mixed_complement(bins, self.binned[0][level], w, made))
        else:
            first, *rest = similarity.joint([t[a] for t in self.binned], [t[b] for t in self.binned])
            score = np.stack(similarity.tv_complement(first, w, rest))
        v = similarity.cramers_v(self.binned[0][a], self.binned[0][b])
        return score, {"score": _known(score[0, 0]), "kind": "contingency", "real": _known(v)}


def _strong(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over pairs that depend on each other in the real rows, and how many they are."""
    scores = [p["score"] for p in pairs if p["score"] is not None and abs(p["real"] or 0.0) > _STRONG[p["kind"]]]
    return {"value": float(np.mean(scores)) if scores else None, "pairs": len(scores)}


def _known(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
