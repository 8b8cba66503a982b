"""From the need's coverage to cells: which levels an axis has, and how a total is split among their combinations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from .cells import Assign, Bin, Cell, Level, bins, grid
from .refusal import Refusal, choices
from .schema import Schema
from .spec import Cover

MANY = 10_000
"""More cells than this are a mistake in the axes rather than a need."""


def cells_of(cover: Cover, train: pl.DataFrame | None, schema: Schema | None, source: str = "spec") -> list[Cell]:
    """The cells with their quotas. Without quota and total: as many records as train has (1000 without real data).

    Raises Refusal for an axis that is no column, a level that cannot occur, unordered bins, or too many cells.
    """
    axes = {a: _levels(a, given, train, schema, f"{source}: cover.axes.{a}") for a, given in cover.axes.items()}
    count = math.prod(len(v) for v in axes.values())
    if count > MANY:
        raise Refusal(f"{source}: cover.axes: {count} combinations are too many cells; use fewer axes or coarser bins")
    if cover.quota is not None:
        return grid(axes, cover.quota)
    total = cover.total or (train.height if train is not None else 1000)
    combos = list(itertools.product(*axes.values()))
    shares = _shares(cover, axes, combos, train, f"{source}: cover.weights")
    quotas = apportion(shares, total)
    return grid(axes, dict(zip(combos, quotas, strict=True)))


def _levels(axis: str, given: Any, train: pl.DataFrame | None, schema: Schema | None, at: str) -> list[Level]:
    if schema is not None and axis not in schema:
        raise Refusal(f"{at}: there is no such column; {choices(axis, schema.names)}")
    if given == "all":
        if train is None:
            raise Refusal(f"{at}: 'all' needs real data to read the values from")
        found = train[axis].drop_nulls().unique().sort().to_list()
        if len(found) > 200:
            raise Refusal(f"{at}: 'all' means {len(found)} values here; list values, or give bins")
        return found
    if isinstance(given, Mapping):
        return _bins(axis, given, train, at)
    if not given:
        raise Refusal(f"{at}: at least one value is needed")
    if len(set(map(str, given))) != len(given):
        raise Refusal(f"{at}: a value is listed twice")
    return [_as_column(v, axis, train, at) for v in given]


def _bins(axis: str, given: Mapping[str, Any], train: pl.DataFrame | None, at: str) -> list[Level]:
    if set(given) == {"bins"}:
        edges = [_bound(e, axis, train, at) for e in given["bins"]]
    elif set(given) == {"quantiles"} and train is not None:
        if not train[axis].dtype.is_numeric():
            raise Refusal(f"{at}: quantiles need a numeric column; {axis} is {train[axis].dtype}")
        at_q = np.linspace(0, 1, int(given["quantiles"]) + 1)[1:-1]
        inner = sorted({float(train[axis].quantile(q, "nearest") or 0.0) for q in at_q})
        return [Bin(None, inner[0]), *(Bin(a, b) for a, b in itertools.pairwise(inner)), Bin(inner[-1], None)]
    else:
        key = next(iter(set(given) - {"bins", "quantiles"}), "quantiles")
        raise Refusal(f"{at}: '{key}' cannot be used here; {choices(key, ['bins', 'quantiles (needs real data)'])}")
    if len(edges) < 2 or any(not a < b for a, b in itertools.pairwise(edges)):
        raise Refusal(f"{at}: bins: {given['bins']} must be at least two edges in rising order")
    return list(bins(edges))


def _bound(edge: Any, axis: str, train: pl.DataFrame | None, at: str) -> Any:
    if isinstance(edge, str):
        try:
            edge = datetime.fromisoformat(edge)
        except ValueError:
            raise Refusal(f"{at}: bins: '{edge}' is neither a number nor a date such as 2024-01-31") from None
    temporal = isinstance(edge, date)
    if train is not None and axis in train.columns and train[axis].dtype.is_temporal() != temporal:
        raise Refusal(f"{at}: bins: {edge!r} does not fit the column, which is {train[axis].dtype}")
    if temporal and train is not None and train[axis].dtype == pl.Date and isinstance(edge, datetime):
        return edge.date()
    return edge


def _as_column(value: Any, axis: str, train: pl.DataFrame | None, at: str) -> Level:
    """The value in the column's own type: YAML reads `1` as a number where the file may hold text."""
    if train is None or axis not in train.columns:
        return value
    dtype = train[axis].dtype
    if dtype == pl.String and not isinstance(value, str):
        value = str(value)
    known = train[axis].unique().drop_nulls()
    if dtype.is_nested() or dtype.is_float() or dtype.is_temporal():
        raise Refusal(f"{at}: {axis} is {dtype}: its axis needs bins, such as {{bins: [0, 10, 20]}}")
    if isinstance(value, str) and dtype != pl.String:
        raise Refusal(f"{at}: '{value}' does not fit the column, which is {dtype}")
    if dtype == pl.String and value not in known:
        raise Refusal(f"{at}: '{value}' is no value of {axis} in the real data; {choices(value, known.sort())}")
    return value


def _shares(
    cover: Cover,
    axes: Mapping[str, Sequence[Level]],
    combos: Sequence[tuple[Level, ...]],
    train: pl.DataFrame | None,
    at: str,
) -> list[float]:
    if isinstance(cover.weights, dict):
        for axis, weights in cover.weights.items():
            if axis not in axes:
                raise Refusal(f"{at}.{axis}: not an axis of this cover; {choices(axis, axes)}")
            labels = [str(v) for v in axes[axis]]
            for level, weight in weights.items():
                if str(level) not in labels:
                    raise Refusal(f"{at}.{axis}: '{level}' is no level of this axis; {choices(level, labels)}")
                if weight < 0:
                    raise Refusal(f"{at}.{axis}.{level}: {weight} is negative")
        tables = {a: {str(k): w for k, w in t.items()} for a, t in cover.weights.items()}
        shares = [math.prod(tables.get(a, {}).get(str(v), 1.0) for a, v in zip(axes, c, strict=True)) for c in combos]
    elif cover.weights == "uniform" or train is None:
        shares = [1.0] * len(combos)
    else:
        shares = real_shares(grid(axes, 1), train)
    if sum(shares) <= 0:
        raise Refusal(
            f"{at}: no real record lies in any cell, so 'as_real' gives nothing to do; use uniform weights or a quota"
        )
    return [s / sum(shares) for s in shares]


def real_shares(cells: Sequence[Cell], real: pl.DataFrame) -> list[float]:
    """Share of the real records that each cell holds; records in no cell count for none."""
    at = Assign(cells)(real)
    counts = np.bincount(at[at >= 0], minlength=len(cells))
    return [float(c) / max(1, real.height) for c in counts]


def apportion(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers that sum to total, by largest remainder (Hamilton); ties go to the earlier."""
    exact = [s * total for s in shares]
    whole = [math.floor(e) for e in exact]
    order = sorted(range(len(exact)), key=lambda j: (whole[j] - exact[j], j))
    for j in order[: total - sum(whole)]:
        whole[j] += 1
    return whole
