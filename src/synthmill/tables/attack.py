"""What a table gives away about the rows it was made from: nearest-neighbour attacks and copies."""

from __future__ import annotations

import numpy as np
import polars as pl

from synthmill.frame import row_keys
from synthmill.plugins import Evidence

from . import scores
from .interval import Estimate, Floats, Ints, entities, resamples
from .space import Points, Space, nearest

_SYNTHETIC = 40_000
_TRAIN, _HOLDOUT = 100_000, 50_000
_NEIGHBOURS = 8
_NEAR = 0.05
_TINY = 1e-3


class Exposure:
    """The real side of every attack, prepared once; `of(table)` attacks one table.

    rows: the most synthetic rows that are looked at one by one. Distances are those of `Space`, fitted on train; of
    tables beyond 40,000 synthetic, 100,000 train or 50,000 held-out rows a random sample is attacked.
    """

    def __init__(self, evidence: Evidence, rows: int) -> None:
        self.evidence, self.rng, self.rows = evidence, evidence.rng("privacy"), rows
        self.names = evidence.schema.modelled
        self.space = Space.fit(evidence.train, evidence.schema)
        train = _some(evidence.train, _TRAIN, self.rng)
        holdout = _some(evidence.holdout, _HOLDOUT, self.rng)
        self.train, self.holdout = self.space.embed(train), self.space.embed(holdout)
        self.groups, self.train_groups = entities(holdout, evidence.entity), entities(train, evidence.entity)
        self.n = int(self.groups.max(initial=-1)) + 1
        self._prepare_membership()
        self._prepare_distances()
        self.keys = np.unique(row_keys(evidence.train.select(self.names)))
        self.w = resamples(self.groups, self.rng)
        copied = np.isin(row_keys(holdout.select(self.names)), self.keys)
        self.copied = scores.mean(copied.astype(np.float64), self.w)

    def _prepare_membership(self) -> None:
        """Half of the held-out entities are the attacker's reference, the other half the non-members."""
        half = self.rng.permutation(self.n) < self.n // 2
        out = np.flatnonzero(half[self.groups])
        out = np.sort(self.rng.permutation(out)[: self.evidence.part(3_000)])
        inside = np.sort(self.rng.permutation(len(self.train))[: len(out)])
        self.targets = np.concatenate([self.train[inside], self.holdout[out]])
        self.members = len(inside)
        self.reference = nearest(self.targets, self.holdout[~half[self.groups]])[0][:, 0].astype(np.float64)
        members, strangers = _renumbered(self.train_groups[inside]), _renumbered(self.groups[out])
        self.w_in, self.w_out = resamples(members, self.rng), resamples(strangers, self.rng)
        self.accused = int(min(members.max(initial=-1), strangers.max(initial=-1))) + 1

    def _prepare_distances(self) -> None:
        same = min(len(self.train), len(self.holdout))
        self.rival = np.sort(self.rng.permutation(len(self.train))[:same])
        self.fresh = np.sort(self.rng.permutation(len(self.holdout))[:same])
        self.w_rival = resamples(_renumbered(self.train_groups[self.rival]), self.rng)
        self.w_fresh = resamples(_renumbered(self.groups[self.fresh]), self.rng)
        probe = np.sort(self.rng.permutation(len(self.train))[: self.rows])
        gap, at = nearest(self.train[probe], self.train, 2)
        others = np.where(at[:, 0] == probe, gap[:, 1], gap[:, 0])
        self.near = float(np.quantile(others, _NEAR)) if len(others) else 0.0
        self.looked = np.sort(self.rng.permutation(len(self.holdout))[: self.rows])
        self.own = nearest(self.holdout[self.looked], self.train, 2)[0].astype(np.float64)
        self.w_own = resamples(_renumbered(self.groups[self.looked]), self.rng)

    def of(self, table: pl.DataFrame) -> dict[str, tuple[Estimate, dict[str, float]]]:
        """Each measure's statistic and details. Every table faces the same targets and resamples."""
        rng = self.evidence.rng("privacy", "table")
        made = self.space.embed(_some(table, _SYNTHETIC, rng))
        shown = made[np.sort(rng.permutation(len(made))[: self.rows])]
        w = resamples(np.arange(len(shown)), rng)
        auc, tpr = self._membership(made)
        gap = nearest(shown, self.train, 2)[0].astype(np.float64)
        exact = np.full(len(w), np.isin(row_keys(table.select(self.names)), self.keys).mean())
        near = scores.mean((gap[:, 0] <= self.near).astype(np.float64), w)
        near_own = scores.mean((self.own[:, 0] <= self.near).astype(np.float64), self.w_own)
        ratio = scores.mean(_ratio(gap), w)
        strangers = len(self.targets) - self.members
        return {
            "membership": (Estimate(auc, self.accused), {"members": self.members, "strangers": strangers}),
            "tpr_at_1pct_fpr": (Estimate(tpr, self.accused), {}),
            "dcr_share": (Estimate(self._dcr_share(shown, w), self.n), {}),
            "nndr": (Estimate(ratio, self.n), {"holdout": float(scores.mean(_ratio(self.own), self.w_own)[0])}),
            "exact_copies": (Estimate(exact - self.copied, self.n), _rates(exact[0], self.copied[0])),
            "near_copies": (
                Estimate(near - near_own, self.n),
                {**_rates(near[0], near_own[0]), "distance": self.near},
            ),
        }

    def _membership(self, made: Points) -> tuple[Floats, Floats]:
        """Density-ratio attack: rows much nearer to the synthetic table than to the reference are called members."""
        gap = nearest(self.targets, made)[0][:, 0].astype(np.float64)
        score = np.log(self.reference + _TINY) - np.log(gap + _TINY)
        sides = score[: self.members], score[self.members :], self.w_in, self.w_out
        return scores.auc(*sides), scores.recall_at(0.01, *sides)

    def _dcr_share(self, shown: Points, w: Floats) -> Floats:
        """Both real sides are resampled; the nearest neighbour of a resample is the first of 8 that it holds."""
        rival = closest(shown, self.train[self.rival], self.w_rival)
        fresh = closest(shown, self.holdout[self.fresh], self.w_fresh)
        wins = (rival < fresh) + 0.5 * (rival == fresh)
        answer: Floats = (w * wins).sum(axis=1) / w.sum(axis=1)
        return answer


