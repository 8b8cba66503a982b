"""MinHash signatures in bands: texts with similar shingle sets share a band (Broder, 1997; Indyk & Motwani, 1998)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthmill.frame import Keys, rng_of

from .shingles import Sets
from .words import mixed

PERMUTATIONS = 160
_LEAST = 0.9  # chance to meet in a band at the threshold itself; above it rises steeply
_AT_ONCE = 1 << 17  # shingles whose images stay in the cache over all permutations


@dataclass(frozen=True)
class Bands:
    """count bands of `rows` minima each."""

    count: int
    rows: int

    @classmethod
    def at(cls, threshold: float) -> Bands:
        """As many rows as still let a pair at the threshold meet with a chance of 0.9: rows keep strangers apart."""
        for rows in range(PERMUTATIONS // 2, 1, -1):
            if 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows) >= _LEAST:
                return cls(PERMUTATIONS // rows, rows)
        return cls(PERMUTATIONS, 1)

    def keys(self, sets: Sets) -> Keys:
        """(n, count) uint64: equal where two sets have the same minima in a band. Empty sets get keys of their own."""
        factors = rng_of("texts", "minhash").integers(0, 2**32, PERMUTATIONS, dtype=np.uint32) | np.uint32(1)
        out = np.empty((len(sets.sizes), self.count), np.uint64)
        for first, last in _portions(sets):
            minima = _minima(sets, first, last, factors[: self.count * self.rows])
            total = np.zeros((last - first, self.count), np.uint64)
            for row in range(self.rows):
                total = mixed(total + minima[row :: self.rows].T + np.uint64(1))
            out[first:last] = mixed(total + np.arange(self.count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        empty = np.flatnonzero(sets.sizes == 0)
        out[empty] = mixed(np.arange(self.count, dtype=np.uint64))
        return out


def _portions(sets: Sets) -> list[tuple[int, int]]:
    cuts = np.searchsorted(sets.starts, np.arange(0, sets.starts[-1] + 1, _AT_ONCE))
    edges = np.unique(np.concatenate([cuts, [0, len(sets.sizes)]]))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _minima(sets: Sets, first: int, last: int, factors: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """(permutations, texts): the smallest image under x -> factor * x modulo 2^32, a permutation for odd factors; the
    shingles are mixed already, so that nothing about them is left for the factor to keep."""
    sizes = sets.sizes[first:last]
    out = np.full((len(factors), last - first), np.uint32(0xFFFFFFFF))
    full = np.flatnonzero(sizes)
    if not len(full):
        return out
    values = sets.values[sets.starts[first] : sets.starts[last]]
    at = (sets.starts[first:last] - sets.starts[first])[full]
    image = np.empty_like(values)
    for p, factor in enumerate(factors):
        np.multiply(values, factor, out=image)
        out[p, full] = np.minimum.reduceat(image, at)
    return out
