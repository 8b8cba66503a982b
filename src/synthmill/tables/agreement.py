"""How far a judge agrees with people, and what else its verdicts follow: place, length, its own writing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synthmill.plugins import Measure

from .interval import Estimate, Floats, Ints, measured, resamples

Labels = NDArray[np.int8]
_MARGIN = 0.05
"""What a judge may agree less with an annotator than annotators do, to stand in for one."""
NONE, ONE, TWO, SAME = -1, 0, 1, 2
"""No label; the first of two answers is better; the second; neither."""


@dataclass(frozen=True)
class Judged:
    """n pairs of answers, as people and a judge saw them.

    people: (n, m) labels of m annotators, NONE where one gave none. judge: (n,) NONE where it gave no verdict. firsts:
    (b, 2) its single verdicts with the one, then the other answer in front, as ONE or TWO for what it prefers (or SAME, NONE).
    ballots: (b,) which pair each belongs to. lengths: (n, 2) characters. own: (n,) ONE or TWO where the judge's model wrote this
    answer and not the other, else NONE. groups: (n,) pairs on one prompt, resampled together.
    """

    people: Labels
    judge: Labels
    firsts: Labels
    ballots: Ints
    lengths: Ints
    own: Labels
    groups: Ints


def measures(data: Judged, rng: np.random.Generator) -> list[Measure]:
    """Every measure of a judge, with a bootstrap over prompts. Agreement is with one annotator at a time, as annotators
    agree with each other, and a verdict that is none agrees with nobody.

    kappa: Cohen (1960), over the annotators as one; a missing verdict is a category of its own there.
    """
    w = resamples(data.groups, rng)
    agreement, people = _agreement(data, w), _between(data, w)
    bases = baselines(data)
    floor = max(bases.values(), default=math.nan)
    best = {k: Estimate(_share(w, *_hits(data, _constant(data, k))), agreement.n) for k in bases}
    top = max(best.values(), key=lambda e: e.value, default=agreement)
    known = math.isfinite(people.value)
    alone = "" if known else "no pair has two annotators"
    found = [
        replace(measured("agreement", [agreement], "higher", detail={"baselines": bases}), floor=floor, ceiling=people.value if known else None),
        measured("kappa", [Estimate(_kappas(data, w), agreement.n)], "higher", (-1.0, 1.0)),
        measured("people", [people], "higher", note=alone),
        measured("people_kappa", [_people_kappa(data, w)], "higher", (-1.0, 1.0), note=alone),
        measured("above_baseline", [agreement - top], "higher", (-1.0, 1.0)),
        measured("below_people", [people - agreement], "lower", (-1.0, 1.0), note=alone),
        *_decisions(data, w),
        *_biases(data, w),
    ]  # fmt: skip
    return [_enough(m) for m in found]


def baselines(data: Judged) -> dict[str, float]:
    """Agreement with people of what reads nothing."""
    ones = np.ones((1, len(data.judge)))
    return {name: float(_share(ones, *_hits(data, _constant(data, name)))[0]) for name in _CONSTANT}


_CONSTANT = {"always the first": ONE, "always the second": TWO, "always a tie": SAME, "always the longer": None}


def _constant(data: Judged, name: str) -> Labels:
    label = _CONSTANT[name]
    if label is None:
        return _longer(data)
    return np.full(len(data.judge), label, np.int8)


def _longer(data: Judged) -> Labels:
    apart = data.lengths[:, 0] - data.lengths[:, 1]
    return np.where(apart > 0, ONE, np.where(apart < 0, TWO, SAME)).astype(np.int8)


def _hits(data: Judged, said: Labels) -> tuple[Floats, Floats]:
    """(n,) labels equal to what was said, and labels there are, of each pair."""
    given = data.people != NONE
    return ((data.people == said[:, None]) & given).sum(1).astype(float), given.sum(1).astype(float)


def _share(w: Floats, hits: Floats, of: Floats) -> Floats:
    """(replicates,) weighted share."""
    total = w @ of
    return np.divide(w @ hits, total, out=np.full(len(w), math.nan), where=total > 0)


def _agreement(data: Judged, w: Floats) -> Estimate:
    hits, of = _hits(data, data.judge)
    return Estimate(_share(w, hits, of), _entities(data, of > 0))


def _between(data: Judged, w: Floats) -> Estimate:
    """Annotators with each other, over all pairs of them."""
    hits, of = np.zeros(len(data.judge)), np.zeros(len(data.judge))
    for i, j in _twos(data):
        both = (data.people[:, i] != NONE) & (data.people[:, j] != NONE)
        hits += both & (data.people[:, i] == data.people[:, j])
        of += both
    return Estimate(_share(w, hits, of), _entities(data, of > 0))


def _twos(data: Judged) -> list[tuple[int, int]]:
    m = data.people.shape[1]
    return [(i, j) for i in range(m) for j in range(i + 1, m)]


def _kappas(data: Judged, w: Floats) -> Floats:
    columns = range(data.people.shape[1])
    return _kappa(w, [(data.people[:, i], data.judge, data.people[:, i] != NONE) for i in columns])


def _people_kappa(data: Judged, w: Floats) -> Estimate:
    people = data.people
    both = [(people[:, i], people[:, j], (people[:, i] != NONE) & (people[:, j] != NONE)) for i, j in _twos(data)]
    either = np.any([b for *_, b in both], axis=0) if both else np.zeros(len(data.judge), bool)
    return Estimate(_kappa(w, both), _entities(data, either))


def _kappa(w: Floats, raters: list[tuple[Labels, Labels, NDArray[np.bool_]]]) -> Floats:
    """(replicates,) Cohen's kappa of the pooled table of all pairs of raters."""
    tables = np.zeros((len(w), 4, 4))
    for one, two, there in raters:
        for a in range(4):
            for b in range(4):
                tables[:, a, b] += w @ (there & (one == a - 1) & (two == b - 1)).astype(float)
    n = tables.sum((1, 2))
    n = np.where(n > 0, n, math.nan)
    seen = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(2) * tables.sum(1)).sum(1) / n**2
    return np.divide(seen - chance, 1 - chance, out=np.full(len(w), math.nan), where=chance < 1)


