"""Membership: was this person's record in the training data?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from synthmill.frame import row_keys
from synthmill.plugins import Evidence, Measure
from synthmill.tables.interval import Floats, seeds
from synthmill.tables.membership import (
    RATES,
    Targets,
    gap_ratio,
    judged,
    kernel_ratio,
    kernel_width,
    unknown,
)
from synthmill.tables.space import Points, Space

_SYNTHETIC = 40_000


@dataclass
class Membership:
    """Membership by density ratio: who lies where the synthetic table is denser than the population.

    The attacker holds the synthetic table and half of the held-out people, and ranks train rows against the other half
    (the strangers). Two estimates of the density ratio (DOMIAS: van Breugel et al., 2023): `nearest_`, by distances
    to the nearest row; `kernel_`, by kernel densities. AUC 0.5 is private; of the true-positive rates, 0.01 and 0.001.

    targets: the most members and the most strangers. Beyond 40,000 synthetic rows a random sample is attacked.
    Limits: an attacker without rows of the population does worse; one who knows the generator may do better
    (`attack.lira`).
    """

    targets: Annotated[int, Field(ge=10)] = 4_000
    measures: ClassVar[tuple[str, ...]] = tuple(f"{e}_{m}" for e in ("nearest", "kernel") for m in ("auc", *RATES))
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        rng = evidence.rng("attack.membership")
        t = Targets.draw(evidence, self.targets, 0.5, rng)
        if t.n < 2 or len(t.reference) < 2 or not evidence.schema.modelled or not evidence.synthetic.height:
            return [
                unknown(m, "needs 4 held-out entities, 2 train rows and a column to compare") for m in self.measures
            ]
        space = Space.fit(evidence.train, evidence.schema)
        inside, outside = space.embed(evidence.train[t.train]), space.embed(evidence.holdout[t.strangers])
        reference = space.embed(evidence.holdout[t.reference])
        width = kernel_width(reference)
        gaps, kernels = [], []
        for table in seeds(evidence):
            made = space.embed(table[np.sort(rng.permutation(table.height)[:_SYNTHETIC])])
            gaps.append(_split(gap_ratio(np.concatenate([inside, outside]), made, reference), inside))
            kernels.append(_split(kernel_ratio(np.concatenate([inside, outside]), made, reference, width), inside))
        twins = np.isin(row_keys(evidence.holdout[t.strangers]), row_keys(evidence.train)).mean()
        detail = {"reference": len(t.reference), "strangers_equal_to_train": float(twins)}
        return [*judged("nearest_", gaps, t, {**detail}), *judged("kernel_", kernels, t, {**detail, "width": width})]


def _split(found: Floats, inside: Points) -> tuple[Floats, Floats]:
    return found[: len(inside)], found[len(inside) :]
