"""How much of a text was said before, word for word, by one source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import Keys

from .shingles import runs
from .words import Words, mixed, spread, words

COMMON = 3
"""Sources that say the same from which on it is nobody's: a licence, a greeting, a form."""


@dataclass(frozen=True)
class Quoted:
    """Of each of n texts: share (n,) of its words that stand in quoted runs; longest (n,) quoted words in a row; whole
    (n,): it is a source, word for word."""

    share: NDArray[np.float64]
    longest: NDArray[np.int64]
    whole: NDArray[np.bool_]


class Sources:
    """Every run of `size` words that fewer than COMMON of the sources contain, 8 bytes each."""

    def __init__(self, texts: pl.Series, size: int) -> None:
        self.size = size
        found = words(texts)
        of = spread(found.starts)
        keys = runs(found, size, over=False)
        some = keys != 0
        self._runs = _rare(keys[some], of[some])
        self._wholes = _rare(_whole(found), np.arange(len(texts)))

    def quoted(self, texts: pl.Series) -> Quoted:
        """What (n,) String quote. A null quotes nothing."""
        found = words(texts)
        n, m = len(texts), len(found.hashes)
        hit = _holds(self._runs, runs(found, self.size, over=False))
        edges = np.zeros(m + self.size + 1, np.int64)
        np.add.at(edges, np.flatnonzero(hit), 1)
        np.add.at(edges, np.flatnonzero(hit) + self.size, -1)
        inside = np.cumsum(edges)[:m] > 0  # a run ends where its text does, so that no other text's words are covered
        of = spread(found.starts)
        share = np.bincount(of[inside], minlength=n) / np.maximum(found.counts, 1)
        longest = np.zeros(n, np.int64)
        begins = np.flatnonzero(hit & ~np.concatenate([[False], hit[:-1]]))
        ends = np.flatnonzero(hit & ~np.concatenate([hit[1:], [False]])) if m else begins
        np.maximum.at(longest, of[begins], ends - begins + self.size)
        return Quoted(share, longest, _holds(self._wholes, _whole(found)))


def _whole(found: Words) -> Keys:
    """(n,) one key for all words of a text in their order; 0 for fewer than four, which anybody may say."""
    place = (np.arange(len(found.hashes)) - np.repeat(found.starts[:-1], found.counts)).astype(np.uint64)
    total = np.concatenate([[np.uint64(0)], np.cumsum(mixed(found.hashes + mixed(place)), dtype=np.uint64)])
    keys = mixed(total[found.starts[1:]] - total[found.starts[:-1]])
    return np.where(found.counts >= 4, keys, np.uint64(0))


def _rare(keys: Keys, source: NDArray[np.int64]) -> Keys:
    """The distinct keys that fewer than COMMON sources have, ascending."""
    order = np.lexsort((source, keys))
    keys, source = keys[order], source[order]
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (source[1:] != source[:-1])
    distinct, count = np.unique(keys[first], return_counts=True)
    return distinct[(count < COMMON) & (distinct != 0)]


def _holds(known: Keys, keys: Keys) -> NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(keys), bool)
    return known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys
