"""Decontaminate: records that contain what a benchmark will ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.frame import digest
from synthmill.lineage import source_digest
from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.texts.columns import Chosen, joined
from synthmill.texts.overlap import LEAST, Passages
from synthmill.texts.seeds import content, seeds


@dataclass
class Decontaminate:
    """A record whose texts contain a row of an evaluation file: verbatim, in other case, spacing and punctuation, inside
    a longer text, or with words changed here and there.

    files: JSONL, Parquet, CSV or text (one item a line). Every text in a row, nested ones too, is a passage; a row of
    nothing but short texts is one passage. columns: of the records; None: all that hold text, as one text.
    words: length of the runs compared; a passage of fewer than three runs is not searched for. share: of a passage's
    runs that are enough, at least three: at 0.25 every tenth word may be changed. long: words in a row that are
    enough by themselves (13: Brown et al., 2020, "Language models are few-shot learners"). A run that many
    passages of the files share, such as the wording of an instruction, belongs to none. score: the share found.
    """

    files: str | list[str]
    columns: list[str] | None = None
    words: Annotated[int, Field(ge=3, le=12)] = 4
    share: Annotated[float, Field(gt=0, le=1)] = 0.25
    long: Annotated[int, Field(ge=8)] = 13

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
        self.version = digest(source_digest(type(self)), read)[:12]

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        self._columns.expect(columns)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        found = self._known.within(joined(frame, self._columns.of(frame.schema)))
        hit = found.passage >= 0
        said = [
            f"contains {share:.0%} of {self._places[p]}" if p >= 0 else None
            for p, share in zip(found.passage.tolist(), found.share.tolist(), strict=True)
        ]
        score = pl.Series(np.where(hit, found.share, np.nan), dtype=pl.Float32).fill_nan(None)
        return Verdicts.where(pl.Series(~hit), pl.Series(said, dtype=pl.String), score)

    def _passages(self, values: Mapping[str, Any]) -> list[str]:
        found = [t for v in values.values() for t in _texts(v)]
        long = [t for t in found if len(t.split()) >= self.words + LEAST - 1]
        return long or [" ".join(found)]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, whatever it is nested in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from _texts(v)
    elif isinstance(value, list | tuple):
        for v in value:
            yield from _texts(v)
