"""Judge: a language model gives points by a rubric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from synthmill.frame import Status, digest
from synthmill.lineage import source_digest
from synthmill.llm.forms import Form, Text, Whole
from synthmill.llm.judging import Case, Reading, Side, panel, rubric, trusted
from synthmill.llm.model import Model
from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal
from synthmill.texts.columns import answers, named, texts

_GOOD = "It is correct, does all that is asked, is clear, and says nothing needless."


@dataclass
class Judge:
    """A language model judges each record by criteria; below `threshold` it fails, and without a verdict it is an error.

    model: who judges; judges: several instead. answer: the column that is judged, of messages the last; question: the
    column it answers (null: none); shown: further columns to judge by, such as a reference. criteria: a sentence, or
    name -> sentence or {about, scale: [1, 5], weight: 1, levels: {1: what a point means}, least: points below which the record
    fails whatever else it has}. threshold: of the weighted mean of all criteria, 0 (all worst) to 1 (all best).
    samples: verdicts of each judge. aggregate: mean or median of a judge's samples, then of the judges; or the majority of
    all verdicts. quorum: share of all verdicts that must be readable and no abstention; fewer are an error.
    reasons: ask for a sentence before the points. structured: send the form as a JSON schema. prompt: your own template.
    measured: a report of `synthmill judge-check` on this judge, whose agreement with people must be `least`.

    What is judged is quoted between lines with a code that its writer could not know. A verdict that stands word for word in
    what was judged is none.

    Sources: Zheng et al. (2023), arXiv:2306.05685; Liu et al., G-Eval (2023), arXiv:2303.16634; Verga et al. (2024),
    arXiv:2404.18796 (several small judges).
    """

    model: Model | None = None
    judges: list[Model] = field(default_factory=list)
    answer: str = "output"
    question: str | None = "instruction"
    shown: list[str] = field(default_factory=list)
    criteria: str | dict[str, Any] = _GOOD
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    samples: int = 1
    aggregate: Literal["mean", "median", "majority"] = "mean"
    quorum: Annotated[float, Field(gt=0, le=1)] = 1.0
    reasons: bool = True
    structured: bool = True
    prompt: str | None = None
    measured: str | None = None
    least: Annotated[float, Field(ge=0, le=1)] = 0.6
    kind: ClassVar[str] = "io"

    def __post_init__(self) -> None:
        path = beside(Path(self.prompt)) if self.prompt else Path(__file__).parent / "templates" / "judge.j2"
        self._panel = panel(self.model, self.judges, self.samples, path, self.structured, "judge")
        self.model = None if self.judges else self._panel.models[0]
        taken = next((c for c in self.shown if c.upper() in ("QUESTION", "ANSWER") or self.shown.count(c) > 1), None)
        if taken is not None:
            raise Refusal(
                f"judge: shown: '{taken}' would be shown under a name that something else has; rename the column"
            )
        self._rubric = rubric(self.criteria, "judge")
        points = {c.name: Whole("points", c.low, c.high, unsure=True) for c in self._rubric}
        reason = {"reason": Text("what decides, in at most 20 words", 1, 2_000)} if self.reasons else {}
        self._form = Form({**reason, **points})
        if self.measured is not None:
            trusted(beside(Path(self.measured)), self.least, self.instrument, "judge: measured")

    @property
    def instrument(self) -> str:
        """What decides the points it gives. `threshold` and columns do not."""
        rules = [vars(c) for c in self._rubric]
        return digest("judge", self._panel.identity, rules, self.aggregate, self.reasons)

    @cached_property
    def version(self) -> str:
        """Code and prompt."""
        return digest(source_digest(type(self)), self._panel.prompt.text)[:12]

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where one named here is not there."""
        named([self.answer], columns, "judge: answer")
        named([self.question] if self.question is not None else [], columns, "judge: question")
        named(self.shown, columns, "judge: shown")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        said = answers(frame[self.answer])
        asked = texts(frame[self.question]) if self.question is not None else None
        others = {c: texts(frame[c]) for c in self.shown}
        status, reason = [int(Status.PASS)] * frame.height, [""] * frame.height
        score: list[float | None] = [None] * frame.height
        live: list[tuple[int, dict[str, str]]] = []
        for i, text in enumerate(said):
            given = {**({"QUESTION": asked[i]} if asked else {}), **{c.upper(): o[i] for c, o in others.items()}}
            lacking = next((n for n, t in given.items() if t is None or not t.strip()), None)
            if text is None or not text.strip():
                status[i], reason[i] = Status.FAIL, "there is no answer"
            elif lacking is not None:
                status[i], reason[i] = Status.ERROR, f"{lacking.lower()}: there is nothing to judge by"
            else:
                live.append((i, {**{n: str(t) for n, t in given.items()}, "ANSWER": text}))
        for (i, _), (points, verdict, why) in zip(live, self._judged([t for _, t in live]), strict=True):
            status[i], score[i], reason[i] = verdict, points, why
        return Verdicts(
            pl.Series(status, dtype=pl.UInt8), pl.Series(score, dtype=pl.Float32), pl.Series(reason, dtype=pl.String)
        )

    def pairs(self, given: Sequence[tuple[str, str, str]]) -> list[tuple[Side, list[Any]]]:
        """Which of two answers has more points, of (question, one, two), for `synthmill judge-check`. No ballots: answers
        are judged one by one, so that no place can be preferred."""
        if self.shown:
            raise Refusal(
                "judge-check: a judge with 'shown' columns is not measured on pairs; there are no such columns"
            )
        cases = [{**({"QUESTION": q} if q else {}), "ANSWER": a} for q, *both in given for a in both]
        points = [p if s != Status.ERROR else None for p, s, _ in self._judged(cases)]
        sides: list[tuple[Side, list[Any]]] = []
        for one, two in zip(points[::2], points[1::2], strict=True):
            known = one is not None and two is not None
            sides.append((("one" if one > two else "two" if one < two else "same") if known else "", []))  # type: ignore[operator]
        return sides

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = pl.DataFrame({"instruction": ["Name a fruit."], "output": ["an apple"]})
        return good, pl.DataFrame({"instruction": ["Name a fruit.", "Name a fruit."], "output": ["", None]})

    example_config = {"model": Model("stub"), "threshold": 0.0}

    def _judged(self, cases: Sequence[dict[str, str]]) -> list[tuple[float | None, Status, str]]:
        """(score, status, reason) of each."""
        told = {"criteria": self._rubric}
        return [self._settled(r) for r in self._panel.ask([Case(c, self._form, told) for c in cases])]

    def _settled(self, read: Sequence[Sequence[Reading]]) -> tuple[float | None, Status, str]:
        """One verdict of all judges' samples."""
        points = [[self._points(r) for r in judge] for judge in read]
        known = [[p for p in judge if p is not None] for judge in points]
        every = [p for judge in known for p in judge]
        asked = sum(map(len, read))
        if len(every) < self.quorum * asked or not all(known):
            fault = next(f for judge in read for r in judge if (f := _fault(r)))
            return (
                None,
                Status.ERROR,
                fault if asked == 1 else f"{len(every)} of {asked} verdicts could be used: {fault}",
            )
        middle = median if self.aggregate == "median" else mean
        score = middle([middle(judge) for judge in known])
        yes = sum(p >= self.threshold for p in every)
        if self.aggregate == "majority" and 2 * yes == len(every):
            return score, Status.ERROR, f"{yes} of {len(every)} verdicts are for it"
        good = 2 * yes > len(every) if self.aggregate == "majority" else score >= self.threshold
        short = self._short(read)
        reason = next(
            (str(r.values["reason"]) for judge in read for r in judge if r.values and "reason" in r.values), ""
        )
        said = f"{score:.2f}" + (f", {short}" if short else "") + (f": {reason[:300]}" if reason else "")
        return score, Status.PASS if good and not short else Status.FAIL, said

    def _points(self, reading: Reading) -> float | None:
        """Weighted mean of the criteria, each from 0 to 1."""
        if reading.values is None or any(reading.values[c.name] is None for c in self._rubric):
            return None
        shares = [(reading.values[c.name] - c.low) / (c.high - c.low) * c.weight for c in self._rubric]
        return float(sum(shares) / sum(c.weight for c in self._rubric))

    def _short(self, read: Sequence[Sequence[Reading]]) -> str:
        """The first criterion whose mean of points lies below its own least."""
        for c in self._rubric:
            given = [r.values[c.name] for judge in read for r in judge if r.values and r.values[c.name] is not None]
            if c.least is not None and given and mean(given) < c.least:
                return f"{c.name} {mean(given):.3g} of at least {c.least}"
        return ""


def _fault(reading: Reading) -> str:
    if reading.values is None:
        return reading.fault
    return "the judge abstains" if None in reading.values.values() else ""
