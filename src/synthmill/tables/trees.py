"""Decision trees over codes as flat arrays: grown by scikit-learn, kept and walked without it, so no pickle is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codes import Codes, Mask
from .pruning import standing

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

CLASSES = 32
"""Beyond this many levels a target is grown on coordinates of its levels: class counts at every split cost too much."""
_PRIOR = 1.0
_FEWEST = 5
"""Rows of a leaf, however much they weigh."""


@dataclass(frozen=True)
class Tree:
    """m nodes in pre-order: the left child of node i is i + 1, and a subtree is a run of nodes.

    feature: (m,) row of the code matrix that is asked, -1 at a leaf; bound: (m,) left where the rank of the code is at
    most this; right: (m,) the right child; rows: (m,) how many rows, or what weight, a node was grown on. stands: (m,)
    the nodes that pruning leaves. ranks: of a predictor that has no order, the rank of each code.
    """

    feature: Ints
    bound: Ints
    right: Ints
    rows: Ints
    stands: Mask
    ranks: Mapping[int, Ints]
    parent: Ints = field(init=False)
    end: Ints = field(init=False)

    def __post_init__(self) -> None:
        """parent: (m,), -1 at the root. end: (m,) the first node after the subtree."""
        inner = np.flatnonzero(self.feature >= 0).astype(np.int32)
        parent = np.full(len(self.feature), -1, np.int32)
        parent[inner + 1] = inner
        parent[self.right[inner]] = inner
        last = np.arange(len(self.feature), dtype=np.int32)
        while (below := np.flatnonzero(self.feature[last] >= 0)).size:
            last[below] = self.right[last[below]]
        object.__setattr__(self, "parent", parent)
        object.__setattr__(self, "end", last + 1)

    def leaves(self, codes: Codes) -> Ints:
        """(n,) the leaf that each column of a (columns, n) code matrix falls into."""
        node = np.zeros(codes.shape[1], np.int32)
        if self.feature[0] < 0:
            return node
        used = np.unique(self.feature[self.feature >= 0])
        values = np.stack([self.ranks[f][codes[f]] if f in self.ranks else codes[f] for f in used.tolist()])
        row = np.full(int(used[-1]) + 2, -1, np.intp)  # the last one answers for leaves
        row[used] = np.arange(len(used))
        asked = row[self.feature]
        n = values.shape[1]
        flat, active = values.ravel(), np.arange(n)
        at, here = asked[node], node
        while len(active):
            here = np.where(flat[at * n + active] <= self.bound[here], here + 1, self.right[here])
            at = asked[here]
            inside = at >= 0
            node[active[~inside]] = here[~inside]
            active, here, at = active[inside], here[inside], at[inside]
        return node

    def pruned(self, least: int, standing: bool) -> Ints:
        """(m,) the node that answers for each: itself or the lowest above it that was grown on at least so many rows, and
        if asked, is left by pruning."""
        answer = np.arange(len(self.feature), dtype=np.int32)
        able = (self.rows >= least) & (self.stands | (not standing)) | (self.parent < 0)
        while (small := np.flatnonzero(~able[answer])).size:
            answer[small] = self.parent[answer[small]]
        return answer


def stump(rows: int = 0) -> Tree:
    """A tree that asks nothing."""
    asks, nothing, grown = (np.array([v], np.int32) for v in (-1, 0, rows))
    return Tree(asks, nothing, nothing, grown, np.ones(1, bool), {})


@dataclass(frozen=True)
class Target:
    """What a column is to a tree. scores: (codes, q) coordinates of its codes; classes: grown by impurity of classes."""

    scores: Floats
    classes: bool


@dataclass(frozen=True)
class Sample:
    """Rows to learn from. codes: (columns, n); target: (n,) codes of the column that is learned; weight: (n,)."""

    codes: Codes
    target: Ints
    weight: Floats | None = None


def grow(
    rows: Sample,
    about: Target,
    predictors: Sequence[int],
    ordered: NDArray[np.bool_],
    sizes: Sequence[int],
    leaf: int,
    seed: int,
    aside: Sample | None = None,
) -> Tree:
    """A CART tree (Breiman et al., 1984) for the target on rows `predictors` of the code matrix.

    Codes of unordered predictors are ranked by the mean score of the target in each, shrunk towards the middle: for a
    number or two classes the best binary split of the levels is then among those of the rank (Fisher, 1958); with more
    coordinates the rank follows their first principal direction. leaf: the fewest rows in a leaf; with weights, so much
    weight and a few rows. aside: other rows, which say what stands of it.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    codes, target, weight = rows.codes, rows.target, rows.weight
    if not len(predictors) or len(target) < 2 * leaf or target.min() == target.max():
        return stump(len(target))
    scores = about.scores[target]
    ranks = {f: _ranked(codes[f], sizes[f], scores) for f in predictors if not ordered[f]}
    x = np.empty((codes.shape[1], len(predictors)), np.float32)
    for place, f in enumerate(predictors):
        x[:, place] = ranks[f][codes[f]] if f in ranks else codes[f]
    learner = DecisionTreeClassifier if about.classes else DecisionTreeRegressor
    y = target if about.classes else scores
    limits: dict[str, Any] = {"min_samples_leaf": leaf}
    if weight is not None:
        weight = weight / weight.mean()
        limits = {"min_samples_leaf": min(leaf, _FEWEST), "min_weight_fraction_leaf": leaf / len(target)}
    learned: Any = learner(random_state=seed % 2**32, **limits).fit(x, y, sample_weight=weight)
    tree = learned.tree_
    asked = np.where(tree.children_left >= 0, np.asarray(predictors)[np.maximum(tree.feature, 0)], -1).astype(np.int32)
    bound = np.where(asked >= 0, np.floor(tree.threshold), 0).astype(np.int32)
    used = set(asked.tolist())
    right, held = tree.children_right.astype(np.int32), np.rint(tree.weighted_n_node_samples).astype(np.int32)
    grown = Tree(asked, bound, right, held, np.ones(len(held), bool), {f: r for f, r in ranks.items() if f in used})
    if aside is None or not len(aside.target):
        return grown
    means = tree.value[:, :, 0]
    if about.classes:
        means = np.zeros((len(held), about.scores.shape[1]))
        means[:, learned.classes_] = tree.value[:, 0, :]
    told = about.scores[aside.target]
    stands = standing(asked, right, grown.parent, means, grown.leaves(aside.codes), told, aside.weight)
    return replace(grown, stands=stands)


