"""Texts that mean the same in other words: near duplicates by the angle between embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

Embed = Callable[[pl.Series], NDArray[np.float32]]
"""(n,) String to (n, d) unit vectors, the same for the same text; NaN for what cannot be embedded."""

POOL = 512
"""Texts whose pairs say how alike strangers are."""
_FEW = 64
_CEILING = 0.95
"""So alike is what means the same in any model: where the pool itself repeats one text, no higher limit is taken from it."""
_SELDOM = 1 / 40
_ROUNDING = 1e-4
_TILE = 2048


class Meaning:
    """Texts whose cosine with an earlier one is higher than strangers' ever are: `chance` is the share of new texts that
    would be rejected although they are strangers to all that was remembered.

    The strangers are the pairs of real texts where there are any (`relate`), else of the first POOL ones that were
    remembered, filled up with those that are judged. With fewer than 64 texts the limit is 0.95, and it is never
    higher. What was remembered is all the state there is.
    """

    def __init__(self, embed: Embed, chance: float) -> None:
        self._embed, self._chance = embed, chance
        self._known: list[NDArray[np.float32]] = []
        self._pool: NDArray[np.float32] | None = None
        self._tail: tuple[float, float] | None = None
        self._size = 0

    def relate(self, texts: pl.Series) -> None:
        """Real texts to calibrate on; repeating their meaning is not held against one."""
        self._tail = tail(_usable(self._embed(texts.head(POOL))))

    def remember(self, texts: pl.Series) -> None:
        vectors = _usable(self._embed(texts))
        if self._known and len(self._known[-1]) < _TILE:
            self._known[-1] = np.concatenate([self._known[-1], vectors])
        elif len(vectors):
            self._known.append(vectors)
        held = self._pool if self._pool is not None else vectors[:0]
        self._pool = np.concatenate([held, vectors[: POOL - len(held)]])
        self._size += len(vectors)
        if self._tail is None and len(self._pool) == POOL:
            self._tail = tail(self._pool)

    def repeats(self, texts: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """(n,) the cosine with the nearest remembered text or earlier one of these that repeats none; whether it is a
        repetition; and whether the text could be embedded at all."""
        vectors = self._embed(texts)
        usable: NDArray[np.bool_] = ~np.asarray(np.isnan(vectors).any(axis=1))
        held = self._pool if self._pool is not None else vectors[:0]
        pool = np.concatenate([held, vectors[usable][: POOL - len(held)]])
        at = limit(self._tail or tail(pool), self._chance / (self._size + len(texts)))
        nearest = self._nearest(vectors, at)[0]
        again = nearest >= at
        for i, j, cosine in sorted(_pairs(vectors, vectors, at)):
            if j < i and not again[j] and cosine >= at:
                nearest[i], again[i] = max(nearest[i], cosine), True
        return nearest, again, usable

    def closest(self, texts: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
        """(n,) the cosine with the nearest remembered text; which one it is, -1 if it is no nearer than strangers are; and
        whether the text could be embedded. What was remembered must all have been embedded."""
        vectors = self._embed(texts)
        pool = self._pool if self._pool is not None else vectors[:0]
        at = limit(self._tail or tail(pool), self._chance / max(1, self._size))
        nearest, which = self._nearest(vectors, at)
        return nearest, np.where(nearest >= at, which, -1), ~np.asarray(np.isnan(vectors).any(axis=1))

    def _nearest(self, vectors: NDArray[np.float32], at: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        nearest, which, first = np.full(len(vectors), -1.0), np.full(len(vectors), -1), 0
        for known in self._known:
            for i, j, cosine in _pairs(vectors, known, at):
                if cosine > nearest[i]:
                    nearest[i], which[i] = cosine, first + j
            first += len(known)
        return nearest, which


def tail(vectors: NDArray[np.float32]) -> tuple[float, float]:
    """How alike strangers are: the cosine that one pair in 40 exceeds, and by how much it grows each time pairs become
    rarer by the factor e. From two quantiles, so that up to one pair in 40 may be no strangers at all; beyond them an
    exponential tail (peaks over threshold; Coles, 2001), which lies above that of angles."""
    if len(vectors) < _FEW:
        return _CEILING, 0.0
    exact = vectors.astype(np.float64)
    cosines = np.einsum("id,jd->ij", exact, exact)[np.triu_indices(len(exact), 1)]
    often, seldom = np.quantile(cosines, [1 - 4 * _SELDOM, 1 - _SELDOM])
    return float(seldom), float(seldom - often) / float(np.log(4))


def limit(strangers: tuple[float, float], chance: float) -> float:
    """The cosine that pairs of strangers exceed with this chance; at most 0.95."""
    seldom, growth = strangers
    return float(min(_CEILING, seldom + growth * max(0.0, float(np.log(_SELDOM / chance)))))


def _usable(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors[~np.isnan(vectors).any(axis=1)]


def _pairs(one: NDArray[np.float32], other: NDArray[np.float32], at: float) -> list[tuple[int, int, float]]:
    """(i, j, cosine) wherever it may reach `at`: products of matrices nominate, whose last digits depend on threads and
    blocks, and each pair is then computed by itself."""
    found = []
    for s in range(0, len(one), _TILE):
        for t in range(0, len(other), _TILE):
            near = one[s : s + _TILE] @ other[t : t + _TILE].T >= at - _ROUNDING
            for i, j in zip(*np.nonzero(near), strict=True):
                a, b = one[s + i].astype(np.float64), other[t + j].astype(np.float64)
                found.append((int(s + i), int(t + j), float((a * b).sum())))
    return found
