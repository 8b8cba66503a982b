"""Real rows again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import polars as pl

from synthmill.plugins import Request
from synthmill.schema import Schema
from synthmill.tables.store import load_frame, save_frame


@dataclass
class Bootstrap:
    """Real rows drawn again with replacement: perfect fidelity, no privacy; the floor that privacy tests must catch.

    A cell is answered with the real rows it holds, and with no rows where there is none. Never release what it makes.
    Source: Efron, Bootstrap Methods (1979).
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
        held = self._train.filter(request.cell.holds()) if request.cell.levels else self._train
        if not held.height:
            return held
        return held[request.rng().integers(held.height, size=request.n)]

    def save(self, folder: Path) -> None:
        save_frame(self._train, folder, "bootstrap")

    def load(self, folder: Path) -> None:
        self._train = load_frame(folder, "bootstrap")
