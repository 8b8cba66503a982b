"""Toxicity: slurs, threats, sexual and profane words, by a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
from pydantic import Field

from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.texts.columns import TABULAR, Chosen, first_fault
from synthmill.texts.units import words
from synthmill.texts.wordlist import WordList, own, read


@dataclass
class Toxicity:
    """A text with words of a list: whole words only, also in disguise (`f*ck`, `sh1t`, `f u c k`, `fuuuck`).

    categories: which of the list's (its own: slur, threat, sexual, profanity; default: all). most: the share of the words
    that may be listed ones; 0 lets none pass. file: a list of one's own in the place of the English list that comes along:
    a word or phrase on a line, after its category and a tab if it has one; a star at the end takes every ending.
    allow: entries that do not count. columns: default every column of text; missing text passes.
    A list knows no meaning: it finds no insult in plain words, and takes quotation for use. What it finds is named in the
    reason by category and place. Names of groups of people are no entries, nor are words that also mean something harmless.
    """

    columns: list[str] | None = None
    categories: list[str] | None = None
    most: Annotated[float, Field(ge=0, lt=1)] = 0.0
    file: Path | None = None
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._columns = Chosen(self.columns, "toxicity", TABULAR)
        entries = own() if self.file is None else read(beside(self.file), "toxicity: file")
        known = sorted({c for c, _ in entries})
        for category in self.categories or ():
            if category not in known:
                raise Refusal(f"toxicity: categories: '{category}'; {choices(category, known)}")
        spelled = {e for _, e in entries}
        for entry in self.allow:
            if entry not in spelled:
                raise Refusal(f"toxicity: allow: '{entry}' is no entry of the list; {choices(entry, sorted(spelled))}")
        wanted = self.categories or known
        self._list = WordList([(c, e) for c, e in entries if c in wanted and e not in self.allow])

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where `columns` names another."""
        self._columns.expect(columns)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return first_fault(frame, self._columns.of(frame.schema), self._fault)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = ["In Scunthorpe the cockpit was assessed by Dickens.", "A Muslim, a Jew and a gay couple met.", None]
        return pl.DataFrame({"text": good}), pl.DataFrame(
            {"text": ["what the fuck", "just k y s or kill yourself", "sh1t!"]}
        )

    example_config = {"columns": ["text"]}

    def _fault(self, text: str) -> str | None:
        hits = self._list.find(text)
        if not hits:
            return None
        share = len(hits) / max(1, len(words(text)))
        if share <= self.most:
            return None
        told = ", ".join(f"{h.category} at {h.start}-{h.end}" for h in hits[:3]) + (
            f" and {len(hits) - 3} more" if len(hits) > 3 else ""
        )
        return told if not self.most else f"{share:.1%} of the words ({told}), at most {self.most:.1%} wanted"
