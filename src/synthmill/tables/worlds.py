"""Cross-donor sequences of trees: in a world no row gives its values to neighbouring columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthmill.frame import seed_of

from .codes import Codes, Mask
from .donors import Conditional
from .trees import CLASSES, Floats, Ints, Target, Tree, coordinates, grow, pack, unpack

_GROUPS = 16
_LOOKED = 5_000
_AXES = 4
_FEW = 2_000
"""Below this many rows a tree is grown on all it may see."""

Key = tuple[int, int, int, tuple[int, ...]]
"""World, column, fold of its donors, predictors."""


@dataclass
class Worlds:
    """A table's joint distribution as W random splits of its rows into F folds, each with trees of its own.

    In a world, the column at place p of the order is grown on half of the rows of the other folds and filled with donors
    of fold p mod F, given the columns before it; a drawn row lives in one world. So no row gives neighbouring values,
    nor more than about one in F.

    codes: (columns, rows). ordered: which columns are numbers; sizes: how many codes each has. At most `most` predictors
    are used for a column, those that depend on it most. leaf: the fewest rows that leaves of numbers, and of the rest,
    are grown on; trees are grown for the first value it has and cut back for larger ones. shrink: see `Conditional.draw`.
    Trees are grown when they are first needed.
    """

    codes: Codes
    ordered: NDArray[np.bool_]
    sizes: list[int]
    worlds: int
    folds: int
    most: int
    seed: int
    leaf: tuple[int, int]
    shrink: float
    share: float = 0.5
    grown: dict[Key, Tree] = field(default_factory=dict)
    fold: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        n = self.codes.shape[1]
        self.fold = np.stack([self._rng("fold", w).permutation(n) % self.folds for w in range(self.worlds)]).astype(
            np.uint8
        )
        self._least = self.leaf
        self._filled: dict[Key, Conditional] = {}
        self._targets: dict[int, Target] = {}
        self._strength: Floats | None = None

    def _rng(self, *names: object) -> np.random.Generator:
        return np.random.default_rng(seed_of("worlds", self.seed, *names))

    def coarsen(self, leaf: tuple[int, int], shrink: float) -> None:
        """Cuts all trees back to leaves of at least so many rows."""
        self.leaf, self.shrink = leaf, shrink
        self._filled = {k: replace(c, least=leaf[0 if self.ordered[k[1]] else 1]) for k, c in self._filled.items()}

    def grow(self, order: Sequence[int]) -> None:
        """Every tree that drawing in this order needs."""
        for w in range(self.worlds):
            for place, j in enumerate(order):
                self.conditional(w, j, place, order[:place])

    def draw(
        self, order: Sequence[int], n: int, rng: np.random.Generator, asked: Mapping[int, Mask] | None = None
    ) -> Ints | None:
        """(columns, n) the row that gives each value. order: of all columns, those of `asked` first.
        asked: the codes that a column may have, as a mask. None where no row has one of them."""
        return self.complete(order, np.zeros((len(order), n), np.int32), 0, rng, asked or {})

    def complete(
        self, order: Sequence[int], given: Codes, known: int, rng: np.random.Generator, asked: Mapping[int, Mask]
    ) -> Ints | None:
        """`draw` for rows whose first `known` columns of the order are known: given is (columns, n), and gets the codes
        drawn. The donors of known columns are -1."""
        inside = self._inside(asked)
        donor = np.full(given.shape, -1, np.int32)
        world = rng.integers(self.worlds, size=given.shape[1])
        for w in range(self.worlds):
            rows = np.flatnonzero(world == w)
            codes = given[:, rows]
            for place, j in enumerate(order[known:], known):
                found: Conditional | None = self.conditional(w, j, place, order[:place])
                if found is not None and j in asked:
                    found = self._restricted(found, inside, asked[j][self.codes[j]])
                if found is None:
                    return None
                donor[j, rows] = found.draw(codes, self.shrink, rng)
                codes[j] = self.codes[j, donor[j, rows]]
            given[:, rows] = codes
        return donor

    def _inside(self, asked: Mapping[int, Mask]) -> Mask:
        """(rows,) the rows that have everything asked for: only together do several columns ask for a cell."""
        inside = np.ones(self.codes.shape[1], bool)
        for j, mask in asked.items():
            inside &= mask[self.codes[j]]
        return inside

    @staticmethod
    def _restricted(found: Conditional, inside: Mask, alone: Mask) -> Conditional | None:
        """Donors within the cell; where the fold has none, any row's; where no row lies in the cell, those that have
        what this column is asked for."""
        for rows in (inside, alone):
            kept = rows[found.donors]
            if kept.any():
                return found.only(kept)
            if rows.any():
                return Conditional.anyone(np.flatnonzero(rows))
        return None

    def conditional(self, w: int, j: int, place: int, before: Sequence[int]) -> Conditional:
        """Column j at a place of the order, given the columns before it, in world w."""
        key = (w, j, place % self.folds, self._predictors(j, before))
        if key not in self._filled:
            own = self.fold[w] == place % self.folds
            able = np.ones(len(own), bool) if self.ordered[j] else self.codes[j] > 0
            if key not in self.grown:
                self.grown[key] = self._grown(key, np.flatnonzero(~own & able))
            donors = np.flatnonzero(own & able)
            donors = donors if len(donors) else np.flatnonzero(able)
            least = self.leaf[0 if self.ordered[j] else 1]
            self._filled[key] = Conditional.filled(self.grown[key], self.codes, donors, least)
        return self._filled[key]

    def _grown(self, key: Key, rows: NDArray[np.int64]) -> Tree:
        w, j, place, predictors = key
        rng = self._rng("tree", w, j, place)
        kept = max(int(len(rows) * self.share), min(len(rows), _FEW))
        rows = np.sort(rng.permutation(rows)[:kept])
        leaf, seed = self._least[0 if self.ordered[j] else 1], int(rng.integers(2**31))
        about = self._target(j)
        return grow(self.codes[:, rows], self.codes[j, rows], about, predictors, self.ordered, self.sizes, leaf, seed)

    def without(self, gone: Mask) -> Worlds:
        """The same worlds with some rows taken out: they give nothing any more. gone: (rows,). Splits stay where they are."""
        left = replace(self, codes=self.codes[:, ~gone], grown=dict(self.grown))
        left.fold, left._least = self.fold[:, ~gone], self._least
        return left

    def arrays(self) -> dict[str, NDArray[Any]]:
        codes = self.codes.astype(np.min_scalar_type(int(self.codes.max(initial=0))))
        return {"codes": codes, "fold": self.fold, **pack(list(self.grown.values()))}

    def to_json(self) -> dict[str, Any]:
        kept = ("worlds", "folds", "most", "seed", "shrink", "share", "sizes")
        about = {k: getattr(self, k) for k in kept}
        return about | {
            "ordered": self.ordered.tolist(), "leaf": list(self.leaf), "least": list(self._least),
            "trees": [[*key[:3], list(key[3])] for key in self.grown],
        }  # fmt: skip

    @classmethod
    def load(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Worlds:
        about = {k: v for k, v in data.items() if k not in ("trees", "least")}
        keys = [(w, j, place, tuple(predictors)) for w, j, place, predictors in data["trees"]]
        about |= {"ordered": np.array(data["ordered"], bool), "leaf": tuple(data["leaf"])}
        loaded = cls(
            codes=arrays["codes"].astype(np.int32), grown=dict(zip(keys, unpack(arrays), strict=True)), **about
        )
        loaded.fold, loaded._least = arrays["fold"], (data["least"][0], data["least"][1])
        return loaded

    def _predictors(self, j: int, before: Sequence[int]) -> tuple[int, ...]:
        if len(before) > self.most:
            strength = self._dependence()[j, list(before)]
            before = [before[i] for i in np.argsort(-strength, kind="stable")[: self.most]]
        return tuple(sorted(before))

    def _target(self, j: int) -> Target:
        if j not in self._targets:
            size = self.sizes[j]
            if self.ordered[j]:
                scores = np.arange(size, dtype=np.float64)[:, None]
            elif size <= CLASSES + 1:
                scores = np.eye(size)
            else:
                held = np.bincount(self.codes[j], minlength=size).astype(np.float64)
                others = [self._groups(i) for i in range(len(self.codes)) if i != j]
                scores = coordinates(_profile(self.codes[j], size, others), held, _AXES)
            self._targets[j] = Target(scores, not self.ordered[j] and size <= CLASSES + 1)
        return self._targets[j]

    def _groups(self, j: int) -> Ints:
        """(rows,) one of at most 16 groups of the column's codes: of neighbours where there is an order, else the most
        frequent levels and the rest."""
        held = np.bincount(self.codes[j], minlength=self.sizes[j])
        if self.ordered[j]:
            middle = (np.cumsum(held) - held / 2) / held.sum()
            of = np.minimum(middle * _GROUPS, _GROUPS - 1).astype(np.int32)
        else:
            of = np.minimum(np.argsort(np.argsort(-held, kind="stable")), _GROUPS - 1).astype(np.int32)
        return np.unique(of[self.codes[j]], return_inverse=True)[1].astype(np.int32)

    def _dependence(self) -> Floats:
        """(columns, columns) mutual information of groups in at most 5,000 rows, less its bias (Miller, 1955)."""
        if self._strength is None:
            d, n = self.codes.shape
            rows = np.sort(self._rng("looked").permutation(n)[:_LOOKED])
            groups = [self._groups(j)[rows] for j in range(d)]
            self._strength = np.zeros((d, d))
            for i in range(d):
                for j in range(i):
                    self._strength[i, j] = self._strength[j, i] = _information(groups[i], groups[j])
        return self._strength


def _profile(codes: Codes, size: int, others: Sequence[Ints]) -> Floats:
    """(size, groups) the share of each group of each other column among the rows of each code."""
    parts = []
    for groups in others:
        g = int(groups.max(initial=0)) + 1
        table = np.bincount(codes.astype(np.int64) * g + groups, minlength=size * g).reshape(size, g)
        parts.append(table / np.maximum(table.sum(axis=1, keepdims=True), 1))
    return np.concatenate(parts, axis=1) if parts else np.zeros((size, 1))


def _information(a: Ints, b: Ints) -> float:
    p, q = int(a.max(initial=0)) + 1, int(b.max(initial=0)) + 1
    table = np.bincount(a.astype(np.int64) * q + b, minlength=p * q).reshape(p, q) / len(a)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    held = table > 0
    raw = float((table[held] * np.log(table[held] / np.outer(rows, columns)[held])).sum())
    return raw - (p - 1) * (q - 1) / (2 * len(a))
