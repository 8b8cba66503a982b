"""Instructions made harder, or turned into others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from synthmill.llm.forms import Form, Plain, Text, Values
from synthmill.plugins import Request
from synthmill.refusal import Refusal, choices
from synthmill.texts.evidence import repeats, spoken

from ._core import Prompted, Task
from ._source import Row, Source

_AT = "text.evolve"
OPERATIONS = {
    "constraints": "Add one requirement or constraint that makes it harder to meet.",
    "deepen": "Ask for more depth: what is asked in passing has to be gone into.",
    "concretize": "Replace general notions by specific ones: names, numbers, a situation.",
    "reasoning": "Change it so that it can only be answered by reasoning in several steps.",
    "input": "Add something to work on (a short table, a list, a piece of text or code) that the task needs.",
    "breadth": "Write a new task of the same field that is rarer, and about as long and as hard.",
}
"""Five ways into depth and one into breadth."""
_FORM = Form({"evolved": Text("the new task", 10, 6_000)})


@dataclass(kw_only=True)
class Evolve(Prompted):
    """Instructions made harder, or turned into others of the same field.

    The instruction in `column` of the rows it is given, or of `seeds`, evolved into `evolved`.

    operations: which of `constraints`, `deepen`, `concretize`, `reasoning`, `input` (depth) and `breadth`; one is drawn
    for each of the `rounds`, and `operations` tells which they were. answers: also ask for `output`. An evolution is
    not used if it is the instruction before it, talks about the prompt instead of being one, has more than twice the
    words and 30 more, or (paper's rule for answers) if the answer is an apology of less than 80 words.

    Source: Xu et al., WizardLM (2023), arXiv:2304.12244. Different from it: whether an evolution adds anything is not
    asked of the model again; that is for a judge among the checks.
    """

    seeds: str | None = None
    column: str = "instruction"
    operations: list[str] | None = None
    rounds: int = 1
    answers: bool = False
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("evolve", "answer")

    def __post_init__(self) -> None:
        self._operations = self.operations or list(OPERATIONS)
        unknown = next((o for o in self._operations if o not in OPERATIONS), None)
        if unknown is not None:
            raise Refusal(f"{_AT}: operations: '{unknown}' is not known; {choices(unknown, OPERATIONS)}")
        if self.rounds < 1:
            raise Refusal(f"{_AT}: rounds: {self.rounds} is less than 1")
        made: dict[str, pl.DataType] = {"evolved": pl.String(), "operations": pl.List(pl.String())}
        made |= {"output": pl.String()} if self.answers else {}
        self._begin(made, source=Source.parse(_AT, self.column, self.seeds))

    def _fill(self, request: Request, rows: list[Row]) -> None:
        for row in rows:
            drawn = request.rng("operations", row.at).choice(self._operations, self.rounds).tolist()
            row.values |= {"operations": drawn, "evolved": self._text(row) if not row.error else None}
        for k in range(self.rounds):
            self._ask(request, rows, f"evolve {k}", lambda row, k=k: self._evolve(row, k))  # type: ignore[misc]
        if self.answers:
            self._ask(request, rows, "answer", self._answer)

    def _evolve(self, row: Row, k: int) -> Task:
        before = str(row.values["evolved"])
        order = OPERATIONS[row.values["operations"][k]]
        prompt = " ".join(str(m["content"]) for m in self._messages("evolve", row, _FORM, instruction="", order=order))

        def accept(values: Values) -> str:
            after = values["evolved"]
            if spoken(after) == spoken(before):
                return "the task is the same as before"
            if re.search(r"\b(?:(?:given|new|rewritten|created|original) (?:prompt|task|instruction))\b", after, re.I):
                return "it talks about the task instead of being one"
            if repeats(after, prompt, before):
                return "it repeats what was said about how to change it"
            n, most = len(after.split()), 2 * len(before.split()) + 30
            return f"it has {n} words, more than {most}" if n > most else ""

        return self._task("evolve", row, _FORM, accept, instruction=before, order=order)

    def _answer(self, row: Row) -> Task:
        def accept(values: Values) -> str:
            said = values["output"]
            sorry = re.match(r"\W*(?:I'?m |I am )?(?:sorry|unable|afraid)\b|\W*I can(?:no|')t\b", said, re.I)
            return "the model cannot answer it" if sorry and len(said.split()) < 80 else ""

        return self._task("answer", row, Plain("output"), accept, instruction=row.values["evolved"], input="")
