"""Duplicates: records that were already admitted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.frame import Keys, payload, row_keys
from synthmill.plugins import Verdicts
from synthmill.schema import Schema
from synthmill.tables.keyset import KeySet

_MADE_UP = ("identifier", "personal")  # new for every row: with them nothing would ever repeat


@dataclass
class Duplicates:
    """A record equal to an admitted one, beyond the rate at which real records repeat.

    rate: share of the admitted rows that may repeat an earlier one; `train`: as many as in the real data (none
    without real data, and where it has none); 0 forbids. Beyond train's size, where distinct records run out, it is
    train's rate extrapolated to the rows admitted (Chao et al., 2014, from how many records occur once and twice).
    Rows are compared by canonical value (1 equals 1.0), without identifiers and personal data; by 64-bit keys, so
    that among 10 million rows a false match has a chance of 1 in 370,000.
    What was admitted is all the memory there is: how it came in batches does not matter. Within a batch the
    earlier row wins, and a repetition is let in as soon as there is room for it among so many admitted rows.
    """

    rate: Literal["train"] | Annotated[float, Field(ge=0, le=1)] = "train"

    def __post_init__(self) -> None:
        self._rate = 0.0 if self.rate == "train" else float(self.rate)
        self._rows, self._once, self._unseen = math.inf, 0, 0.0
        self._ignored: set[str] = set()
        self._seen = KeySet()
        self._admitted = 0

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._ignored = set(schema.of(*_MADE_UP))
        if self.rate == "train":
            times = np.unique(self._keys(train), return_counts=True)[1]
            self._rate = 1 - len(times) / max(1, train.height)
            once, twice = int((times == 1).sum()), int((times == 2).sum())
            self._rows, self._once, self._unseen = train.height, once, once * (once - 1) / (2 * (twice + 1))

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        distinct, first = np.unique(self._keys(frame), return_index=True)
        new = np.zeros(frame.height, bool)
        new[first[~self._seen.holds(distinct)]] = True
        ok = new | self._allowed(new)
        return Verdicts.where(pl.Series(ok), "equals an admitted record")

    def remember(self, admitted: pl.DataFrame) -> None:
        self._admitted += admitted.height
        self._seen.add(np.unique(self._keys(admitted)))

    def _allowed(self, new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The repetitions let in, in order, each counting towards the next."""
        allowed = np.zeros(len(new), bool)
        if not self._rate:
            return allowed
        repeated = self._admitted - self._seen.size
        admitted = self._admitted + np.cumsum(new)
        more = 0
        for i in np.flatnonzero(~new):
            if repeated + more + 1 <= self._room(int(admitted[i]) + more + 1):
                allowed[i] = True
                more += 1
        return allowed

    def _room(self, rows: int) -> float:
        """How many of so many rows may repeat others."""
        beyond = rows - self._rows
        if beyond <= 0 or not self._rate:
            return self._rate * rows
        new = self._unseen * -math.expm1(-beyond * self._once / (self._rows * self._unseen)) if self._unseen else 0.0
        return self._rate * self._rows + beyond - new

    def _keys(self, frame: pl.DataFrame) -> Keys:
        compared = [c for c in payload(frame) if c not in self._ignored]
        # rows of nothing but identifiers are told apart by them
        return row_keys(frame.select(compared or payload(frame)))
