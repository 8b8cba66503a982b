"""Prefer: a language model prefers the chosen answer to the rejected one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import Field

from synthmill.frame import Status, digest
from synthmill.lineage import source_digest
from synthmill.llm.judging import Ballot, Side, compare, elected, panel, trusted
from synthmill.llm.model import Model
from synthmill.plugins import Verdicts, beside
from synthmill.texts.columns import answers, named, texts

_GOOD = "It is correct, does all that is asked, is clear, and says nothing needless."


@dataclass
class Prefer:
    """A language model, asked in both orders, must prefer the chosen answer to the rejected one.

    model: who judges; judges: several instead. question, chosen, rejected: the columns; of messages the last is the answer;
    question null: there is none. criteria: what a good answer is. samples: verdicts of each judge, each in both orders.
    A verdict that follows the place of the answers, not them, or is unsure, says nothing. A record passes if more than half of all
    verdicts are for `chosen`, and fails if more than half are for `rejected` or find both alike; what is between is `unsure`:
    an error, or a fail. The score is the share of verdicts for `chosen`.
    reasons: ask for a sentence before the verdict. structured: send the form as a JSON schema. prompt: your own template.
    measured: a report of `synthmill judge-check` on this judge, whose agreement with people must be `least`.

    Sources: Zheng et al. (2023), arXiv:2306.05685; Wang et al. (2023), arXiv:2305.17926 (both orders).
    """

    model: Model | None = None
    judges: list[Model] = field(default_factory=list)
    question: str | None = "instruction"
    chosen: str = "chosen"
    rejected: str = "rejected"
    criteria: str = _GOOD
    samples: int = 1
    unsure: Literal["error", "fail"] = "error"
    reasons: bool = True
    structured: bool = True
    prompt: str | None = None
    measured: str | None = None
    least: Annotated[float, Field(ge=0, le=1)] = 0.6
    kind: ClassVar[str] = "io"

    def __post_init__(self) -> None:
        path = beside(Path(self.prompt)) if self.prompt else Path(__file__).parent / "templates" / "prefer.j2"
        self._panel = panel(self.model, self.judges, self.samples, path, self.structured, "prefer")
        self.model = None if self.judges else self._panel.models[0]
        if self.measured is not None:
            trusted(beside(Path(self.measured)), self.least, self.instrument, "prefer: measured")

    @property
    def instrument(self) -> str:
        """What decides its verdicts. Columns, and what becomes of unsure ones, do not."""
        return digest("prefer", self._panel.identity, self.criteria, self.reasons)

    @cached_property
    def version(self) -> str:
        """Code and prompt."""
        return digest(source_digest(type(self)), self._panel.prompt.text)[:12]

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where one named here is not there."""
        for key in ("question", "chosen", "rejected"):
            name = getattr(self, key)
            named([name] if name is not None else [], columns, f"prefer: {key}")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        asked = texts(frame[self.question]) if self.question is not None else [""] * frame.height
        one, two = answers(frame[self.chosen]), answers(frame[self.rejected])
        status, reason = [int(Status.PASS)] * frame.height, [""] * frame.height
        score: list[float | None] = [None] * frame.height
        live: list[tuple[int, tuple[str, str, str]]] = []
        for i, (q, c, r) in enumerate(zip(asked, one, two, strict=True)):
            lacking = next((n for n, t in ((self.chosen, c), (self.rejected, r)) if t is None or not t.strip()), None)
            if lacking is not None:
                status[i], reason[i] = Status.FAIL, f"{lacking}: there is no answer"
            elif q is None:
                status[i], reason[i] = Status.ERROR, f"{self.question}: there is no question"
            elif str(c).split() == str(r).split():
                status[i], reason[i] = Status.FAIL, "both answers are the same"
            else:
                live.append((i, (q, str(c), str(r))))
        for (i, _), (side, ballots) in zip(live, self.pairs([p for _, p in live]), strict=True):
            status[i], reason[i] = self._verdict(side, ballots)
            score[i] = sum(b.side == "one" for b in ballots) / len(ballots)
        return Verdicts(
            pl.Series(status, dtype=pl.UInt8), pl.Series(score, dtype=pl.Float32), pl.Series(reason, dtype=pl.String)
        )

    def pairs(self, given: Sequence[tuple[str, str, str]]) -> list[tuple[Side, list[Ballot]]]:
        """What is preferred of (question, one, two), with every ballot."""
        found = compare(self._panel, given, {"criteria": self.criteria}, self.reasons)
        return [(elected(ballots), ballots) for ballots in found]

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        said = {
            "instruction": "Name a fruit.",
            "chosen": ["an apple", "", None],
            "rejected": ["an apple", "a stone", "x"],
        }
        bad = pl.DataFrame(said, schema_overrides={"chosen": pl.String})
        return bad.clear(), bad

    example_config = {"model": Model("stub")}

    def _verdict(self, side: Side, ballots: Sequence[Ballot]) -> tuple[int, str]:
        of = f" ({sum(b.side == side for b in ballots)} of {len(ballots)} verdicts)" if len(ballots) > 1 else ""
        why = next((b.reason for b in ballots if b.side == side and b.reason), "")
        if side == "one":
            return Status.PASS, _shown("the chosen answer is preferred" + of, why)
        if side:
            said = {"two": "the rejected answer is preferred", "same": "neither answer is better"}[side]
            return Status.FAIL, _shown(said + of, why)
        fault = next((b.fault for b in ballots if b.fault), "the judges disagree")
        said = fault if len(ballots) == 1 else f"no verdict has more than half of {len(ballots)}: {fault}"
        unread = not any(b.first for b in ballots)
        return Status.FAIL if self.unsure == "fail" and not unread else Status.ERROR, said


def _shown(said: str, why: str) -> str:
    return f"{said}: {why[:300]}" if why else said
