"""Texts said in another way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from synthmill.llm.forms import Plain, Values
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.texts.evidence import kept

from ._core import Prompted, Task
from ._source import Row, Source

_AT = "text.rewrite"
STYLES = {
    "paraphrase": "Say the same in other words, with sentences built in another way.",
    "simplify": "Say the same in short sentences and common words, for somebody who reads with difficulty.",
    "educational": "Rewrite it as a page of a textbook: clear, in order, every term explained where it first comes up. Leave out advertising, menus and what is of no use to a learner.",
    "formal": "Say the same in a formal, factual tone.",
    "conversational": "Say the same as one friend would tell another.",
    "concise": "Say the same in half as many words, without losing a fact.",
    "questions": "Turn it into questions and answers that together hold all it says.",
    "translate": "Translate it into {language}.",
}
"""What the styles mean; any other style is taken as the instruction itself."""


@dataclass(kw_only=True)
class Rewrite(Prompted):
    """Texts said in another way: paraphrased, simplified, as a textbook would, translated.

    The text in `column` of the rows it is given, of `seeds`, or of passages of `documents`, written anew in `rewritten`.

    styles: names of the list in this file (`paraphrase`, `simplify`, `educational`, `formal`, `conversational`,
    `concise`, `questions`, `translate`), or instructions in your own words; a facet `style`, which cells may ask for.
    `translate` needs a facet `language`. size: characters of a passage. shortest, longest: how many times the words of
    the original a new text may have. A text that is the original, or 8 in 10 of whose runs of five words are, is not
    used (`translate` apart).

    Sources: Maini et al., Rephrasing the Web (2024), arXiv:2401.16380; Eldan & Li and the phi series for the
    educational style (2023), arXiv:2306.11644; Sennrich et al., back-translation (2016), arXiv:1511.06709.
    """

    seeds: str | None = None
    documents: str | None = None
    column: str = "text"
    size: int = 1_500
    styles: list[str] | None = None
    shortest: float = 0.3
    longest: float = 3.0
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("rewrite",)

    def __post_init__(self) -> None:
        styles = self.styles or ["paraphrase", "simplify", "educational"]
        source = Source.parse(_AT, self.column, self.seeds, self.documents, self.size)
        self._begin({"rewritten": pl.String()}, {"style": styles}, source)
        if "translate" in styles and "language" not in self._facets.levels:
            raise Refusal(
                f"{_AT}: styles: 'translate' needs to know into what; give for example facets: {{language: [German]}}"
            )

    def _fill(self, request: Request, rows: list[Row]) -> None:
        for row in rows:
            if row.values["style"] == "translate" and not row.values.get("language"):  # a cell may ask for it
                row.fail("style: 'translate' needs to know into what; give a facet 'language'")
        self._ask(request, rows, "rewrite", self._rewrite)

    def _rewrite(self, row: Row) -> Task:
        text = self._text(row)
        style = row.values["style"]
        order = STYLES[style].format(language=row.values.get("language", "")) if style in STYLES else style
        size = max(1, len(text.split()))

        def accept(values: Values) -> str:
            share = len(values["rewritten"].split()) / size
            if not self.shortest <= share <= self.longest and style not in ("translate", "concise"):
                return f"the new text has {share:.1f} times the words of the original, not {self.shortest:g} to {self.longest:g}"
            same = kept(text, values["rewritten"])
            return (
                f"{same:.0%} of its runs of five words are the original's"
                if same > 0.8 and style != "translate"
                else ""
            )

        return self._task("rewrite", row, Plain("rewritten"), accept, text=text, order=order)
