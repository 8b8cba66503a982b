"""Memorized: texts that repeat the texts they were learned from, word for word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.frame import digest
from synthmill.lineage import source_digest
from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.texts.columns import TABULAR, Chosen, joined, named, nested
from synthmill.texts.documents import documents
from synthmill.texts.quoted import Sources
from synthmill.texts.seeds import is_table, of_table


@dataclass
class Memorized:
    """A text that says what one of its sources says, word for word and longer than chance explains.

    Rejected is a text of which more than `share` of the words stand in runs of `words` or more that a source has too
    (13: Brown et al., 2020), or `long` of them in a row (50: Carlini et al., 2023, "Quantifying memorization across neural
    language models"), or that is a source, whatever its case and punctuation. What three or more sources
    say alike belongs to no one. sources: seeds or documents, beside the real texts of the same columns (train, never
    the holdout); of a table the column `text`, or every text of a row where there is none. columns: those compared, as one
    text (None: all that hold text). score: the share.
    A generator whose records quote by design, such as answers with evidence, is compared by its other columns.
    """

    sources: str | list[str] | None = None
    columns: list[str] | None = None
    words: Annotated[int, Field(ge=5)] = 13
    share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    long: Annotated[int, Field(ge=5)] = 50

    private = True

    def __post_init__(self) -> None:
        if self.long < self.words:
            raise Refusal(
                f"memorized: long: {self.long} words in a row are fewer than the runs of {self.words} compared"
            )
        self._columns = Chosen(self.columns, "memorized", TABULAR)
        files = [self.sources] if isinstance(self.sources, str) else list(self.sources or ())
        self._texts = pl.Series([t for f in files for t in _texts(beside(Path(f)))], dtype=pl.String)
        self._sources: Sources | None = None
        self.version = digest(source_digest(type(self)), self._texts.to_list())[:12]

    @property
    def needs_real(self) -> bool:
        return not len(self._texts)

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        self._columns.expect(columns)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)
        asked = None if self.columns is None else [c for c in self.columns if c in train.columns]
        apart = set(schema.of(*TABULAR)) if asked is None else set()
        known = [c for c in named(asked, train.schema, "memorized: columns") if c not in apart]
        if not known and self.needs_real:
            raise Refusal("memorized: the real data has no column of text to compare with; name 'sources'")
        real = joined(train, known) if known else self._texts.clear()
        self._sources = Sources(pl.concat([self._texts, real]), self.words)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        if self._sources is None and not len(self._texts):
            raise Refusal("memorized: there are no sources to compare with")
        if self._sources is None:
            self._sources = Sources(self._texts, self.words)
        found = self._sources.quoted(joined(frame, self._columns.of(frame.schema)))
        far, much = found.longest >= self.long, found.share > self.share
        said = [
            "is a source, word for word" if whole else f"{n} words in a row stand in a source" if f
            else f"{s:.0%} of its words stand in a source in runs of {self.words} and more" if m else None
            for whole, n, f, s, m in zip(*map(np.ndarray.tolist, (found.whole, found.longest, far, found.share, much)), strict=True)
        ]  # fmt: skip
        bad = found.whole | far | much
        score = pl.Series(np.where(bad, np.maximum(found.share, found.whole), np.nan), dtype=pl.Float32).fill_nan(None)
        return Verdicts.where(pl.Series(~bad), pl.Series(said, dtype=pl.String), score)


def _texts(path: Path) -> list[str]:
    """What the sources in a file or folder say, a text at a time: seeds keep theirs in several columns."""
    if not is_table(path):
        return [d.text for d in documents(path)]
    rows = [s.values for s in of_table(path)]
    return [t for row in rows for t in nested(row.get("text") or row)]
