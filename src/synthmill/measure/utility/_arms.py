"""Four training sets that face the same held-out rows: what the metrics of usefulness have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from synthmill.plugins import Evidence, Measure
from synthmill.tables import scores
from synthmill.tables.encode import Floats, Ints
from synthmill.tables.interval import Estimate

MEASURES = ("real", "synthetic", "blend", "oversampled", "gap", "blend_gain")


@dataclass(frozen=True)
class Arms:
    """What each training set came to, on the same resamples. synthetic: the judged table's, then its further draws'."""

    real: Estimate
    synthetic: Sequence[Estimate]
    blend: Estimate
    again: Estimate
    higher: bool = True

    def measures(self, reference: str, measured: Callable[[str, Sequence[Estimate]], Measure]) -> list[Measure]:
        """`gap` is what synthetic rows alone lose; `blend_gain` what they add to the better of real and oversampled."""
        real, again = self.real, self.again
        gaps = [self._less(real, s) for s in self.synthetic]
        best = again if (again.value > real.value) == self.higher else real
        gain = self._less(self.blend, best)
        if reference == "independent":  # the real rows are no floor of their own arms
            real = again = self.synthetic[0]
        arms = {"real": real, "blend": self.blend, "oversampled": again, "blend_gain": gain}
        out = [measured("synthetic", self.synthetic), measured("gap", gaps)]
        return [*out, *(measured(name, [e]) for name, e in arms.items())]

    def _less(self, a: Estimate, b: Estimate) -> Estimate:
        return a - b if self.higher else b - a


def mixed(evidence: Evidence) -> pl.DataFrame:
    """The blend; where there is none, train and synthetic rows stacked."""
    if evidence.blend is not None:
        return evidence.blend
    shared = [c for c in evidence.train.columns if c in evidence.synthetic.columns]
    return pl.concat([evidence.train.select(shared), evidence.synthetic.select(shared)], how="vertical_relaxed")


def at_most(frame: pl.DataFrame, rows: int, rng: np.random.Generator) -> pl.DataFrame:
    """A random sample of more rows than that, in their order."""
    if frame.height <= rows:
        return frame
    return frame[np.sort(rng.permutation(frame.height)[:rows])]


def repeated(rows: int, size: int, rng: np.random.Generator) -> Ints:
    """(size,) row numbers, each as often as the size asks, the remainder at random."""
    whole, rest = divmod(size, max(1, rows))
    return np.concatenate([np.tile(np.arange(rows), whole), np.sort(rng.permutation(rows)[:rest])])


def class_for_class(train: Ints, mix: Ints, rng: np.random.Generator) -> Ints:
    """Row numbers of `train`, repeated until there are as many of each class as in `mix`; sorted. A class that only the
    mix has cannot be repeated."""
    parts = [np.zeros(0, np.int64)]
    for label in np.unique(mix):
        own = np.flatnonzero(train == label)
        if len(own):
            parts.append(own[repeated(len(own), int((mix == label).sum()), rng)])
    return np.sort(np.concatenate(parts))


def macro_auc(truth: Ints, p: Floats, classes: Sequence[int], w: Floats) -> Floats:
    """AUC, with more than two classes the mean of one against the rest. p: (n, classes)."""
    judged = range(len(classes)) if len(classes) > 2 else [1]
    each = np.stack([_auc(truth == classes[j], p[:, j], w) for j in judged])
    each = np.where(np.isfinite(each), each, each[:, :1])  # a resample without a class tells of the others only
    answer: Floats = each.mean(axis=0)
    return answer


def _auc(yes: Ints, score: Floats, w: Floats) -> Floats:
    return scores.auc(score[yes], score[~yes], w[:, yes], w[:, ~yes])
