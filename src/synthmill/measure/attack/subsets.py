"""Subsets: pieces of real records inside synthetic rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from synthmill.frame import Keys, row_keys
from synthmill.plugins import Evidence, Measure
from synthmill.tables.interval import Estimate, Floats, Ints, entities, measured, resamples, seeds
from synthmill.tables.membership import renumbered, unknown
from synthmill.tables.scores import mean

_TELLING = 0.3
"""A piece tells of a person when nobody shares it: sets of columns in which that share of train's rows is alone."""
_FEWEST = 10


@dataclass
class Subsets:
    """Column-subset copies: synthetic rows that equal a train row on some columns oftener than they equal held-out rows.

    A row that equals nobody as a whole may still be two people glued together. `subsets` random sets of a quarter, a half
    and three quarters of the columns are looked at, those first that tell most people apart. Each synthetic row counts 1 when
    its piece is a train row's and less when it would be a held-out row's as well; train counts as if it had as many rows as
    the holdout, and the difference is then scaled to all of train. `piece`: the share of synthetic rows with a real person's piece
    beyond chance, on the subset that was worst for one half of the pieces, measured on the other half. `value`: the
    same for single columns, those with personal data and texts among them: real values that came along. Identifiers are left
    out: counting from 1 makes them equal. 0 is private.

    Baseline: the held-out rows' own rate (detail). Intervals resample pieces, since rows with one piece are one finding.
    rows: the most synthetic rows. Source: this project.
    """

    subsets: Annotated[int, Field(ge=1)] = 45
    rows: Annotated[int, Field(ge=10)] = 40_000
    measures: ClassVar[tuple[str, ...]] = ("piece", "value")
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        names = [n for n in evidence.schema.modelled if evidence.schema[n].kind != "constant"]
        told = [n for n in evidence.schema.of("personal", "text") if all(n in t.columns for t in seeds(evidence))]
        people = int(entities(evidence.holdout, evidence.entity).max(initial=-1)) + 1
        if people < 2 or evidence.train.height < 2 or not names or not evidence.synthetic.height:
            return [unknown(m, "needs 2 train rows, 2 held-out ones and a column to compare") for m in self.measures]
        rng = evidence.rng("attack.subsets")
        held = np.sort(rng.permutation(evidence.holdout.height)[: evidence.train.height])
        tables = [t[np.sort(rng.permutation(t.height)[: self.rows])] for t in seeds(evidence)]
        frames = [evidence.train, evidence.holdout[held], *tables]
        keys = [{n: row_keys(f.select(n)) for n in (*names, *told)} for f in frames]
        out = [unknown("piece", "needs 3 columns")]
        if len(names) > 2:
            out = [
                self._worst(
                    "piece", _chosen(self._drawn(names, rng), keys[0], self.subsets, _FEWEST), keys, people, rng
                )
            ]
        single: list[tuple[str, ...]] = [(n,) for n in (*names, *told)]
        return [*out, self._worst("value", _chosen(single, keys[0], len(single), 1), keys, people, rng)]

    def _drawn(self, names: list[str], rng: np.random.Generator) -> list[tuple[str, ...]]:
        d = len(names)
        sizes = sorted({min(d - 1, max(2, round(d * part))) for part in (0.25, 0.5, 0.75)})
        drawn = [tuple(names[i] for i in np.sort(rng.permutation(d)[:size])) for size in sizes * self.subsets]
        return list(dict.fromkeys(drawn))

    def _worst(
        self, name: str, sets: list[tuple[str, ...]], keys: list[dict[str, Keys]], people: int, rng: np.random.Generator
    ) -> Measure:
        salt = np.uint64(rng.integers(2**63))
        judged = [_pieces(keys[0], keys[1], keys[2], s, salt) for s in sets]
        risks = [p.excess[p.first].mean() if p.first.any() else -1.0 for p in judged]
        at = int(np.argmax(risks))
        best = judged[at]
        found = [_pieces(keys[0], keys[1], k, sets[at], salt) for k in keys[2:]]
        estimates = [_estimate(p, people, rng) for p in found]
        told: dict[str, Any] = {
            "columns": list(sets[at]),
            "train": float(best.train[~best.first].mean()) if (~best.first).any() else 0.0,
            "holdout": float(best.holdout[~best.first].mean()) if (~best.first).any() else 0.0,
            "sets": len(sets),
            "by_columns": _by_size(sets, risks),
        }
        return measured(name, estimates, "lower", (-1.0, 1.0), told)


@dataclass(frozen=True)
class _Pieces:
    """Per synthetic row. train: probability that a train of the holdout's size has its piece; holdout: whether that has;
    excess: their difference, scaled to all of train; first: the half on which the subset is chosen; group: its piece."""

    train: Floats
    holdout: Floats
    excess: Floats
    first: Any
    group: Keys


def _pieces(
    train: dict[str, Keys], held: dict[str, Keys], made: dict[str, Keys], names: tuple[str, ...], salt: Any
) -> _Pieces:
    piece, real, other = (_joined(k, names) for k in (made, train, held))
    share = len(other) / len(real)
    has: Floats = 1.0 - np.power(1.0 - share, _times(piece, real)).astype(np.float64)
    also = (_times(piece, other) > 0).astype(np.float64)
    first = ((piece ^ salt) >> np.uint64(17)) & np.uint64(1) == 0
    return _Pieces(has, also, (has - also) / share, first, piece)


def _joined(keys: dict[str, Keys], names: tuple[str, ...]) -> Keys:
    total: Keys = np.sum([keys[n] for n in names], axis=0, dtype=np.uint64)
    return total


def _times(piece: Keys, base: Keys) -> Ints:
    """(n,) how many rows of `base` have each piece."""
    known, count = np.unique(base, return_counts=True)
    at = np.minimum(np.searchsorted(known, piece), len(known) - 1)
    return np.where(known[at] == piece, count[at], 0).astype(np.int64)


def _estimate(p: _Pieces, people: int, rng: np.random.Generator) -> Estimate:
    second = ~p.first
    if not second.any():
        return Estimate(np.full(201, np.nan), 0)
    groups = renumbered(p.group[second].view(np.int64))
    values = mean(p.excess[second], resamples(groups, rng))
    return Estimate(np.clip(values, -1.0, 1.0), min(people, int(groups.max()) + 1))


def _chosen(sets: list[tuple[str, ...]], train: dict[str, Keys], most: int, fewest: int) -> list[tuple[str, ...]]:
    """The telling ones, at most `most`; with fewer than `fewest` of them, those that come nearest to it."""
    alone = []
    for s in sets:
        _, count = np.unique(_joined(train, s), return_counts=True)
        alone.append(float((count == 1).sum() / count.sum()))
    telling = [s for s, a in zip(sets, alone, strict=True) if a >= _TELLING]
    if len(telling) >= fewest:
        return telling[:most]
    order = np.argsort([-a for a in alone], kind="stable")
    return [sets[i] for i in order[: min(most, fewest)]]


def _by_size(sets: list[tuple[str, ...]], risks: list[float]) -> dict[str, float]:
    sizes = sorted({len(s) for s in sets})
    return {str(k): float(max(r for s, r in zip(sets, risks, strict=True) if len(s) == k)) for k in sizes}
