"""A text as the set of its shingles: runs of neighbouring words (Broder, 1997)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import Keys

from .words import Starts, Words, mixed, spread, starts_of, words

_END = np.uint64(0xD1B54A32D192ED03)  # stands behind the last word
_NEXT = np.uint64(0xA24BAED4963EE407)


@dataclass(frozen=True)
class Sets:
    """Sets of n texts. values: (m,) uint32, ascending within each text; starts: (n + 1,), where each text begins."""

    values: NDArray[np.uint32]
    starts: Starts

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def of(self, i: int) -> NDArray[np.uint32]:
        return self.values[self.starts[i] : self.starts[i + 1]]

    def take(self, rows: NDArray[np.int64]) -> Sets:
        starts = starts_of(self.sizes[rows])
        return Sets(self.values[ranges(self.starts[rows], self.sizes[rows])], starts)


def shingle_sets(texts: pl.Series, size: int) -> Sets:
    """The sets of runs of `size` words of (n,) String, as 32-bit numbers: of two texts of 1,000 words two different runs
    share one with a chance of 1 in 4,000. A run may reach over the end, so that a single word has one too."""
    found = words(texts)
    of = spread(found.starts).astype(np.uint64)
    values = runs(found, size) >> np.uint64(32)
    packed = np.sort((of << np.uint64(32)) | values)
    packed = packed[np.diff(packed, prepend=~packed[:1]) != 0]
    counts = np.bincount((packed >> np.uint64(32)).astype(np.int64), minlength=len(texts))
    return Sets(packed.astype(np.uint32), starts_of(counts))


def runs(found: Words, size: int, over: bool = True) -> Keys:
    """(m,) uint64: the run of `size` words that begins at each word. over: runs reach over the text's end, where an end
    mark stands for every word; otherwise what does not fit in is left at 0."""
    m = len(found.hashes)
    padded = np.concatenate([found.hashes, np.full(size, _END)])
    left = np.repeat(found.starts[1:], found.counts) - np.arange(m)  # words from here to the text's end
    total = np.zeros(m, np.uint64)
    for j in range(size):
        total = total * _NEXT + (padded[j : j + m] if j == 0 else np.where(left > j, padded[j : j + m], _END))
    total = mixed(total)
    return total if over else np.where(left >= size, total, np.uint64(0))


def ranges(first: NDArray[np.int64], many: NDArray[np.int64]) -> NDArray[np.int64]:
    """first, first + 1, ... `many` of them, one range after the other."""
    starts = np.cumsum(many) - many
    return np.arange(int(many.sum())) + np.repeat(first - starts, many)


def jaccard(one: Sets, other: Sets, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
    """(p,) exact Jaccard similarity of one's sets i with the other's sets j; 1 for two empty sets."""
    out = np.empty(len(i))
    for first in range(0, len(i), _PAIRS):
        some = slice(first, first + _PAIRS)
        left, right = one.take(i[some]), other.take(j[some])
        pair = np.concatenate([spread(left.starts), spread(right.starts)]).astype(np.uint64)
        packed = np.sort((pair << np.uint64(32)) | np.concatenate([left.values, right.values]))
        met = packed[1:][packed[1:] == packed[:-1]]
        both = np.bincount((met >> np.uint64(32)).astype(np.int64), minlength=len(left.sizes))
        union = left.sizes + right.sizes - both
        out[some] = np.where(union > 0, both / np.maximum(union, 1), 1.0)
    return out


_PAIRS = 4096
