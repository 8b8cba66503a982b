"""Statistics: a sequential test of what is admitted against train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Alarm
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema

_BINS = 10
_LEVELS = 20
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass
class Statistics:
    """Warns or stops when a column's distribution drifts from train's, however long the run and often the look.

    After every `every` admitted rows the last 1, 2, 4, ... stretches of that length are compared with train, column
    by column, in total variation over the 20 commonest levels or 10 quantile bins. A column alarms, once, when it
    lies beyond `tolerance` by more than sampling explains, of train as of what was admitted: McDiarmid's bound (1989)
    with the error rate `alpha` spent over columns, looks and stretches, so that the chance of any false alarm in the
    whole run is at most `alpha`.
    within: columns whose shares were planned (the coverage axes; numbers by quantile bins): train is reweighted to
    their shares among the rows compared, so rebalancing is no drift. Combinations train lacks are left out.
    What was admitted is all the memory there is: how it came in batches does not matter.
    """

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    action: Literal["warn", "stop"] = "warn"
    within: list[str] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    every: Annotated[int, Field(ge=100)] = 1000

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        for name in self.within or []:
            if name not in schema.modelled:
                raise Refusal(f"statistics: within: no column '{name}'; {choices(name, schema.modelled)}")
        if not train.height:
            raise Refusal("statistics: train has no rows to compare with")
        coders = {n: _coder(train[n], schema[n].kind) for n in schema.modelled}
        self._axes = [coders[n] for n in self.within or []]
        cell = self._raw_cells(train)
        self._known = np.unique(cell)
        self._shares = np.bincount(np.searchsorted(self._known, cell), minlength=len(self._known))
        columns = [n for n in coders if n not in (self.within or [])]
        self._watched = [_Watched.fit(coders[n], train, self._cells(train), len(self._known)) for n in columns]
        self._pending = train.clear()
        self._cell_counts = [np.zeros(len(self._known), np.int64)]

    def observe(self, admitted: pl.DataFrame) -> Alarm | None:
        """The columns that were found to drift by the rows since the last look, worst first, or None."""
        if not hasattr(self, "_watched"):
            raise Refusal("statistics: there is no real data to compare with")
        rows = pl.concat([self._pending, admitted.select(self._pending.columns)], how="vertical_relaxed")
        looks = rows.height // self.every
        self._pending = rows[looks * self.every :]
        rows = rows[: looks * self.every]
        cells = self._cells(rows).reshape(looks, self.every)
        codes = [column.coder(rows).reshape(looks, self.every) for column in self._watched]
        found = [f for i in range(looks) for f in self._look(cells[i], [c[i] for c in codes])]
        found.sort(key=lambda f: -f[0])
        return Alarm("; ".join(text for _, text in found), self.action == "stop") if found else None

    def _look(self, cells: _Ints, codes: list[_Ints]) -> list[tuple[float, str]]:
        known = cells >= 0  # a combination train does not have: its distribution is unknown
        self._cell_counts.append(self._cell_counts[-1] + np.bincount(cells[known], minlength=len(self._shares)))
        looks = len(self._cell_counts) - 1
        lengths = [1 << p for p in range(looks.bit_length()) if 1 << p <= looks]
        weights = _last(self._cell_counts, lengths)
        alpha = self.alpha / len(self._watched) / (looks * (looks + 1)) / len(lengths)
        found = []
        for column, code in zip(self._watched, codes, strict=True):
            column.counts.append(column.counts[-1] + np.bincount(code[known], minlength=column.coder.size))
            if column.alarmed:
                continue
            apart = column.drift(lengths, weights)
            chance = _chance(column.coder.size, weights, self._shares, alpha)
            beyond = apart - chance - self.tolerance
            worst = int(np.argmax(beyond))
            if beyond[worst] > 0:
                column.alarmed = True
                sentence = self._sentence(column.coder.name, looks, lengths[worst], apart[worst], chance[worst])
                found.append((float(apart[worst]), sentence))
        return found

    def _sentence(self, name: str, looks: int, length: int, apart: float, chance: float) -> str:
        return (
            f"{name}: after {looks * self.every:,} rows, the last {length * self.every:,} differ from train by "
            f"{apart:.3f} in total variation (tolerance {self.tolerance:g}, by chance up to {chance:.3f})"
        )

    def _raw_cells(self, frame: pl.DataFrame) -> _Ints:
        code = np.zeros(frame.height, np.int64)
        for axis in self._axes:
            code = code * axis.size + axis(frame)
        return code

    def _cells(self, frame: pl.DataFrame) -> _Ints:
        """(n,) index of the combination of the axes' levels, -1 where train does not have it."""
        raw = self._raw_cells(frame)
        at = np.minimum(np.searchsorted(self._known, raw), len(self._known) - 1)
        return np.where(self._known[at] == raw, at, -1)


@dataclass(frozen=True)
class _Coder:
    """A column as codes 0..size-1: bins of a number or levels, then anything else, then missing."""

    name: str
    edges: _Floats | None
    levels: tuple[str, ...]

    @property
    def size(self) -> int:
        return (len(self.edges) + 1 if self.edges is not None else len(self.levels)) + 2

    def __call__(self, frame: pl.DataFrame) -> _Ints:
        s = frame[self.name]
        if self.edges is not None:
            x = _number(s)
            code = np.searchsorted(self.edges, x, side="right")
            return np.where(np.isnan(x), self.size - 1, code)
        index = {v: i for i, v in enumerate(self.levels)}
        code = s.cast(pl.String).replace_strict(index, default=len(index), return_dtype=pl.Int64).to_numpy()
        return np.where(s.is_null().to_numpy(), self.size - 1, code)


def _coder(s: pl.Series, kind: str) -> _Coder:
    if kind in ("integer", "decimal", "datetime"):
        x = _number(s)
        x = x[~np.isnan(x)]
        edges = np.unique(np.quantile(x, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower")) if len(x) else np.empty(0)
        return _Coder(s.name, edges, ())
    counts = s.cast(pl.String).drop_nulls().value_counts(sort=False)
    top = counts.sort(["count", s.name], descending=[True, False])[s.name][:_LEVELS]
    return _Coder(s.name, None, tuple(top))


def _number(s: pl.Series) -> _Floats:
    s = s.cast(pl.Datetime("us")).to_physical() if s.dtype == pl.Date or isinstance(s.dtype, pl.Datetime) else s
    x: _Floats = s.to_physical().cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return x


@dataclass
class _Watched:
    """One column: train's distribution within each cell, and what was admitted as cumulated counts, one per look."""

    coder: _Coder
    train: _Floats
    counts: list[_Ints]
    alarmed: bool = False

    @classmethod
    def fit(cls, coder: _Coder, frame: pl.DataFrame, cells: _Ints, n_cells: int) -> _Watched:
        table = np.bincount(cells * coder.size + coder(frame), minlength=n_cells * coder.size).reshape(n_cells, -1)
        return cls(coder, table / table.sum(axis=1, keepdims=True), [np.zeros(coder.size, np.int64)])

    def drift(self, lengths: list[int], weights: _Ints) -> _Floats:
        """(stretches,) total variation between what was admitted and train at the same shares of cells."""
        n = np.maximum(weights.sum(axis=1, keepdims=True), 1)
        gap = _last(self.counts, lengths) / n - weights @ self.train / n
        return np.asarray(np.abs(gap).sum(axis=1) / 2)


def _last(cumulated: list[_Ints], lengths: list[int]) -> _Ints:
    """(stretches, ...) what the last 1, 2, 4, ... looks added."""
    return np.asarray(cumulated[-1] - np.array([cumulated[-1 - length] for length in lengths]))


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
