"""Singling out: a description that fits exactly one real person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from synthmill.plugins import Evidence, Measure
from synthmill.tables.interval import Floats, Ints, entities, resamples, seeds
from synthmill.tables.membership import unknown
from synthmill.tables.queries import MISSING, Coded, Op, Query, coded
from synthmill.tables.risk import Rates, risk
from synthmill.tables.scores import mean

_ATTEMPTS = 20
"""Descriptions tried per one wanted."""


@dataclass
class SinglingOut:
    """Singling out (Giomi et al., 2023): descriptions that fit one synthetic row, tried on the real ones.

    `multivariate`: `columns` values of a random synthetic row, numbers as "at most" or "at least", whichever is away
    from the median. `univariate`: a value that occurs once, or a column's extreme. A description that fits exactly one
    synthetic row succeeds when it fits exactly one train row. The value is the risk: the success rate on train beyond
    the rate on people who were not in it, over what there was to gain; 0 is private. Repeated rows count once.

    The control rate is for a table as large as train. With fewer held-out rows than that it is found by exchange:
    were the holdout put in place of as many train rows, successes would drop by that share of what memory adds; the
    expectation over all exchanges is exact, so nothing has to be assumed about the columns. Baseline: random descriptions
    made without the table's rows (random values, random comparisons).
    queries: how many descriptions of each kind.
    """

    queries: Annotated[int, Field(ge=10)] = 2_000
    columns: Annotated[int, Field(ge=2)] = 5
    measures: ClassVar[tuple[str, ...]] = ("multivariate", "univariate")
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        rng = evidence.rng("attack.singling_out")
        people = min(int(entities(f, evidence.entity).max(initial=-1)) + 1 for f in (evidence.train, evidence.holdout))
        if people < 2 or len(evidence.schema.modelled) < 2 or not evidence.synthetic.height:
            return [unknown(m, "needs 2 train rows, 2 held-out ones and 2 columns") for m in self.measures]
        holdout = evidence.holdout[np.sort(rng.permutation(evidence.holdout.height)[: evidence.train.height])]
        tables = coded([evidence.train, holdout, *seeds(evidence)], evidence.schema)
        train, control, made = tables[0], tables[1], tables[2:]
        out = []
        for name, find in (("multivariate", self._multivariate), ("univariate", _univariate)):
            asked = [_single(m, find(m, rng), self.queries) for m in made]
            if min(len(q) for q in asked) < 10:
                out.append(
                    unknown(name, f"only {min(len(q) for q in asked)} descriptions fit exactly one synthetic row")
                )
                continue
            wide = self._columns(train) if name == "multivariate" else 1
            guessed = train.counts(_random(made[0], len(asked[0]), wide, rng))
            found = [_rates(train, control, q, rng) for q in asked]
            detail: dict[str, Any] = {"queries": len(asked[0]), "control_rows": control.rows}
            out.append(risk(name, found, min(len(asked[0]), people), float((guessed == 1).mean()), detail))
        return out

    def _columns(self, table: Coded) -> int:
        return min(self.columns, len(table.columns))

    def _multivariate(self, made: Coded, rng: np.random.Generator) -> list[Query]:
        middle = [float(np.median(c[c != MISSING])) if (c != MISSING).any() else 0.0 for c in made.columns]
        width = self._columns(made)
        out = []
        for row in rng.integers(made.rows, size=_ATTEMPTS * self.queries):
            query: list[tuple[int, Op, int]] = []
            for j in np.sort(rng.permutation(len(made.columns))[:width]):
                code = int(made.columns[j][row])
                beyond: Op = ">=" if code > middle[j] else "<="
                query.append((int(j), beyond if made.ordered[j] and code != MISSING else "==", code))
            out.append(tuple(query))
        return out


def _single(made: Coded, tried: Sequence[Query], most: int) -> list[Query]:
    """The first `most` different descriptions that fit exactly one synthetic row."""
    out: dict[Query, None] = {}
    for query in tried:
        if query not in out and made.count(query, 1) == 1:
            out[query] = None
            if len(out) == most:
                break
    return list(out)


def _univariate(made: Coded, rng: np.random.Generator) -> list[Query]:
    out: list[Query] = []
    for j, column in enumerate(made.columns):
        values, count = np.unique(column, return_counts=True)
        out += [((j, "==", int(v)),) for v in values[count == 1]]
        known = values[values != MISSING]
        if made.ordered[j] and len(known):
            out += [((j, "<=", int(known[0])),), ((j, ">=", int(known[-1])),)]
    return [out[i] for i in rng.permutation(len(out))]


def _random(made: Coded, n: int, width: int, rng: np.random.Generator) -> list[Query]:
    levels = [np.unique(c) for c in made.columns]
    out = []
    for _ in range(n):
        query: list[tuple[int, Op, int]] = []
        for j in np.sort(rng.permutation(len(levels))[:width]):
            ops: tuple[Op, ...] = ("==", "!=", "<=", ">=") if made.ordered[j] else ("==", "!=")
            query.append((int(j), ops[int(rng.integers(len(ops)))], int(rng.choice(levels[j]))))
        out.append(tuple(query))
    return out


def _rates(train: Coded, control: Coded, asked: Sequence[Query], rng: np.random.Generator) -> Rates:
    """Of descriptions: each is one try, and tries are what is resampled."""
    many = 60  # beyond it nothing is left to be alone in, exchanged or not
    inside, outside = train.counts(asked, many), control.counts(asked)
    hit = (inside == 1).astype(np.float64)
    w = resamples(np.arange(len(asked)), rng)
    attack = mean(hit, w)
    return attack, np.clip(mean(_without(hit, inside, outside, control.rows / train.rows), w), 0.0, 1.0)


def _without(hit: Floats, inside: Ints, outside: Ints, share: float) -> Floats:
    """(n,) unbiased for each success on a table of train's size that holds no train row.

    share: held-out rows over train rows, at most 1. With the holdout in place of that share of train, exactly one row
    fits with probability t (1 - share) share^(t - 1) if no held-out row does and share^t if one does, t being the train
    rows that fit. The drop from `hit` is `share` of the whole drop.
    """
    stays, goes = max(0.0, 1.0 - share), min(1.0, share)
    kept = inside * stays * goes ** np.maximum(inside - 1, 0)
    exchanged = np.where(outside == 0, kept, np.where(outside == 1, goes**inside, 0.0))
    answer: Floats = hit - (hit - exchanged) / goes
    return answer
