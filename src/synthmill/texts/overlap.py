"""Which known passages a text contains, whole, in part, or with words changed: overlap of runs of words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import Keys

from .shingles import runs
from .words import Starts, spread, starts_of, words

_Ints = NDArray[np.int64]

LEAST = 3
"""Runs a text and a passage share at the least; a passage with fewer of its own is not searched for."""
_USUAL = 10  # passages that share a run from which on it belongs to nobody, such as the wording of a question


@dataclass(frozen=True)
class Overlap:
    """Of each of n texts: passage (n,), the one it contains most of, -1 for none; share (n,) of that one's runs."""

    passage: _Ints
    share: NDArray[np.float64]


class Passages:
    """Passages by their runs of `size` words. A run that more than 10 passages and 1% of them share is nobody's.

    A text contains a passage if it has at least `share` of its runs, no fewer than LEAST: then single words may be
    changed. Or if both have `long` words in a row.
    """

    def __init__(self, texts: pl.Series, size: int = 4, long: int = 13, share: float = 0.25) -> None:
        self.size, self.long, self.share = size, long, share
        found = words(texts)
        of = spread(found.starts)
        self._short = _Index.of(runs(found, size, over=False), of, len(texts))
        self._long = _Index.of(runs(found, long, over=False), of, len(texts))
        total = np.bincount(self._short.passages, minlength=len(texts))
        self._total, self.searchable = total, total >= LEAST
        self._needed = np.maximum(np.ceil(share * total), LEAST).astype(np.int64)

    def within(self, texts: pl.Series) -> Overlap:
        """Which passage each of (n,) String contains."""
        found = words(texts)
        of = spread(found.starts)
        n, m = len(texts), len(self._total)
        text, passage, hits = self._short.met(runs(found, self.size, over=False), of)
        whole = hits >= self._needed[passage]
        far, other, _ = self._long.met(runs(found, self.long, over=False), of)
        pairs = np.unique(np.concatenate([text[whole] * m + passage[whole], far * m + other])) if m else text[:0]
        at = np.searchsorted(text * m + passage, pairs)
        part = (
            hits[np.minimum(at, len(hits) - 1)] / np.maximum(self._total[pairs % m], 1) if len(pairs) else pairs * 1.0
        )
        out = Overlap(np.full(n, -1), np.zeros(n))
        order = np.lexsort((pairs, -part))[::-1]  # the best last, so that it stays
        out.passage[pairs[order] // m] = pairs[order] % m
        out.share[pairs[order] // m] = part[order]
        return out


@dataclass(frozen=True)
class _Index:
    """keys: (k,) distinct runs, ascending; starts: (k + 1,), where each one's passages begin; passages: (p,)."""

    keys: Keys
    starts: Starts
    passages: _Ints

    @classmethod
    def of(cls, found: Keys, passage: _Ints, n: int) -> _Index:
        """Without the runs of too many passages; a run that a passage has twice counts once."""
        some = found != 0
        found, passage = found[some], passage[some]
        order = np.lexsort((passage, found))
        found, passage = found[order], passage[order]
        first = np.ones(len(found), bool)
        first[1:] = (found[1:] != found[:-1]) | (passage[1:] != passage[:-1])
        keys, inverse, count = np.unique(found[first], return_inverse=True, return_counts=True)
        usual = count > max(_USUAL, n // 100)
        return cls(keys[~usual], starts_of(count[~usual]), passage[first][~usual[inverse]])

    def met(self, found: Keys, text: _Ints) -> tuple[_Ints, _Ints, _Ints]:
        """(text, passage, how many of the passage's runs the text has) of every pair that shares any, ascending."""
        none = np.zeros(0, np.int64)
        if not len(self.keys) or not len(found):
            return none, none, none
        at = np.minimum(np.searchsorted(self.keys, found), len(self.keys) - 1)
        hit = np.flatnonzero(self.keys[at] == found)
        once = np.unique(text[hit] * len(self.keys) + at[hit])
        text, run = once // len(self.keys), once % len(self.keys)
        many = np.diff(self.starts)[run]
        place = np.arange(int(many.sum())) + np.repeat(self.starts[run] - (np.cumsum(many) - many), many)
        m = int(self.passages.max()) + 1
        pairs, hits = np.unique(np.repeat(text, many) * m + self.passages[place], return_counts=True)
        return pairs // m, pairs % m, hits
