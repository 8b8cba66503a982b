"""Language: texts that are not in the language they should be in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.frame import Status
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.texts.columns import TABULAR, Chosen, texts
from synthmill.texts.language import identify, known, letters, normal


@dataclass
class Language:
    """A text in another language than wanted: the languages of the spec, or each record's own. The extra `text`.

    languages: codes or English names (en, German, pt-BR counts as pt), one of which it must be. expected: a column that
    says each record's, such as a coverage axis. least: how sure it must be. letters: a text with fewer is too short to
    tell, and an error rather than a pass. columns: default every column of text; missing text passes.
    Told by script where one language alone uses it, else by py3langid's naive Bayes over 97 and more languages. Score:
    how sure, of the least sure column. A text in two languages counts as the one that has more of it.
    """

    languages: list[str] | None = None
    expected: str | None = None
    columns: list[str] | None = None
    least: Annotated[float, Field(ge=0, le=1)] = 0.2
    letters: Annotated[int, Field(ge=1)] = 20

    def __post_init__(self) -> None:
        if (self.languages is None) == (self.expected is None):
            raise Refusal("language: either languages: [...] or expected: a column is needed")
        self._wanted = {known(name, "language: languages") for name in self.languages or ()}
        self._columns = Chosen(self.columns, "language", TABULAR)

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where `columns` or `expected` names another."""
        if self.expected is not None and self.expected not in columns:
            raise Refusal(f"language: expected: no column '{self.expected}'; {choices(self.expected, columns)}")
        self._columns.expect({c: t for c, t in columns.items() if c != self.expected})

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        names = self._columns.of({c: t for c, t in frame.schema.items() if c != self.expected})
        n = frame.height
        own: list[str | None] = [None] * n
        if self.expected is not None:
            own = frame[self.expected].cast(pl.String).to_list()
        status = np.zeros(n, np.uint8)
        score = np.full(n, np.nan, np.float32)
        reason: list[str | None] = [None] * n
        for name in names:
            for i, text in enumerate(texts(frame[name])):
                if status[i] or text is None:
                    continue
                mine = own[i]
                wanted = self._wanted if self.expected is None else {normal(mine)} if mine else set()
                status[i], sure, said = self._verdict(text, wanted)
                score[i] = sure if np.isnan(score[i]) else min(score[i], sure)
                reason[i] = f"{name}: {said}" if said and len(names) > 1 else said
        scores = pl.Series(score).fill_nan(None)
        return Verdicts(pl.Series(status), scores, pl.Series(reason, dtype=pl.String))

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = ["The mill stands by the river and turns all day.", "She asked him whether the train had left already."]
        bad = [
            "Die Mühle steht am Fluss und dreht sich den ganzen Tag.",
            "Le moulin se trouve au bord de la rivière.",
            "Hm.",
        ]
        return pl.DataFrame({"text": good}), pl.DataFrame({"text": bad})

    example_config = {"languages": ["en"], "columns": ["text"]}

    def _verdict(self, text: str, wanted: set[str]) -> tuple[Status, float, str | None]:
        if not wanted:
            return Status.ERROR, np.nan, f"{self.expected}: names no language"
        if (held := letters(text)) < self.letters:
            return Status.ERROR, np.nan, f"{held} letters are too few to tell a language"
        found = identify([text])[0]
        shown = f"{found.language} (probability {found.probability:.2f})"
        if found.language not in wanted:
            return Status.FAIL, found.probability, f"{shown}, not {' or '.join(sorted(wanted))}"
        if found.probability < self.least:
            return Status.FAIL, found.probability, f"{shown}, at least {self.least:g} wanted"
        return Status.PASS, found.probability, None
