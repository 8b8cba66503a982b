"""The data is released only if every bar in the need holds; otherwise which was missed, and by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from .evaluation import Evaluation, prefix
from .plugins import find
from .refusal import Refusal, choices
from .spec import Bar

_HOLDS = {"<=": le, ">=": ge, "<": lt, ">": gt}


@dataclass(frozen=True)
class BarResult:
    """One bar judged. decisive: the number that was held against it; NaN when unknown."""

    name: str
    bar: Bar
    value: float
    low: float
    high: float
    decisive: float
    held: bool
    sentence: str


def check_bars(bars: Mapping[str, Bar], uses: Sequence[Mapping[str, Any]]) -> None:
    """Raises Refusal when a bar is on a measure that no metric in `uses` can answer with."""
    known: list[str] = []
    open_ended = []
    for use in uses:
        cls = find("measure", str(use["use"]), "evaluate")
        names = getattr(cls, "measures", None)
        if names is None:
            open_ended.append(prefix(use) + ".")
        known += [f"{prefix(use)}.{n}" for n in names or ()]
    for name in bars:
        if name not in known and not name.startswith(tuple(open_ended)):
            hint = choices(name, known) if known else "'evaluate' lists no metric"
            raise Refusal(f"release: there is no measure '{name}'; {hint}")


def judge(evaluation: Evaluation, bars: Mapping[str, Bar]) -> list[BarResult]:
    """A bar holds if the unfavourable end of the interval does (`at: estimate`: the value). Unknown is missed."""
    return [_judge(evaluation, name, bar) for name, bar in bars.items()]


def _judge(evaluation: Evaluation, name: str, bar: Bar) -> BarResult:
    m = evaluation.get(name)
    if m is None or not math.isfinite(m.value):
        why = m.note if m and m.note else "it was not measured"
        sentence = f"{name} {bar}: missed, unknown ({why})"
        return BarResult(name, bar, math.nan, math.nan, math.nan, math.nan, False, sentence)
    end = m.high if bar.op.startswith("<") else m.low
    decisive = m.value if bar.at == "estimate" else end
    held = bool(_HOLDS[bar.op](decisive, bar.value))
    shown = f"{m.value:.4g} (95% {m.low:.4g} to {m.high:.4g})"
    if held:
        sentence = f"{name} {bar}: held, {shown}"
    elif math.isfinite(decisive):
        where = " at the interval's end" if bar.at == "interval" and decisive != m.value else ""
        close = ", though the estimate holds" if _HOLDS[bar.op](m.value, bar.value) else where
        sentence = f"{name} {bar}: missed by {abs(decisive - bar.value):.2g}{close}, {shown}"
    else:
        sentence = f"{name} {bar}: missed, too few held-out entities to bound it, {shown}"
    return BarResult(name, bar, m.value, m.low, m.high, decisive, held, sentence)
