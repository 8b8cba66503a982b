"""Duplicates: records that were already admitted, in the same words or in nearly the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.frame import Keys, digest, payload, row_keys
from synthmill.lineage import source_digest
from synthmill.llm.embedding import Embedder
from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables.keyset import KeySet
from synthmill.texts.columns import joined, named
from synthmill.texts.meaning import Embed, Meaning
from synthmill.texts.near import Near
from synthmill.texts.static import Static

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
    meaning: embeddings that also find a text said over in other words: a file of word vectors (`texts.static`), or a model
    at an endpoint, `{model: ..., base_url: ...}`. chance: share of texts that may be rejected although
    they mean nothing that was said before; the limit follows from pairs of other texts (`texts.meaning`). A text that could not be embedded is an error.
    score: the similarity, for rejected rows.
    """

    rate: Literal["train"] | Annotated[float, Field(ge=0, le=1)] = "train"
    text: str | list[str] | None = None
    near: Annotated[float, Field(ge=0.3, le=1)] = 0.5
    meaning: Embedder | str | None = None
    chance: Annotated[float, Field(gt=0, lt=0.1)] = 0.001

    def __post_init__(self) -> None:
        self._text = [self.text] if isinstance(self.text, str) else list(self.text or ())
        if self.meaning is not None and not self._text:
            raise Refusal("duplicates: meaning: of which columns? name them in 'text'")
        self._near = Near(self.near) if self._text else None
        self._meaning = Meaning(self._embedding(), self.chance) if self.meaning is not None else None
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
            if self._meaning is not None:
                self._meaning.relate(joined(train.head(_RELATIVES), self._text))
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
        texts = joined(frame, self._text)
        said: list[str | None] = [None if good else "equals an admitted record" for good in ok.tolist()]
        score = np.where(ok, np.nan, 1.0)
        status = np.where(ok, 0, 1).astype(np.uint8)
        rows = np.flatnonzero(ok)
        found = self._near.repeats(texts.gather(rows))
        for i, like in zip(rows[found.known >= 0], found.similarity[found.known >= 0], strict=True):
            status[i], score[i] = 1, like
            said[i] = f"shares {like:.0%} of its word pairs with an admitted text"
        if self._meaning is not None:
            rows = np.flatnonzero(status == 0)
            cosine, again, usable = self._meaning.repeats(texts.gather(rows))
            for i, like in zip(rows[again], cosine[again], strict=True):
                status[i], score[i], said[i] = 1, like, f"means what an admitted text says (cosine {like:.2f})"
            for i in rows[~usable]:
                status[i], said[i] = 2, "its text could not be embedded"
        likeness = pl.Series(score, dtype=pl.Float32).fill_nan(None)
        return Verdicts(pl.Series(status), likeness, pl.Series(said, dtype=pl.String))

    def remember(self, admitted: pl.DataFrame) -> None:
        self._admitted += admitted.height
        self._seen.add(np.unique(self._keys(admitted)))
        if self._near is not None:
            self._near.remember(joined(admitted, self._text))
        if self._meaning is not None:
            self._meaning.remember(joined(admitted, self._text))

    def _embedding(self) -> Embed:
        if isinstance(self.meaning, Embedder):
            model = self.meaning
            return lambda texts: model.embed(texts.fill_null("").to_list())[0]
        path = beside(Path(str(self.meaning)))
        embed = Static(path)
        self.version = digest(source_digest(type(self)), path.read_text("utf-8", errors="replace"))[:12]
        return embed

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
