"""What the data is for: a model trained on it, judged on held-out real rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from synthmill.plugins import Evidence, Measure
from synthmill.tables import boost, scores
from synthmill.tables.encode import NUMERIC, Encoded, Floats, Ints, codes, encode, features, numbers
from synthmill.tables.interval import UNKNOWN, Estimate, entities, measured, resamples, seeds

from ._arms import MEASURES, Arms, at_most, macro_auc, mixed, repeated

_TRAIN = 100_000
_HOLDOUT = 20_000


@dataclass
class Utility:
    """Four training sets face the same held-out rows: real, synthetic, blend, real oversampled to the blend's size.

    The model is boosted trees; the score is the AUC (macro one-against-rest with more than two classes) or R2 where
    the target is a number. `gap` = real - synthetic; `blend_gain` = blend - the better of real and oversampled: what
    the synthetic rows add to all that can be done without them. Without a blend, train and synthetic stacked stand
    for it. Floors: columns shuffled apart take the place of the rows an arm is about (of real ones in `real` and
    `oversampled`). Ceilings: half of train plays the synthetic rows and the other half train, in every arm. Intervals are
    paired: each resample of held-out entities is faced by every arm. Beyond 100,000 training rows or 20,000 held-out
    rows a random sample is used. Unknown without a target. alone: `synthetic` and no other arm, for experiments that
    judge many tables.
    """

    alone: bool = False
    measures: ClassVar[tuple[str, ...]] = MEASURES
    references: ClassVar[tuple[str, ...]] = ("independent", "fresh")
    as_made: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> list[Measure]:
        why = _unknown(evidence)
        if why:
            return [measured(m, [UNKNOWN], "lower" if m == "gap" else "higher", note=why) for m in self.measures]
        task = _Task(evidence)
        synthetic = [task.score(t) for t in task.made]
        if self.alone:
            return [task.measured("synthetic", synthetic)]
        arms = Arms(task.score(task.train), synthetic, task.score(task.blend), task.score(task.oversampled))
        return arms.measures(evidence.reference, task.measured)


def _unknown(evidence: Evidence) -> str:
    target, schema = evidence.target, evidence.schema
    if target is None:
        return "no target is declared"
    if target not in schema.modelled:
        return f"the target '{target}' is not a column that can be predicted"
    known = evidence.holdout[target].drop_nulls()
    if known.n_unique() < 2:
        return f"held-out rows show fewer than two values of '{target}'"
    if len(schema.modelled) < 2:
        return "there is no column to predict the target from"
    return ""


class _Task:
    """The target and features of every table in one coding. A table is its features and its target."""

    def __init__(self, e: Evidence) -> None:
        assert e.target is not None
        self.rng, self.numeric = e.rng("utility"), e.schema[e.target].kind in NUMERIC
        made = seeds(e)
        names = e.schema.modelled
        frames = [e.holdout.filter(e.holdout[e.target].is_not_null()), e.train, *made, mixed(e)]
        limits = [_HOLDOUT, *[_TRAIN] * (len(frames) - 1)]
        frames = [at_most(f, limit, self.rng) for f, limit in zip(frames, limits, strict=True)]
        self.groups = entities(frames[0], e.entity)
        coded = encode([f.select(names) for f in frames], e.schema)
        x, self.categories = features(coded, [n for n in names if n != e.target], e.schema)
        tables = list(zip(x, self._targets([f[e.target] for f in frames], coded), strict=True))
        self.holdout, self.train, self.made, self.blend = tables[0], tables[1], tables[2 : 2 + len(made)], tables[-1]
        self.truth = self.holdout[1]
        self.classes = [] if self.numeric else [int(c) for c in np.unique(self.truth)]
        self.w = resamples(self.groups, self.rng)

    def _targets(self, columns: Sequence[pl.Series], coded: Sequence[Encoded]) -> list[Floats | Ints]:
        return [numbers(c) for c in columns] if self.numeric else list(codes(columns)[0])

    @property
    def oversampled(self) -> tuple[Floats, Floats | Ints]:
        """Train rows, each as often as the blend's size asks, the remainder at random."""
        x, y = self.train
        at = repeated(len(x), len(self.blend[0]), self.rng)
        return x[at], y[at]

    def score(self, table: tuple[Floats, Floats | Ints]) -> Estimate:
        x, y = table
        known = ~np.isnan(y) if self.numeric else y > 0
        x, y = x[known], y[known]
        n = int(self.groups.max(initial=-1)) + 1
        if self.numeric:
            guess = boost.regress(x, y.astype(np.float64), self.categories, self.holdout[0])
            return Estimate(scores.r_squared(self.truth.astype(np.float64), guess, self.w), n)
        p = boost.classify(x, y.astype(np.int64), self.categories, self.holdout[0], self.classes)
        return Estimate(macro_auc(self.truth.astype(np.int64), p, self.classes, self.w), n)

    def measured(self, name: str, estimates: Sequence[Estimate]) -> Measure:
        difference = name in ("gap", "blend_gain")
        span = (-np.inf, np.inf if difference else 1.0) if self.numeric else (-1.0 if difference else 0.0, 1.0)
        detail: dict[str, Any] = {"score": "R2" if self.numeric else "AUC"}
        return measured(name, estimates, "lower" if name == "gap" else "higher", span, detail)