def _decisions(data: Judged, w: Floats) -> list[Measure]:
    """How often it says anything, and how right it is where people and it both prefer one answer."""
    said = data.judge != NONE
    decided = np.isin(data.judge, (ONE, TWO))
    given = np.isin(data.people, (ONE, TWO)) & decided[:, None]
    hits = (given & (data.people == data.judge[:, None])).sum(1).astype(float)
    of = given.sum(1).astype(float)
    return [
        measured("verdicts", [Estimate(_share(w, said.astype(float), np.ones(len(said))), _entities(data, said | True))], "higher"),
        measured("decided", [Estimate(_share(w, hits, of), _entities(data, of > 0))], "higher"),
    ]  # fmt: skip


def _biases(data: Judged, w: Floats) -> list[Measure]:
    """place: share of ballots for the first place in both orders, less that for the second. length and own: how much oftener
    the judge prefers the longer answer, or that of its own model, than people do on the same pairs."""
    wb = w[:, data.ballots] if len(data.ballots) else np.zeros((len(w), 0))
    one, two = data.firsts.T if len(data.firsts) else np.zeros((2, 0), np.int8)
    read = (one != NONE) & (two != NONE)
    first, second = (one == ONE) & (two == TWO), (one == TWO) & (two == ONE)
    same = read & (one == two)
    asked = np.bincount(data.ballots[read], minlength=len(data.judge)) > 0
    n = _entities(data, asked)
    none = "" if read.any() else "each answer is judged by itself, or no order was swapped: there is no place to prefer"
    return [
        measured("consistent", [Estimate(_share(wb, same.astype(float), read.astype(float)), n)], "higher", note=none),
        measured("place", [Estimate(_share(wb, first.astype(float) - second, read.astype(float)), n)], "none", (-1.0, 1.0), note=none),
        _towards(data, w, _longer(data), "length", "no pair differs in length where both decide"),
        _towards(data, w, data.own, "own", "the judge's model wrote none of the answers, or it is not known who did"),
    ]  # fmt: skip


def _towards(data: Judged, w: Floats, side: Labels, name: str, lacking: str) -> Measure:
    """How much oftener the judge than people prefers the side, where each decides and there is one."""
    sided = np.isin(side, (ONE, TWO)) & np.isin(data.judge, (ONE, TWO))
    given = np.isin(data.people, (ONE, TWO)) & sided[:, None]
    of = given.sum(1).astype(float)
    judge = np.where(data.judge == side, of, 0.0)
    theirs = (given & (data.people == side[:, None])).sum(1).astype(float)
    n = _entities(data, of > 0)
    apart = Estimate(_share(w, judge - theirs, of), n)
    detail = {"judge": float(_share(w[:1], judge, of)[0]), "people": float(_share(w[:1], theirs, of)[0]), "pairs": int((of > 0).sum())}  # fmt: skip
    detail = {k: v for k, v in detail.items() if math.isfinite(v)}
    return measured(name, [apart], "none", (-1.0, 1.0), detail, "" if n else lacking)


def _entities(data: Judged, where: NDArray[np.bool_]) -> int:
    return len(np.unique(data.groups[where]))


def _enough(m: Measure) -> Measure:
    if not math.isfinite(m.value) and not m.note:
        return replace(m, note="could not be measured")
    return m


def sentence(found: dict[str, Measure]) -> tuple[str, str]:
    """(level, sentence): what a judge is good for. level: "no", "coarse" or "person".

    "no": it is not shown to be better than the best baseline that reads nothing; "person": with 95% confidence it agrees with an
    annotator at most 5 points less than annotators agree with each other.
    """
    agreement, people = found["agreement"], found["people"]
    said = f"this judge agrees with people on {agreement.value:.1%} ({agreement.low:.1%}..{agreement.high:.1%})"
    known = math.isfinite(people.value)
    said += f"; people agree with each other on {people.value:.1%} ({people.low:.1%}..{people.high:.1%})" if known else "; how far people agree with each other is not known"  # fmt: skip
    bases: dict[str, float] = agreement.detail["baselines"]
    name = max(bases, key=lambda k: bases[k])
    floor = f"the best answer without reading, '{name}', agrees on {bases[name]:.1%}"
    if not found["above_baseline"].low > 0:
        return "no", f"{said}; {floor}: do not use it: it was not shown to be better than that"
    if known and found["below_people"].high <= _MARGIN:
        return "person", f"{said}; {floor}: usable in place of a further annotator"
    return (
        "coarse",
        f"{said}; {floor}: usable to sort out in bulk, with people looking at a sample; not in place of people",
    )


def misled(before: Labels, after: Labels, worse: Labels, groups: Ints, rng: np.random.Generator) -> Measure:
    """How much oftener the judge prefers the answer people think worse once that answer tells it to. All (n,): its verdicts
    without and with the order, and which answer is worse."""
    apart = (after == worse).astype(float) - (before == worse)
    w = resamples(groups, rng)
    detail = {"before": float((before == worse).mean()), "after": float((after == worse).mean())} if len(worse) else {}
    n = len(np.unique(groups))
    note = "" if n else "no answer was given an order"
    return measured("misled", [Estimate(_share(w, apart, np.ones(len(apart))), n)], "lower", (-1.0, 1.0), detail, note)
