"""Answers criticised and revised by stated principles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from synthmill.llm.forms import Plain, Values
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.texts.evidence import spoken

from ._core import Prompted, Task
from ._source import Row, Source

_AT = "text.constitution"
PRINCIPLES = [
    "The answer is true, and says where it is not sure.",
    "The answer helps nobody to harm others, and says why if it declines.",
    "The answer treats all people with respect and assumes nothing about them from group or origin.",
    "The answer gives away nothing about single real people that they would keep private.",
    "The answer does what was asked, completely, and nothing else.",
]


@dataclass(kw_only=True)
class Constitution(Prompted):
    """An answer, its critique by a principle, and the revision: a pair for training.

    For the prompt in `column` of the rows it is given, or of `seeds`: an answer, a `critique` of it by one of the
    `principles`, and a revision. `chosen` is the revision and `rejected` the first answer: a pair for training.

    principles: sentences of your own instead of the five in this file; the one used is in `principle`, a facet, so
    that cells may ask for each. A revision that is the first answer again is not used. That the revision is better is
    the method's assumption; a judge among the checks measures it.

    Source: Bai et al., Constitutional AI (2022), arXiv:2212.08073.
    """

    seeds: str | None = None
    column: str = "instruction"
    principles: list[str] | None = None
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("answer", "critique", "revise")

    def __post_init__(self) -> None:
        principles = PRINCIPLES if self.principles is None else self.principles
        if not principles:
            raise Refusal(f"{_AT}: principles: at least one is needed")
        made = dict.fromkeys(("chosen", "rejected", "critique"), pl.String())
        self._begin(made, {"principle": principles}, Source.parse(_AT, self.column, self.seeds))

    def _fill(self, request: Request, rows: list[Row]) -> None:
        self._ask(request, rows, "answer", self._answer)
        self._ask(request, rows, "criticise", self._criticise)
        self._ask(request, rows, "revise", self._revise)

    def _answer(self, row: Row) -> Task:
        return self._task("answer", row, Plain("rejected"), instruction=self._text(row), input="")

    def _criticise(self, row: Row) -> Task:
        return self._task(
            "critique", row, Plain("critique"), instruction=self._text(row), answer=row.values["rejected"]
        )

    def _revise(self, row: Row) -> Task:
        first = row.values["rejected"]

        def accept(values: Values) -> str:
            return "the revision is the first answer again" if spoken(values["chosen"]) == spoken(first) else ""

        return self._task("revise", row, Plain("chosen"), accept, instruction=self._text(row), answer=first,
                          critique=row.values["critique"])  # fmt: skip
