"""A metric space for rows of mixed columns, and exact nearest neighbours in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import row_keys
from synthmill.schema import Schema

from .encode import NUMERIC, numbers

Points = NDArray[np.float32]

CODED = 128
"""Beyond this many levels a one-hot grows wider than it is worth; 64 hashed signs then stand for a level."""

_TILE = 1 << 22  # entries of one block of products: 16 MB
_WIDTH = 1 << 14
_STRIPES = 32
_CHUNK = 1 << 14


@dataclass(frozen=True)
class _Number:
    """Train's middle 99% becomes [0, 1]; beyond it the scale is logarithmic, so that one fortune does not
    make everybody else equal. A missing value sits at the median and costs 1 through its own indicator."""

    name: str
    low: float
    width: float
    median: float

    @classmethod
    def fit(cls, s: pl.Series) -> _Number:
        x = numbers(s)
        known = x[~np.isnan(x)]
        if not len(known):
            return cls(s.name, 0.0, 1.0, 0.0)
        low, median, high = np.quantile(known, (0.005, 0.5, 0.995))
        if high <= low:
            low, high = known.min(), known.max()
        width = float(high - low) or 1.0
        return cls(s.name, float(low), width, float((median - low) / width))

    def place(self, s: pl.Series) -> NDArray[np.float64]:
        x = (numbers(s) - self.low) / self.width
        missing = np.isnan(x)
        x = np.where(missing, self.median, x)
        x = np.where(x > 1, 1 + np.log(np.maximum(x, 1)), np.where(x < 0, -np.log1p(-np.minimum(x, 0)), x))
        placed: NDArray[np.float64] = np.stack([x, missing], axis=1)
        return placed


@dataclass(frozen=True)
class _Level:
    """One-hot over train's levels, missing, and anything else; any two differ by exactly 1."""

    name: str
    dtype: pl.DataType
    levels: tuple[str, ...]

    @classmethod
    def fit(cls, s: pl.Series) -> _Level:
        return cls(s.name, s.dtype, tuple(s.cast(pl.String).unique().drop_nulls().sort()))

    def place(self, s: pl.Series) -> NDArray[np.float64]:
        s = s.cast(self.dtype, strict=False).cast(pl.String)
        half = np.sqrt(0.5)
        hot: NDArray[np.float64]
        if len(self.levels) > CODED:
            bits = np.unpackbits(row_keys(pl.DataFrame({self.name: s})).view(np.uint8)).reshape(-1, 64)
            hot = (bits * 2.0 - 1.0) * (half / 8.0)
            return hot
        index = {v: i for i, v in enumerate(self.levels)}
        code = s.replace_strict(index, default=len(index), return_dtype=pl.Int64)
        at = pl.select(pl.when(s.is_null()).then(len(index) + 1).otherwise(code)).to_series().to_numpy()
        hot = np.zeros((len(s), len(index) + 2))
        hot[np.arange(len(s)), at] = half
        return hot


