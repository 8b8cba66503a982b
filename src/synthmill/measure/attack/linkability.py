"""Linkability: two pieces of a record, from two places, found to be one person's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Evidence, Measure
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.tables.interval import Floats, seeds
from synthmill.tables.membership import Targets, unknown
from synthmill.tables.risk import rates, risk
from synthmill.tables.space import Space, nearest

_SYNTHETIC = 40_000


@dataclass
class Linkability:
    """Linkability (Giomi et al., 2023): whether both halves of a person's columns lead to the same synthetic row.

    The attacker holds two files about the same people, one with the columns `left` and one with `right`, and links two
    records when a synthetic row is among the `neighbours` nearest of both. The value is the risk: the success rate on
    train rows beyond that on held-out ones, over what there was to gain; 0 is private. Baseline: linking at random.

    left, right: by default the modelled columns in turn, so that neighbouring ones part. Distance is that of
    `tables.space`. targets: the most train and the most held-out rows. Beyond 40,000 synthetic rows a random sample is
    searched.
    """

    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    neighbours: Annotated[int, Field(ge=1)] = 1
    targets: Annotated[int, Field(ge=10)] = 2_000
    measures: ClassVar[tuple[str, ...]] = ("risk",)
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        sides = self._sides(evidence.schema)
        rng = evidence.rng("attack.linkability")
        t = Targets.draw(evidence, self.targets, 0.0, rng)
        if t.n < 2 or not all(sides) or not evidence.synthetic.height:
            return [unknown("risk", "needs 2 train rows, 2 held-out ones and 2 columns")]
        found = []
        for table in seeds(evidence):
            made = table[np.sort(rng.permutation(table.height)[:_SYNTHETIC])]
            linked = [np.zeros((0, 0))] * 2
            for i, rows in enumerate((evidence.train[t.train], evidence.holdout[t.strangers])):
                linked[i] = self._linked(rows, made, evidence, sides)
            found.append(rates(linked[0], linked[1], t.w_in, t.w_out))
        k, n = min(self.neighbours, made.height), made.height
        chance = float(1 - np.prod((n - k - np.arange(k)) / (n - np.arange(k)))) if n >= 2 * k else 1.0
        told = {"targets": len(t.strangers), "left": list(sides[0]), "right": list(sides[1])}
        return [risk("risk", found, t.n, chance, told)]

    def _sides(self, schema: Schema) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names = schema.modelled
        for key, given in (("left", self.left), ("right", self.right)):
            for name in given:
                if name not in names:
                    raise Refusal(
                        f"attack.linkability: {key}: there is no column '{name}' to compare; {choices(name, names)}"
                    )
        if both := set(self.left) & set(self.right):
            raise Refusal(f"attack.linkability: '{min(both)}' is on both sides; links would be given away by it")
        if not self.left and not self.right:
            return tuple(names[::2]), tuple(names[1::2])
        left = self.left or tuple(n for n in names if n not in self.right)
        return left, self.right or tuple(n for n in names if n not in self.left)

    def _linked(
        self, rows: pl.DataFrame, made: pl.DataFrame, evidence: Evidence, sides: tuple[tuple[str, ...], ...]
    ) -> Floats:
        """(n,) 1 where the two sides share a nearest synthetic row."""
        near = []
        for side in sides:
            space = Space.fit(evidence.train, evidence.schema.select(side))
            near.append(nearest(space.embed(rows), space.embed(made), min(self.neighbours, made.height))[1])
        shared = (near[0][:, :, None] == near[1][:, None, :]).any(axis=(1, 2))
        answer: Floats = shared.astype(np.float64)
        return answer
