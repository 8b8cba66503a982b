"""Who was in the training data: scores that are high where a synthetic table is denser than the population, on arrays.

`targets`, `made` and `reference` are points of one metric space (`tables.space`), (n, d); a score per target comes
back. All of them are density ratios (DOMIAS: van Breugel et al., 2023): nearness to the synthetic table alone says
only that a record is common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from synthmill.plugins import Better, Evidence, Measure

from . import scores
from .interval import UNKNOWN, Estimate, Floats, Ints, entities, measured, resamples
from .space import Points, nearest

TINY = 1e-3
"""Keeps an exact hit finite; a thousandth of one categorical mismatch."""

RATES = {"tpr_1pct": 0.01, "tpr_01pct": 0.001}
"""False-positive rates at which members are counted: an average hides the few who are certain (Carlini et al., 2022)."""

_BLOCK = 1 << 23  # kernel values held at a time: 64 MB


def gap_ratio(targets: Points, made: Points, reference: Points) -> Floats:
    """log(distance to the nearest reference row) - log(distance to the nearest synthetic row)."""
    return log_gap(targets, reference) - log_gap(targets, made)


def log_gap(targets: Points, base: Points) -> Floats:
    return np.log(nearest(targets, base)[0][:, 0].astype(np.float64) + TINY)


def kernel_ratio(targets: Points, made: Points, reference: Points, width: float) -> Floats:
    """log density of the synthetic table less log density of the reference, both by kernels of one width.

    A Gaussian kernel in `tables.space` is a product over columns: Gaussian in numbers, Aitchison and Aitken's (1976) in
    categories. Widths are equal, so the normalising constants cancel.
    """
    return _log_kernel(targets, made, width) - _log_kernel(targets, reference, width)


def kernel_width(reference: Points) -> float:
    """Half the median distance from one reference row to its nearest other: neighbours overlap, clusters do not melt."""
    some = reference[:2_000]
    gap = nearest(some, reference, 2)[0][:, 1] if len(reference) > 1 else np.ones(1)
    return max(TINY, 0.5 * float(np.median(gap)))


def _log_kernel(targets: Points, base: Points, width: float) -> Floats:
    out = np.empty(len(targets))
    norm = np.einsum("ij,ij->i", base, base)
    height = max(1, _BLOCK // max(1, len(base)))
    for at in range(0, len(targets), height):
        some = targets[at : at + height]
        square = np.maximum(norm - 2 * (some @ base.T) + np.einsum("ij,ij->i", some, some)[:, None], 0)
        least = square.min(axis=1)
        reached = np.exp((least[:, None] - square) / (2 * width * width)).mean(axis=1, dtype=np.float64)
        out[at : at + height] = np.log(reached) - least / (2 * width * width)
    return out


@dataclass(frozen=True)
class Targets:
    """Whom the attacks are tried on. train, holdout: row numbers of members and strangers; reference: of the held-out
    rows the attacker holds, of other entities than the strangers; w_in, w_out: resamples by entity; n: entities behind
    the smaller side."""

    train: Ints
    strangers: Ints
    reference: Ints
    w_in: Floats
    w_out: Floats
    n: int

    @classmethod
    def draw(cls, evidence: Evidence, most: int, reference: float, rng: np.random.Generator) -> Targets:
        """At most `most` members and as many strangers. reference: the share of held-out entities the attacker holds."""
        groups, own = entities(evidence.holdout, evidence.entity), entities(evidence.train, evidence.entity)
        people = int(groups.max(initial=-1)) + 1
        held = (rng.permutation(people) < int(people * reference))[groups]
        strangers = np.sort(rng.permutation(np.flatnonzero(~held))[:most])
        members = np.sort(rng.permutation(len(own))[: len(strangers)])
        sides = [renumbered(own[members]), renumbered(groups[strangers])]
        w_in, w_out = (resamples(s, rng) for s in sides)
        n = min(int(s.max(initial=-1)) + 1 for s in sides)
        return cls(members, strangers, np.flatnonzero(held), w_in, w_out, n)


def judged(name: str, found: list[tuple[Floats, Floats]], t: Targets, detail: dict[str, object]) -> list[Measure]:
    """AUC and true-positive rates of an attack. found: (members' scores, strangers' scores), per judged table."""
    sides = [(a, b, t.w_in[:, : len(a)], t.w_out[:, : len(b)]) for a, b in found]
    detail = {**detail, "members": len(t.train), "strangers": len(t.strangers)}
    out = [measured(f"{name}auc", [Estimate(scores.auc(*s), t.n) for s in sides], "half", detail=detail)]
    for measure, rate in RATES.items():
        if len(t.strangers) * rate < 1:
            out.append(unknown(name + measure, f"{math.ceil(1 / rate):,} strangers are needed; there are {len(t.strangers):,}"))  # fmt: skip
        else:
            caught = [Estimate(scores.recall_at(rate, *s), t.n) for s in sides]
            out.append(measured(name + measure, caught, "lower", detail={"chance": rate}))
    return out


def unknown(name: str, note: str, better: Better = "lower") -> Measure:
    return measured(name, [UNKNOWN], better, note=note)


def renumbered(groups: Ints) -> Ints:
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)
