"""Near duplicates among texts, remembered one batch after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import Keys

from .buckets import Buckets, Met
from .minhash import Bands
from .shingles import Sets, jaccard, shingle_sets
from .templates import FAMILY, content
from .words import starts_of

_AT_ONCE = 8192  # texts whose candidates are compared together
_KIN = 0.3  # Jaccard similarity from which on a candidate says something about a common template


@dataclass(frozen=True)
class Nearest:
    """Of each of n texts: similarity (n,) with the most similar one it repeats, 0 if it repeats none; known: (n,) that
    one's number, counted from the first text that was told on and through the new ones, -1 if none."""

    similarity: NDArray[np.float64]
    known: NDArray[np.int64]


class Near:
    """Texts whose sets of `size`-word runs have a Jaccard similarity of at least `threshold` with an earlier one.

    Candidates come from MinHash bands and are then compared exactly; with FAMILY relatives or more, by what they share
    beyond the common template as well (`templates.content`). Memory: 4 bytes for each run of words and 8 for each band,
    about 1 KB for a text of 1 KB. What was remembered is all the state there is, in its order, whatever the batches.
    """

    def __init__(self, threshold: float, size: int = 2) -> None:
        self.threshold, self.shingle = threshold, size
        self._bands = Bands.at(threshold)
        self._buckets = Buckets()
        self._sets = _Kept()
        self._relatives = 0
        self._last: tuple[pl.Series, Sets, Keys] | None = None

    @property
    def size(self) -> int:
        return self._buckets.size

    def relate(self, texts: pl.Series) -> None:
        """Texts that may show what a template is, before anything is remembered; repeating them is not held against one."""
        self.remember(texts)
        self._relatives = self.size

    def remember(self, texts: pl.Series) -> None:
        for part in texts.to_frame().iter_slices(_AT_ONCE):
            sets, keys = self._sketched(part.to_series())
            self._buckets.add(keys)
            self._sets.add(sets)

    def repeats(self, texts: pl.Series) -> Nearest:
        """Which texts repeat a remembered one, or an earlier one of these that repeats none itself."""
        sets = shingle_sets(texts, self.shingle)
        keys = self._bands.keys(sets)
        self._last = texts, sets, keys
        met = self._buckets.meet(keys)
        alike = self._alike(sets, met)
        starts = np.searchsorted(met.row, np.arange(len(texts) + 1))
        out = Nearest(np.zeros(len(texts)), np.full(len(texts), -1))
        for i in np.unique(met.row[alike >= self.threshold]).tolist():
            mine = slice(int(starts[i]), int(starts[i + 1]))
            known, likeness = met.known[mine], alike[mine]
            new = known - self.size
            admitted = (known >= self._relatives) & (new < 0)
            stands = admitted | ((new >= 0) & (new < i) & (out.known[np.clip(new, 0, i)] < 0))
            close = stands & (likeness >= self.threshold)
            kin = likeness >= _KIN
            if close.any() and kin.sum() >= FAMILY:
                own = content(sets.of(i), self._family(sets, known[kin]))
                close[kin] &= own >= self.threshold
            if close.any():
                best = int(np.argmax(np.where(close, likeness, -1.0)))
                out.similarity[i], out.known[i] = likeness[best], known[best]
        return out

    def _sketched(self, texts: pl.Series) -> tuple[Sets, Keys]:
        """Sets and band keys; taken from what was judged last, where all texts are among those, as admitted ones are."""
        if self._last is not None:
            judged, sets, keys = self._last
            table = judged.alias("text").to_frame().with_row_index("row").unique("text", keep="first")
            row = texts.alias("text").to_frame().join(table, on="text", how="left", maintain_order="left")["row"]
            if not row.null_count():
                taken = row.to_numpy().astype(np.int64)
                return sets.take(taken), keys[taken]
        sets = shingle_sets(texts, self.shingle)
        return sets, self._bands.keys(sets)

    def _alike(self, sets: Sets, met: Met) -> NDArray[np.float64]:
        alike = np.empty(len(met.row))
        new = met.known >= self.size
        alike[new] = jaccard(sets, sets, met.row[new], met.known[new] - self.size)
        alike[~new] = jaccard(sets, self._sets.sets, met.row[~new], met.known[~new])
        return alike

    def _family(self, sets: Sets, known: NDArray[np.int64]) -> Sets:
        """The sets of some candidates; those of remembered texts have the lower numbers and stand first."""
        old = self._sets.sets.take(known[known < self.size])
        new = sets.take(known[known >= self.size] - self.size)
        return Sets(np.concatenate([old.values, new.values]), starts_of(np.concatenate([old.sizes, new.sizes])))


class _Kept:
    """Sets that grow by doubling."""

    def __init__(self) -> None:
        self._values, self._starts = np.empty(1 << 16, np.uint32), np.zeros(1 << 10, np.int64)
        self._texts = 0

    @property
    def sets(self) -> Sets:
        starts = self._starts[: self._texts + 1]
        return Sets(self._values[: starts[-1]], starts)

    def add(self, more: Sets) -> None:
        end = int(self._starts[self._texts])
        self._values = _roomy(self._values, end + len(more.values))
        self._starts = _roomy(self._starts, self._texts + len(more.sizes) + 1)
        self._values[end : end + len(more.values)] = more.values
        self._starts[self._texts : self._texts + len(more.sizes) + 1] = end + starts_of(more.sizes)
        self._texts += len(more.sizes)


def _roomy(held: NDArray[Any], needed: int) -> NDArray[Any]:
    if needed <= len(held):
        return held
    return np.concatenate([held, np.empty(max(needed, 2 * len(held)) - len(held), held.dtype)])
