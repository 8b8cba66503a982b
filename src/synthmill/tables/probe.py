"""An attack on a generator while it is being fitted: does its table tell who was learned from?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from synthmill.schema import Schema

from . import scores
from .interval import Floats
from .membership import log_gap
from .space import Points, Space

_MEMBERS, _STRANGERS = 2_000, 1_500
"""Members, and strangers in each half."""
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
    """Members, and two halves of the rows kept from the generator: each in turn are strangers, the other the attacker's
    reference. known: of members and strangers of each half, the log distances to that reference."""

    space: Space
    members: Points
    halves: tuple[Points, Points]
    known: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def of(cls, learned: pl.DataFrame, kept: pl.DataFrame, schema: Schema, rng: np.random.Generator) -> Probe:
        space = Space.fit(learned, schema)
        order, middle = rng.permutation(kept.height), kept.height // 2
        first, second = (space.embed(kept[part]) for part in (order[:middle], order[middle:]))
        members = space.embed(learned[np.sort(rng.permutation(learned.height)[:_MEMBERS])])
        halves = first[:_STRANGERS], second[:_STRANGERS]
        known = [(log_gap(members, r), log_gap(s, r)) for s, r in zip(halves, (second, first), strict=True)]
        return cls(space, members, halves, tuple(known))

    def attack(self, made: pl.DataFrame) -> Attack:
        """The nearest-neighbour attack (`membership.gap_ratio`). made: at most 40,000 rows of it are looked at."""
        points = self.space.embed(made.head(_MADE))
        inside = log_gap(self.members, points)
        found = []
        for strangers, (own, others) in zip(self.halves, self.known, strict=True):
            a, b = own - inside, others - log_gap(strangers, points)
            found.append(float(scores.auc(a, b, np.ones((1, len(a))), np.ones((1, len(b))))[0]))
        auc = sum(found) / len(found)
        spread = 1.96 * _deviation(auc, len(self.members), sum(len(h) for h in self.halves))
        return Attack(auc, max(0.0, auc - spread), min(1.0, auc + spread))


def _deviation(auc: float, m: int, n: int) -> float:
    worse, better = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (m - 1) * (worse - auc**2) + (n - 1) * (better - auc**2)
    return math.sqrt(max(variance, 0.0) / (m * n))
