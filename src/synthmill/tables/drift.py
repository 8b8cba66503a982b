"""Drift: how far two real tables differ, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from synthmill.plugins import Measure
from synthmill.schema import Schema

from .encode import Floats, Ints, codes, is_numeric, numbers
from .groups import tallies
from .holm import holm
from .interval import Estimate, measured

_CELLS = 256
"""KS is taken between this many pooled quantiles: exact for columns of fewer values, else short by 1/256 at most."""
_DECILES = 10


@dataclass(frozen=True)
class Drift:
    """distance: KS of numbers and times (missing aside), total variation of the rest (missing is a level), with its 95%
    interval; psi: population stability index; p: that both are draws of one table, Holm-corrected over the columns."""

    column: str
    kind: str
    distance: Measure
    psi: Measure
    p: float


def drifts(
    first: pl.DataFrame, second: pl.DataFrame, schema: Schema, people: Sequence[Ints], rng: np.random.Generator
) -> list[Drift]:
    """Every modelled column, farthest first. people: whose each row is, per table; they are resampled as one.

    PSI: sum of (q - p) ln(q / p) over the levels, or over deciles of the first table and missing, with half a record
    added to each. Tests see one row of each person: Kolmogorov-Smirnov's, or chi-squared.
    """
    n = min(len(np.unique(p)) for p in people)
    once = [_one_each(p, rng) for p in people]
    out = []
    for name in schema.modelled:
        pair = (first[name], second[name])
        numeric = is_numeric(schema, name)
        cells, size = _cells(pair) if numeric else codes(pair)
        counts = [tallies(c, size, p, rng) for c, p in zip(cells, people, strict=True)]
        distance = _ks(counts) if numeric else _tv(counts)
        deciles, many = _deciles(pair) if numeric else (cells, size)
        psi = _psi([tallies(c, many, p, rng) for c, p in zip(deciles, people, strict=True)])
        told = measured("ks" if numeric else "tv", [Estimate(distance, n)], "lower")
        stable = measured("psi", [Estimate(psi, n)], "lower", (0.0, np.inf))
        p = _p_value(
            [s.gather(o) for s, o in zip(pair, once, strict=True)],
            [c[o] for c, o in zip(cells, once, strict=True)],
            numeric,
        )
        out.append(Drift(name, "ks" if numeric else "tv", told, stable, p))
    out = [replace(d, p=p) for d, p in zip(out, holm([d.p for d in out]), strict=True)]
    return sorted(out, key=lambda d: (-d.distance.value, d.column))


def _one_each(people: Ints, rng: np.random.Generator) -> Ints:
    order = rng.permutation(len(people))
    return np.sort(order[np.unique(people[order], return_index=True)[1]])


def _cells(pair: tuple[pl.Series, pl.Series]) -> tuple[list[Ints], int]:
    """0 for missing, then cells between pooled quantiles."""
    x = [numbers(s) for s in pair]
    known = np.concatenate(x)[~np.isnan(np.concatenate(x))]
    edges = np.unique(known)
    if len(edges) > _CELLS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _CELLS), method="inverted_cdf"))
    return [np.where(np.isnan(v), 0, 1 + np.searchsorted(edges, v, "left")) for v in x], len(edges) + 2


def _deciles(pair: tuple[pl.Series, pl.Series]) -> tuple[list[Ints], int]:
    x = [numbers(s) for s in pair]
    known = x[0][~np.isnan(x[0])]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _DECILES + 1)[1:-1])) if len(known) else np.zeros(0)
    return [np.where(np.isnan(v), 0, 1 + np.searchsorted(edges, v, "right")) for v in x], len(edges) + 2


def _share(counts: Floats) -> Floats:
    answer: Floats = counts / np.maximum(1.0, counts.sum(axis=1, keepdims=True))
    return answer


def _ks(counts: Sequence[Floats]) -> Floats:
    below = [np.cumsum(_share(c[:, 1:]), axis=1) for c in counts]
    answer: Floats = np.abs(below[0] - below[1]).max(axis=1)
    return answer


def _tv(counts: Sequence[Floats]) -> Floats:
    answer: Floats = np.abs(_share(counts[0]) - _share(counts[1])).sum(axis=1) / 2
    return answer


def _psi(counts: Sequence[Floats]) -> Floats:
    used = (counts[0][0] + counts[1][0]) > 0
    p, q = (_share(c[:, used] + 0.5) for c in counts)
    answer: Floats = ((q - p) * np.log(q / p)).sum(axis=1)
    return answer


def _p_value(pair: Sequence[pl.Series], cells: Sequence[Ints], numeric: bool) -> float:
    from scipy.stats import chi2_contingency, ks_2samp

    if numeric:
        x = [numbers(s) for s in pair]
        x = [v[~np.isnan(v)] for v in x]
        return float(ks_2samp(*x, method="asymp").pvalue) if all(map(len, x)) else 1.0
    size = int(max(c.max(initial=0) for c in cells)) + 1
    table = np.stack([np.bincount(c, minlength=size) for c in cells])
    table = table[:, table.sum(axis=0) > 0]
    rare = table.sum(axis=0) < 10  # expected counts of fewer would make chi-squared a poor guide
    if rare.sum() > 1:
        table = np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)
    return float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0
