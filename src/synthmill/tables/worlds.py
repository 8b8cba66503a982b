"""Cross-donor sequences of trees: in a world no row gives its values to neighbouring columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
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
_MORE = 2_000
"""Trees kept beyond those of the order that `grow` was called with."""
_EACH = 100
"""A world more is drawn from for so many rows."""
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
        self._kept = len(self.grown)

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
        self._kept = len(self.grown)

    def draw(
        self, order: Sequence[int], n: int, rng: np.random.Generator, asked: Mapping[int, Mask] | None = None
    ) -> Ints | None:
        """(columns, n) the row that gives each value. order: of all columns, those of `asked` first.
        asked: the codes that a column may have, as a mask. None where no row has one of them."""
        alone = {j: mask[self.codes[j]] for j, mask in (asked or {}).items()}
        if not all(rows.any() for rows in alone.values()):
            return None
        inside = np.logical_and.reduce([*alone.values()]) if alone else np.zeros(0, bool)
        able = {j: (inside, rows) for j, rows in alone.items()}
        return self.complete(order, np.zeros((len(order), n), np.int32), 0, rng, able)

    def complete(
        self,
        order: Sequence[int],
        given: Codes,
        known: int,
        rng: np.random.Generator,
        able: Mapping[int, Sequence[Mask]],
    ) -> Ints:
        """`draw` for rows whose first `known` columns of the order are known: given is (columns, n), and gets the codes
        drawn. The donors of known columns are -1. able: (rows,) masks of who may give a column, the best first; of the
        last one some row must be able. Few rows of which something is known live in few worlds, as trees may have to be
        grown for them."""
        n = given.shape[1]
        donor = np.full(given.shape, -1, np.int32)
        many = min(self.worlds, 1 + n // _EACH) if known else self.worlds
        world = rng.permutation(self.worlds)[rng.integers(many, size=n)]
        for w in np.unique(world).tolist():
            rows = np.flatnonzero(world == w)
            codes = given[:, rows]
            with self._steady(w, order, known):
                for place, j in enumerate(order[known:], known):
                    found = self.conditional(w, j, place, order[:place])
                    if j in able:
                        found = _restricted(found, able[j])
                    donor[j, rows] = found.draw(codes, self.shrink, rng)
                    codes[j] = self.codes[j, donor[j, rows]]
            given[:, rows] = codes
        return donor

    def _steady(self, w: int, order: Sequence[int], known: int) -> AbstractContextManager[Any]:
        """One thread for linear algebra where a tree will be grown: its last bits must not depend on how many there are."""
        places = enumerate(order[known:], known)
        if all((w, j, p % self.folds, self._predictors(j, order[:p])) in self.grown for p, j in places):
            return nullcontext()
        from threadpoolctl import threadpool_limits

        return threadpool_limits(1)

    def conditional(self, w: int, j: int, place: int, before: Sequence[int]) -> Conditional:
        """Column j at a place of the order, given the columns before it, in world w."""
        key = (w, j, place % self.folds, self._predictors(j, before))
        found = self._filled.get(key)
        if found is None:
            able = np.ones(self.codes.shape[1], bool) if self.ordered[j] else self.codes[j] > 0
            if key not in self.grown:
                self._forget()
                self.grown[key] = self._grown(key, np.flatnonzero(able & (self.fold[w] != key[2])))
            least = self.leaf[0 if self.ordered[j] else 1]
            found = Conditional.filled(self.grown[key], self.codes, self._donors(w, key[2], able), least)
            self._filled[key] = found
        return found

    def _forget(self) -> None:
        """Trees grown for single requests go once there are many of them; each can be grown again, as it was."""
        if len(self.grown) > self._kept + _MORE:
            self.grown = self._lasting()
            self._filled = {k: c for k, c in self._filled.items() if k in self.grown}

    def _donors(self, w: int, own: int, able: Mask) -> NDArray[np.int64]:
        """Rows of a fold that are able to give; where there are none, those of a fold that is no neighbour's."""
        fold = self.fold[w]
        beside = ((own - 1) % self.folds, (own + 1) % self.folds)
        for rows in (able & (fold == own), able & ~np.isin(fold, beside), able):
            if rows.any():
                break
        return np.flatnonzero(rows)

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
        left = replace(self, codes=self.codes[:, ~gone], grown=self._lasting())
        left.fold, left._least = self.fold[:, ~gone], self._least
        return left

    def _lasting(self) -> dict[Key, Tree]:
        """The trees that `grow` grew: what was asked for since decides nothing that is kept."""
        return dict(list(self.grown.items())[: self._kept])

    def arrays(self) -> dict[str, NDArray[Any]]:
        codes = self.codes.astype(np.min_scalar_type(int(self.codes.max(initial=0))))
        return {"codes": codes, "fold": self.fold, **pack(list(self._lasting().values()))}

    def to_json(self) -> dict[str, Any]:
        kept = ("worlds", "folds", "most", "seed", "shrink", "share", "sizes")
        about = {k: getattr(self, k) for k in kept}
        return about | {
            "ordered": self.ordered.tolist(), "leaf": list(self.leaf), "least": list(self._least),
            "trees": [[*key[:3], list(key[3])] for key in self._lasting()],
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


def _restricted(found: Conditional, able: Sequence[Mask]) -> Conditional:
    """Donors that are able in the best way there is in the fold; where none of it is able at all, any row that is."""
    for rows in able:
        kept = rows[found.donors]
        if kept.any():
            return found.only(kept)
    return Conditional.anyone(np.flatnonzero(able[-1]))


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
