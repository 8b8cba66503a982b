"""Which remembered texts share a band with a new one: an index that grows by sorted runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthmill.frame import Keys

_BITS = np.uint64(28)
_LOW = np.uint64((1 << 28) - 1)
"""Of a packed entry: 36 bits of the band's key above 28 bits of the text's number. Among 6.4 million entries a strange one
is met with a chance of 1 in 10,000 a band, and thrown out where candidates are compared."""
FULL = 12
"""Texts of one bucket that are candidates. A fuller bucket holds what a whole family of texts has in common, such as a
template; then its first ones stand for all, and what two members share beyond it makes them meet in other bands."""
MOST = 32
"""Candidates of one text, those that share most bands first."""


@dataclass(frozen=True)
class Met:
    """Pairs of a new text and a known one. row, known: (p,) int64, ascending by row."""

    row: NDArray[np.int64]
    known: NDArray[np.int64]


class Buckets:
    """Sorted runs whose sizes at least halve, as in `tables.keyset`; what is found does not depend on how they were cut."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []
        self.size = 0

    def add(self, keys: Keys) -> None:
        """keys: (n, bands) of the next n texts."""
        self._runs.append(np.sort(_packed(keys, self.size)))
        self.size += len(keys)
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]), kind="stable")

    def meet(self, keys: Keys) -> Met:
        """Texts that share a band with each of n new ones: known ones, and of the new ones themselves, which are
        numbered on from the known, the others."""
        asked = np.sort(_packed(keys, 0))
        row = (asked & _LOW).astype(np.int64)
        own = asked + np.uint64(self.size)
        found_row, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        room = np.full(len(asked), FULL, np.int64)
        for run in (*self._runs, own):
            first = np.searchsorted(run, asked & ~_LOW)
            many = np.minimum(np.searchsorted(run, asked | _LOW, side="right") - first, room)
            room -= many
            at = np.flatnonzero(many)
            starts = np.cumsum(many[at]) - many[at]
            place = np.arange(int(many.sum())) + np.repeat(first[at] - starts, many[at])
            found_row.append(np.repeat(row[at], many[at]))
            found.append((run[place] & _LOW).astype(np.int64))
        return _chosen(np.concatenate(found_row), np.concatenate(found), self.size)


def _packed(keys: Keys, first: int) -> Keys:
    if first + len(keys) > int(_LOW):
        raise ValueError(f"more than {int(_LOW):,} texts cannot be told apart")
    numbers = np.arange(first, first + len(keys), dtype=np.uint64)[:, None]
    return ((keys & ~_LOW) | numbers).ravel()


def _chosen(row: NDArray[np.int64], known: NDArray[np.int64], size: int) -> Met:
    """Each pair once, without pairs of a text with itself, at most `MOST` a text."""
    other = known != row + size
    pairs, shared = np.unique((row[other] << 32) | known[other], return_counts=True)
    row, known = pairs >> 32, pairs & 0xFFFFFFFF
    crowded = np.bincount(row, minlength=1) > MOST
    if crowded.any():
        order = np.lexsort((known, -shared, row))
        rank = np.arange(len(row)) - np.searchsorted(row, row)  # rows ascend in either order
        keep = np.sort(order[rank < MOST])
        row, known = row[keep], known[keep]
    return Met(row, known)
