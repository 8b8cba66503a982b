"""Statistics: a sequential test of what is admitted against train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Alarm
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables.encode import is_numeric
from synthmill.tables.planned import Coder, Planned

_LEVELS = 20
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass
class Statistics:
    """Warns or stops when a column's distribution drifts from train's, however long the run and often the look.

    After every `every` admitted rows, stretches of different lengths that end there are compared with train, column
    by column, in total variation over the 20 commonest levels or 10 quantile bins. A column alarms, once, when it
    lies beyond `tolerance` by more than sampling explains, of train as of what was admitted: McDiarmid's bound (1989)
    with the error rate `alpha` spent over columns, looks and stretches, so that the chance of any false alarm in the
    whole run is at most `alpha`. The longest stretch is always the whole run; a drift that begins
    late shows in the short ones.
    within: columns whose shares were planned (the coverage axes; numbers by quantile bins): train is reweighted to
    their shares among the rows compared, so rebalancing is no drift. Combinations train lacks are left out.
    What was admitted is all the memory there is: how it came in batches does not matter.
    """

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    action: Literal["warn", "stop"] = "warn"
    within: list[str] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    every: Annotated[int, Field(ge=100)] = 1000

    needs_real = True

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        within = self.within or []
        self._planned = Planned.of(train, within, schema, "statistics", _LEVELS)
        names = [n for n in schema.modelled if n not in within]
        self._coders = [Coder.of(train[n], is_numeric(schema, n), _LEVELS) for n in names]
        cells, kinds = self._planned(train), len(self._planned.known)
        self._train = [_shares_within(c, train, cells, kinds) for c in self._coders]
        self._edges = np.cumsum([kinds, *(c.size for c in self._coders)])
        self._blocks: list[tuple[int, _Ints]] = []
        self._filling = np.zeros(int(self._edges[-1]), np.int64)
        self._filled = 0
        self._looks = 0
        self._alarmed: list[str] = []

    def observe(self, admitted: pl.DataFrame) -> Alarm | None:
        """The columns that were found to drift by the rows since the last look, worst first, or None."""
        if not hasattr(self, "_train"):
            raise Refusal("statistics: there is no real data to compare with")
        cells = self._planned(admitted)
        codes = [coder(admitted) for coder in self._coders]
        found: list[tuple[float, str]] = []
        start = 0
        while start < admitted.height:
            some = slice(start, start + self.every - self._filled)
            part = cells[some]
            known = part >= 0  # a combination train does not have: its distribution is unknown
            for counts, values in zip(self._split(self._filling), [part, *(c[some] for c in codes)], strict=True):
                counts += np.bincount(values[known], minlength=len(counts))
            self._filled += len(part)
            start += len(part)
            if self._filled == self.every:
                found += self._look()
        found.sort(key=lambda f: -f[0])
        return Alarm("; ".join(text for _, text in found), self.action == "stop") if found else None

    def state(self) -> dict[str, Any]:
        """JSON data that `load` continues from; it grows with the logarithm of the rows seen."""
        blocks = [[size, counts.tolist()] for size, counts in self._blocks]
        return {
            "blocks": blocks, "filling": self._filling.tolist(), "filled": self._filled,
            "looks": self._looks, "alarmed": list(self._alarmed),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        self._blocks = [(size, np.array(counts, np.int64)) for size, counts in state["blocks"]]
        self._filling = np.array(state["filling"], np.int64)
        self._filled, self._looks, self._alarmed = state["filled"], state["looks"], list(state["alarmed"])

    def _split(self, counts: _Ints) -> list[_Ints]:
        """Views of the cells' counts and of each column's; counts: (..., all of them)."""
        return np.split(counts, self._edges[:-1], axis=-1)

    def _look(self) -> list[tuple[float, str]]:
        """Blocks double like a binary counter: what is kept, and compared, are the stretches that end now."""
        self._blocks.append((1, self._filling))
        self._filling, self._filled, self._looks = np.zeros_like(self._filling), 0, self._looks + 1
        while len(self._blocks) > 1 and self._blocks[-2][0] == self._blocks[-1][0]:
            size, last = self._blocks.pop()
            self._blocks[-1] = (2 * size, self._blocks[-1][1] + last)
        lengths = np.cumsum([size for size, _ in reversed(self._blocks)])
        weights, *seen = self._split(np.cumsum([counts for _, counts in reversed(self._blocks)], axis=0))
        alpha = self.alpha / len(self._coders) / (self._looks * (self._looks + 1)) / len(lengths)
        found = []
        for coder, counts, train in zip(self._coders, seen, self._train, strict=True):
            if coder.name in self._alarmed:
                continue
            apart = _drift(counts, weights, train)
            chance = _chance(coder.size, weights, self._planned.rows, alpha)
            beyond = apart - chance - self.tolerance
            worst = int(np.argmax(beyond))
            if beyond[worst] > 0:
                self._alarmed.append(coder.name)
                found.append(
                    (float(apart[worst]), self._sentence(coder.name, lengths[worst], apart[worst], chance[worst]))
                )
        return found

    def _sentence(self, name: str, length: int, apart: float, chance: float) -> str:
        return (
            f"{name}: after {self._looks * self.every:,} rows, the last {length * self.every:,} differ from train by "
            f"{apart:.3f} in total variation (tolerance {self.tolerance:g}, by chance up to {chance:.3f})"
        )


def _shares_within(coder: Coder, train: pl.DataFrame, cells: _Ints, n: int) -> _Floats:
    """(n cells, codes) train's distribution of a column within each cell."""
    table = np.bincount(cells * coder.size + coder(train), minlength=n * coder.size).reshape(n, -1)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def _drift(counts: _Ints, weights: _Ints, train: _Floats) -> _Floats:
    """(stretches,) total variation between what was admitted and train at the same shares of cells."""
    n = np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.abs(counts / n - weights @ train / n).sum(axis=1) / 2)


def _chance(size: int, weights: _Ints, train: _Ints, alpha: float) -> _Floats:
    """(stretches,) what sampling alone explains of a total variation over `size` levels, but for a chance of `alpha`.

    Half sqrt((size - 1) / n) bounds its mean for any distribution; McDiarmid its deviation, one admitted row moving it
    by 1/n and one train row by its cell's weight over the cell's train rows.
    """
    n = np.maximum(weights.sum(axis=1), 1)
    w = weights / n[:, None]
    mean = np.sqrt((size - 1) / n) / 2 + w @ (np.sqrt((size - 1) / train) / 2)
    deviation = np.sqrt(np.log(1 / alpha) / 2 * (1 / n + (w * w) @ (1 / train)))
    return np.asarray(mean + deviation)
