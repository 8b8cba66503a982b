"""Slices: conjunctions of literals in which a model errs more than elsewhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .encode import Floats, Ints
from .holm import holm
from .literals import Literal, count

_ALPHA = 0.95
"""How much a slice's error weighs against its size (SliceLine's alpha)."""
_BEAM = 300
_CANDIDATES = 20
_OVERLAP = 0.5
_NO_WORSE = 0.9
"""Of two slices with nearly this ratio of errors, the one of fewer literals is told."""
_EFFECT = 0.1
_LEVEL = 0.05
_SMALLEST = 30


@dataclass(frozen=True)
class Slice:
    """literals: that hold at once. people, share: of the confirming half. error, rest: mean error within and outside, with
    95% bounds of the difference; effect: the difference in standard deviations; p: Holm-corrected."""

    literals: tuple[Literal, ...]
    people: int
    share: float
    error: float
    rest: float
    low: float
    high: float
    effect: float
    p: float

    @property
    def text(self) -> str:
        return " & ".join(one.text for one in self.literals)


@dataclass(frozen=True)
class Found:
    """tried: conjunctions looked at in one half; tested: those taken to the other. overall: mean error."""

    slices: tuple[Slice, ...]
    tried: int
    tested: int
    overall: float


def find(some: Sequence[Literal], error: Floats, people: Ints, rng: np.random.Generator, depth: int = 3) -> Found:
    """Slices of up to `depth` literals whose error is higher than elsewhere. error: (n,), larger is worse.

    Half of the people are searched: all conjunctions of one and two literals that 1% of them (30 at least) are of, and of
    three those that extend the 300 best pairs, by SliceLine's score alpha (mean / overall - 1) - (1 - alpha) (n / size - 1).
    Of those no part of which errs nearly as much, the best 20 that are not mostly the same rows are tested on the other half: one-sided, by the standard error of the
    difference clustered by person, Holm-corrected over those tested. All numbers are the other half's, so that they are
    not inflated by the search. Reported are p < 0.05 with an effect of 0.1 standard deviations or more.
    Sources: Chung et al. (2019), SliceFinder; Sagadeeva & Boehm (2021), SliceLine; Holm (1979).
    """
    n = int(people.max(initial=-1)) + 1
    half = (rng.permutation(n) < n // 2)[people]
    tried, best = _search([one.rows[half] for one in some], some, error[half], depth)
    chosen = _distinct(best, [one.rows[half] for one in some])
    judged = [_tested(tuple(some[i] for i in c), ~half, error, people) for c in chosen]
    told = [s for s in judged if s]
    slices = [replace(s, p=p) for s, p in zip(told, holm([s.p for s in told]), strict=True)]
    kept = [s for s in slices if s.p < _LEVEL and s.effect >= _EFFECT]
    return Found(tuple(sorted(kept, key=lambda s: -s.effect)), tried, len(chosen), float(error.mean()))


def _search(
    rows: Sequence[NDArray[np.bool_]], some: Sequence[Literal], error: Floats, depth: int
) -> tuple[int, list[tuple[int, ...]]]:
    """How many conjunctions were looked at, and those that err more than the whole, best score first."""
    if not rows or not len(error):
        return 0, []
    x = np.stack(rows).astype(np.float64)
    n, total = len(error), float(error.sum())
    least = max(_SMALLEST, 0.01 * n)
    scored: dict[tuple[int, ...], float] = {}
    mean: dict[tuple[int, ...], float] = {}
    tried = 0

    def book(combos: Sequence[tuple[int, ...]], sizes: Floats, sums: Floats) -> None:
        nonlocal tried
        for combo, size, s in zip(combos, sizes, sums, strict=True):
            if size < least:
                continue
            tried += 1
            mean[combo] = s / size
            if s / size > total / n > 0:
                scored[combo] = _ALPHA * (s / size / (total / n) - 1) - (1 - _ALPHA) * (n / size - 1)

    book([(i,) for i in range(len(x))], x.sum(axis=1), x @ error)
    apart = [(i, j) for i, j in itertools.combinations(range(len(x)), 2) if some[i].column != some[j].column]
    if depth > 1 and apart:
        at = tuple(np.array(apart).T)
        book(apart, (x @ x.T)[at], ((x * error) @ x.T)[at])
    pairs = sorted((c for c in scored if len(c) == 2), key=lambda c: (-scored[c], c))[: _BEAM if depth > 2 else 0]
    triples: set[tuple[int, ...]] = set()
    for i, j in pairs:
        others = [k for k in range(len(x)) if some[k].column not in (some[i].column, some[j].column)]
        new = [(k, c) for k in others if (c := tuple(sorted((i, j, k)))) not in triples]
        triples |= {c for _, c in new}
        both = x[i] * x[j]
        picked = x[[k for k, _ in new]]
        book([c for _, c in new], picked @ both, picked @ (both * error))
    simple = [c for c in scored if all(mean.get(p, 0.0) < _NO_WORSE * mean[c] for p in _parts(c))]
    return tried, sorted(simple, key=lambda c: (-scored[c], c))


def _parts(combo: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for size in range(1, len(combo)):
        yield from itertools.combinations(combo, size)


def _distinct(best: Sequence[tuple[int, ...]], rows: Sequence[NDArray[np.bool_]]) -> list[tuple[int, ...]]:
    """The best, none of which shares most of its rows with a better one or only narrows it."""
    chosen: list[tuple[tuple[int, ...], NDArray[np.bool_]]] = []
    for combo in best:
        mine = np.logical_and.reduce([rows[i] for i in combo])
        for other, theirs in chosen:
            if set(other) < set(combo) or (mine & theirs).sum() > _OVERLAP * (mine | theirs).sum():
                break
        else:
            chosen.append((combo, mine))
        if len(chosen) == _CANDIDATES:
            break
    return [c for c, _ in chosen]


def _tested(some: tuple[Literal, ...], half: NDArray[np.bool_], error: Floats, people: Ints) -> Slice | None:
    """None where too few people of the confirming half are in it, or outside."""
    from scipy.special import stdtr

    inside = np.logical_and.reduce([one.rows for one in some])
    within, outside = inside & half, ~inside & half
    n = count(within, people)
    if n < _SMALLEST / 2 or count(outside, people) < _SMALLEST / 2:
        return None
    a, b = error[within], error[outside]
    score = np.zeros(len(error))
    score[within], score[outside] = (a - a.mean()) / len(a), -(b - b.mean()) / len(b)
    spread = math.sqrt(float((np.bincount(people, score) ** 2).sum()))
    gap, deviation = float(a.mean() - b.mean()), float(error[half].std())
    if not deviation or not spread:
        return None
    p = float(1 - stdtr(n - 1, gap / spread))
    return Slice(
        some, n, float(within.sum() / half.sum()), float(a.mean()), float(b.mean()),
        gap - 1.96 * spread, gap + 1.96 * spread, gap / deviation, p,
    )  # fmt: skip
