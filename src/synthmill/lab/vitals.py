"""How a generation is: the project's own metrics on held-out real rows, and two that show collapse soonest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from synthmill.plugins import Evidence, Measure, build
from synthmill.schema import Schema
from synthmill.tables.encode import NUMERIC, numbers

METRICS: tuple[dict[str, Any], ...] = (
    {"use": "coverage"},
    {"use": "detection", "kernel": False},
    {"use": "utility", "alone": True},
)
SHOWN = (
    "coverage.tails",
    "coverage.alpha_precision",
    "coverage.beta_recall",
    "lab.levels",
    "lab.spread",
    "utility.synthetic",
    "detection.c2st",
)
"""What is kept of a generation, under full names."""


@dataclass(frozen=True)
class Subject:
    """What a generation is compared with. train is the whole of it, also where the lab starts from fewer rows."""

    train: pl.DataFrame
    holdout: pl.DataFrame
    schema: Schema
    target: str | None
    entity: str | None
    seed: int


def vitals(made: pl.DataFrame, subject: Subject) -> dict[str, Measure]:
    """SHOWN measures of a table; without a target, utility's are unknown.

    `lab.levels`: share of the levels that at least two train rows hold which the table still shows. `lab.spread`: median
    over numbers of the table's standard deviation over train's. Both 1 for as many fresh real rows, or a little below.
    The evidence has the same seed every time: generations face the same held-out rows.
    """
    names = subject.schema.modelled
    both = [*names, subject.entity] if subject.entity else names
    evidence = Evidence(
        made,
        subject.train.select(both),
        subject.holdout.select(both),
        subject.schema.select(names),
        subject.seed,
        subject.target,
        entity=subject.entity,
    )
    found = {"lab.levels": _levels(made, subject), "lab.spread": _spread(made, subject)}
    for use in METRICS:
        metric: Any = build("measure", use)
        found |= {f"{use['use']}.{m.name}": m for m in metric.measure(evidence)}
    return {name: found[name] for name in SHOWN}


def one_thread() -> Any:
    """Sums in matrix products must not depend on how many threads there are, and small trees lose time to waking them."""
    import sklearn.ensemble  # noqa: F401  only libraries that are already loaded can be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _levels(made: pl.DataFrame, subject: Subject) -> Measure:
    shares = []
    for name in subject.schema.modelled:
        if subject.schema[name].kind in NUMERIC:
            continue
        held = subject.train[name].drop_nulls().cast(pl.String).value_counts(name="_count")
        known = held.filter(pl.col("_count") >= 2)[name]
        if len(known) > 1:
            shares.append(float(known.is_in(made[name].cast(pl.String).unique().to_list()).mean() or 0.0))  # type: ignore[arg-type]
    return _plain("levels", float(np.mean(shares)) if shares else math.nan, "there is no column of categories")


def _spread(made: pl.DataFrame, subject: Subject) -> Measure:
    ratios = []
    for name in subject.schema.of(*NUMERIC):
        real, new = numbers(subject.train[name]), numbers(made[name])
        known = new[~np.isnan(new)]
        if np.nanstd(real) > 0:
            ratios.append(float(known.std() / np.nanstd(real)) if len(known) else 0.0)
    return _plain("spread", float(np.median(ratios)) if ratios else math.nan, "there is no column of numbers")


def _plain(name: str, value: float, why: str) -> Measure:
    """A count or a moment of the table itself: it has no interval over held-out rows, only a spread between repeats."""
    return Measure(name, value, math.nan, math.nan, "higher", note="" if math.isfinite(value) else why)
