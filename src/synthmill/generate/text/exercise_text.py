"""Exercises with worked solutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from synthmill.llm.forms import Form, Text, Values
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.texts.evidence import spoken

from ._core import Prompted, Task
from ._source import Row
from .textbook import AUDIENCES, DIFFICULTIES

_AT = "text.exercise_text"


@dataclass(kw_only=True)
class ExerciseText(Prompted):
    """Exercises with worked solutions, by topic, audience and difficulty.

    An `exercise` on a topic, for an audience, at a difficulty; its worked `solution`; and the short `answer`.

    facets: as for `text.textbook`, `topic` is needed. An exercise is not used where the solution does not have the
    answer in it, word for word. Whether the answer is right is not known here: that is
    for a judge, or for a check that computes.

    Source: Gunasekar et al., Textbooks are all you need (2023), arXiv:2306.11644 (CodeExercises, here for text).
    """

    named: ClassVar[tuple[str, ...]] = ("exercise_text",)

    def __post_init__(self) -> None:
        if "topic" not in self.facets:
            raise Refusal(f"{_AT}: facets: 'topic' is required, such as facets: {{topic: [percentages, tides]}}")
        made = dict.fromkeys(("exercise", "solution", "answer"), pl.String())
        self._begin(made, {"audience": AUDIENCES, "difficulty": DIFFICULTIES})

    def _fill(self, request: Request, rows: list[Row]) -> None:
        self._ask(request, rows, "write", self._write)

    def _write(self, row: Row) -> Task:
        form = Form({"exercise": Text("the exercise", 20, 3_000), "solution": Text("the solution, step by step", 20, 6_000),
                     "answer": Text("the result alone, in a few words", 1, 200)})  # fmt: skip
        return self._task("exercise_text", row, form, _fault)


def _fault(values: Values) -> str:
    found = f" {spoken(values['answer'])} " in f" {spoken(values['solution'])} "
    return "" if found else "the solution does not contain the answer, word for word"
