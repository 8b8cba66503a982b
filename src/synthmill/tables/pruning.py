"""Pruning by rows that a tree was not grown on: splits that tell nothing of them told of single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codes import Mask

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


def standing(
    feature: Ints, right: Ints, parent: Ints, means: Floats, leaf: Ints, scores: Floats, weight: Floats | None
) -> Mask:
    """(m,) the nodes of a tree that reduced-error pruning leaves (Quinlan, 1987).

    feature, right, parent: the tree's nodes in pre-order, as in `trees.Tree`; means: (m, q) what each node answers; leaf, scores: (n,)
    and (n, q) of rows it was not grown on. A subtree stands if its squared error on them, weighted, is below that of its root as a leaf
    and one row's share of the whole tree's error: without that row's grace, chance
    fells every second split that is right. What none of the rows reaches stands.
    """
    m = len(feature)
    heavy = np.ones(len(leaf)) if weight is None else weight
    own = np.stack([np.bincount(leaf, heavy * s, minlength=m) for s in [*scores.T, np.ones(len(leaf))]], axis=1)
    levels = _levels(feature, right)
    for nodes in reversed(levels):
        own[nodes] += own[nodes + 1] + own[right[nodes]]
    held = own[:, -1]
    # the sum of squares of the rows themselves is the same for every pruning of a subtree, and left out
    error = held * (means * means).sum(axis=1) - 2 * (means * own[:, :-1]).sum(axis=1)
    whole = error[0] + float((heavy[:, None] * scores * scores).sum())
    grace = max(whole, 0.0) / max(held[0], 1.0)
    cut = np.ones(m, bool)
    best = error.copy()
    for nodes in reversed(levels):
        below = best[nodes + 1] + best[right[nodes]]
        stays = below < error[nodes] + grace
        best[nodes[stays]], cut[nodes[stays]] = below[stays], False
    stands: Mask = np.ones(m, bool)
    for nodes in levels:
        stands[nodes + 1] = stands[right[nodes]] = stands[nodes] & ~cut[nodes]
    return stands


def _levels(feature: Ints, right: Ints) -> list[NDArray[Any]]:
    """The inner nodes of each depth, from the root down."""
    levels = []
    nodes = np.flatnonzero(feature[:1] >= 0)
    while len(nodes):
        levels.append(nodes)
        below = np.concatenate([nodes + 1, right[nodes]])
        nodes = below[feature[below] >= 0]
    return levels
