"""The real records that a synthetic table gives away most. What comes out names real people: only for `private/`."""

from __future__ import annotations

import numpy as np
import polars as pl

from synthmill.frame import row_keys
from synthmill.plugins import Evidence

from .interval import Floats, Ints, entities
from .membership import TINY
from .space import Points, Space, nearest

ROWS = 40_000


def exposed(evidence: Evidence, most: int) -> tuple[pl.DataFrame, int]:
    """The `most` train records with the highest density ratio, and how many were looked at.

    Columns: the record's own, and `_row` (its number in the train table, from 0), `_score` (log distance to its nearest
    held-out row less log distance to its nearest synthetic row), `_strangers` (share of held-out records that score at least as
    high: how often such a score accuses somebody who was not there), `_distance`, `_copy` (equals a synthetic row),
    `_synthetic_row` (the nearest). Of tables beyond 40,000 rows a random sample is looked at.
    """
    rng = evidence.rng("exposed")
    space = Space.fit(evidence.train, evidence.schema)
    at = np.sort(rng.permutation(evidence.train.height)[:ROWS])
    shown = np.sort(rng.permutation(evidence.synthetic.height)[:ROWS])
    other = np.sort(rng.permutation(evidence.holdout.height)[: ROWS // 4])
    train, made = space.embed(evidence.train[at]), space.embed(evidence.synthetic[shown])
    held, groups = space.embed(evidence.holdout[other]), entities(evidence.holdout, evidence.entity)[other]
    gap, who = nearest(train, made)
    score = np.log(nearest(train, held)[0][:, 0] + TINY) - np.log(gap[:, 0] + TINY)
    strangers = _fellow(held, groups) - np.log(nearest(held, made)[0][:, 0] + TINY)
    above = len(strangers) - np.searchsorted(np.sort(strangers), score, "left")
    top = np.argsort(-score, kind="stable")[:most]
    names = evidence.schema.modelled
    copy = np.isin(row_keys(evidence.train[at[top]].select(names)), row_keys(evidence.synthetic.select(names)))
    listed = evidence.train[at[top]].with_columns(
        pl.Series("_row", at[top]),
        pl.Series("_score", score[top].astype(np.float64)),
        pl.Series("_strangers", (above[top] + 1) / (len(strangers) + 1)),
        pl.Series("_distance", gap[top, 0].astype(np.float64)),
        pl.Series("_copy", copy),
        pl.Series("_synthetic_row", shown[who[top, 0]]),
    )
    return listed, len(at)


def _fellow(held: Points, groups: Ints) -> Floats:
    """log distance of each held-out row to the nearest one of another entity among its 8 nearest."""
    gap, at = nearest(held, held, min(8, len(held)))
    other = groups[at] != groups[:, None]
    other[:, -1] = True
    first = other.argmax(axis=1)
    answer: Floats = np.log(gap[np.arange(len(held)), first].astype(np.float64) + TINY)
    return answer
