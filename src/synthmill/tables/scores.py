"""Weighted statistics of per-row scores, many weightings at once: how the bootstrap avoids refitting anything.

`w` arguments are (b, n): one weighting of the n rows per line; answers are (b,).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def mean(x: Floats, w: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        answer: Floats = (w * x).sum(axis=1) / w.sum(axis=1)
    return answer


def auc(positive: Floats, negative: Floats, w_positive: Floats, w_negative: Floats) -> Floats:
    """Area under the ROC curve; ties count half (Mann-Whitney)."""
    order = np.argsort(negative, kind="stable")
    ranked = negative[order]
    below = np.concatenate([np.zeros((len(w_negative), 1)), np.cumsum(w_negative[:, order], axis=1)], axis=1)
    left, right = np.searchsorted(ranked, positive, "left"), np.searchsorted(ranked, positive, "right")
    wins = (w_positive * (below[:, left] + below[:, right])).sum(axis=1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        answer: Floats = wins / (w_positive.sum(axis=1) * w_negative.sum(axis=1))
    return answer


def recall_at(rate: float, positive: Floats, negative: Floats, w_positive: Floats, w_negative: Floats) -> Floats:
    """True-positive rate where `rate` (but at least one) of the negatives are accused.

    Of those tied at the threshold the share is accused that reaches the rate, members and strangers alike (the ROC
    curve's straight segment): a few strangers who are exact copies themselves must not hide a thousand members.
    """
    order = np.argsort(-negative, kind="stable")
    reached = np.cumsum(w_negative[:, order], axis=1)
    allowed = np.maximum(1.0, np.floor(rate * w_negative.sum(axis=1)))
    at = np.minimum((reached < allowed[:, None]).sum(axis=1), len(order) - 1)
    out = []
    for t, room, w, v in zip(negative[order][at], allowed, w_positive, w_negative, strict=True):
        part = (room - v[negative > t].sum()) / max(1e-9, v[negative == t].sum())
        out.append(np.average((positive > t) + min(1.0, part) * (positive == t), weights=w))
    return np.array(out)


def r_squared(truth: Floats, guess: Floats, w: Floats) -> Floats:
    center = mean(truth, w)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        answer: Floats = 1 - (w * (truth - guess) ** 2).sum(axis=1) / (w * (truth - center) ** 2).sum(axis=1)
    return np.where(np.isfinite(answer), answer, np.nan)


def quantiles(x: Floats, at: Floats, w: Floats) -> Floats:
    """(b, len(at)): the smallest value that the share `at` of the weight does not exceed."""
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(w[:, order], axis=1)
    ranked = x[order]
    rows = [np.searchsorted(r, at * r[-1] - 1e-9, "left") for r in reached]
    answer: Floats = ranked[np.minimum(np.stack(rows), len(x) - 1)]
    return answer


def totals(code: Ints, w: Floats) -> tuple[Ints, Floats]:
    """The distinct codes (k,), ascending, and the weight on each (b, k)."""
    order = np.argsort(code, kind="stable")
    distinct, start = np.unique(code[order], return_index=True)
    if not len(distinct):
        return distinct, np.zeros((len(w), 0))
    return distinct, np.add.reduceat(w[:, order], start, axis=1)


def share(code: Ints, of: Sequence[int] | Ints) -> Floats:
    """The share of rows that hold each of the given codes."""
    found, count = np.unique(code, return_counts=True)
    wanted = np.asarray(of)
    at = np.minimum(np.searchsorted(found, wanted), max(0, len(found) - 1))
    if not len(found):
        return np.zeros(len(wanted))
    return np.where(found[at] == wanted, count[at], 0) / len(code)


def macro_f1(truth: Ints, guess: Ints, w: Floats) -> Floats:
    """Mean over the classes that a weighting's truth holds of 2 TP / (2 TP + FP + FN); NaN where it holds none."""
    each = []
    for label in np.unique(truth):
        real, said = truth == label, guess == label
        both, known, told = (w[:, m].sum(axis=1) for m in (real & said, real, said))
        with np.errstate(invalid="ignore", divide="ignore"):
            each.append(np.where(known > 0, 2 * both / (known + told), np.nan))
    stacked = np.stack(each)
    held = np.isfinite(stacked).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        answer: Floats = np.nansum(stacked, axis=0) / held
    return answer
