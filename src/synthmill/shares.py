"""A rebalanced table judged at real shares: within cells and pooled, or by a subset of its rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .cells import Assign, Cell
from .frame import seed_of
from .plugins import Evidence, Measure
from .refusal import Refusal
from .tables.interval import entities

Ints = NDArray[np.int64]

ENOUGH = 300
"""Held-out entities (and synthetic rows, and half of train's entities) that a cell is judged by alone: with fewer, 1% of
the strangers in a membership attack is nobody, and the noise of small samples outweighs what columns differ by."""
MOST = 24
"""Cells judged alone, the largest first: what each costs regardless of its rows would add up."""
_FEWEST = 1_000


@dataclass(frozen=True)
class Stratum:
    """One cell, or those joined because they are too small (`cells` of them), with its share of train's rows and what
    lies within it."""

    label: str
    share: float
    evidence: Evidence
    cells: int = 1


def strata(evidence: Evidence, cells: Sequence[Cell]) -> list[Stratum]:
    """Every cell with enough rows alone; the others joined into one, at real shares (`at_real_shares`).

    Where the joined ones are too few even together, the smallest of the cells follow them. Cells that no train row has
    weigh nothing and are left out. Raises Refusal when that is all of them.
    """
    known = {c: n for c, n in enumerate(_real(evidence, cells)) if n}
    size = _Sizes(evidence, cells)
    largest = sorted(known, key=lambda c: -known[c])
    alone = [c for c in largest if size([c]) >= ENOUGH][:MOST]
    rest = [c for c in largest if c not in alone]
    while rest and alone and size(rest) < ENOUGH:
        rest.append(alone.pop())
    total = sum(known.values())
    out = []
    for group in [*([c] for c in sorted(alone)), *([sorted(rest)] if rest else [])]:
        label = cells[group[0]].label if len(group) == 1 else f"{len(group)} cells together"
        share = float(sum(known[c] for c in group) / total)
        # a stream of its own: the same draws in every cell would not be independent
        own = replace(evidence, share=share, seed=seed_of(evidence.seed, "cell", label))
        out.append(Stratum(label, share, at_real_shares(own, [cells[c] for c in group]), len(group)))
    return out


class _Sizes:
    """How much there is to judge a group of cells by: the least of what its tables offer."""

    def __init__(self, evidence: Evidence, cells: Sequence[Cell]) -> None:
        assign, entity = Assign(_numbered(cells)), evidence.entity
        self.made = [_counts(assign, t) for t in (evidence.synthetic, *evidence.draws)]
        self.real = [(assign(t), entities(t, entity), few) for t, few in ((evidence.train, 2), (evidence.holdout, 1))]

    def __call__(self, group: Sequence[int]) -> int:
        rows = [int(n[list(group)].sum()) for n in self.made]
        people = [len(np.unique(who[np.isin(cell, group)])) // few for cell, who, few in self.real]
        return min(*rows, *people)


def pool(parts: Sequence[tuple[Stratum, list[Measure]]], together: bool) -> list[Measure]:
    """Each measure once: its values within the strata, weighted by their shares of train.

    Strata are independent samples, so variances add: a half-width is sqrt(sum (share * half-width)^2), on either side of
    its own. together: entities reach over strata; then half-widths add themselves, which bounds any correlation.
    Arms are taken before they were cut at the values a number can take; the pooled interval is cut there again.
    In `detail`, numbers are pooled alike and counts added; `cells` lists what was found within each stratum.
    A measure that one stratum lacks is unknown: a part of the table must not be left out of a privacy measure.
    """
    if len(parts) == 1:
        return parts[0][1]
    names = dict.fromkeys(m.name for _, found in parts for m in found)
    by_name = [[(s, next((m for m in found if m.name == name), None)) for s, found in parts] for name in names]
    return [_pooled(name, found, together) for name, found in zip(names, by_name, strict=True)]


def _pooled(name: str, found: Sequence[tuple[Stratum, Measure | None]], together: bool) -> Measure:
    better = next(m.better for _, m in found if m is not None)
    known = [(s, m) for s, m in found if m is not None and math.isfinite(m.value)]
    if len(known) < len(found):
        where, m = next((s, m) for s, m in found if m is None or not math.isfinite(m.value))
        why = m.note.removeprefix("unknown: ") if m is not None and m.note else "it was not measured"
        return Measure(name, math.nan, math.nan, math.nan, better, note=f"unknown within {where.label}: {why}")
    shares = np.array([s.share for s, _ in known])
    measures = [m for _, m in known]
    value = float(shares @ [m.value for m in measures])
    ends = np.array([m.uncut or (m.low, m.high) for m in measures])
    arms = shares[:, None] * np.abs(ends - [[m.value] for m in measures])
    below, above = arms.sum(axis=0) if together else np.sqrt((arms**2).sum(axis=0))
    uncut = value - float(below), value + float(above)
    low = max([uncut[0], *(m.low for m, e in zip(measures, ends, strict=True) if m.low > e[0])])
    high = min([uncut[1], *(m.high for m, e in zip(measures, ends, strict=True) if m.high < e[1])])
    within = [
        {"cell": s.label, "share": s.share, "value": m.value, "low": m.low, "high": m.high, "note": m.note}
        for s, m in known
    ]
    detail = (_blended([m.detail for m in measures], shares) or {}) | {"cells": within}
    note = "; ".join(dict.fromkeys(m.note for m in measures if m.note))
    return Measure(name, value, low, high, better, detail, note=note, uncut=uncut)


def _blended(parts: Sequence[Any], shares: NDArray[np.float64]) -> Any:
    """Numbers at their shares, counts added, text where all agree; what not every stratum has is left out (None)."""
    first = parts[0]
    if any(type(p) is not type(first) for p in parts):
        return _mean(parts, shares)
    if isinstance(first, dict):
        merged = {k: _blended([p[k] for p in parts], shares) for k in first if all(k in p for p in parts)}
        return {k: v for k, v in merged.items() if v is not None or first[k] is None}
    if isinstance(first, list):
        same = all(len(p) == len(first) for p in parts)
        return [_blended(row, shares) for row in zip(*parts, strict=True)] if same else None
    if isinstance(first, int) and not isinstance(first, bool):
        return sum(parts)
    if isinstance(first, float):
        return _mean(parts, shares)
    return first if all(p == first for p in parts) else None


def _mean(parts: Sequence[Any], shares: NDArray[np.float64]) -> float | None:
    """Over the strata that know it (a pair with a column that is constant within one has no score there)."""
    known = [isinstance(p, float) and math.isfinite(p) for p in parts]
    if not any(known) or any(p is not None and not isinstance(p, float) for p in parts):
        return None
    return float(np.average([p for p, k in zip(parts, known, strict=True) if k], weights=shares[known]))


def spread_over(evidence: Evidence, cells: Sequence[Stratum]) -> bool:
    """Does an entity have held-out rows in more than one stratum?"""
    if evidence.entity is None or evidence.entity not in evidence.holdout.columns:
        return False
    inside = [s.evidence.holdout[evidence.entity].drop_nulls().unique() for s in cells]
    return sum(len(v) for v in inside) > pl.concat(inside).n_unique()


def _numbered(cells: Sequence[Cell]) -> list[Cell]:
    """Cells by their place in the sequence, which may be a part of a cover's."""
    return [replace(c, index=i) for i, c in enumerate(cells)]


def _counts(assign: Assign, frame: pl.DataFrame) -> Ints:
    cell = assign(frame)
    return np.bincount(cell[cell >= 0], minlength=len(assign.cells))


def _real(evidence: Evidence, cells: Sequence[Cell]) -> Ints:
    real = _counts(Assign(_numbered(cells)), evidence.train)
    if not real.sum():
        raise Refusal("evaluate: no train row lies in any cell of the cover")
    return real


def at_real_shares(evidence: Evidence, cells: Sequence[Cell]) -> Evidence:
    """Train and holdout within the cells; of the synthetic tables a subset in which each cell has train's share.

    Rows are drawn without replacement, never repeated: a repeated row would look like a copy to the privacy metrics and
    lend the others a certainty that is not there. A cell too short for its share of even 1,000 rows gives all it
    has; the deficit stays visible.
    """
    assign = Assign(_numbered(cells))
    real = _real(evidence, cells)
    share = real / real.sum()

    def balanced(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        cell = assign(frame)
        have = _counts(assign, frame)
        wanted = share > 0
        size = max((have[wanted] / share[wanted]).min(), min(_FEWEST, frame.height))
        take = np.minimum(have, np.round(share * size).astype(np.int64))
        rng = evidence.rng("real shares", name)
        rows = [rng.permutation(np.flatnonzero(cell == c))[:k] for c, k in enumerate(take)]
        return frame[np.sort(np.concatenate(rows))]

    return replace(
        evidence,
        synthetic=balanced(evidence.synthetic, "synthetic"),
        draws=tuple(balanced(d, f"draw {i}") for i, d in enumerate(evidence.draws)),
        unfiltered=None if evidence.unfiltered is None else balanced(evidence.unfiltered, "unfiltered"),
        train=evidence.train.filter(pl.Series(assign(evidence.train) >= 0)),
        holdout=evidence.holdout.filter(pl.Series(assign(evidence.holdout) >= 0)),
    )
