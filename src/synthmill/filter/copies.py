"""Copies: records nearer to a real one than real records are to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.frame import Keys, row_keys
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables.encode import NUMERIC
from synthmill.tables.space import Space, nearest

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]

_FAR = 0.999  # below the cost of one categorical mismatch: only rows that share every category can be near
_ROUNDING = 1e-6
_AT_ONCE = 1_000  # candidates whose every near record is listed at a time
_CROWDED = 2_000  # records of the same categories from which on every distance is computed, instead of asking a tree,
_AXES, _DIMENSION = 15, 6.0  # where there are so many axes, or records fill so many, that a tree hardly excludes any
_TILE = 512, 8_192


@dataclass
class Copies:
    """A record nearer to a real one than real records are to each other.

    Around every train record lies a ball whose radius is a fixed share of the distance to its own nearest other
    train record, so that dense regions have small balls and lonely people large ones. A candidate inside any ball
    is a copy. The share is calibrated on train alone, never the holdout: each train record in turn, taken out, falls
    into a ball of the others at the rate `quantile`, and so does a fresh real record.

    A record that occurs twice or more in train has no ball: repeating it tells nothing about one person (two rows of
    the same person are taken for two people). A single one all of whose values recur in other records may be met by
    chance: where fresh records meet such ones more often than `quantile`, as in coarse tables, exact copies of them
    are admitted in each batch up to that rate instead of never, since a hole at each would give it away too.

    Distance is that of `tables.space`, over the columns a table model makes; 1 is one categorical mismatch, and no
    ball reaches that far. score: distance over the nearest neighbour's, known for rejected rows only.
    """

    quantile: Annotated[float, Field(gt=0, lt=0.5)] = 0.01

    private = True
    needs_real = True

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        if not schema.modelled:
            raise Refusal(
                "copies: the real data has no column to compare by (only identifiers, personal data or texts)"
            )
        numbers = schema.of(*NUMERIC)
        self._categories = [n for n in schema.modelled if n not in numbers]
        self._space = Space.fit(train, schema.select(numbers))
        keys, points = self._place(train)
        self._balls, ratios, common = _Balls.fit(train.select(schema.modelled), keys, points)
        chance = float((common & (ratios == 0)).sum() / max(1, train.height))
        self.coincidence = chance if chance > self.quantile else 0.0
        if self.coincidence:
            ratios = ratios[~common | (ratios > 0)]
        self.share = _lower(ratios, self.quantile) or _lower(ratios[ratios > 0], self.quantile)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        if not hasattr(self, "_balls"):
            raise Refusal("copies: there is no real data to compare with")
        ratios, common = self._balls.ratios(*self._place(frame), self.share)
        exact = ratios == 0
        ok = ratios >= self.share
        ok |= self._coincidences(exact & common, ok)
        reason = np.where(exact, "equals a real record", "nearer to a real record than real records are to each other")
        score = pl.Series(np.where(ok, np.nan, ratios), dtype=pl.Float32).fill_nan(None)
        return Verdicts.where(pl.Series(ok), pl.Series(reason), score)

    def _place(self, frame: pl.DataFrame) -> tuple[Keys, _Floats]:
        same = np.zeros(frame.height, np.uint64)
        keys = row_keys(frame.select(self._categories)) if self._categories else same
        return keys, self._space.coordinates(frame)

    def _coincidences(self, exact: _Bools, ok: _Bools) -> _Bools:
        """The exact copies let in, in order: never more than `coincidence` of what the batch has let in so far.
        A generator that only copies lets nothing else in, so nothing of it passes."""
        let_in = np.zeros(len(exact), bool)
        if self.coincidence:
            others, n = np.cumsum(ok), 0
            for i in np.flatnonzero(exact):
                if n + 1 <= self.coincidence * (others[i] + n + 1):
                    let_in[i], n = True, n + 1
        return let_in


@dataclass(frozen=True)
class _Balls:
    """Train records that occur once. keys: their categories; points: (n, d); reach: to the nearest other record;
    common: each of its values occurs in other records; tree: of their places; crowded: the records of each block that
    no tree is asked about."""

    keys: Keys
    points: _Floats
    reach: _Floats
    common: _Bools
    tree: Any
    crowded: dict[int, _Ints]

    @classmethod
    def fit(cls, train: pl.DataFrame, keys: Keys, points: _Floats) -> tuple[_Balls, _Floats, _Bools]:
        """The balls, and what `ratios` would say of each record had it not been there (at most 1).

        A record is below 1 only for a ball whose nearest neighbour it is: without it that ball reaches to the second
        nearest.
        """
        from scipy.spatial import cKDTree

        _, first, count = np.unique(row_keys(train), return_index=True, return_counts=True)
        known, block = np.unique(keys[first], return_inverse=True)
        points = points[first]
        places = _places(block, points)
        axes = int((np.ptp(points, axis=0) > 0).sum()) if len(points) else 0
        near, who = _two_nearest(places, _crowded(block) if axes >= _AXES else {})
        single = (count == 1) & (near[:, 0] > 0)
        common = _recurring(train[first])
        alone = np.where(count == 2, 0.0, 1.0)  # one of a pair, taken out, equals the other
        ball = np.flatnonzero(single & (near[:, 0] < _FAR))
        ball = ball[count[who[ball, 0]] == 1]
        np.minimum.at(alone, who[ball, 0], near[ball, 0] / near[ball, 1])
        crowded = _crowded(block[single]) if _dimension(near) >= _DIMENSION else {}
        balls = cls(known, points[single], near[single, 0], common[single], cKDTree(places[single]), crowded)
        return balls, np.repeat(alone, count), np.repeat(common, count)

    def ratios(self, keys: Keys, points: _Floats, share: float) -> tuple[_Floats, _Bools]:
        """(n,) distance to a train record over that record's reach, the smallest; inf unless below `share`.
        And whether a record it equals is a common one.

        Two records are at least as far apart as either reaches, so what lies within `share` of one's reach lies at most
        share / (1 - share) times as far from it as from the nearest of all: no other has to be measured.
        """
        best, common = np.full(len(keys), np.inf), np.zeros(len(keys), bool)
        if not len(self.reach):
            return best, common
        block = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        there = np.flatnonzero(self.keys[block] == keys)
        for b, balls in self.crowded.items():
            rows = there[block[there] == b]
            for i, j in _inside(points[rows], self.points[balls], self.reach[balls] * share):
                self._measure(best, common, rows[i], balls[j], points, share)
        there = there[~np.isin(block[there], list(self.crowded))]
        places = _places(block[there], points[there])
        most = float(self.reach.max()) * share + _ROUNDING
        apart, ball = self.tree.query(places, distance_upper_bound=most)
        near = np.flatnonzero(np.isfinite(apart))
        self._measure(best, common, there[near], ball[near], points, share)
        if share > 0.5:
            wide = np.minimum(apart[near] * share / max(1 - share, _ROUNDING), most) + _ROUNDING
            for some in range(0, len(near), _AT_ONCE):
                found = self.tree.query_ball_point(places[near[some : some + _AT_ONCE]], wide[some : some + _AT_ONCE])
                row = np.repeat(there[near[some : some + _AT_ONCE]], [len(f) for f in found])
                self._measure(best, common, row, np.concatenate(found).astype(np.int64), points, share)
        return best, common

    def _measure(self, best: _Floats, common: _Bools, row: _Ints, ball: _Ints, points: _Floats, share: float) -> None:
        gap = points[row] - self.points[ball]
        ratio = np.sqrt((gap * gap).sum(axis=1)) / self.reach[ball]
        near = ratio < share
        np.minimum.at(best, row[near], ratio[near])
        common[row[ratio == 0]] = self.common[ball[ratio == 0]]


def _crowded(block: _Ints) -> dict[int, _Ints]:
    """The rows of each block that has many."""
    count = np.bincount(block, minlength=1)
    return {int(b): np.flatnonzero(block == b) for b in np.flatnonzero(count >= _CROWDED)}


def _two_nearest(places: _Floats, crowded: dict[int, _Ints]) -> tuple[_Floats, _Ints]:
    """(n, 2) distances to the two nearest other places, at most `_FAR`, and which they are."""
    from scipy.spatial import cKDTree

    who = np.zeros((len(places), 2), np.int64)
    far, rest = np.zeros((len(places), 2), bool), np.ones(len(places), bool)
    for rows in crowded.values():
        rest[rows] = False
        exact: Any = places[rows]  # `nearest` takes float64 as well
        who[rows] = rows[nearest(exact, exact, k=2, exclude_self=True)[1]]
    tree = np.flatnonzero(rest)
    if len(tree):
        apart, two = cKDTree(places[tree]).query(places[tree], k=[2, 3], distance_upper_bound=_FAR)
        far[tree] = np.isinf(apart)  # and the index is then beyond the last
        who[tree] = tree[np.minimum(two, len(tree) - 1)]
    near = np.empty(who.shape)
    for k in range(2):
        gap = places - places[who[:, k]]
        near[:, k] = np.sqrt((gap * gap).sum(axis=1))
    return np.where(far, _FAR, np.minimum(near, _FAR)), who


def _dimension(near: _Floats) -> float:
    """Of the surface that records lie on, from the distances to their two nearest (Facco et al., 2017, "Estimating the
    intrinsic dimension of datasets by a minimal neighborhood information")."""
    close = near[(near[:, 0] > 0) & (near[:, 1] < _FAR)]
    growth = float(np.log(close[:, 1] / close[:, 0]).sum())
    return len(close) / growth if growth > 0 else 0.0


def _inside(points: _Floats, centers: _Floats, radius: _Floats) -> Iterator[tuple[_Ints, _Ints]]:
    """Pairs (i, j) of a point and a ball, among them all where the point lies inside: blocked float32 products nominate
    with room for their rounding, and whoever asks measures exactly."""
    middle = centers.mean(axis=0)
    centers = centers - middle
    squares = (centers * centers).sum(axis=1)
    right = np.c_[centers * -2, squares - radius * radius].T.astype(np.float32)
    most = float(np.sqrt(squares.max()) + radius.max())
    for s in range(0, len(points), _TILE[0]):
        some = points[s : s + _TILE[0]] - middle
        norm = (some * some).sum(axis=1)
        left = np.c_[some, np.ones(len(some))].astype(np.float32)
        slack = 4 * len(right) * 2.0**-24 * (np.sqrt(norm) + most) ** 2
        bound = (slack - norm).astype(np.float32)[:, None]
        for b in range(0, len(centers), _TILE[1]):
            met = left @ right[:, b : b + _TILE[1]] <= bound
            i, j = np.divmod(np.flatnonzero(met), met.shape[1])
            yield i + s, j + b


def _places(block: _Ints, points: _Floats) -> _Floats:
    """Blocks lie 4 apart on an axis of their own, farther than any distance that matters."""
    return np.c_[block * 4.0, points]


def _recurring(records: pl.DataFrame) -> _Bools:
    """(n,) every value of the record occurs in another one too."""
    out = np.ones(records.height, bool)
    for column in records.iter_columns():
        _, inverse, count = np.unique(row_keys(column.to_frame()), return_inverse=True, return_counts=True)
        out &= count[inverse] > 1
    return out


def _lower(values: _Floats, quantile: float) -> float:
    """The value with at most that share of the values below it; 1 where there is none to ask."""
    return float(np.sort(values)[int(quantile * len(values))]) if len(values) else 1.0