def _ranked(codes: Codes, size: int, scores: Floats) -> Ints:
    """(size,) rank of each code along the direction in which the means of the scores spread most."""
    held = np.bincount(codes, minlength=size)
    middle = scores.mean(axis=0)
    sums = np.stack([np.bincount(codes, s, minlength=size) for s in scores.T], axis=1)
    means = (sums + _PRIOR * middle) / (held + _PRIOR)[:, None] - middle
    place = means[:, 0]
    if means.shape[1] > 1:
        direction = np.linalg.svd(means * np.sqrt(held)[:, None], full_matrices=False)[2][0]
        place = means @ (direction * np.sign(direction[np.argmax(np.abs(direction))]))
    ranks = np.empty(size, np.int32)
    ranks[np.argsort(np.round(place, 12), kind="stable")] = np.arange(size, dtype=np.int32)
    return ranks


def coordinates(profile: Floats, held: Floats, q: int) -> Floats:
    """(levels, q) principal coordinates of levels described by (levels, features) profiles, weighted by rows held.

    Levels that few rows hold are drawn towards the middle. A correspondence analysis without its chi-square metric.
    """
    middle = (held @ profile) / max(held.sum(), 1.0)
    spread = (profile - middle) * (held / (held + 10.0))[:, None]
    _, _, axes = np.linalg.svd((spread * np.sqrt(held)[:, None]).T @ (spread * np.sqrt(held)[:, None]))
    axes = axes[:q]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    found: Floats = spread @ axes.T
    return found


def pack(trees: Sequence[Tree]) -> dict[str, NDArray[Any]]:
    """Flat arrays from which `unpack` builds the equal trees."""
    ranks = [(t, f, r) for t, tree in enumerate(trees) for f, r in sorted(tree.ranks.items())]
    empty = [np.zeros(0, np.int32)]
    return {
        "nodes": np.array([len(t.feature) for t in trees], np.int64),
        "feature": np.concatenate([*empty, *(t.feature for t in trees)]),
        "bound": np.concatenate([*empty, *(t.bound for t in trees)]),
        "right": np.concatenate([*empty, *(t.right for t in trees)]),
        "rows": np.concatenate([*empty, *(t.rows for t in trees)]),
        "stands": np.concatenate([np.zeros(0, bool), *(t.stands for t in trees)]),
        "ranked": np.array([(t, f, len(r)) for t, f, r in ranks], np.int64).reshape(-1, 3),
        "ranks": np.concatenate([*empty, *(r for _, _, r in ranks)]),
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> list[Tree]:
    of: list[dict[int, Ints]] = [{} for _ in arrays["nodes"]]
    lengths = arrays["ranked"][:, 2]
    for (t, f, _), ranks in zip(arrays["ranked"].tolist(), _parts(arrays["ranks"], lengths), strict=True):
        of[t][f] = ranks
    parts = [_parts(arrays[k], arrays["nodes"]) for k in ("feature", "bound", "right", "rows", "stands")]
    return [Tree(f, b, r, n, s, ranks) for f, b, r, n, s, ranks in zip(*parts, of, strict=True)]


def _parts(flat: NDArray[Any], lengths: NDArray[np.int64]) -> list[NDArray[Any]]:
    ends = np.cumsum(lengths)
    return [flat[e - k : e] for e, k in zip(ends.tolist(), lengths.tolist(), strict=True)]
