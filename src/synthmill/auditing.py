"""The work of an audit: each attack, and the search for the most exposed records, apart; on large tables in processes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from .engine import Engine, Failure
from .evaluation import Evaluation, check_uses, evaluate, prefix
from .frame import payload
from .plugins import Evidence, build
from .real import Real
from .refusal import Refusal
from .spec import Use
from .tables.align import align
from .tables.exposed import exposed

EXPOSED = -1
LARGE = 20_000
"""Rows of all tables together: below, an attack takes hardly longer than starting a process for it."""


@dataclass(frozen=True)
class Work:
    """The table as its maker wrote it, and what it is attacked with. most: how many exposed records are listed."""

    table: pl.DataFrame
    anchor: Real
    uses: tuple[Use, ...]
    seed: int
    most: int

    def __call__(self, k: int) -> Any:
        """The Evaluation of attack k; for EXPOSED those records, and how many were looked at. A Refusal is an answer, as
        what a worker raises would come back as text."""
        try:
            return (
                self._exposed() if k == EXPOSED else evaluate(self.table, self.anchor, [self.uses[k]], seed=self.seed)
            )
        except Refusal as e:
            return Refusal(str(e), e.code)

    def _exposed(self) -> tuple[pl.DataFrame, int]:
        train, holdout = (f.select(payload(f)) for f in (self.anchor.train, self.anchor.holdout))
        schema = self.anchor.schema
        aligned = align(self.table, train, schema)[0]
        return exposed(Evidence(aligned, train, holdout, schema, self.seed, entity=self.anchor.entity), self.most)


def attacked(
    work: Work, workers: int | None = None, say: Callable[[str], None] = lambda _: None
) -> tuple[Evaluation, pl.DataFrame, int]:
    """The measures of all attacks in the order of their uses, the most exposed records, and how many were looked at.

    workers: processes (default: every core where the tables hold 20,000 rows, else none but this). Each attack draws from
    its own name's seed, so that they change nothing.
    Raises Refusal when the tables cannot be compared, a use is wrong, or a worker dies.
    """
    check_uses(work.uses)
    for use in work.uses:
        build("measure", use, "audit")
    rows = work.table.height + work.anchor.train.height + work.anchor.holdout.height
    engine: Engine[int] = Engine(work, "serial", workers, math.inf)
    if workers is not None or rows >= LARGE:
        engine.speed_up()
    items = [EXPOSED, *range(len(work.uses))]  # the longest first
    found: list[Any] = []
    try:
        for k, answer in engine.map(iter(items), len(items)):
            name = "most exposed records" if k == EXPOSED else prefix(work.uses[k])
            if isinstance(answer, Failure):
                raise Refusal(f"{name}: {answer.message}", 1)
            if isinstance(answer, Refusal):
                raise answer
            found.append(answer)
            say(f"{name}: done, {len(found)} of {len(items)}")
    finally:
        engine.close()
    (shown, looked), *made = found
    notes = dict.fromkeys(n for e in made for n in e.notes)
    return Evaluation(tuple(m for e in made for m in e.measures), made[0].sizes, tuple(notes)), shown, looked
