"""Which records stand alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .interval import Floats, Ints
from .space import Points, nearest

_PROBE = 4_000
_FEWEST, _MOST = 10, 1_000


@dataclass(frozen=True)
class Isolated:
    """train: row numbers of outliers, loneliest first; reach: their distance to the nearest other train row.
    next: the train rows that follow, four times as many, to learn from what chance does to the lonely; next_reach: theirs.
    control: held-out rows that are as far from train; control_reach: theirs."""

    train: Ints
    reach: Floats
    next: Ints
    next_reach: Floats
    control: Ints
    control_reach: Floats

    @classmethod
    def find(cls, train: Points, holdout: Points, share: float, rng: np.random.Generator) -> Isolated:
        """The `share` of train rows farthest from their nearest other, at least 10, at most 1,000. Rows with a twin never.

        A random probe of train bounds every row's distance from above, so only rows that are far from the probe have to be
        looked at in full.
        """
        probe = np.sort(rng.permutation(len(train))[:_PROBE])
        rough, rough_held = alone(train, train[probe], probe), nearest(holdout, train[probe])[0][:, 0]
        wanted = int(np.clip(round(share * len(train)), _FEWEST, _MOST))
        likely = np.argsort(-rough, kind="stable")[: 5 * wanted]
        reach = alone(train[likely], train, np.arange(len(train)), likely)
        order = np.argsort(-reach, kind="stable")
        order, after = order[:wanted][reach[order[:wanted]] > 0], order[wanted:]
        least = float(reach[order].min(initial=np.inf))
        control = np.flatnonzero(rough_held >= least)
        gap = nearest(holdout[control], train)[0][:, 0].astype(np.float64)
        far = gap >= least
        return cls(likely[order], reach[order], likely[after], reach[after], control[far], gap[far])


def alone(points: Points, base: Points, numbers: Ints, own: Ints | None = None) -> Floats:
    """(n,) distance to the nearest row of `base` that is not the row itself. numbers: which rows `base` holds; own: which
    rows `points` are (default: all in turn)."""
    gap, at = nearest(points, base, min(2, len(base)))
    own = np.arange(len(points)) if own is None else own
    itself = numbers[at[:, 0]] == own
    other = gap[:, 1] if gap.shape[1] > 1 else np.full(len(gap), np.inf)
    return np.where(itself, other, gap[:, 0]).astype(np.float64)
