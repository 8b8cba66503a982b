"""What a full run would ask of its language models, from a few candidates: tokens, money and yield, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from synthmill.llm.question import Answer

_Z = 2.2414
"""Two intervals of 97.5% hold together in 95 of 100 cases, whatever they have to do with each other (Bonferroni)."""


@dataclass(frozen=True)
class Expense:
    """Of the whole run; each as (low, estimate, high). high: None where it is only bounded by the attempts.

    questions: those of the taste. rate: share of candidates that pass. tokens: into and out of the models. money: None
    where a price is not known.
    """

    questions: int
    rate: tuple[float, float, float]
    tokens: tuple[float, float, float]
    money: tuple[float, float, float] | None


def expense(
    answers: Sequence[tuple[Answer, float | None]], candidates: int, passed: int, asked: int, attempts: int
) -> Expense | None:
    """answers: with what each cost, or would have without the journal. candidates, passed: of the taste. asked: accepted
    records of the whole run; attempts: candidates it makes at most per record. None where no model was asked."""
    if not answers or not candidates:
        return None
    rate = wilson(passed, candidates)
    spent = [float(a.prompt_tokens + a.completion_tokens) for a, _ in answers]
    priced = [m for _, m in answers if m is not None]
    money = _total(priced, rate, candidates, asked, attempts) if len(priced) == len(answers) else None
    return Expense(len(answers), rate, _total(spent, rate, candidates, asked, attempts), money)


def wilson(passed: int, n: int) -> tuple[float, float, float]:
    """A share with its interval (Wilson 1927), which holds for few candidates and for none that passed."""
    p, z = passed / n, _Z
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, min(p, middle - half)), p, min(1.0, max(p, middle + half))


def _total(
    each: Sequence[float], rate: tuple[float, float, float], candidates: int, asked: int, attempts: int
) -> tuple[float, float, float]:
    """Cost of a candidate times the candidates that so many records take; no more than the attempts allow."""
    n = len(each)
    mean = sum(each) / n
    spread = math.sqrt(sum((x - mean) ** 2 for x in each) / max(1, n - 1) / n)
    per = n / candidates
    low, middle, high = (max(0.0, mean + s * _Z * spread) * per for s in (-1, 0, 1))
    most = asked * attempts

    def rows(share: float) -> float:
        return min(most, asked / share) if share else most

    return low * rows(rate[2]), middle * rows(rate[1]), high * rows(rate[0])
