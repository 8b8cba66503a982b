"""People who might have written or wanted a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl

from synthmill.llm.forms import Plain
from synthmill.plugins import Request

from ._core import Prompted, Task
from ._source import Row, Source

_AT = "text.persona"


@dataclass(kw_only=True)
class Persona(Prompted):
    """People who do not exist but might, each in one or two sentences.

    A `persona` in one or two sentences: nobody real, but somebody definite.

    by: `text`: who would read, write or need the text in `column` of the rows it is given, of `seeds`, or of passages
    of `documents`; `relation`: somebody who has to do with the person described there; `facets`: from the facets alone
    (such as occupation, age, country), which then are all it is told. size: characters of a passage. A run of personas
    is a list of levels for other generators: `facets: {persona: {from: runs/personas}}`.

    Source: Ge et al., Scaling synthetic data creation with 1,000,000,000 personas (2024), arXiv:2406.20094.
    """

    by: Literal["text", "relation", "facets"] = "text"
    seeds: str | None = None
    documents: str | None = None
    column: str = "text"
    size: int = 1_500
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("persona",)

    def __post_init__(self) -> None:
        alone = self.by == "facets"
        source = None if alone else Source.parse(_AT, self.column, self.seeds, self.documents, self.size)
        self._begin({"persona": pl.String()}, source=source)

    def _fill(self, request: Request, rows: list[Row]) -> None:
        self._ask(request, rows, "describe", self._describe)

    def _describe(self, row: Row) -> Task:
        text = "" if self._source is None else self._text(row)
        return self._task("persona", row, Plain("persona", (5, 120)), by=self.by, text=text)
