"""Counted frequencies, drawn and counted again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables.encode import NUMERIC
from synthmill.tables.store import load_frame, save_frame

Floats = NDArray[np.float64]


@dataclass
class Zipf:
    """Each category drawn alone from the frequencies that were counted: the model that forgets what is rare.

    Of levels with shares p, n rows show sum(1 - (1 - p)^n) on average, and what one generation does not show no later
    one can; the chance that two rows differ shrinks by 1 - 1/n a generation under replacement (Wright 1931; as loss of
    tokens: Shumailov et al. 2024).

    Before it is fitted it makes one column `word` of `levels` levels whose shares fall as rank^-exponent (Zipf's law).
    Fitted, it makes every column that is not of numbers, missing values at their share; columns of numbers are left out.
    """

    levels: Annotated[int, Field(ge=2)] = 1000
    exponent: Annotated[float, Field(ge=0)] = 1.0
    _counted: dict[str, tuple[pl.Series, Floats]] = field(init=False, repr=False, default_factory=dict)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        names = [c for c in train.columns if schema[c].kind not in NUMERIC]
        if not names:
            raise Refusal("lab.zipf: the table has no column of categories")
        self._counted = {}
        for name in names:
            held = train[name].value_counts(name="_count").sort(name)
            self._counted[name] = held[name], held["_count"].cast(pl.Float64).to_numpy()

    def _laws(self) -> dict[str, tuple[pl.Series, Floats]]:
        if self._counted:
            return self._counted
        width = len(str(self.levels))
        words = pl.Series("word", [f"w{i:0{width}d}" for i in range(1, self.levels + 1)])
        weight: Floats = np.arange(1, self.levels + 1, dtype=np.float64) ** -self.exponent
        return {"word": (words, weight)}

    def schema(self) -> dict[str, pl.DataType]:
        return {name: values.dtype for name, (values, _) in self._laws().items()}

    def generate(self, request: Request) -> pl.DataFrame:
        columns = []
        for name, (values, weight) in self._laws().items():
            reached = np.cumsum(weight)
            u = request.rng(name).random(request.n) * reached[-1]
            at = np.minimum(np.searchsorted(reached, u, side="right"), len(values) - 1)
            columns.append(values.gather(at).rename(name))
        return pl.DataFrame(columns)

    def save(self, folder: Path) -> None:
        for i, (name, (values, weight)) in enumerate(self._counted.items()):
            save_frame(pl.DataFrame({name: values, "_count": weight}), folder, f"zipf-{i}")

    def load(self, folder: Path) -> None:
        self._counted = {}
        while (folder / f"zipf-{len(self._counted)}.npz").exists():
            held = load_frame(folder, f"zipf-{len(self._counted)}")
            name = held.columns[0]
            self._counted[name] = held[name], held["_count"].to_numpy()
