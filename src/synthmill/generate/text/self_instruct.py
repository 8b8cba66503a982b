"""Instructions like the examples, and answers to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import polars as pl

from synthmill.llm.forms import Form, Plain, Text, Values
from synthmill.llm.model import Model
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.texts.evidence import kept
from synthmill.texts.seeds import Seed

from ._core import Prompted, Task
from ._draw import even, read_seeds, with_column
from ._source import Row

_AT = "text.self_instruct"
_FORM = Form({"instruction": Text("the instruction", 10, 1_500), "input": Text("the input, or empty", 0, 4_000)})
_WORDS = (3, 150)
"""Shorter and longer instructions are not used, as in the paper."""
_ALIKE = 0.3
"""Share of an instruction's runs of five words that an example has: more is no new task."""


@dataclass(kw_only=True)
class SelfInstruct(Prompted):
    """New instructions in the manner of examples, with their answers.

    New instructions in the manner of `shots` examples out of `seeds`, then their answers.

    seeds: a file or finished run with a column `instruction`, perhaps `input` (the form of the 175 public seeds, with
    `instances`, is read too); without seeds it starts from the facets alone. answers: also ask for `output`; false where
    another generator of a chain does. teacher: who answers, if it is not the model that invents.
    An instruction that repeats one of its examples is not used.

    Source: Wang et al., Self-Instruct (2023), arXiv:2212.10560. Different from it: one question invents instruction and
    input; examples come from the seeds alone (start another run from this one's records to go on from them).
    """

    seeds: str | None = None
    shots: int = 3
    answers: bool = True
    teacher: Model | None = None
    named: ClassVar[tuple[str, ...]] = ("self_instruct", "answer")

    def __post_init__(self) -> None:
        columns = ("instruction", "input", "output") if self.answers else ("instruction", "input")
        self._begin({c: pl.String() for c in columns})
        if self.shots < 0:
            raise Refusal(f"{_AT}: shots: {self.shots} is less than 0")
        self._examples: list[Seed] = []
        if self.seeds is not None:
            found = read_seeds(self.seeds, f"{_AT}: seeds")
            self._examples = [replace(s, values=_flat(s.values)) for s in found]
            self._examples = with_column(self._examples, "instruction", f"{_AT}: seeds")

    def _started_from(self) -> list[Any]:
        return [self._examples]

    def _fill(self, request: Request, rows: list[Row]) -> None:
        each = min(self.shots, len(self._examples))
        drawn = even(request, "shots", len(self._examples), each).tolist() if each else []
        for row, indices in zip(rows, drawn, strict=False):
            row.start = {"shots": [self._examples[i].values for i in indices]}
            row.parents += [self._examples[i].id for i in indices]
        self._ask(request, rows, "invent", self._invent)
        if self.answers:
            self._ask(request, rows, "answer", self._answer, self.teacher)

    def _invent(self, row: Row) -> Task:
        shots = row.start.get("shots", [])

        def accept(values: Values) -> str:
            words = len(values["instruction"].split())
            if any(kept(s["instruction"], values["instruction"]) > _ALIKE for s in shots):
                return "the instruction repeats one of the examples"
            return "" if _WORDS[0] <= words <= _WORDS[1] else f"the instruction has {words} words, not {_WORDS[0]} to {_WORDS[1]}"  # fmt: skip

        return self._task("self_instruct", row, _FORM, accept, shots=shots)

    def _answer(self, row: Row) -> Task:
        return self._task(
            "answer", row, Plain("output"), instruction=row.values["instruction"], input=row.values["input"]
        )


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """The public seeds keep input and output in a list of instances."""
    instances = values.get("instances")
    first = instances[0] if isinstance(instances, list) and instances and isinstance(instances[0], dict) else {}
    return {"input": "", **values, **first}
