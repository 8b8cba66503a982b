"""Quality: the public heuristics for web text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import polars as pl
from pydantic import Field

from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.texts.columns import TABULAR, Chosen, first_fault
from synthmill.texts.heuristics import RULES, STOP_WORDS, Text, fault

Source = Literal["gopher", "gopher_repetition", "c4", "fineweb"]


@dataclass
class Quality:
    """Text that Gopher's, C4's or FineWeb's filters would have dropped; the reason names the rule and its number.

    sources: whose rules hold (default: all). limits: other limits than theirs, by `source.rule`, and null to leave a rule
    out, such as {gopher.words_least: 5}. stop_words: what `gopher.stop_words` counts; its own are English.
    columns: default every column of text; with real data, categories and made-up names are none.
    The limits were set for English web pages. Short answers, poems, code and other languages break many of them: start
    with `gopher_repetition` there.
    """

    columns: list[str] | None = None
    sources: Annotated[list[Source], Field(min_length=1)] = field(default_factory=lambda: list(RULES))  # type: ignore[arg-type]
    limits: dict[str, float | None] = field(default_factory=dict)
    stop_words: list[str] = field(default_factory=lambda: list(STOP_WORDS))

    def __post_init__(self) -> None:
        rules = {f"{s}.{n}": rule for s in self.sources for n, rule in RULES[s].items()}
        for name, limit in self.limits.items():
            if name not in rules:
                raise Refusal(f"quality: limits: no rule '{name}'; {choices(name, rules)}")
            if limit is not None:
                rules[name] = replace(rules[name], limit=limit)
        self._columns = Chosen(self.columns, "quality", TABULAR)
        self._rules = [(n, r) for n, r in rules.items() if self.limits.get(n, r.limit) is not None]

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where `columns` names another."""
        self._columns.expect(columns)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        columns = self._columns.of(frame.schema)
        return first_fault(frame, columns, lambda text: fault(Text(text, self.stop_words), self._rules))

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = (
            "The mill stands by the river, and it has ground wheat for the people of the valley since the year it was "
            "built. In dry summers the wheel stops, so the miller keeps a small engine in the shed behind the house. "
            "Visitors who come on Sundays may watch the stones turn, buy a bag of flour, and have a look at the old books."
        )
        bad = ["buy now " * 60, "word", "{ margin: 0 } " + good, "# # # # # #\n" * 30]
        return pl.DataFrame({"text": [good]}), pl.DataFrame({"text": bad})

    example_config = {"columns": ["text"]}
