"""How alike two tables' columns and column pairs are, under many weightings of the real rows at once.

The real side comes as `w` (b, n): answers are (b,), so the bootstrap costs one pass over the real rows and none over
the synthetic ones. Scores are those of sdmetrics' quality report (DataCebo), 1 for equal and 0 for disjoint; where
nothing is missing they are the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .scores import share, totals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BINS = 10
_ROUNDING = 1e-12


def ks_complement(real: Floats, w: Floats, synthetic: Sequence[Floats]) -> list[Floats]:
    """1 - the largest gap between the distribution functions. Missing (NaN) counts as a value below all others.

    sdmetrics leaves missing values out, and with them any difference in how many there are.
    """
    distinct, mass = totals_of(np.where(np.isnan(real), -np.inf, real), w)
    reached = np.cumsum(mass, axis=1) / w.sum(axis=1, keepdims=True)
    before = np.concatenate([np.zeros((len(w), 1)), reached[:, :-1]], axis=1)
    out = []
    for column in synthetic:
        ranked = np.sort(np.where(np.isnan(column), -np.inf, column))
        # between two real values only the synthetic side grows, so the gap peaks right at one or just before one
        at = np.searchsorted(ranked, distinct, "right") / len(ranked)
        just_before = np.searchsorted(ranked, distinct, "left") / len(ranked)
        gap = np.maximum(np.abs(reached - at).max(axis=1), np.abs(before - just_before).max(axis=1))
        out.append(1 - gap)
    return out


def totals_of(x: Floats, w: Floats) -> tuple[Floats, Floats]:
    """The distinct values, ascending, and the weight on each (b, k)."""
    distinct, code = np.unique(x, return_inverse=True)
    return distinct, totals(code.astype(np.int64), w)[1]


def tv_complement(real: Ints, w: Floats, synthetic: Sequence[Ints]) -> list[Floats]:
    """1 - the total variation distance between two codings of the same values."""
    distinct, mass = totals(real, w)
    p = mass / w.sum(axis=1, keepdims=True)
    out = []
    for column in synthetic:
        q = share(column, distinct)
        out.append(1 - (np.abs(p - q).sum(axis=1) + 1 - q.sum()) / 2)
    return out


def binned(x: Floats) -> Ints:
    """Ten equal bins between the table's own extremes; its maximum and what is missing share an eleventh.

    The edges are each table's own, as in sdmetrics' quality report: one far outlier coarsens a column's bins.
    """
    return _between(x, x[~np.isnan(x)])


def _between(x: Floats, known: Floats) -> Ints:
    if not len(known):
        return np.full(len(x), _BINS + 1, np.int64)
    return np.digitize(x, np.histogram_bin_edges(known, _BINS)).astype(np.int64)


def rebinned(x: Floats, w: Floats) -> NDArray[np.int8]:
    """(b, n): `binned` anew on each weighting, between the extremes of the rows it holds: they are luck as well."""
    return np.stack([_between(x, x[(held > 0) & ~np.isnan(x)]).astype(np.int8) for held in w])


def mixed_complement(
    real: NDArray[np.int8] | Ints, levels: Ints, w: Floats, synthetic: Sequence[tuple[Ints, Ints]]
) -> list[Floats]:
    """1 - the total variation distance of joint tables; real: (b, n) bins, levels: (n,) codes, synthetic: pairs."""
    width = max(int(part.max(initial=0)) for part in (levels, *(s[1] for s in synthetic))) + 1
    size = (_BINS + 2) * width
    at = real.astype(np.int64) * width + levels + (np.arange(len(w)) * size)[:, None]
    p = np.bincount(at.ravel(), w.ravel(), len(w) * size).reshape(len(w), size) / w.sum(axis=1, keepdims=True)
    tables = [np.bincount(b * width + c, minlength=size) / len(b) for b, c in synthetic]
    return [1 - np.abs(p - q).sum(axis=1) / 2 for q in tables]


def joint(a: Sequence[Ints], b: Sequence[Ints]) -> list[Ints]:
    """One code for each pair of codes, the same in every table."""
    width = max((int(part.max(initial=0)) for part in b), default=0) + 1
    return [x * width + y for x, y in zip(a, b, strict=True)]


def cramers_v(a: Ints, b: Ints) -> float:
    """Association of two codings, 0 to 1 (Cramer, 1946, without bias correction); NaN where either is constant."""
    _, x = np.unique(a, return_inverse=True)
    _, y = np.unique(b, return_inverse=True)
    rows, columns = np.bincount(x).astype(np.float64), np.bincount(y).astype(np.float64)
    if min(len(rows), len(columns)) < 2:
        return float("nan")
    cells, count = np.unique(x * len(columns) + y, return_counts=True)
    phi = (count**2 / (rows[cells // len(columns)] * columns[cells % len(columns)])).sum() - 1
    return float(np.sqrt(max(0.0, phi) / (min(len(rows), len(columns)) - 1)))


def correlation(x: Floats, y: Floats, w: Floats) -> Floats:
    """Pearson's, over the rows where both are known; NaN where either is constant."""
    known = ~(np.isnan(x) | np.isnan(y))
    x, y, w = x[known], y[known], w[:, known]
    if not len(x) or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.full(len(w), np.nan)
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    with np.errstate(invalid="ignore", divide="ignore"):
        n, sx, sy, sxx, syy, sxy = (w @ np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)).T
        vx, vy = sxx - sx * sx / n, syy - sy * sy / n
        r: Floats = (sxy - sx * sy / n) / np.sqrt(vx * vy)
    varies = (vx > _ROUNDING * sxx) & (vy > _ROUNDING * syy)  # what rounding leaves of nothing is no variance
    return np.where(varies, np.clip(r, -1, 1), np.nan)
