"""Toy plugins that ask a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from synthmill.llm.model import Model
from synthmill.llm.question import Question
from synthmill.plugins import Evidence, Measure, Request, Verdicts


@dataclass
class Writer:
    """One text a row, each from a question of its own."""

    model: Model
    fixed: bool = False
    kind = "io"

    def schema(self) -> dict[str, pl.DataType]:
        return {"topic": pl.String(), "text": pl.String()}

    def conditions(self, axes: Any) -> bool:
        return True

    def generate(self, request: Request) -> pl.DataFrame:
        topic = str(request.cell.where.get("topic", "anything"))
        asks = [self._question(request, i, topic) for i in range(request.n)]
        answers = self.model.ask(asks)
        return pl.DataFrame(
            {
                "topic": [topic] * request.n,
                "text": [a.text or None for a in answers],
                "_error": [a.error or None for a in answers],
                "_asked": [[a.address] for a in answers],
                "_parents": [f"seed-{i}" for i in range(request.n)],
            },
            schema_overrides={"text": pl.String, "_error": pl.String},
        )

    def _question(self, request: Request, i: int, topic: str) -> Question:
        words = "the same" if self.fixed else f"{request.seed % 1_000_003}-{i}"
        return Question(({"role": "user", "content": f"write of {topic}: {words}"},), request.seed, i)


@dataclass
class Critic:
    """Asks whether a text is good; what is not `yes` fails."""

    model: Model
    kind = "io"

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        asks = [Question(({"role": "user", "content": f"judge {t}"},), 0) for t in frame["text"]]
        answers = self.model.ask(asks)
        return Verdicts.where(
            pl.Series([a.text.startswith("yes") for a in answers]), pl.Series([a.text for a in answers])
        )


@dataclass
class Reviewer:
    """A second step: completes each row with a comment."""

    model: Model
    kind = "io"
    completes = True

    def schema(self) -> dict[str, pl.DataType]:
        return {"comment": pl.String()}

    def generate(self, request: Request) -> pl.DataFrame:
        assert request.given is not None
        texts = request.given["text"].to_list()
        answers = self.model.ask(
            [Question(({"role": "user", "content": f"comment on {t}"},), request.seed) for t in texts]
        )
        return pl.DataFrame({"comment": [a.text for a in answers], "_asked": [[a.address] for a in answers]})


@dataclass
class Opinion:
    """A metric that asks a question of its own about every row of a table."""

    model: Model
    measures: ClassVar[tuple[str, ...]] = ("yes",)

    def measure(self, evidence: Evidence) -> list[Measure]:
        asks = [Question(({"role": "user", "content": f"is it good? {t}"},), 0) for t in evidence.synthetic["text"]]
        share = sum(a.text.startswith("yes") for a in self.model.ask(asks)) / len(asks)
        return [Measure("yes", share, share, share)]


class Odd:
    """Every third row, by its digits, is rejected."""

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return Verdicts.where(frame["text"].str.len_bytes() % 3 != 0, "a third leaves")
