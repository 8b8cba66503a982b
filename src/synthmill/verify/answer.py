"""Answer: it is said by the evidence."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from synthmill.plugins import Verdicts
from synthmill.texts.columns import named, verdicts
from synthmill.texts.units import words

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ARTICLES = {"a", "an", "the"}


@dataclass
class Answer:
    """A short answer must stand in its evidence, as SQuAD compares answers: without case, punctuation and articles.

    answer, evidence: the columns; evidence may be a list of texts. recall: 1 demands the answer's words in their order; below
    1, that at least so many of them stand in the evidence, which suits answers in whole sentences. Every number of the answer
    must stand in the evidence either way. whole: whether the answer may be all the evidence says.
    That the evidence holds the answer's words does not prove that it answers the question.
    A record without evidence is an error; without an answer it fails.
    """

    answer: str = "answer"
    evidence: str = "evidence"
    recall: Annotated[float, Field(gt=0, le=1)] = 1.0
    whole: bool = True

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where one named here is not there."""
        named([self.answer], columns, "answer: answer")
        named([self.evidence], columns, "answer: evidence")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        faults: list[str | None] = []
        undecided: list[str | None] = []
        for answer, evidence in zip(frame[self.answer].to_list(), frame[self.evidence].to_list(), strict=True):
            held = [e for e in (evidence if isinstance(evidence, list) else [evidence]) if e is not None and e.strip()]
            undecided.append(None if held else f"{self.evidence}: there is no evidence")
            faults.append(self._fault(answer, held) if held else None)
        return verdicts(faults, undecided)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        evidence = "The mill was built in 1790 by Ann Ford."
        good = pl.DataFrame({"answer": ["Ann Ford", "1790", "the Mill"], "evidence": evidence})
        return good, pl.DataFrame({"answer": ["Ford Ann", "1970", "179", "", None], "evidence": evidence})

    def _fault(self, answer: Any, evidence: list[str]) -> str | None:
        wanted = _tokens(answer or "")
        if not wanted:
            return "there is no answer"
        there = [_tokens(e) for e in evidence]
        numbers = set(_NUMBER.findall(answer)) - {n for e in evidence for n in _NUMBER.findall(e)}
        if numbers:
            return f"{min(numbers)} is not in the evidence"
        if not self.whole and any(wanted == t for t in there):
            return "the answer is all of the evidence"
        if self.recall == 1:
            return None if any(_inside(wanted, t) for t in there) else f"not in the evidence: {answer[:80]!r}"
        found = max(sum((Counter(wanted) & Counter(t)).values()) for t in there) / len(wanted)
        return (
            None
            if found >= self.recall
            else f"{found:.0%} of its words are in the evidence, at least {self.recall:.0%} wanted"
        )


def _tokens(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return [w for w in words(plain) if w not in _ARTICLES]


def _inside(part: list[str], whole: list[str]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))
