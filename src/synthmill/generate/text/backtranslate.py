"""The instruction that a text would be the answer to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from synthmill.llm.forms import Form, Text, Values
from synthmill.plugins import Request
from synthmill.texts.evidence import kept

from ._core import Prompted, Task
from ._source import Row, Source

_AT = "text.backtranslate"


@dataclass(kw_only=True)
class Backtranslate(Prompted):
    """The instruction that a text written by people would be the answer to.

    For the text in `column` of the rows it is given, of `seeds`, or of passages of `documents`: an `instruction`.

    The answer is what people wrote, so only the question is synthetic. size: characters of a passage. An instruction
    that is mostly the text itself, or speaks of "this text", is not used.

    Source: Li et al., Self-alignment with instruction backtranslation (2023), arXiv:2308.06259. Its second half, keeping
    the pairs that a model finds good, is a judge among the checks.
    """

    seeds: str | None = None
    documents: str | None = None
    column: str = "text"
    size: int = 1_500
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("backtranslate",)

    def __post_init__(self) -> None:
        source = Source.parse(_AT, self.column, self.seeds, self.documents, self.size)
        self._begin({"instruction": pl.String()}, source=source)

    def _fill(self, request: Request, rows: list[Row]) -> None:
        self._ask(request, rows, "instruct", self._instruct)

    def _instruct(self, row: Row) -> Task:
        text = self._text(row)

        def accept(values: Values) -> str:
            wanted = values["instruction"]
            if any(f" {w} {t}" in f" {wanted.casefold()}" for w in ("this", "the", "above") for t in _SPOKEN_OF):
                return "the instruction speaks of the text, which is its answer"
            return "the instruction is the text itself" if kept(text, wanted) > 0.5 else ""

        form = Form({"instruction": Text("the instruction or question", 10, 1_000)})
        return self._task("backtranslate", row, form, accept, text=text)


_SPOKEN_OF = ("text", "passage", "above text", "given text", "following text", "provided text", "following passage")
