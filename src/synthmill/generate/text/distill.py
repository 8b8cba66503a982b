"""A teacher's answers to given prompts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from synthmill.llm.forms import Plain
from synthmill.plugins import Request
from synthmill.refusal import Refusal

from ._core import Outcome, Prompted, Task
from ._source import Row, Source

_AT = "text.distill"


@dataclass(kw_only=True)
class Distill(Prompted):
    """A teacher's answers to given prompts.

    Answers the prompts in `column` of the rows it is given, or of `seeds`, in `output`.

    column, input: where prompt and, if there is one, its input are. samples: answers to each prompt; with more than one
    they are all kept in `outputs`, and `output` is the likeliest by its mean log-probability where `logprobs` are
    kept, else the first. logprobs: keep the mean log-probability of an answer's tokens in `logprob`, and those of each
    token in `token_logprobs` (natural logarithms), where the endpoint tells them. words: fewest of an answer.

    Sources: Kim & Rush, Sequence-level knowledge distillation (2016), arXiv:1606.07947; Hinton et al. (2015),
    arXiv:1503.02531.
    """

    seeds: str | None = None
    column: str = "instruction"
    input: str | None = None
    samples: int = 1
    logprobs: bool = False
    words: int = 1
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("answer",)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise Refusal(f"{_AT}: samples: {self.samples} is less than 1")
        made: dict[str, pl.DataType] = {"output": pl.String()}
        if self.samples > 1:
            made["outputs"] = pl.List(pl.String())
        if self.logprobs:
            made |= {"logprob": pl.Float64(), "token_logprobs": pl.List(pl.Float64())}
        self._begin(made, source=Source.parse(_AT, self.column, self.seeds, keep=[self.input]))

    def _fill(self, request: Request, rows: list[Row]) -> None:
        live = [r for r in rows if not r.error]
        tasks = [(r, self._answer(r, k)) for r in live for k in range(self.samples)]
        found = self._solve(request, tasks, "answer")
        for j, row in enumerate(live):
            mine = found[j * self.samples : (j + 1) * self.samples]
            good = [o for o in mine if o.values is not None]
            if not good:
                row.fail(mine[0].fault, mine[0].answer.text)
                continue
            best = max(good, key=lambda o: mean_logprob(_tokens(o))) if self.logprobs else good[0]
            row.values |= _kept(best, good, self.logprobs)
            if self.logprobs and not row.values["token_logprobs"]:
                row.fail("the endpoint tells no log-probabilities", row.values["output"])

    def _answer(self, row: Row, sample: int) -> Task:
        given = row.start.get(self.input) if self.input else ""
        shape = Plain("output", (self.words, 100_000))
        messages = self._messages("answer", row, shape, instruction=self._text(row), input=given or "")
        parameters = {"logprobs": True} if self.logprobs else {}
        return Task(messages, shape, parameters=parameters, index=sample)


def _kept(best: Outcome, good: list[Outcome], logprobs: bool) -> dict[str, Any]:
    values = [o.values["output"] for o in good if o.values is not None]
    tokens = _tokens(best) if logprobs else []
    return {"output": (best.values or {})["output"], "outputs": values,
            "logprob": mean_logprob(tokens) if tokens else None, "token_logprobs": tokens}  # fmt: skip


def _tokens(outcome: Outcome) -> list[float]:
    """The chosen tokens' log-probabilities, as OpenAI's API and llama.cpp write them."""
    told = outcome.answer.logprobs
    content = told.get("content") if isinstance(told, dict) else None
    return [float(t["logprob"]) for t in content or [] if t.get("logprob") is not None]


def mean_logprob(tokens: list[float]) -> float:
    return sum(tokens) / len(tokens) if tokens else -math.inf
