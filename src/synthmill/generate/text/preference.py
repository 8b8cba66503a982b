"""Pairs of a better and a worse answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import polars as pl

from synthmill.llm.forms import Choice, Form, Plain, Text, Whole
from synthmill.llm.model import Model
from synthmill.plugins import Request
from synthmill.refusal import Refusal

from ._core import Outcome, Prompted, Task, shown_as
from ._source import Row, Source

_AT = "text.preference"
_CRITERIA = "It is correct, does all that is asked, is clear, and says nothing needless."


@dataclass(kw_only=True)
class Preference(Prompted):
    """A better and a worse answer to each prompt, as a model judges them.

    For the prompt in `column` of the rows it is given, or of `seeds`: the better answer in `chosen`, a worse in `rejected`.
    keep: further columns of the seeds that records keep, such as what an answer has to fulfil.

    Two answers or more (`answers`) are asked for, of `model`, and every second of `other` where one is given. `judge`
    (default: `model`) says which is better by `criteria`. judging: `pairs`: the first two are compared, once in each order,
    and where the verdicts differ the row is an error: the judge saw the place and not the answer. `scores`: each
    is given 1 to 10 points by itself, the mean of `samples` judgements; the best and the worst are kept if they are
    `least` points apart. The column `margin` tells by how much (1 for a pair), `reason` what the judge said.

    Sources: Bai et al. (2022), arXiv:2212.08073 and Lee et al., RLAIF (2023), arXiv:2309.00267 (the judge is a model);
    Cui et al., UltraFeedback (2023), arXiv:2310.01377; Zheng et al. (2023), arXiv:2306.05685 (judges prefer a place).
    """

    seeds: str | None = None
    column: str = "instruction"
    keep: list[str] = field(default_factory=list)
    answers: int = 2
    other: Model | None = None
    judge: Model | None = None
    criteria: str = _CRITERIA
    judging: Literal["pairs", "scores"] = "pairs"
    samples: int = 1
    least: float = 1.0
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("answer", "preference_pair", "preference_score")

    def __post_init__(self) -> None:
        if self.answers < 2:
            raise Refusal(f"{_AT}: answers: {self.answers} cannot be compared; 2 at least")
        if self.samples < 1 or self.least <= 0:
            raise Refusal(f"{_AT}: samples must be 1 or more and least more than 0")
        if self.judging == "pairs" and self.answers != 2:
            raise Refusal(f"{_AT}: answers: pairs are of two; give 'judging: scores' to choose among {self.answers}")
        made = {"chosen": pl.String(), "rejected": pl.String(), "margin": pl.Float64(), "reason": pl.String()}
        self._begin(made, source=Source.parse(_AT, self.column, self.seeds, keep=self.keep))

    def _fill(self, request: Request, rows: list[Row]) -> None:
        self._answer(request, [r for r in rows if not r.error])
        live = [r for r in rows if not r.error]
        if self.judging == "pairs":
            self._compare(request, live)
        else:
            self._score(request, live)

    def _answer(self, request: Request, live: list[Row]) -> None:
        """Several answers to each prompt, in `start`; those that are alike cannot be compared."""
        by_model: list[tuple[Model, list[int]]] = [(self.model, list(range(self.answers)))]
        if self.other is not None:
            by_model = [(self.model, list(range(0, self.answers, 2))), (self.other, list(range(1, self.answers, 2)))]
        said: dict[int, dict[int, Outcome]] = {r.at: {} for r in live}
        for model, places in by_model:
            tasks = []
            for row in live:
                messages = self._messages("answer", row, Plain("output"), instruction=self._text(row), input="")
                tasks += [(row, Task(messages, Plain("output"), index=k)) for k in places]
            for (row, task), outcome in zip(tasks, self._solve(request, tasks, "answer", model), strict=True):
                said[row.at][task.index] = outcome
        for row in live:
            outcomes = [said[row.at][k] for k in range(self.answers)]
            broken = next((o for o in outcomes if o.values is None), None)
            texts = [o.values["output"] for o in outcomes if o.values is not None]
            if broken is not None:
                row.fail(broken.fault, broken.answer.text)
            elif len(set(texts)) < 2:
                row.fail("the answers are the same", shown_as(texts))
            row.start = {**row.start, "_answers": texts}

    def _compare(self, request: Request, live: list[Row]) -> None:
        form = Form({"reason": Text("which is better and why, one sentence", 1, 1_000), "better": Choice(("A", "B"))})
        tasks = []
        for row in live:
            one, two = row.start["_answers"]
            for k, (a, b) in enumerate(((one, two), (two, one))):
                messages = self._messages("preference_pair", row, form, instruction=self._text(row), a=a, b=b,
                                          criteria=self.criteria)  # fmt: skip
                tasks.append((row, Task(messages, form, index=k)))
        found = self._solve(request, tasks, "judge", self.judge)
        for j, row in enumerate(live):
            first, swapped = found[2 * j], found[2 * j + 1]
            raw = shown_as([first.answer.text, swapped.answer.text])
            if first.values is None or swapped.values is None:
                row.fail(f"judge: {first.fault or swapped.fault}", raw)
            elif first.values["better"] == swapped.values["better"]:
                row.fail(f"the judge prefers answer {first.values['better']} in either order", raw)
            else:
                best = 0 if first.values["better"] == "A" else 1
                self._keep(row, best, 1 - best, 1.0, _named(first.values["reason"], first.values["better"]))

    def _score(self, request: Request, live: list[Row]) -> None:
        form = Form({"reason": Text("what is good and bad, one sentence", 1, 1_000), "points": Whole("points", 1, 10)})
        tasks = []
        for row in live:
            for text in row.start["_answers"]:
                messages = self._messages("preference_score", row, form, instruction=self._text(row), answer=text,
                                          criteria=self.criteria)  # fmt: skip
                tasks += [(row, Task(messages, form, index=k)) for k in range(self.samples)]
        found = iter(self._solve(request, tasks, "judge", self.judge))
        for row in live:
            judged = [[next(found) for _ in range(self.samples)] for _ in row.start["_answers"]]
            broken = next((o for one in judged for o in one if o.values is None), None)
            if broken is not None:
                row.fail(f"judge: {broken.fault}", broken.answer.text)
                continue
            points = [sum(o.values["points"] for o in one if o.values) / self.samples for one in judged]
            best, worst = points.index(max(points)), points.index(min(points))
            if points[best] - points[worst] < self.least:
                row.fail(
                    f"the answers have {points} points, less than {self.least:g} apart", shown_as(row.start["_answers"])
                )
            else:
                reason = (judged[best][0].values or {})["reason"]
                self._keep(row, best, worst, points[best] - points[worst], reason)

    @staticmethod
    def _keep(row: Row, best: int, worst: int, margin: float, reason: str) -> None:
        texts = row.start["_answers"]
        row.values |= {"chosen": texts[best], "rejected": texts[worst], "margin": margin, "reason": reason}


def _named(reason: str, better: str) -> str:
    """A judge's reason without the letters that nobody sees who reads the pair."""
    for letter in "AB":
        reason = re.sub(
            rf"\b[Aa]nswer {letter}\b", f"the {'chosen' if letter == better else 'rejected'} answer", reason
        )
    return reason[:1].upper() + reason[1:]
