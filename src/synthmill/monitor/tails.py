"""Tails: does what is rare in train stay as common in what is admitted, round after round?"""

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
from synthmill.tables.encode import is_numeric, numbers
from synthmill.tables.planned import Planned

_RARE = 0.05
_FEWEST = 10
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass
class Tails:
    """Warns or stops when a rare level or an extreme of a number becomes rarer than in train, round after round.

    A round is `every` admitted rows. A tail is a level, or missing, that less than 5% but at least 10 of train's rows
    hold, or a number's values beyond train's 1% or 99% quantile. After each round the last one and the whole run so far
    are compared with train: a tail alarms, once, when it holds less than `keep` of its share in train by more than
    chance explains, of train as of what was admitted: the conditional test of two Poisson rates (Przyborowski & Wilenski
    1940) with the error rate `alpha` spent over tails, rounds and both stretches, so that the chance of any false alarm
    in the whole run is at most about `alpha`. Losing tails is how collapse begins (Shumailov et al. 2024).

    within: columns whose shares were planned (the coverage axes; numbers by tenths of train): train is reweighted to
    their shares among the rows compared, and their own tails are not watched.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    action: Literal["warn", "stop"] = "warn"
    within: list[str] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    every: Annotated[int, Field(ge=100)] = 1000

    needs_real = True

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        within = self.within or []
        self._planned = Planned.of(train, within, schema, "tails")
        names = [n for n in schema.modelled if n not in within]
        self._tails = [t for n in names for t in _tails(train[n], is_numeric(schema, n))]
        at, kinds = self._planned(train), len(self._planned.known)
        self._held = np.array([np.bincount(at[t(train)], minlength=kinds) for t in self._tails])
        self._held = self._held.reshape(len(self._tails), kinds)
        self._round, self._whole = np.zeros(self._shape, np.int64), np.zeros(self._shape, np.int64)
        self._filled = self._looks = 0
        self._alarmed: list[str] = []

    @property
    def _shape(self) -> tuple[int, int]:
        """A row per tail, then one for all rows; a column per combination of the axes."""
        return len(self._tails) + 1, len(self._planned.known)

    def observe(self, admitted: pl.DataFrame) -> Alarm | None:
        """The tails that were found to be lost by the rows since the last round, or None."""
        if not hasattr(self, "_tails"):
            raise Refusal("tails: there is no real data to compare with")
        at = self._planned(admitted)
        known = at >= 0  # a combination train does not have: its tails are unknown
        inside = [t(admitted) for t in self._tails]
        found: list[str] = []
        start = 0
        while start < admitted.height:
            some = slice(start, start + self.every - self._filled)
            part = at[some]
            for place, held in enumerate([*(i[some] for i in inside), np.ones(len(part), bool)]):
                self._round[place] += np.bincount(part[held & known[some]], minlength=self._shape[1])
            self._filled += len(part)
            start += len(part)
            if self._filled == self.every:
                found += self._look()
        return Alarm("; ".join(found), self.action == "stop") if found else None

    def state(self) -> dict[str, Any]:
        """JSON data that `load` continues from."""
        return {
            "round": self._round.tolist(), "whole": self._whole.tolist(), "filled": self._filled,
            "looks": self._looks, "alarmed": list(self._alarmed),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        self._round, self._whole = (np.array(state[k], np.int64).reshape(self._shape) for k in ("round", "whole"))
        self._filled, self._looks, self._alarmed = state["filled"], state["looks"], list(state["alarmed"])

    def _look(self) -> list[str]:
        self._whole += self._round
        self._looks += 1
        alpha = self.alpha / max(1, len(self._tails)) / (self._looks * (self._looks + 1)) / 2
        found = []
        for counts, stretch in ((self._round, "last"), (self._whole, "all")):
            expected, exposure = self._expected(counts[-1])
            seen = counts[:-1].sum(axis=1)
            chance = _chance(seen, expected, exposure, self.keep)
            for place in np.flatnonzero(chance < alpha):
                tail = self._tails[place]
                if tail.label in self._alarmed:
                    continue
                self._alarmed.append(tail.label)
                rows = int(counts[-1].sum())
                found.append(
                    f"{tail.label}: after {self._looks * self.every:,} rows, {seen[place]:,} of {stretch} {rows:,} hold "
                    f"it where train's share makes {expected[place]:.0f} (below {self.keep:.0%} by more than chance)"
                )
        self._round, self._filled = np.zeros(self._shape, np.int64), 0
        return found

    def _expected(self, rows: _Ints) -> tuple[_Floats, _Floats]:
        """(tails,) rows that would hold each tail at train's shares within the axes, and how many of them one train row
        stands for: with weights, that of the Poisson count with the same mean and variance."""
        weight = rows / self._planned.rows
        expected = self._held @ weight
        return expected, (self._held @ weight**2) / np.maximum(expected, 1e-12)


def _chance(seen: _Ints, expected: _Floats, exposure: _Floats, keep: float) -> _Floats:
    """P(so few or fewer | as many in both tables together) if the tail held exactly `keep` of its share."""
    from scipy.special import bdtr

    with np.errstate(invalid="ignore", divide="ignore"):
        train = np.where(exposure > 0, expected / exposure, 0.0)  # as many train rows, or what they weigh
    total = np.floor(train).astype(np.int64) + seen
    odds = keep * exposure
    p = bdtr(seen.astype(np.float64), total, odds / (1 + odds))
    return np.where((expected > 0) & (total > seen), p, 1.0)


@dataclass(frozen=True)
class _Tail:
    """column and which of its values: a level ("" and missing: null), or those below or above a number."""

    label: str
    column: str
    level: str | None = None
    low: float | None = None
    high: float | None = None

    def __call__(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        s = frame[self.column]
        if self.low is not None:
            return np.asarray(numbers(s) < self.low)
        if self.high is not None:
            return np.asarray(numbers(s) > self.high)
        if self.level is None:
            return s.is_null().to_numpy()
        return (s.cast(pl.String) == self.level).fill_null(False).to_numpy()


def _tails(s: pl.Series, numeric: bool) -> list[_Tail]:
    """A number's tail is strictly beyond its quantile, so that one heavy value is no tail; labels name no single value
    that fewer than 10 train rows hold."""
    name, n = s.name, len(s)
    out = []
    if _FEWEST <= s.null_count() < _RARE * n:
        out.append(_Tail(f"{name} missing", name))
    if numeric:
        x = numbers(s)
        x = x[~np.isnan(x)]
        if len(x):
            low, high = np.quantile(x, (0.01, 0.99), method="nearest")
            out += [_Tail(f"{name}, lowest 1%", name, low=float(low))] * bool((x < low).sum() >= _FEWEST)
            out += [_Tail(f"{name}, highest 1%", name, high=float(high))] * bool((x > high).sum() >= _FEWEST)
        return out
    counts = s.cast(pl.String).drop_nulls().value_counts().sort(name)
    rare = counts.filter((pl.col("count") >= _FEWEST) & (pl.col("count") < _RARE * n))
    return [*out, *(_Tail(f"{name} {level}", name, level=level) for level in rare[name])]
