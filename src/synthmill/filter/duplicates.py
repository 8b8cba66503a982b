"""Duplicates: records that were already admitted, in the same words or in nearly the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from synthmill.texts.columns import joined, named
from synthmill.texts.near import Near

_RELATIVES = 20_000  # train texts that are asked what a template is
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

    text: columns whose texts, one after the other, are also compared by likeness; no rate lets such a repetition in.
    near: Jaccard similarity of the sets of word pairs from which on two texts are the same one, whatever their case and
    punctuation; at 0.5 a text of 1 KB is recognised with every tenth word changed (`texts.near`). Texts that only fill the
    slots of one template are not: it is seen as soon as four of them were admitted, or are judged together, or are in train.
    score: the similarity, for rejected rows.
    """

    rate: Literal["train"] | Annotated[float, Field(ge=0, le=1)] = "train"
    text: str | list[str] | None = None
    near: Annotated[float, Field(ge=0.3, le=1)] = 0.5

    def __post_init__(self) -> None:
        self._text = [self.text] if isinstance(self.text, str) else list(self.text or ())
        self._near = Near(self.near) if self._text else None
        self._rate = 0.0 if self.rate == "train" else float(self.rate)
        self._rows, self._once, self._unseen = math.inf, 0, 0.0
        self._ignored: set[str] = set()
        self._seen = KeySet()
        self._admitted = 0

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        named(self._text, columns, "text")

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        if self._near and set(self._text) <= set(train.columns):
            self._near.relate(joined(train.head(_RELATIVES), self._text))
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
        if self._near is None:
            return Verdicts.where(pl.Series(ok), "equals an admitted record")
        rows = np.flatnonzero(ok)
        found = self._near.repeats(joined(frame, self._text).gather(rows))
        again = rows[found.known >= 0]
        likeness = np.where(ok, np.nan, 1.0)
        likeness[again], ok[again] = found.similarity[found.known >= 0], False
        said = [
            None
            if good
            else "equals an admitted record"
            if like == 1
            else f"shares {like:.0%} of its word pairs with an admitted text"
            for good, like in zip(ok.tolist(), likeness.tolist(), strict=True)
        ]
        score = pl.Series(likeness, dtype=pl.Float32).fill_nan(None)
        return Verdicts.where(pl.Series(ok), pl.Series(said, dtype=pl.String), score)

    def remember(self, admitted: pl.DataFrame) -> None:
        self._admitted += admitted.height
        self._seen.add(np.unique(self._keys(admitted)))
        if self._near is not None:
            self._near.remember(joined(admitted, self._text))

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
