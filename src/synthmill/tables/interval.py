"""95% intervals: a bootstrap over held-out entities, widened by the spread between generator seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.plugins import Better, Evidence, Measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPLICATES = 200


@dataclass(frozen=True)
class Estimate:
    """A statistic of one table. values: (1 + REPLICATES,): on the data, then on each resample; n: entities behind it."""

    values: Floats
    n: int

    @property
    def value(self) -> float:
        return float(self.values[0])

    def __sub__(self, other: Estimate) -> Estimate:
        """The paired difference: both sides must have seen the same resamples."""
        return Estimate(self.values - other.values, min(self.n, other.n))


UNKNOWN = Estimate(np.full(1 + REPLICATES, math.nan), 0)


def seeds(evidence: Evidence) -> list[pl.DataFrame]:
    """The judged table, followed by its further draws when there are enough (two) to speak of a spread."""
    return [evidence.synthetic, *(evidence.draws if len(evidence.draws) >= 2 else ())]


def entities(frame: pl.DataFrame, entity: str | None) -> Ints:
    """(n,) which entity each row belongs to, numbered from 0; the row itself unless it has one."""
    if entity is None or entity not in frame.columns:
        return np.arange(frame.height)
    codes: Ints = frame[entity].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    codes = np.where(codes, frame.height + codes, np.arange(frame.height))  # all who are unknown are not one person
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def resamples(groups: Ints, rng: np.random.Generator) -> Floats:
    """(1 + REPLICATES, n) how often each row appears: once, then when as many entities as there are get drawn anew."""
    n = int(groups.max(initial=-1)) + 1
    w = np.ones((1 + REPLICATES, len(groups)))
    for b in range(1, 1 + REPLICATES if n else 1):
        w[b] = np.bincount(rng.integers(n, size=n), minlength=n)[groups]
    return w


def measured(
    name: str,
    estimates: Sequence[Estimate],
    better: Better,
    span: tuple[float, float] = (0.0, 1.0),
    detail: dict[str, Any] | None = None,
    note: str = "",
) -> Measure:
    """The Measure of a statistic that can only lie within `span`.

    estimates: the judged table's, then its further draws'. With several, the value is their mean (what this generator
    yields, not what one seed happened to), and the half-widths are sqrt(bootstrap^2 + (t s / sqrt(m))^2) with s the
    standard deviation between the m seeds and t Student's quantile with m - 1 degrees of freedom;
    `detail["seeds"]` keeps each one's.
    """
    detail = dict(detail or {})
    known = [e for e in estimates if math.isfinite(e.value)]
    if not known or not math.isfinite(estimates[0].value):
        return Measure(name, math.nan, math.nan, math.nan, better, detail, note=note or "could not be measured")
    value = float(np.mean([e.value for e in known]))
    below, above = np.mean([_arms(e, span) for e in known], axis=0)
    m = len(known)
    if m > 1:
        detail["seeds"] = [e.value for e in known]
        spread = _student(m - 1) * float(np.std(detail["seeds"], ddof=1)) / math.sqrt(m)
        below, above = math.hypot(below, spread), math.hypot(above, spread)
    uncut = value - float(below), value + float(above)
    return Measure(name, value, max(span[0], uncut[0]), min(span[1], uncut[1]), better, detail, note=note, uncut=uncut)


def _arms(e: Estimate, span: tuple[float, float]) -> tuple[float, float]:
    """How far the interval reaches below and above the estimate.

    Replicates are centred on their mean: a bootstrapped distance is larger than the distance itself (the resample
    adds its own noise), so its quantiles tell the spread, not the place. Few entities get Student's factor, and never
    less than what n agreeing entities leave open (the rule of three: Hanley & Lippman-Hand, 1983).
    """
    reps = e.values[1:][np.isfinite(e.values[1:])]
    if e.n < 2 or not len(reps):
        return math.inf, math.inf
    small = _student(e.n - 1) / 1.96 * math.sqrt(e.n / (e.n - 1))
    low, high = np.quantile(reps - reps.mean(), (0.025, 0.975)) * small
    width = span[1] - span[0]
    least = (1 - 0.05 ** (1 / e.n)) * width if math.isfinite(width) else 0.0
    return max(-float(low), least), max(float(high), least)


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
