"""The Gaussian copula: each column's own distribution, tied together by one correlation matrix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Request
from synthmill.schema import Schema
from synthmill.tables.grid import Floats
from synthmill.tables.margins import Margin, Window

_HERMITE = 40
_SWEEPS = 25
_STRONGEST = 0.999
_REACH = 8.2
"""Latent values beyond this many standard deviations are not told apart: float64 rounds their probability to 1."""


@dataclass
class Copula:
    """Gaussian copula with empirical margins: fast, smooth, keeps every column and the monotone part of each dependence.

    rare: levels that fewer records hold are neither kept nor made; their share goes to the column's other levels, or to
    missing where none is left. A cell that names one gets no rows.

    Margins: `synthmill.tables.margins` (values of fewer than 10 records are only known as blocks; single records' extremes
    are neither kept nor drawn). A number's missingness is a variable of its own; a missing category is one more level.
    Levels without an order get the one along which the column depends most on the others (after Gifi 1990). The latent correlation of each pair is the one whose Gaussian copula, cut at the margins' pieces, has the
    observed correlation of scores (Mehler's expansion in Hermite polynomials; a polychoric moment estimate), so that ties
    do not weaken it; the matrix is then brought back to positive definite.

    A cell restricts the latent variables of its columns: exact for one axis; for several, 25 Gibbs sweeps from a
    sequential start (Geweke 1991). A cell no real row has is answered if each of its levels exists; else no rows.
    Limits: no dependence that is not monotone in those orders, no interactions of three columns. Rows are float64 sums
    in a fixed order: no BLAS decides bytes. Source: Nelsen, An Introduction to Copulas (2006); Patki et al. (2016).
    """

    rare: Annotated[int, Field(ge=1)] = 2
    _margins: list[Margin] = field(init=False, repr=False, default_factory=list)
    _correlation: Floats = field(init=False, repr=False, default_factory=lambda: np.eye(0))
    _plans: dict[tuple[int, ...], _Plan] = field(init=False, repr=False, default_factory=dict)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        from threadpoolctl import threadpool_limits

        margins = [Margin.fit(schema[c], train[c], self.rare) for c in train.columns]
        with threadpool_limits(1):
            self._margins, self._correlation = _associate(margins, train)
        self._plans = {}

    def schema(self) -> dict[str, pl.DataType]:
        return {m.name: m.dtype for m in self._margins}

    def conditions(self, axes: Sequence[str]) -> bool:
        return set(axes) <= {m.name for m in self._margins}

    def generate(self, request: Request) -> pl.DataFrame:
        from scipy.special import ndtr

        windows: dict[int, Window] = {}
        for i, margin in enumerate(self._margins):
            if margin.name in request.cell.where:
                window = margin.window(request.cell.where[margin.name])
                if window is None:
                    return pl.DataFrame(schema=self.schema())
                windows[i] = window
        z = self._latent(request.rng(), request.n, windows)
        columns, absent = [], len(self._margins)
        for i, margin in enumerate(self._margins):
            u = ndtr(z[i])
            if window := windows.get(i):
                u = np.clip(u, window.low, np.nextafter(window.high, 0))
            missing = None
            if _hides(margin):
                missing = ndtr(z[absent]) < margin.missing if i not in windows else None
                absent += 1
            columns.append(margin.draw(u, window, missing))
        return pl.DataFrame(columns)

    def _latent(self, rng: np.random.Generator, n: int, windows: dict[int, Window]) -> Floats:
        """(variables, n) normal scores with those of the cell's columns inside their windows."""
        from scipy.special import ndtri

        absent = _absent(self._margins)
        low = {i: float(ndtri(w.low)) for i, w in windows.items()}
        high = {i: float(ndtri(w.high)) for i, w in windows.items()}
        for i in windows:
            if i in absent:
                low[absent[i]], high[absent[i]] = float(ndtri(self._margins[i].missing)), _REACH
        fixed = tuple(sorted(low))
        if fixed not in self._plans:
            self._plans[fixed] = _Plan.of(self._correlation, fixed)
        return self._plans[fixed].draw(rng, n, np.array([low[i] for i in fixed]), np.array([high[i] for i in fixed]))

    def save(self, folder: Path) -> None:
        arrays: dict[str, Any] = {f"{i}.{k}": v for i, m in enumerate(self._margins) for k, v in m.arrays().items()}
        np.savez(folder / "copula.npz", correlation=self._correlation, **arrays)
        (folder / "copula.json").write_text(json.dumps([m.to_json() for m in self._margins]), "utf-8")

    def load(self, folder: Path) -> None:
        data = json.loads((folder / "copula.json").read_text("utf-8"))
        with np.load(folder / "copula.npz") as arrays:
            self._correlation = arrays["correlation"]
            parts = [{k: arrays[f"{i}.{k}"] for k in ("edges", "first", "last")} for i in range(len(data))]
        self._margins = [Margin.load(d, p) for d, p in zip(data, parts, strict=True)]
        self._plans = {}


@dataclass(frozen=True)
class _Plan:
    """How to draw normals of one correlation with some variables `fixed` to intervals: z_rest = pull @ z_fixed + root @ e."""

    fixed: tuple[int, ...]
    rest: tuple[int, ...]
    among: Any
    precision: Any
    pull: Any
    root: Any

    @classmethod
    def of(cls, correlation: Floats, fixed: tuple[int, ...]) -> _Plan:
        from threadpoolctl import threadpool_limits

        rest = tuple(i for i in range(len(correlation)) if i not in fixed)
        with threadpool_limits(1):
            among = correlation[np.ix_(fixed, fixed)]
            precision = np.linalg.inv(among)
            across = correlation[np.ix_(rest, fixed)]
            pull = across @ precision
            root = np.linalg.cholesky(correlation[np.ix_(rest, rest)] - pull @ across.T + 1e-9 * np.eye(len(rest)))
            return cls(fixed, rest, np.linalg.cholesky(among), precision, pull, root)

    def draw(self, rng: np.random.Generator, n: int, low: Floats, high: Floats) -> Floats:
        z = np.empty((len(self.fixed) + len(self.rest), n))
        inside = self._inside(rng, n, low, high)
        noise = rng.standard_normal((len(self.rest), n))
        for place, i in enumerate(self.fixed):
            z[i] = inside[place]
        for place, i in enumerate(self.rest):
            total = self.root[place, place] * noise[place]
            for j in range(place):
                total += self.root[place, j] * noise[j]
            for j in range(len(self.fixed)):
                total += self.pull[place, j] * inside[j]
            z[i] = total
        return z

    def _inside(self, rng: np.random.Generator, n: int, low: Floats, high: Floats) -> Floats:
        """(fixed, n) normals truncated to their intervals."""
        k = len(self.fixed)
        z, noise = np.zeros((k, n)), np.zeros((k, n))
        for i in range(k):
            mean = sum((self.among[i, j] * noise[j] for j in range(i)), np.zeros(n))
            z[i] = _truncated(rng, mean, self.among[i, i], low[i], high[i])
            noise[i] = (z[i] - mean) / self.among[i, i]
        for _ in range(_SWEEPS if k > 1 else 0):
            for i in range(k):
                others = sum((self.precision[i, j] * z[j] for j in range(k) if j != i), np.zeros(n))
                scale = 1 / self.precision[i, i]
                z[i] = _truncated(rng, -others * scale, np.sqrt(scale), low[i], high[i])
        return z


def _truncated(rng: np.random.Generator, mean: Floats, deviation: float, low: float, high: float) -> Floats:
    """Normals inside [low, high], by the inverse of the distribution in the lighter tail, where float64 is exact."""
    from scipy.special import ndtr, ndtri

    low, high = max(low, -_REACH), min(high, _REACH)
    a, b = (low - mean) / deviation, (high - mean) / deviation
    flip = a > 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    p, q = ndtr(a), ndtr(b)
    x = np.clip(ndtri(p + rng.random(len(mean)) * (q - p)), a, b)
    return np.clip(mean + deviation * np.where(flip, -x, x), low, high)


def _hides(margin: Margin) -> bool:
    """Some numbers are missing and some are not: missingness is a variable."""
    return 0 < margin.missing < 1


def _absent(margins: list[Margin]) -> dict[int, int]:
    """Column -> the latent variable of its missingness; those follow the columns'."""
    hidden = [i for i, m in enumerate(margins) if _hides(m)]
    return {i: len(margins) + k for k, i in enumerate(hidden)}


def _associate(margins: list[Margin], train: pl.DataFrame) -> tuple[list[Margin], Floats]:
    """Margins with their levels ordered, and the latent correlation. Scores are expected latents given the piece."""
    places = [m.locate(train[m.name]) for m in margins]
    scores = np.array([_scores(m.edges)[p] * (p >= 0) for m, p in zip(margins, places, strict=True)])
    for _ in range(3):
        for i, margin in enumerate(margins):
            if margin.levels is None or len(margin.first) < 3:
                continue
            known = places[i] >= 0
            order = _order(places[i][known], np.delete(scores, i, axis=0)[:, known])
            margins[i] = margin.ordered(order)
            places[i] = np.where(known, np.argsort(order)[places[i]], -1)
            scores[i] = _scores(margins[i].edges)[places[i]] * known
    edges = [m.edges for m in margins]
    for i in _absent(margins):
        edges.append(np.array([0.0, margins[i].missing, 1.0]))
        places.append((places[i] >= 0).astype(np.int64))
    return margins, _latent_correlation(edges, places)


def _scores(edges: Floats) -> Floats:
    """(pieces,) mean of the standard normal within each piece."""
    from scipy.special import ndtri

    z = ndtri(edges)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return -np.diff(density) / np.diff(edges)


def _order(place: NDArray[np.int64], others: Floats) -> NDArray[np.int64]:
    """Levels along the direction with the largest sum of fourth powers of its correlations with the other columns.

    Squares would average over relations that one order cannot all serve; fourth powers favour the strong ones.
    """
    counts = np.bincount(place)
    spread = others.std(axis=1)
    others = others[spread > 1e-9] / spread[spread > 1e-9, None]
    if not len(others):
        return np.argsort(-counts, kind="stable")
    means = np.array([np.bincount(place, x) for x in others - others.mean(axis=1, keepdims=True)]) / np.sqrt(counts)
    direction = np.linalg.svd(means, full_matrices=False)[2][0]
    for _ in range(30):
        ascent = (means @ direction) ** 3 @ means
        if not ascent.any():
            break
        direction = ascent / np.linalg.norm(ascent)
    direction /= np.sqrt(counts)
    return np.argsort(direction * np.sign(direction[np.argmax(np.abs(direction))]), kind="stable")


def _latent_correlation(edges: list[Floats], places: list[NDArray[np.int64]]) -> Floats:
    """(v, v) from scores of the pieces; pairs are compared on the rows where both are known."""
    known = np.array([p >= 0 for p in places], np.float64)
    scores = np.array([_scores(e)[p] for e, p in zip(edges, places, strict=True)]) * known
    rows = np.maximum(known @ known.T, 1.0)
    sums = scores @ known.T
    covariance = scores @ scores.T / rows - sums * sums.T / rows**2
    squares = (scores**2) @ known.T / rows - (sums / rows) ** 2
    series = np.array([_hermite(e) for e in edges])
    weights = (series**2).sum(axis=1)
    alive = np.sqrt(np.maximum(squares * squares.T, 1e-12))
    target = np.clip(covariance / alive, -1, 1) * np.sqrt(np.outer(weights, weights))
    out = _solve(series, target)
    np.fill_diagonal(out, 1.0)
    return _definite((out + out.T) / 2)


def _hermite(edges: Floats) -> Floats:
    """(terms,) coefficients of the score as a function of the latent normal in orthonormal Hermite polynomials 1..terms."""
    from scipy.special import ndtri

    z = np.clip(ndtri(edges), -30, 30)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    score = _scores(edges)
    out, before, now = [], np.zeros_like(z), np.ones_like(z)
    for k in range(1, _HERMITE + 1):
        out.append(float(score @ -np.diff(now * density)) / np.sqrt(k))
        before, now = now, (z * now - np.sqrt(k - 1) * before) / np.sqrt(k)
    return np.array(out)


def _solve(series: Floats, target: Floats) -> Floats:
    """(v, v) rho at which sum_k series[i, k] series[j, k] rho^(k+1) meets the target, by bisection."""
    low, high = np.full(target.shape, -_STRONGEST), np.full(target.shape, _STRONGEST)
    for _ in range(40):
        middle = (low + high) / 2
        reached = np.zeros(target.shape)
        for term in series.T[::-1]:  # Horner's rule
            reached = (reached + np.outer(term, term)) * middle
        below = reached < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    silent = np.abs(series) @ np.abs(series).T < 1e-9
    return np.where(silent, 0.0, (low + high) / 2)


def _definite(matrix: Floats) -> Floats:
    """The matrix with its eigenvalues raised to at least 1e-4, scaled back to a unit diagonal."""
    values: Any
    values, vectors = np.linalg.eigh(matrix)
    fixed = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    scale = np.sqrt(np.diag(fixed))
    return np.asarray(fixed / np.outer(scale, scale))
