"""Copies: synthetic rows that are a train row, or nearly one; and the distance figures that are often shown instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from synthmill.frame import row_keys
from synthmill.plugins import Evidence, Measure
from synthmill.tables.attack import closest
from synthmill.tables.interval import Estimate, Floats, entities, measured, resamples, seeds
from synthmill.tables.isolation import alone
from synthmill.tables.membership import renumbered, unknown
from synthmill.tables.scores import mean
from synthmill.tables.space import Space, nearest

_NEAR = 0.05


@dataclass
class Copies:
    """Exact and near copies beyond those that fresh real rows make by chance; and DCR, for what it is worth.

    `exact`: share of synthetic rows equal to a train row, less the same share of held-out rows; all rows count. `near`: share
    that is nearer to a train row than 95% of train rows are to another, less held-out rows' share. 0 is private; below 0 the
    table keeps a greater distance than real people do. `dcr_share`: of synthetic rows, those whose closest record (DCR) is
    in train rather than among as many held-out rows; 0.5 is private. A table can have 0.5 there and give everybody away
    (Yao et al., 2025); it is measured because files are handed over with nothing else.

    rows: the most synthetic, train and held-out rows whose distances are taken; they are compared with all of train.
    """

    rows: Annotated[int, Field(ge=10)] = 4_000
    measures: ClassVar[tuple[str, ...]] = ("exact", "near", "dcr_share")
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        people = int(entities(evidence.holdout, evidence.entity).max(initial=-1)) + 1
        names = evidence.schema.modelled
        if people < 2 or evidence.train.height < 2 or not names or not evidence.synthetic.height:
            return [unknown(m, "needs 2 train rows, 2 held-out ones and a column to compare") for m in self.measures]
        rng = evidence.rng("attack.copies")
        space = Space.fit(evidence.train, evidence.schema)
        train, held = space.embed(evidence.train), space.embed(evidence.holdout)
        probe = np.sort(rng.permutation(len(train))[: self.rows])
        limit = float(np.quantile(alone(train[probe], train, np.arange(len(train)), probe), _NEAR))
        some = np.sort(rng.permutation(len(held))[: self.rows])
        same = np.sort(rng.permutation(len(train))[: len(held)])
        rival = np.sort(rng.permutation(len(held))[: len(same)])
        own, groups = (entities(f, evidence.entity) for f in (evidence.train, evidence.holdout))
        w, w_some = resamples(groups, rng), resamples(renumbered(groups[some]), rng)
        w_same, w_rival = resamples(renumbered(own[same]), rng), resamples(renumbered(groups[rival]), rng)
        keys = row_keys(evidence.train.select(names))
        control = mean(np.isin(row_keys(evidence.holdout.select(names)), keys).astype(np.float64), w)
        control_near = mean((nearest(held[some], train)[0][:, 0] <= limit).astype(np.float64), w_some)
        exact, near, dcr = [], [], []
        for table in seeds(evidence):
            shown = space.embed(table[np.sort(rng.permutation(table.height)[: self.rows])])
            weight = resamples(np.arange(len(shown)), rng)
            gap = nearest(shown, train)[0][:, 0]
            exact.append(np.full(len(control), np.isin(row_keys(table.select(names)), keys).mean()))
            near.append(mean((gap <= limit).astype(np.float64), weight))
            inside, outside = closest(shown, train[same], w_same), closest(shown, held[rival], w_rival)
            dcr.append(mean((inside < outside) + 0.5 * (inside == outside), weight))
        return [
            _beyond("exact", exact, control, people, {}),
            _beyond("near", near, control_near, people, {"distance": limit}),
            measured("dcr_share", [Estimate(d, min(people, len(same))) for d in dcr], "half"),
        ]


def _beyond(name: str, found: list[Floats], control: Floats, n: int, detail: dict[str, float]) -> Measure:
    told = {"synthetic": float(found[0][0]), "holdout": float(control[0]), **detail}
    return measured(name, [Estimate(f - control, n) for f in found], "lower", (-1.0, 1.0), told)
