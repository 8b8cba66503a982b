"""An attack on a generator while it is being fitted: does its table tell who was learned from?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from synthmill.schema import Schema

from .membership import quick_auc
from .space import Points, Space

_MEMBERS = 1_500
_MADE = 40_000


@dataclass(frozen=True)
class Attack:
    """AUC of membership inference with its 95% interval (Hanley & McNeil, 1982); 0.5 is private."""

    auc: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.auc:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Probe:
    """Members, and rows kept from the generator: as many strangers, the rest the attacker's reference."""

    space: Space
    members: Points
    strangers: Points
    reference: Points

    @classmethod
    def of(cls, learned: pl.DataFrame, kept: pl.DataFrame, schema: Schema, rng: np.random.Generator) -> Probe:
        space = Space.fit(learned, schema)
        strangers = min(kept.height // 2, _MEMBERS)
        order = rng.permutation(kept.height)
        some = learned[np.sort(rng.permutation(learned.height)[:strangers])]
        return cls(space, *(space.embed(f) for f in (some, kept[order[:strangers]], kept[order[strangers:]])))

    def attack(self, made: pl.DataFrame) -> Attack:
        """made: at most 40,000 rows of it are looked at."""
        auc = quick_auc(self.members, self.strangers, self.space.embed(made.head(_MADE)), self.reference)
        spread = 1.96 * _deviation(auc, len(self.members), len(self.strangers))
        return Attack(auc, max(0.0, auc - spread), min(1.0, auc + spread))


def _deviation(auc: float, m: int, n: int) -> float:
    worse, better = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (m - 1) * (worse - auc**2) + (n - 1) * (better - auc**2)
    return math.sqrt(max(variance, 0.0) / (m * n))
