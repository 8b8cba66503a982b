"""A declared parameter space: what a simulator may be asked, and how a cell narrows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.cells import Bin
from synthmill.refusal import Refusal, choices

Floats = NDArray[np.float64]
_SHAPES = ("uniform", "log_uniform", "normal", "integers")


@dataclass(frozen=True)
class Dimension:
    """One parameter by its quantile function. `low` and `high` bound what is drawn: [low, high), `closed` at the top.

    shape: uniform and log_uniform over [a, b], normal with mean a and deviation b, integers a..b with both ends,
    or choices over `levels`, all equally likely.
    """

    name: str
    shape: str
    a: float = 0.0
    b: float = 0.0
    levels: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    closed: bool = True

    @classmethod
    def parse(cls, name: str, given: Any, at: str) -> Dimension:
        if isinstance(given, list | tuple):
            if not given:
                raise Refusal(f"{at}: space.{name}: an empty list of choices")
            return cls(name, "choices", levels=tuple(given))
        if not isinstance(given, Mapping):
            return cls(name, "choices", levels=(given,))
        if len(given) != 1 or next(iter(given)) not in _SHAPES:
            wrong = next((k for k in given if k not in _SHAPES), "")
            raise Refusal(f"{at}: space.{name}: one shape expected, not {dict(given)}; {choices(wrong, _SHAPES)}")
        shape, numbers = next(iter(given.items()))
        try:
            a, b = (float(x) for x in numbers)
        except (TypeError, ValueError):
            raise Refusal(f"{at}: space.{name}: {shape}: two numbers expected, not {numbers!r}") from None
        if not (math.isfinite(a) and math.isfinite(b)):
            raise Refusal(f"{at}: space.{name}: {shape}: {numbers!r} is not finite")
        return cls._of_shape(name, shape, a, b, at)

    @classmethod
    def _of_shape(cls, name: str, shape: str, a: float, b: float, at: str) -> Dimension:
        if shape == "normal":
            if b <= 0:
                raise Refusal(f"{at}: space.{name}: normal: the deviation {b:g} is not positive")
            return cls(name, shape, a, b)
        if a > b:
            raise Refusal(f"{at}: space.{name}: {shape}: {a:g} is above {b:g}")
        if shape == "log_uniform" and a <= 0:
            raise Refusal(f"{at}: space.{name}: log_uniform: {a:g} is not positive")
        if shape == "integers" and (a != int(a) or b != int(b)):
            raise Refusal(f"{at}: space.{name}: integers: [{a:g}, {b:g}] are not whole numbers")
        return cls(name, shape, a, b, low=a, high=b)

    @property
    def dtype(self) -> pl.DataType:
        if self.shape == "choices":
            return pl.Series(self.levels, strict=False).dtype
        return pl.Int64() if self.shape == "integers" else pl.Float64()

    def within(self, level: Any) -> Dimension | None:
        """The part of the dimension that a cell's level holds; None if there is none."""
        if self.shape == "choices":
            kept = tuple(v for v in self.levels if _holds(level, v))
            return Dimension(self.name, self.shape, levels=kept) if kept else None
        if not isinstance(level, Bin):
            level = Bin(level, level, closed=True)
        bounds = [x for x in (level.low, level.high) if x is not None]
        if any(isinstance(x, bool) or not isinstance(x, int | float) for x in bounds):
            return None
        low = self.low if level.low is None else max(self.low, level.low)
        high, closed = self.high, self.closed
        if level.high is not None and level.high <= high:
            high, closed = level.high, level.closed and (closed or level.high < high)
        if self.shape == "integers":
            high = math.floor(high) - (not closed and high == math.floor(high))
            low, closed = math.ceil(low), True
        if low > high or (low == high and not closed):
            return None
        return Dimension(self.name, self.shape, self.a, self.b, (), low, high, closed)

    def at(self, u: Floats) -> list[Any]:
        """The parameter's values at (n,) places u in [0, 1) of what is left of it."""
        if self.shape == "choices":
            return [self.levels[i] for i in (u * len(self.levels)).astype(int)]
        if self.shape == "integers":
            return [int(x) for x in self.low + np.floor(u * (self.high - self.low + 1))]
        if self.shape == "log_uniform":
            x = np.exp(np.log(self.low) + u * (np.log(self.high) - np.log(self.low)))
        elif self.shape == "uniform":
            x = self.low + u * (self.high - self.low)
        else:
            from scipy.special import ndtr, ndtri

            low, high = ndtr((self.low - self.a) / self.b), ndtr((self.high - self.a) / self.b)
            tiny = np.nextafter(0, 1)
            x = self.a + self.b * ndtri(np.clip(low + u * (high - low), tiny, 1 - 2**-53))
        top = self.high if self.closed else float(np.nextafter(self.high, -math.inf))
        return [float(v) for v in np.clip(x, self.low, top)]


def _holds(level: Any, value: Any) -> bool:
    if not isinstance(level, Bin):
        return isinstance(level, bool) == isinstance(value, bool) and bool(level == value)
    if isinstance(value, str | bool) or value is None:
        return False
    above = level.low is None or value >= level.low
    return above and (level.high is None or (value <= level.high if level.closed else value < level.high))


def places(sampler: str, n: int, dimensions: int, rng: np.random.Generator) -> Floats:
    """(n, dimensions) places in [0, 1): independent, a Latin hypercube, or a scrambled Sobol sequence."""
    if not n or not dimensions or sampler == "random":
        return rng.random((n, dimensions))
    from scipy.stats import qmc

    if sampler == "latin":
        return np.asarray(qmc.LatinHypercube(dimensions, seed=rng).random(n))
    # a Sobol sequence is balanced only in powers of two; what is beyond n is cut
    drawn = np.asarray(qmc.Sobol(dimensions, seed=rng).random_base2(max(0, (n - 1).bit_length()))[:n])
    return np.minimum(drawn, np.nextafter(1, 0))
