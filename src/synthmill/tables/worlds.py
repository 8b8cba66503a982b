"""Cross-donor sequences of trees: in a world no row gives its values to neighbouring columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from synthmill.frame import seed_of

from .codes import Codes, Mask
from .donors import Conditional, Places
from .trees import CLASSES, Floats, Ints, Sample, Target, Tree, coordinates, grow, pack, unpack

_GROUPS = 16
_LOOKED = 5_000
_AXES = 4
_MORE = 2_000
"""Trees kept beyond those of the order that `grow` was called with."""
_SWEEPS = 5
_EACH = 100
"""One more world is lived in for so many rows with missing values."""
_SIMPLE = 30

Key = tuple[int, int, int, tuple[int, ...]]
"""World, column, fold of its donors, predictors."""


class Cut(NamedTuple):
    """How much trees are let tell. numbers, rest: the fewest rows that a leaf of numbers, of other columns, is grown on;
    shrink: see `Conditional.places`; standing: without what rows left out of growing refute."""

    numbers: int
    rest: int
    shrink: float
    standing: bool = False

    def least(self, number: bool) -> int:
        return self.numbers if number else self.rest


@dataclass
class Worlds:
    """A table's joint distribution as W random splits of its rows into F folds, each with trees of its own.

    In a world, the column at place p of the order is grown on `share` of the rows of the other folds and filled with donors
    of fold p mod F, given the columns before it; a drawn row lives in one world. So no row gives neighbouring values,
    nor more than about one in F.

    codes: (columns, rows). ordered: which columns are numbers; sizes: how many codes each has. At most `most` predictors
    are used for a column, those that depend on it most. cut: trees are grown for the first value it has and cut back for
    others; the rows of the other folds that they are not grown on say what stands.
    weight: (rows,) what rows count for when trees are grown,
    so that few of them can have leaves of their own. observed: (columns, rows) whose codes teach and give, if not all that are no left-out level. Trees are grown when
    they are first needed.
    """

    codes: Codes
    ordered: NDArray[np.bool_]
    sizes: list[int]
    worlds: int
    folds: int
    most: int
    seed: int
    cut: Cut
    share: float = 0.6
    grown: dict[Key, Tree] = field(default_factory=dict)
    observed: Mask | None = None
    weight: Floats | None = None
    fold: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        n = self.codes.shape[1]
        self.fold = np.stack([self._rng("fold", w).permutation(n) % self.folds for w in range(self.worlds)]).astype(
            np.uint8
        )
        self._first = self.cut
        self._filled: dict[Key, Conditional] = {}
        self._targets: dict[int, Target] = {}
        self._strength: Floats | None = None
        self._kept = len(self.grown)

    def _rng(self, *names: object) -> np.random.Generator:
        return np.random.default_rng(seed_of("worlds", self.seed, *names))

    def coarsen(self, cut: Cut) -> None:
        """Cuts all trees back. cut: its leaves are no smaller than those of the first."""
        self.cut = cut
        self._filled = {
            k: replace(c, least=cut.least(bool(self.ordered[k[1]])), standing=cut.standing)
            for k, c in self._filled.items()
        }

    def order(self, lead: Sequence[int]) -> list[int]:
        """Of all columns: `lead`, then those of few codes, from the fewest on; then the others, from those on that depend
        most on the rest: what comes late is given by more predictors than its trees can use."""
        variety = [len(np.unique(c)) for c in self.codes]
        strength = self._dependence().sum(axis=1)
        few = [v <= _SIMPLE for v in variety]
        rest = [j for j in range(len(self.codes)) if j not in lead]
        return [*lead, *sorted(rest, key=lambda j: (not few[j], variety[j] if few[j] else -strength[j], j))]

    def grow(self, order: Sequence[int]) -> None:
        """Every tree that drawing in this order needs."""
        with _one_thread():
            for w in range(self.worlds):
                for place, j in enumerate(order):
                    self.conditional(w, j, place, order[:place], steady=True)
        self._kept = len(self.grown)

    def draw(
        self,
        order: Sequence[int],
        n: int,
        rng: np.random.Generator,
        asked: Mapping[int, Mask] | None = None,
        told: Places | None = None,
    ) -> Ints | None:
        """(columns, n) the row that gives each value. order: of all columns, those of `asked` first.
        asked: the codes that a column may have, as a mask. None where no row has one of them. told: filled with where
        the rows lie."""
        alone = {j: mask[self.codes[j]] for j, mask in (asked or {}).items()}
        if not all(rows.any() for rows in alone.values()):
            return None
        inside = np.logical_and.reduce([*alone.values()]) if alone else np.zeros(0, bool)
        able = {j: (inside, rows) for j, rows in alone.items()}
        given = np.zeros((len(order), n), np.int32)
        return self._lived(order, given, np.ones(given.shape, bool), rng, able, told=told)

    def impute(self, order: Sequence[int], given: Codes, missing: Mask, rng: np.random.Generator) -> None:
        """Puts codes in place of those that are `missing` in the (columns, n) codes given. Of worlds that are `completed`.

        Drawn in order first, then each given all others, some times over, so that the trees needed do not multiply with
        the patterns of what is missing. Few rows live in few worlds, as trees may have to be grown for them.
        """
        many = min(self.worlds, 1 + given.shape[1] // _EACH)
        self._lived(order, given, missing, rng, {}, _SWEEPS, many)

    def completed(self, order: Sequence[int], missing: Mask) -> Worlds:
        """Worlds over the same rows with the `missing` ones of their (columns, rows) codes imputed, without trees yet.

        Chained equations with trees (Burgette & Reiter, 2010): only thus does a value that is there not tell that it is
        there. What was missing neither teaches nor gives.
        """
        whole = replace(self, codes=self.codes.copy(), grown={}, observed=~missing)
        whole.fold, whole._first, rng = self.fold, self._first, self._rng("completed")
        holed = [(place, j, np.flatnonzero(missing[j])) for place, j in enumerate(order) if missing[j].any()]
        for _, j, rows in holed:
            whole.codes[j, rows] = rng.choice(self.codes[j, ~missing[j]], len(rows))
        for sweep in range(_SWEEPS if holed else 0):
            for place, j, rows in holed:
                found = whole.conditional(sweep % self.worlds, j, place, [i for i in order if i != j])
                whole.codes[j, rows] = whole.codes[j, found.draw(whole.codes[:, rows], self.cut.shrink, rng)]
                whole.grown, whole._filled = {}, {}
        return whole

    def _lived(
        self,
        order: Sequence[int],
        given: Codes,
        missing: Mask,
        rng: np.random.Generator,
        able: Mapping[int, Sequence[Mask]],
        sweeps: int = 0,
        many: int | None = None,
        told: Places | None = None,
    ) -> Ints:
        """(columns, n) the row that gives each missing code, else -1; the codes themselves get into `given`. Each column
        of it lives in one world. able: masks of who may give, the best first. many: worlds that are lived in."""
        donor = np.full(given.shape, -1, np.int32)
        world = rng.permutation(self.worlds)[rng.integers(many or self.worlds, size=given.shape[1])]
        if told is not None:
            told.begin(world, given.shape)
        for w in range(self.worlds):
            rows = np.flatnonzero(world == w)
            codes, absent = given[:, rows], missing[:, rows]
            several = absent.sum(axis=0) > 1
            for sweep in range(sweeps + 1):
                for place, j in enumerate(order):
                    at = np.flatnonzero(absent[j] & several if sweep > 1 else absent[j])
                    if not len(at):
                        continue
                    found = self.conditional(w, j, place, order[:place] if not sweep else [i for i in order if i != j])
                    if j in able:
                        found = _restricted(found, able[j])
                    node = found.places(codes if len(at) == len(rows) else codes[:, at], self.cut.shrink, rng)
                    drawn = found.anyone_below(node, rng)
                    if told is not None:
                        told.note(j, rows[at], self.fold[w, drawn], node, found.count[node])
                    donor[j, rows[at]], codes[j, at] = drawn, self.codes[j, drawn]
            given[:, rows] = codes
        return donor

    def conditional(self, w: int, j: int, place: int, before: Sequence[int], steady: bool = False) -> Conditional:
        """Column j at a place of the order, given the columns before it, in world w. steady: linear algebra is on one
        thread already, as a tree's last bits must not depend on how many there are."""
        key = (w, j, place % self.folds, self._predictors(j, before))
        found = self._filled.get(key)
        if found is None:
            able = self._able(j)
            if key not in self.grown:
                self._forget()
                with nullcontext() if steady else _one_thread():
                    self.grown[key] = self._grown(key, np.flatnonzero(able & (self.fold[w] != key[2])))
            found = Conditional.filled(
                self.grown[key], self.codes, self._donors(w, key[2], able),
                self.cut.least(bool(self.ordered[j])), self.cut.standing,
            )  # fmt: skip
            self._filled[key] = found
        return found

    def _able(self, j: int) -> Mask:
        """(rows,) who may teach and give column j: not those whose level is left out."""
        if self.observed is not None:
            return self.observed[j]
        return np.ones(self.codes.shape[1], bool) if self.ordered[j] else self.codes[j] > 0

    def _forget(self) -> None:
        """Trees grown for single requests go once there are many of them; each can be grown again, as it was."""
        if len(self.grown) > self._kept + _MORE:
            self.grown = self._lasting()
            self._filled = {k: c for k, c in list(self._filled.items()) if k in self.grown}

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
        kept = int(len(rows) * self.share)
        drawn, seed = rng.permutation(rows), int(rng.integers(2**31))
        grown, aside = (self._rows(j, np.sort(part)) for part in (drawn[:kept], drawn[kept:]))
        least = self._first.least(bool(self.ordered[j]))
        return grow(grown, self._target(j), predictors, self.ordered, self.sizes, least, seed, aside)

    def _rows(self, j: int, rows: NDArray[np.int64]) -> Sample:
        return Sample(self.codes[:, rows], self.codes[j, rows], None if self.weight is None else self.weight[rows])

    def without(self, gone: Mask) -> Worlds:
        """The same worlds with some rows taken out: they give nothing any more. gone: (rows,). Splits stay where they are."""
        left = replace(self, codes=self.codes[:, ~gone], grown=self._lasting())
        left.weight = None if self.weight is None else self.weight[~gone]
        left.fold, left._first = self.fold[:, ~gone], self._first
        left._strength = self._chosen_by()
        return left

    def _chosen_by(self) -> Floats | None:
        """What decides which predictors a column is given, where it is not given all: trees would be others without it."""
        return self._dependence() if len(self.codes) > self.most + 1 else None

    def _lasting(self) -> dict[Key, Tree]:
        """The trees that `grow` grew: what was asked for since decides nothing that is kept."""
        return dict(list(self.grown.items())[: self._kept])

    def arrays(self) -> dict[str, NDArray[Any]]:
        codes = self.codes.astype(np.min_scalar_type(int(self.codes.max(initial=0))))
        weight = {} if self.weight is None else {"weight": self.weight}
        strength = self._chosen_by()
        chosen = {} if strength is None else {"strength": strength}
        return {"codes": codes, "fold": self.fold, **weight, **chosen, **pack(list(self._lasting().values()))}

    def to_json(self) -> dict[str, Any]:
        kept = ("worlds", "folds", "most", "seed", "share", "sizes")
        about = {k: getattr(self, k) for k in kept}
        return about | {
            "ordered": self.ordered.tolist(), "cut": list(self.cut), "first": list(self._first),
            "trees": [[*key[:3], list(key[3])] for key in self._lasting()],
        }  # fmt: skip

    @classmethod
    def load(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Worlds:
        about = {k: v for k, v in data.items() if k not in ("trees", "first")}
        keys = [(w, j, place, tuple(predictors)) for w, j, place, predictors in data["trees"]]
        about |= {"ordered": np.array(data["ordered"], bool), "cut": Cut(*data["cut"])}
        loaded = cls(
            codes=arrays["codes"].astype(np.int32), grown=dict(zip(keys, unpack(arrays), strict=True)), **about
        )
        loaded.weight, loaded._strength = arrays.get("weight"), arrays.get("strength")
        loaded.fold, loaded._first = arrays["fold"], Cut(*data["first"])
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


def _one_thread() -> AbstractContextManager[Any]:
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


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
