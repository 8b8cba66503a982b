"""Relations that hold exactly between columns: one is the sum of two others, one decides another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl

from .encode import codes, numbers

_LEAST = 100
"""What holds in fewer rows may be chance."""
_MOST = 40
"""Columns beyond this are not compared: sums are sought among all triples."""
_GLANCE = 64
"""Rows on which a sum is tried before it is tried on all."""
_OFTEN = 0.05


def sums(frame: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, str, str]]:
    """(total, a, b) wherever total = a + b in every row where all three are known; a and b differ from 0 often enough."""
    x = {n: numbers(frame[n]) for n in names[:_MOST]}
    parts = [n for n, v in x.items() if np.mean(np.nan_to_num(v) != 0) >= _OFTEN and np.nanstd(v) > 0]
    glance = {n: x[n][:_GLANCE] for n in parts}
    found = []
    for a, b in itertools.combinations(parts, 2):
        for total in parts:
            if total in (a, b) or not _equal(glance[total], glance[a] + glance[b]).all():
                continue
            known = ~np.isnan(x[total] + x[a] + x[b])
            if known.sum() >= _LEAST and _equal(x[total], x[a] + x[b]).all():
                found.append((total, a, b))
    return found


def _equal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Up to the rounding of float64, or unknown."""
    return ~(np.abs(x - y) > 1e-9 * np.maximum(1.0, np.abs(x)))


def decisions(frame: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, str]]:
    """(a, b) wherever equal values of a, each in ten rows or more on average, come with equal values of b."""
    if frame.height < _LEAST:
        return []
    coded = {n: codes([frame[n]])[0][0] for n in names[:_MOST]}
    levels = {n: len(np.unique(c)) for n, c in coded.items()}
    varied = {n for n, c in coded.items() if np.bincount(c).max() <= (1 - _OFTEN) * frame.height}
    found = []
    for a, b in itertools.permutations(coded, 2):
        if b not in varied or not levels[b] <= levels[a] <= frame.height / 10:
            continue
        pairs = coded[a] * (int(coded[b].max()) + 1) + coded[b]
        if len(np.unique(pairs)) == levels[a]:
            found.append((a, b))
    return found
