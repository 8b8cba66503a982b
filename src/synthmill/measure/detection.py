"""Two-sample tests: can anything tell the synthetic rows from held-out real ones?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Evidence, Measure
from synthmill.tables import boost, scores
from synthmill.tables.encode import Floats, Ints, encode, features
from synthmill.tables.interval import UNKNOWN, Estimate, entities, measured, resamples, seeds
from synthmill.tables.space import Space

_FOLDS = 5
_UNFITTED = 1.5
"""Replicates do not refit the trees, so they spread too little: the corrected variance for k folds is that of the
scores times 1 + k / (k - 1) (Nadeau & Bengio, 2003). Without it, intervals of indistinguishable tables held 0.5
in 85 of 100 trials."""


@dataclass
class Detection:
    """Classifier two-sample test (trees, AUC) and kernel two-sample test (MMD) against held-out rows.

    `c2st`: out-of-fold AUC of boosted trees over 5 folds, equal numbers of synthetic and held-out rows; 0.5 is ideal
    (Lopez-Paz & Oquab, 2017). Rows of one entity share a fold. `mmd`: unbiased squared maximum mean discrepancy
    (Gretton et al., 2012) with a Gaussian kernel at the median distance, rows embedded as in `synthmill.tables.space`;
    0 is ideal, slightly negative is noise. rows: the most of each side for c2st; mmd takes 2,000.
    kernel: whether mmd is measured at all.
    """

    rows: Annotated[int, Field(ge=10)] = 5_000
    kernel: bool = True
    measures: ClassVar[tuple[str, ...]] = ("c2st", "mmd")
    references: ClassVar[tuple[str, ...]] = ("independent", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        tables = seeds(evidence)
        smallest = min(evidence.holdout.height, *(t.height for t in tables))
        if smallest < _FOLDS or not evidence.schema.modelled:
            note = f"needs at least {_FOLDS} rows on each side and a column to compare"
            return [measured("c2st", [UNKNOWN], "half", note=note), measured("mmd", [UNKNOWN], "lower", note=note)]
        space = Space.fit(evidence.train, evidence.schema)
        c2st, mmd = [], []
        for i, table in enumerate(tables):
            n = min(table.height, evidence.holdout.height, self.rows)
            c2st.append(_c2st(evidence, table, n, i))
            if self.kernel:
                mmd.append(_mmd(evidence, space, table, min(n, 2_000), i))
        used = f"{min(smallest, self.rows):,} rows a side"
        told = [measured("c2st", c2st, "half", note=used)]
        if self.kernel:
            sides = f"{min(smallest, self.rows, 2_000):,} rows a side"
            told.append(measured("mmd", mmd, "lower", (-np.inf, np.inf), note=sides))
        return told


def _draw(frame: pl.DataFrame, n: int, rng: np.random.Generator) -> pl.DataFrame:
    return frame[np.sort(rng.permutation(frame.height)[:n])]


def _c2st(evidence: Evidence, table: pl.DataFrame, n: int, seed: int) -> Estimate:
    rng = evidence.rng("c2st", seed)
    made, real = _draw(table, n, rng), _draw(evidence.holdout, n, rng)
    groups = entities(real, evidence.entity)
    count = int(groups.max()) + 1
    (x1, x0), categories = features(encode([made, real], evidence.schema), evidence.schema.modelled, evidence.schema)
    x = np.concatenate([x1, x0])
    y: Ints = np.repeat([1, 0], n).astype(np.int64)
    fold = np.concatenate([_folds(n, rng), _folds(count, rng)[groups]])
    score: Floats = np.full(2 * n, 0.5)
    for f in range(_FOLDS):
        rest, held = fold != f, fold == f
        if held.any():
            score[held] = boost.classify(x[rest], y[rest], categories, x[held], [0, 1])[:, 1]
    w1, w0 = resamples(np.arange(n), rng), resamples(groups, rng)
    auc = scores.auc(score[:n], score[n:], w1, w0)
    return Estimate(auc[0] + (auc - auc[0]) * _UNFITTED, count)


def _folds(n: int, rng: np.random.Generator) -> Ints:
    return rng.permutation(np.arange(n) % _FOLDS)


def _mmd(evidence: Evidence, space: Space, table: pl.DataFrame, n: int, seed: int) -> Estimate:
    """Both sides are resampled; a row drawn twice is not compared with itself, or the statistic would grow biased."""
    rng = evidence.rng("mmd", seed)
    real = _draw(evidence.holdout, n, rng)
    groups = entities(real, evidence.entity)
    x = space.embed(_draw(table, n, rng)).astype(np.float64)
    y = space.embed(real).astype(np.float64)
    scale = np.median(_squares(x, y))
    gamma = 1.0 / (scale if scale > 0 else 1.0)
    kxx, kyy, kxy = (np.exp(-gamma * _squares(a, b)) for a, b in ((x, x), (y, y), (x, y)))
    wx, wy = resamples(np.arange(n), rng), resamples(groups, rng)
    within = _within(kxx, wx) + _within(kyy, wy)
    across = ((wx @ kxy) * wy).sum(axis=1) / (wx.sum(axis=1) * wy.sum(axis=1))
    return Estimate(within - 2 * across, int(groups.max()) + 1)


def _squares(a: Floats, b: Floats) -> Floats:
    d: Floats = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * a @ b.T
    return np.maximum(d, 0)


def _within(k: Floats, w: Floats) -> Floats:
    pairs = w.sum(axis=1) ** 2 - (w * w).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        answer: Floats = (((w @ k) * w).sum(axis=1) - (w * w) @ np.diag(k)) / pairs
    return answer
