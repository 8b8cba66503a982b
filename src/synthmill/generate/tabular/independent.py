"""Columns without their dependence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import polars as pl

from synthmill.cells import holds
from synthmill.plugins import Request
from synthmill.schema import Schema
from synthmill.tables.store import load_frame, save_frame


@dataclass
class Independent:
    """Every column drawn alone from its real values: perfect columns, no dependence; the floor fidelity tests must catch.

    A cell is answered by drawing each of its columns inside its level, so also one that no real row has; a level that
    is not in the real column gives no rows.
    """

    private_model: ClassVar[bool] = True
    _train: pl.DataFrame = field(init=False, repr=False, default_factory=pl.DataFrame)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._train = train

    def schema(self) -> dict[str, pl.DataType]:
        return dict(self._train.schema)

    def conditions(self, axes: Sequence[str]) -> bool:
        return set(axes) <= set(self._train.columns)

    def generate(self, request: Request) -> pl.DataFrame:
        where = request.cell.where
        columns = []
        for s in self._train:
            held = s.to_frame().filter(holds({s.name: where[s.name]})).to_series() if s.name in where else s
            if not len(held):
                return self._train.clear()
            columns.append(held.gather(request.rng(s.name).integers(len(held), size=request.n)))
        return pl.DataFrame(columns)

    def save(self, folder: Path) -> None:
        save_frame(self._train, folder, "independent")

    def load(self, folder: Path) -> None:
        self._train = load_frame(folder, "independent")
