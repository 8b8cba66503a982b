"""Pages of textbooks that nobody wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from synthmill.llm.forms import Plain
from synthmill.plugins import Request
from synthmill.refusal import Refusal

from ._core import Prompted, Task
from ._source import Row

_AT = "text.textbook"
AUDIENCES = ["children of ten", "secondary school pupils", "university students", "professionals"]
DIFFICULTIES = ["introductory", "intermediate", "advanced"]


@dataclass(kw_only=True)
class Textbook(Prompted):
    """Pages of a textbook, by topic, audience and difficulty.

    A page on a topic, for an audience, at a difficulty, in the column `text`.

    facets: `topic` is needed (a list, or from a file or a run of `text.taxonomy`); `audience` and `difficulty` are there
    with four and three values; any further ones, such as `language`, are told to the model too. words: how long a page
    is to be; one of less than half of that, or cut off, is not used.

    Sources: Gunasekar et al., Textbooks are all you need (2023), arXiv:2306.11644; Ben Allal et al., Cosmopedia (2024):
    the same topic for several audiences is what keeps pages apart.
    """

    words: int = 300
    named: ClassVar[tuple[str, ...]] = ("textbook",)

    def __post_init__(self) -> None:
        if "topic" not in self.facets:
            raise Refusal(f"{_AT}: facets: 'topic' is required, such as facets: {{topic: [tides, compound interest]}}")
        if self.words < 20:
            raise Refusal(f"{_AT}: words: {self.words} make no page; 20 at least")
        self._begin({"text": pl.String()}, {"audience": AUDIENCES, "difficulty": DIFFICULTIES})

    def _fill(self, request: Request, rows: list[Row]) -> None:
        self._ask(request, rows, "write", self._write)

    def _write(self, row: Row) -> Task:
        return self._task("textbook", row, Plain("text", (self.words // 2, 10 * self.words)), words=self.words)