@dataclass(frozen=True)
class Space:
    """Rows become points whose Euclidean distance weighs every column alike.

    A categorical mismatch, a number's whole range (its middle 99%) and missing against present each cost 1 in the
    squared distance, so it is Gower's idea (Gower, 1971) in a form that matrix products can search.
    Columns with more than `CODED` levels cost 1 +- 0.13 a mismatch instead (random signs; Achlioptas, 2003).
    Only the columns that `schema` says are modelled take part.
    """

    axes: tuple[_Number | _Level, ...]

    @classmethod
    def fit(cls, train: pl.DataFrame, schema: Schema) -> Space:
        numeric = schema.of(*NUMERIC)
        return cls(tuple(_Number.fit(train[n]) if n in numeric else _Level.fit(train[n]) for n in schema.modelled))

    @property
    def names(self) -> list[str]:
        return [a.name for a in self.axes]

    def embed(self, frame: pl.DataFrame) -> Points:
        """(n, d) float32, the same for the same row in any frame. Columns the space does not know are ignored."""
        parts = [self.coordinates(some).astype(np.float32) for some in frame.iter_slices(_CHUNK)]
        return np.concatenate(parts) if parts else self.coordinates(frame).astype(np.float32)

    def coordinates(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """`embed` in full precision: float32 tells two moments of a decade apart only beyond twenty seconds."""
        parts = [axis.place(frame[axis.name]) for axis in self.axes]
        return np.concatenate(parts, axis=1) if parts else np.zeros((frame.height, 0))


def nearest(queries: Points, base: Points, k: int = 1, exclude_self: bool = False) -> tuple[Points, NDArray[np.int64]]:
    """The k nearest rows of `base` for each query: distances (n, k), ascending, and their indices (n, k).

    Exact: blocked float32 products only nominate; the nominees' distances are recomputed in float64 one by one and
    ties go to the lower index, so neither BLAS threads nor block sizes show in the answer. Memory is bounded by the
    block. exclude_self: queries are `base` itself and row i is not its own neighbour.
    Where `base` has fewer than k rows to offer, the rest is (inf, -1).
    """
    n = len(queries)
    distance = np.full((n, k), np.inf)
    index = np.full((n, k), -1, np.int64)
    if not len(base) or not n:
        return distance.astype(np.float32), index
    kept = _first_copies(base, k + exclude_self)
    base, m = base[kept], len(kept)
    center = base.mean(axis=0, dtype=np.float64).astype(np.float32)  # small norms keep float32 products precise
    width = min(m, _WIDTH)
    height = max(1, _TILE // width)
    blocks = [(b, *_augment(base[b : b + width] - center)) for b in range(0, m, width)]
    for q in range(0, n, height):
        points = queries[q : q + height]
        left = points - center
        norm = np.einsum("ij,ij->i", left, left, dtype=np.float64)
        left = np.concatenate([left * np.float32(-2), np.ones((len(left), 1), np.float32)], axis=1)
        best, at = np.full((len(left), k), np.inf), np.full((len(left), k), -1, np.int64)
        for b, right, reach in blocks:
            score = left @ right  # |b|^2 - 2 q.b: the squared distance less |q|^2
            if exclude_self:
                own = np.flatnonzero((kept[b : b + width] >= q) & (kept[b : b + width] < q + height))
                score[kept[b + own] - q, own] = np.inf
            slack = 4 * len(right) * 2.0**-24 * (np.sqrt(norm) + reach) ** 2
            bound = np.minimum(_kth(score, k), best[:, -1] - norm) + slack
            near = score <= bound[:, None].astype(np.float32)
            if exclude_self:
                near &= score < np.inf
            i, j = np.divmod(np.flatnonzero(near), right.shape[1])
            best, at = _merge(best, at, i, j + b, points, base)
        distance[q : q + height], index[q : q + height] = np.sqrt(best), np.where(at < 0, -1, kept[at])
    return distance.astype(np.float32), index


def _first_copies(points: Points, most: int) -> NDArray[np.int64]:
    """Rows without those that `most` equal rows precede: ties go to the lower index, so no answer can name them."""
    if not points.shape[1]:
        return np.arange(min(most, len(points)))
    rows = np.ascontiguousarray(points).view(f"V{points.dtype.itemsize * points.shape[1]}").ravel()
    _, code, count = np.unique(rows, return_inverse=True, return_counts=True)
    order = np.argsort(code, kind="stable")
    earlier = np.empty(len(code), np.int64)
    earlier[order] = np.arange(len(code)) - np.repeat(np.cumsum(count) - count, count)
    return np.flatnonzero(earlier < most)


def _augment(block: Points) -> tuple[Points, float]:
    """Transposed, with the squared norms as last row: (d + 1, m); and the largest norm."""
    squares = np.einsum("ij,ij->i", block, block, dtype=np.float64)
    return np.ascontiguousarray(np.c_[block, squares].astype(np.float32).T), float(np.sqrt(squares.max()))


def _kth(score: Points, k: int) -> NDArray[np.float64]:
    """An upper bound of each row's k-th smallest value: the k-th smallest of the minima of disjoint stripes."""
    if k > score.shape[1]:
        return np.full(len(score), np.inf)
    stripes = score.shape[1] // _STRIPES
    if stripes >= k:
        score = score[:, : stripes * _STRIPES].reshape(len(score), _STRIPES, stripes).min(axis=1)
    kth: NDArray[np.float64] = np.partition(score, k - 1, axis=1)[:, k - 1].astype(np.float64)
    return kth


def _merge(
    best: NDArray[np.float64],
    at: NDArray[np.int64],
    i: NDArray[np.int64],
    j: NDArray[np.int64],
    q: Points,
    base: Points,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k best of what was found so far and the nominees (i, j), by exact distance, then index."""
    n, k = best.shape
    exact = np.empty(len(i))
    for c in range(0, len(i), _CHUNK):
        gap = q[i[c : c + _CHUNK]].astype(np.float64) - base[j[c : c + _CHUNK]]
        exact[c : c + _CHUNK] = (gap * gap).sum(axis=1)
    row = np.concatenate([np.repeat(np.arange(n), k), i])
    value, which = np.concatenate([best.ravel(), exact]), np.concatenate([at.ravel(), j])
    order = np.lexsort((which, value, row))
    start = np.searchsorted(row[order], np.arange(n))
    top = order[start[:, None] + np.arange(k)]
    return value[top], which[top]
