"""LiRA: membership judged record by record against shadow models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.cells import ANY, Cell
from synthmill.plugins import Evidence, Measure, Request, build
from synthmill.refusal import Refusal
from synthmill.tables.interval import Floats, entities, seeds
from synthmill.tables.membership import RATES, TINY, Targets, judged, unknown
from synthmill.tables.space import Points, Space, nearest

_Bools = np.ndarray[Any, np.dtype[np.bool_]]
_STAND_IN = "tabular.bootstrap"
_FAINT = 0.01
"""A record is never less likely for having been seen: a shadow that does not memorise leaves the order to the distance."""
_LEAST = 1e-6
"""Variance below which shadows do not differ; keeps the ratio finite."""


@dataclass
class Lira:
    """Likelihood-ratio membership attack with shadow models: whether the table looks as if a record had been in its making.

    After Carlini et al. (2022). Shadow generators are fitted on random halves of train and holdout, so each target is
    inside one half of them and outside the other. The statistic is -log of the distance from the target to the
    nearest synthetic row; the score its Gaussian log-likelihood ratio, inside against outside. Means are the target's own,
    their difference shrunk to its average by empirical Bayes, since few models tell little of one record, and never below
    0.01 standard deviations; the variance is one for all, so that the ratio stays monotone in the statistic.

    `generator`: the maker of the file, a name or a mapping with `use` and options; the attacker then knows the tool and
    reruns it. Without it `tabular.bootstrap` stands in, and the question becomes whether the table is to this record
    what a table of copied records would be: that finds memorising of any make, but is blind to other traces which the
    true maker leaves, so a low value proves less.

    shadows: how many, in pairs that share no record. targets: the most members and the most strangers. rows: the most
    synthetic rows, of the judged table and of each shadow's. A shadow learns from half of train and holdout together.
    """

    generator: str | dict[str, Any] | None = None
    shadows: Annotated[int, Field(ge=4, multiple_of=2)] = 10
    targets: Annotated[int, Field(ge=10)] = 1_500
    rows: Annotated[int, Field(ge=10)] = 40_000
    measures: ClassVar[tuple[str, ...]] = ("auc", *RATES)
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")
    _last: _Shadows | None = field(init=False, repr=False, compare=False, default=None)

    def measure(self, evidence: Evidence) -> list[Measure]:
        t = Targets.draw(evidence, self.targets, 0.0, evidence.rng("attack.lira", "targets"))
        if t.n < 2 or not evidence.schema.modelled or not evidence.synthetic.height:
            return [
                unknown(m, "needs 2 held-out entities, 2 train rows and a column to compare") for m in self.measures
            ]
        if self._last is None or self._last.train is not evidence.train or self._last.holdout is not evidence.holdout:
            self._last = self._shadowed(evidence, t)
        shadows, rng = self._last, evidence.rng("attack.lira", "table")
        found = []
        for table in seeds(evidence):
            made = shadows.space.embed(table[np.sort(rng.permutation(table.height)[: self.rows])])
            score = shadows.score(_nearness(shadows.points, made))
            found.append((score[: len(t.train)], score[len(t.train) :]))
        detail = {
            "generator": self._use()["use"],
            "stand_in": self.generator is None,
            "shadows": self.shadows,
            "fitted_on": shadows.size,
        }
        return judged("", found, t, detail)

    def _use(self) -> dict[str, Any]:
        given = self.generator or _STAND_IN
        use = {"use": given} if isinstance(given, str) else given
        if "use" not in use:
            raise Refusal(f"attack.lira: generator: {given!r} has no 'use'")
        return use

    def _shadowed(self, evidence: Evidence, t: Targets) -> _Shadows:
        """Fits the shadows and keeps what each makes of the targets."""
        names = evidence.schema.modelled
        pool = pl.concat([evidence.train.select(names), evidence.holdout.select(names)])
        own = [
            f.select(evidence.entity) if evidence.entity else f.select(names)
            for f in (evidence.train, evidence.holdout)
        ]
        groups = entities(pl.concat(own), evidence.entity)
        at = np.concatenate([t.train, evidence.train.height + t.strangers])
        space = Space.fit(evidence.train, evidence.schema)
        points, n = space.embed(pool[at]), min(self.rows, evidence.synthetic.height)
        inside, near = [], []
        for k, half in enumerate(self._halves(evidence, groups)):
            plugin = build("generate", self._use(), "attack.lira")
            if getattr(plugin, "target", "") is None:
                plugin.target = evidence.target
            plugin.fit(pool.filter(pl.Series(half)), evidence.schema.select(names))
            seed = int(evidence.rng("attack.lira", "rows", k).integers(2**63))
            made: pl.DataFrame = plugin.generate(Request(0, Cell(ANY, (), n), 0, n, seed))
            if not made.height:
                raise Refusal("attack.lira: the shadow generator made no rows", 1)
            near.append(_nearness(points, space.embed(made)))
            inside.append(half[at])
        size = int(np.mean([h.sum() for h in self._halves(evidence, groups)]))
        return _Shadows(evidence.train, evidence.holdout, space, points, np.stack(inside), np.stack(near), size)

    def _halves(self, evidence: Evidence, groups: Any) -> Iterator[_Bools]:
        people = int(groups.max(initial=-1)) + 1
        for k in range(self.shadows // 2):
            half = (evidence.rng("attack.lira", "half", k).permutation(people) < people // 2)[groups]
            yield half
            yield ~half


@dataclass(frozen=True)
class _Shadows:
    """inside: (shadows, targets) whether the target was in the shadow's half; near: its statistic there."""

    train: pl.DataFrame
    holdout: pl.DataFrame
    space: Space
    points: Points
    inside: _Bools
    near: Floats
    size: int

    def score(self, seen: Floats) -> Floats:
        """seen: (targets,) the statistic on the judged table."""
        within, without = _moments(self.near, self.inside), _moments(self.near, ~self.inside)
        spread = max((within[1] + without[1]) / 2, _LEAST)
        gain = within[0] - without[0]
        noise = 4 * spread / len(self.near)
        kept = max(0.0, 1 - noise / max(float(gain.var()), 1e-12))
        gain = np.maximum(gain.mean() + kept * (gain - gain.mean()), _FAINT * np.sqrt(spread))
        middle = (within[0] + without[0]) / 2
        seen = seen - np.median(seen - middle)  # shadows learn from fewer rows: the table as a whole may lie nearer
        ratio: Floats = gain * (seen - middle) / spread
        return ratio


def _moments(near: Floats, mask: _Bools) -> tuple[Floats, float]:
    """Each target's mean over the shadows in `mask`, and the variance within targets, common to all."""
    count = mask.sum(axis=0)
    mean = (near * mask).sum(axis=0) / count
    left = ((near - mean) ** 2 * mask).sum()
    return mean, float(left / max(1, (count - 1).sum()))


def _nearness(points: Points, made: Points) -> Floats:
    return -np.log(nearest(points, made)[0][:, 0].astype(np.float64) + TINY)