def closest(shown: Points, base: Points, w: Floats) -> Floats:
    """(b, n) distance of each shown row to the nearest row of `base` that each resample holds, of the 8 nearest.

    w: (b, len(base)). Rounded to 4 decimals, so that two equal rows at the same distance are a tie.
    """
    gap, at = nearest(shown, base, min(_NEIGHBOURS, len(base)))
    gap, rows = gap.round(4), np.arange(len(shown))
    out = np.empty((len(w), len(shown)))
    for b, drawn in enumerate(w > 0):
        held = drawn[at]
        held[:, -1] = True
        out[b] = gap[rows, held.argmax(axis=1)]
    return out


def _some(frame: pl.DataFrame, rows: int, rng: np.random.Generator) -> pl.DataFrame:
    return frame if frame.height <= rows else frame[np.sort(rng.permutation(frame.height)[:rows])]


def _renumbered(groups: Ints) -> Ints:
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _ratio(gap: Floats) -> Floats:
    """Nearest over second nearest; an exact hit counts 0 even where train holds it twice."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = np.where(gap[:, 0] == 0, 0.0, gap[:, 0] / gap[:, 1])
    return ratio


def _rates(synthetic: float, holdout: float) -> dict[str, float]:
    ratio = synthetic / holdout if holdout else (1.0 if not synthetic else float("inf"))
    return {"synthetic": float(synthetic), "holdout": float(holdout), "ratio": float(ratio)}
