"""What the table gives away about the people it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Better, Evidence, Measure
from synthmill.tables.attack import Exposure
from synthmill.tables.interval import UNKNOWN, entities, measured, seeds

_KINDS: dict[str, tuple[Better, tuple[float, float]]] = {
    "membership": ("half", (0.0, 1.0)),
    "tpr_at_1pct_fpr": ("lower", (0.0, 1.0)),
    "dcr_share": ("half", (0.0, 1.0)),
    "nndr": ("higher", (0.0, 1.0)),
    "exact_copies": ("lower", (-1.0, 1.0)),
    "near_copies": ("lower", (-1.0, 1.0)),
}


@dataclass
class Privacy:
    """Membership attack, distances to train against distances to held-out rows, and copies.

    `membership`: AUC of a density-ratio attack (after DOMIAS: van Breugel et al., 2023): the attacker holds the
    synthetic table and half of the held-out entities, and tells train rows from the other half by their nearest
    neighbours; 0.5 is private. `tpr_at_1pct_fpr`: members it finds while accusing 1% of strangers; 0.01 is private.
    `dcr_share`: synthetic rows nearer to train than to as many held-out rows; 0.5 is ideal. `nndr`: mean ratio of the
    nearest to the second nearest train row; compare with held-out rows' own (detail and ceiling).
    `exact_copies`, `near_copies`: share of synthetic rows that are train rows, or nearer to one than 95% of train rows
    are to another, less the same share among held-out rows; 0 is ideal. Names with `_unfiltered`: before the `copies`
    filter took rows out. rows: the most synthetic and held-out rows looked at for distances.
    """

    rows: Annotated[int, Field(ge=10)] = 5_000
    measures: ClassVar[tuple[str, ...]] = tuple(f"{name}{suffix}" for suffix in ("", "_unfiltered") for name in _KINDS)
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")
    pooled: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> list[Measure]:
        held = int(entities(evidence.holdout, evidence.entity).max(initial=-1)) + 1
        tables = seeds(evidence)
        if held < 4 or evidence.train.height < 2 or not all(t.height for t in tables) or not evidence.schema.modelled:
            note = "needs 4 held-out entities, 2 train rows and a column to compare"
            return [measured(n, [UNKNOWN], better, note=note) for n, (better, _) in _KINDS.items()]
        exposure = Exposure(evidence, evidence.part(self.rows))
        out = _judge(exposure, tables, "")
        if evidence.unfiltered is not None and evidence.unfiltered.height:
            out += _judge(exposure, [evidence.unfiltered], "_unfiltered")
        return out


def _judge(exposure: Exposure, tables: list[pl.DataFrame], suffix: str) -> list[Measure]:
    found = [exposure.of(t) for t in tables]
    out = []
    for name, (better, span) in _KINDS.items():
        detail = {k: v for k, v in found[0][name][1].items() if np.isfinite(v)}
        out.append(measured(name + suffix, [f[name][0] for f in found], better, span, detail))
    return out
