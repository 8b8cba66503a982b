"""How much synthetic data to train on: every share and regime by downstream score, and whether any of it pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from synthmill.frame import rng_of
from synthmill.measure.utility import Utility
from synthmill.plugins import Evidence, Measure

from .chain import Drawn
from .regimes import REGIMES, Regime
from .vitals import Subject


@dataclass(frozen=True)
class Mix:
    """A training set. real, synthetic: rows of each. score, gain: over the generator's draws, with 95% intervals; the gain
    is over the better of real rows alone and real rows repeated to the same size, its interval is simultaneous over all
    mixes that were tried."""

    regime: Regime
    share: float
    real: int
    synthetic: int
    score: tuple[float, float, float]
    gain: tuple[float, float, float]

    @property
    def label(self) -> str:
        return f"{self.regime}, {self.share:.0%} synthetic"


@dataclass(frozen=True)
class Sweep:
    """recommended: None means: no synthetic data. why: one sentence. baseline: real rows alone. score: AUC or R2."""

    mixes: tuple[Mix, ...]
    baseline: tuple[float, float, float]
    score: str
    recommended: Mix | None
    why: str

    def to_json(self) -> dict[str, Any]:
        recommended = None if self.recommended is None else self.recommended.label
        return {**asdict(self), "recommended": recommended}


def mixed(
    regime: Regime, share: float, real: pl.DataFrame, made: pl.DataFrame, rng: np.random.Generator
) -> pl.DataFrame:
    """A training set of which `share` is synthetic; real rows first.

    replace: as many rows as there are real ones, some of which make room. accumulate: every real row, and synthetic rows
    beside them. accumulate-subsample: as many of those as there are real rows, drawn at random.
    """
    rows = real.height
    added = round(rows * share) if regime == "replace" else round(rows * share / (1 - share))
    synthetic = made[np.sort(rng.permutation(made.height)[:added])]
    kept = real[np.sort(rng.permutation(rows)[: rows - added])] if regime == "replace" else real
    whole = pl.concat([kept, synthetic.cast(real.schema)])
    if regime == "accumulate-subsample":
        whole = whole[np.sort(rng.permutation(whole.height)[:rows])]
    return whole


def wanted(shares: Sequence[float], rows: int) -> int:
    """Synthetic rows that the largest share asks for."""
    return max(math.ceil(rows * s / (1 - s)) for s in shares)


def sweep(
    subject: Subject,
    draws: Sequence[Drawn],
    shares: Sequence[float],
    regimes: Sequence[Regime] = REGIMES,
    tick: Callable[[int, int, str], None] = lambda *_: None,
) -> Sweep:
    """Scores every mix on the held-out real rows with the metric `utility` and picks one, or none.

    draws: tables of the generator under several seeds, each large enough for the largest share. The interval of a mean
    over draws joins what held-out rows leave open (the metric's own bootstrap) and what draws differ by. A mix is
    recommended only if its gain is above 0 at once for all mixes tried (Bonferroni): the best of many looks good by luck
    alone. Of those that are, the one with least synthetic data whose gain is within one standard error of the best
    (Breiman et al. 1984).
    """
    mixes, baseline, what = [], (math.nan,) * 3, "score"
    total = len(shares) * len(regimes)
    for regime in regimes:
        for share in shares:
            found = [_measured(subject, regime, share, d.frame, i) for i, d in enumerate(draws)]
            scores, gains = [m["blend"] for m, _ in found], [m["blend_gain"] for m, _ in found]
            real, synthetic = found[0][1]
            baseline = _as_is(found[0][0]["real"])
            what = str(found[0][0]["real"].detail.get("score", what))
            mixes.append(Mix(regime, share, real, synthetic, _joined(scores, 1), _joined(gains, total)))
            tick(len(mixes), total, mixes[-1].label)
    recommended, why = choose(mixes)
    return Sweep(tuple(mixes), baseline, what, recommended, why)


def choose(mixes: Sequence[Mix]) -> tuple[Mix | None, str]:
    """The mix to use and why; None where no gain is sure."""
    known = [m for m in mixes if math.isfinite(m.gain[0])]
    if not known:
        return None, "none: no mix could be scored"
    best = max(known, key=lambda m: m.gain[0])
    sure = [m for m in known if m.gain[1] > 0]
    span = f"{best.gain[0]:+.4f} (95% {best.gain[1]:+.4f} to {best.gain[2]:+.4f}, over all {len(known)} mixes at once)"
    if not sure:
        return None, f"none: no mix beats real rows for sure; the best, {best.label}, gains {span}"
    best = max(sure, key=lambda m: m.gain[0])
    error = (best.gain[2] - best.gain[1]) / 2 / _critical(len(known))
    near = [m for m in sure if m.gain[0] >= best.gain[0] - error]
    chosen = min(near, key=lambda m: (m.share, -m.gain[0]))
    return chosen, (
        f"{chosen.label}: gains {chosen.gain[0]:+.4f} over real rows alone or repeated "
        f"(95% {chosen.gain[1]:+.4f} to {chosen.gain[2]:+.4f}, over all {len(known)} mixes at once)"
    )


def _measured(
    subject: Subject, regime: Regime, share: float, made: pl.DataFrame, draw: int
) -> tuple[dict[str, Measure], tuple[int, int]]:
    names = subject.schema.modelled
    both = [*names, subject.entity] if subject.entity else names
    rng = rng_of(subject.seed, "sweep", regime, round(1e6 * share), draw)
    real = subject.train.select(names)
    marked = mixed(regime, share, real.with_columns(_real=True), made.select(names).with_columns(_real=False), rng)
    count = int(marked["_real"].sum())
    evidence = Evidence(
        made.select(names),
        subject.train.select(both),
        subject.holdout.select(both),
        subject.schema.select(names),
        subject.seed,
        subject.target,
        blend=marked.drop("_real"),
        entity=subject.entity,
    )
    return {m.name: m for m in Utility().measure(evidence)}, (count, marked.height - count)


def _as_is(m: Measure) -> tuple[float, float, float]:
    return m.value, m.low, m.high


def _joined(measures: Sequence[Measure], mixes: int) -> tuple[float, float, float]:
    """Mean over draws and its interval. mixes: how many intervals shall hold at once."""
    values = np.array([m.value for m in measures])
    arms = np.array([max(m.value - m.low, m.high - m.value) for m in measures])
    within = float(np.mean(arms)) / _critical(1)
    between = float(values.std(ddof=1)) ** 2 / len(values) if len(values) > 1 else 0.0
    reach = _critical(mixes) * math.sqrt(within**2 + between)
    value = float(values.mean())
    return value, value - reach, value + reach


def _critical(mixes: int) -> float:
    """The normal quantile for 95% over so many intervals at once."""
    from scipy.special import ndtri

    return float(ndtri(1 - 0.025 / mixes))
