"""Decontaminate: records that contain what a benchmark will ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.frame import digest
from synthmill.lineage import source_digest
from synthmill.llm.embedding import Embedder
from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.texts.columns import Chosen, joined, nested
from synthmill.texts.meaning import Embed, Meaning
from synthmill.texts.overlap import LEAST, Passages
from synthmill.texts.seeds import content, seeds
from synthmill.texts.static import Static


@dataclass
class Decontaminate:
    """A record whose texts contain a row of an evaluation file.

    It is found verbatim, in other case, spacing and punctuation, inside a longer text, and with words changed here and there.

    files: JSONL, Parquet, CSV or text (one item a line). Every text in a row, nested ones too, is a passage; a row of
    nothing but short texts is one passage. columns: of the records; None: all that hold text, as one text.
    words: length of the runs compared; a passage of fewer than three runs is not searched for. share: of a passage's
    runs that are enough, at least three: at 0.25 every tenth word may be changed. long: words in a row that are
    enough by themselves (13: Brown et al., 2020, "Language models are few-shot learners"). A run that many
    passages of the files share, such as the wording of an instruction, belongs to none. score: the share found.
    meaning: embeddings that also find a passage said over in other words, as of `duplicates`; a record is compared as a
    whole, so that this finds what is about as long as the passage. chance: share of records that it may reject although
    they have nothing to do with the files.
    """

    files: str | list[str]
    columns: list[str] | None = None
    words: Annotated[int, Field(ge=3, le=12)] = 4
    share: Annotated[float, Field(gt=0, le=1)] = 0.25
    long: Annotated[int, Field(ge=8)] = 13
    meaning: Embedder | str | None = None
    chance: Annotated[float, Field(gt=0, lt=0.1)] = 0.001

    def __post_init__(self) -> None:
        self._columns = Chosen(self.columns, "decontaminate")
        files = [self.files] if isinstance(self.files, str) else list(self.files)
        if not files:
            raise Refusal("decontaminate: files: name at least one evaluation file")
        places: dict[str, str] = {}  # a passage that many rows repeat, such as what their questions are about, is one
        read = []
        for name in files:
            rows = seeds(beside(Path(name)))
            read.append(content(rows))
            for i, row in enumerate(rows, 1):
                for passage in self._passages(row.values):
                    places.setdefault(passage, f"{Path(name).name}, row {i:,}")
        self._places = list(places.values())
        self._known = Passages(pl.Series(list(places), dtype=pl.String), self.words, self.long, self.share)
        self.skipped = len(places) - int(self._known.searchable.sum())
        if not self._known.searchable.any():
            raise Refusal(
                f"decontaminate: files: no text of {self.words + LEAST - 1} or more words in {', '.join(files)}"
            )
        self._texts = pl.Series(list(places), dtype=pl.String)
        vectors = beside(Path(self.meaning)) if isinstance(self.meaning, str) else None
        self._static = Static(vectors) if vectors is not None else None
        if vectors is not None:
            read.append(digest(vectors.read_text("utf-8", errors="replace")))
        self.version = digest(source_digest(type(self)), read)[:12]
        self._meant: Meaning | None = None
        self._meant_of: list[int] = []

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        self._columns.expect(columns)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        texts = joined(frame, self._columns.of(frame.schema))
        found = self._known.within(texts)
        said = [
            f"contains {share:.0%} of {self._places[p]}" if p >= 0 else None
            for p, share in zip(found.passage.tolist(), found.share.tolist(), strict=True)
        ]
        status = (found.passage >= 0).astype(np.uint8)
        score = np.where(status == 1, found.share, np.nan)
        if self.meaning is not None:
            rows = np.flatnonzero(status == 0)
            cosine, which, usable = self._meanings().closest(texts.gather(rows))
            for i, p, like in zip(rows[which >= 0], which[which >= 0], cosine[which >= 0], strict=True):
                status[i], score[i] = 1, like
                said[i] = f"means what {self._places[self._meant_of[p]]} says (cosine {like:.2f})"
            for i in rows[~usable]:
                status[i], said[i] = 2, "its text could not be embedded"
        likeness = pl.Series(score, dtype=pl.Float32).fill_nan(None)
        return Verdicts(pl.Series(status), likeness, pl.Series(said, dtype=pl.String))

    def _meanings(self) -> Meaning:
        """The passages embedded, at the first question, when the line has opened the model's journal."""
        if self._meant is None:
            embed = self._embed()
            vectors = embed(self._texts)
            self._meant_of = np.flatnonzero(~np.isnan(vectors).any(axis=1)).tolist()
            if isinstance(self.meaning, Embedder) and len(self._meant_of) < len(self._texts):
                raise Refusal(f"decontaminate: meaning: {len(self._texts) - len(self._meant_of)} of {len(self._texts)} "
                              "passages could not be embedded", 1)  # fmt: skip
            meant = Meaning(embed, self.chance)
            meant.remember(self._texts)
            self._meant = meant
        return self._meant

    def _embed(self) -> Embed:
        if self._static is not None:
            return self._static
        model = self.meaning
        assert isinstance(model, Embedder)
        return lambda texts: model.embed(texts.fill_null("").to_list())[0]

    def _passages(self, values: Mapping[str, Any]) -> list[str]:
        found = [t for v in values.values() for t in nested(v)]
        long = [t for t in found if len(t.split()) >= self.words + LEAST - 1]
        return long or [" ".join(found)]
