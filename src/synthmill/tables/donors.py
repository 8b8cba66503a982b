"""Conditional distributions as trees filled with donors: the value of a column is that of a real row in the same leaf."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .codes import Codes, Mask
from .trees import Ints, Tree, stump

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Conditional:
    """One column given others. tree: grown on other rows than its donors; donors: rows, sorted by their leaf.

    leaf: (m,) of each donor. least: no leaf that was grown on fewer rows answers; standing: nor one that pruning fells. first, count: (nodes,) the run of
    donors below each node.
    """

    tree: Tree
    donors: Ints
    leaf: Ints
    least: int
    standing: bool
    answer: Ints = field(init=False)
    first: Ints = field(init=False)
    count: Ints = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "answer", self.tree.pruned(self.least, self.standing))
        first = np.searchsorted(self.leaf, np.arange(len(self.tree.feature))).astype(np.int32)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "count", np.searchsorted(self.leaf, self.tree.end).astype(np.int32) - first)

    @classmethod
    def filled(cls, tree: Tree, codes: Codes, donors: Rows, least: int, standing: bool) -> Conditional:
        leaf = tree.leaves(codes[:, donors])
        order = np.argsort(leaf, kind="stable")
        return cls(tree, donors[order].astype(np.int32), leaf[order], least, standing)

    @classmethod
    def anyone(cls, donors: Rows) -> Conditional:
        """Each of the donors with equal chance, whatever was drawn before."""
        return cls(stump(), donors.astype(np.int32), np.zeros(len(donors), np.int32), 0, False)

    def only(self, kept: Mask) -> Conditional:
        """The same with some of its donors. kept: (m,)."""
        return replace(self, donors=self.donors[kept], leaf=self.leaf[kept])

    def draw(self, given: Codes, shrink: float, rng: np.random.Generator) -> Ints:
        """(n,) a donor for each column of the (columns, n) codes drawn so far. There must be one."""
        return self.anyone_below(self.places(given, shrink, rng), rng)

    def places(self, given: Codes, shrink: float, rng: np.random.Generator) -> Ints:
        """(n,) the node whose donors answer for each column of the (columns, n) codes.

        From a node of k donors the draw climbs to its parent with probability shrink / (k + shrink), so that a leaf's
        distribution is shrunk towards those around it (as in hierarchical shrinkage: Agarwal et al., 2022) and
        a leaf without donors is answered by the nearest node that has some.
        """
        node = self.answer[self.tree.leaves(given)]
        climbing = np.arange(len(node))
        while len(climbing):
            here = node[climbing]
            held = self.count[here]
            u = rng.random(len(climbing))
            up = (self.tree.parent[here] >= 0) & (u * (held + shrink) < shrink) | (held == 0)
            climbing = climbing[up]
            node[climbing] = self.tree.parent[node[climbing]]
        return node

    def anyone_below(self, node: Ints, rng: np.random.Generator) -> Ints:
        """(n,) one of the donors of each node."""
        held = self.count[node]
        return self.donors[self.first[node] + (rng.random(len(node)) * held).astype(np.int32)]


class Places:
    """Where drawn rows lie: (n,) `world`, and for each value, (columns, n), the `fold` of its donor, the `node` it was
    drawn from and how many `donors` that has."""

    def begin(self, world: NDArray[np.int64], shape: tuple[int, ...]) -> None:
        self.world = world
        self.fold, self.node, self.donors = (np.zeros(shape, np.int32) for _ in range(3))

    def note(self, j: int, rows: Rows, fold: NDArray[np.uint8], node: Ints, donors: Ints) -> None:
        self.fold[j, rows], self.node[j, rows], self.donors[j, rows] = fold, node, donors
