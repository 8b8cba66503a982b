"""Real rows again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.origins import Origins
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
        return self._train[self._drawn(request)]

    def origins(self, request: Request) -> Origins:
        rows = self._drawn(request)
        values = {c: pl.Series(c, rows) for c in self._train.columns}
        told = pl.DataFrame({"donors": np.full(len(rows), self._held(request).sum())})
        return Origins(self._train[rows], pl.DataFrame(values), dict.fromkeys(values, told))

    def _held(self, request: Request) -> NDArray[np.bool_]:
        if not request.cell.levels:
            return np.ones(self._train.height, bool)
        return self._train.select(held=request.cell.holds())["held"].to_numpy()

    def _drawn(self, request: Request) -> NDArray[np.int64]:
        held = np.flatnonzero(self._held(request))
        return held[request.rng().integers(len(held), size=request.n)] if len(held) else held

    def save(self, folder: Path) -> None:
        save_frame(self._train, folder, "bootstrap")

    def load(self, folder: Path) -> None:
        self._train = load_frame(folder, "bootstrap")
