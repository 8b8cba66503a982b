"""From the need's coverage to cells: which levels an axis has, and how a total is split among their combinations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from .cells import Assign, Bin, Bound, Cell, Level, bins, grid
from .refusal import Refusal, choices
from .spec import Cover

NAMED = 10
"""Real records that must hold a value for `all` to name it: cells are shown around."""
MANY = 10_000
"""More cells than this are a mistake in the axes rather than a need."""


def cells_of(
    cover: Cover, columns: Mapping[str, pl.DataType], train: pl.DataFrame | None = None, source: str = "spec"
) -> list[Cell]:
    """The cells with their quotas. Without quota and total: as many records as train has (1000 without real data).

    columns: what will be made, with types; train: real rows with the axes' columns, if there are any.
    Raises Refusal for an axis that is no column, a level that cannot occur, unordered bins, or too many cells.
    """
    axes: dict[str, list[Level]] = {}
    for name, given in cover.axes.items():
        at = f"{source}: cover.axes.{name}"
        if name not in columns:
            raise Refusal(f"{at}: no generator makes such a column; {choices(name, columns)}")
        values = train[name] if train is not None and name in train.columns else None
        axes[name] = _levels(given, columns[name], values, at)
    count = math.prod(len(v) for v in axes.values())
    if count > MANY:
        raise Refusal(
            f"{source}: cover.axes: {count:,} combinations are too many cells; use fewer axes or coarser bins"
        )
    if cover.quota is not None:
        return grid(axes, cover.quota)
    total = cover.total or (train.height if train is not None else 1000)
    combos = list(itertools.product(*axes.values()))
    shares = _shares(cover, axes, combos, train, f"{source}: cover.weights")
    return grid(axes, dict(zip(combos, apportion(shares, total), strict=True)))


def _levels(given: Any, dtype: pl.DataType, values: pl.Series | None, at: str) -> list[Level]:
    if isinstance(given, Mapping):
        return list(_bins(given, dtype, values, at))
    if dtype.is_nested() or dtype.is_temporal():
        example = "[2024-01-01, 2025-01-01]" if dtype.is_temporal() else "[0, 10, 20]"
        raise Refusal(f"{at}: the column is {dtype}: its axis needs bins, such as {{bins: {example}}}")
    if given == "all":
        if values is None:
            raise Refusal(f"{at}: 'all' needs real data to read the values from")
        counted = values.drop_nulls().value_counts(sort=False)
        enough = pl.lit(True) if dtype == pl.Boolean else pl.col("count") >= NAMED  # true and false name nobody
        found: list[Level] = counted.filter(enough)[values.name].sort().to_list()
        if not 0 < len(found) <= 200:
            raise Refusal(
                f"{at}: 'all' means {len(found):,} values here (those that {NAMED} real records or more hold); list values, or give bins"
            )
        return found
    if not given:
        raise Refusal(f"{at}: at least one value is needed")
    levels = [level(v, dtype, at) for v in given]
    if len(set(levels)) != len(levels):
        raise Refusal(f"{at}: a value is listed twice")
    if values is not None and dtype == pl.String:
        known = values.drop_nulls().unique().sort().to_list()
        for v in levels:
            if v not in known:
                raise Refusal(f"{at}: '{v}' is no value of this column in the real data; {choices(v, known)}")
    return levels


def level(value: Any, dtype: pl.DataType, at: str) -> Level:
    """The value in the column's own type: YAML reads `1` as a number where the file may hold text."""
    if dtype == pl.String and isinstance(value, str | int | float):
        return str(value)
    if dtype.is_float() and type(value) in (int, float):
        return float(value)
    fits = dtype.is_integer() if type(value) is int else dtype == pl.Boolean and type(value) is bool
    if not fits:
        raise Refusal(f"{at}: {value!r} does not fit the column, which is {dtype}")
    return value


def _bins(given: Mapping[str, Any], dtype: pl.DataType, values: pl.Series | None, at: str) -> list[Bin]:
    if set(given) == {"quantiles"}:
        return _quantiles(given["quantiles"], dtype, values, at)
    if set(given) != {"bins"}:
        key = next(iter(set(map(str, given)) - {"bins", "quantiles"}), ", ".join(map(str, given)))
        raise Refusal(f"{at}: '{key}': expected one of 'bins' and 'quantiles'")
    if not isinstance(given["bins"], list):
        raise Refusal(f"{at}: bins: {given['bins']!r} is not a list of edges")
    edges: list[Any] = [_edge(e, dtype, at) for e in given["bins"]]
    if len(edges) < 2 or any(not a < b for a, b in itertools.pairwise(edges)):
        raise Refusal(f"{at}: bins: {given['bins']} must be at least two edges in rising order")
    return bins(edges)


def _quantiles(count: Any, dtype: pl.DataType, values: pl.Series | None, at: str) -> list[Bin]:
    if type(count) is not int or count < 2:
        raise Refusal(f"{at}: quantiles: {count!r} is not a whole number of bins, 2 or more")
    if values is None or not dtype.is_numeric():
        raise Refusal(f"{at}: quantiles need real data in a column of numbers; this one is {dtype}")
    found = (values.quantile(q, "nearest") for q in np.linspace(0, 1, count + 1)[1:-1])
    edges = sorted({q for q in found if q is not None})
    if not edges:
        raise Refusal(f"{at}: quantiles: the real column has no values")
    return [Bin(None, edges[0]), *(Bin(a, b) for a, b in itertools.pairwise(edges)), Bin(edges[-1], None)]


def _edge(edge: Any, dtype: pl.DataType, at: str) -> Bound:
    if dtype.is_numeric() and isinstance(edge, int | float) and not isinstance(edge, bool) and math.isfinite(edge):
        return edge
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        try:
            stamp = datetime.fromisoformat(str(edge))
        except ValueError:
            raise Refusal(f"{at}: bins: '{edge}' is not a date such as 2024-01-31") from None
        zone = getattr(dtype, "time_zone", None)
        if zone and stamp.tzinfo is None:
            stamp = stamp.replace(tzinfo=ZoneInfo(zone))
        elif stamp.tzinfo and not zone:
            raise Refusal(f"{at}: bins: '{edge}' has a time zone and the column has none")
        return stamp.date() if dtype == pl.Date else stamp
    raise Refusal(f"{at}: bins: {edge!r} does not fit the column, which is {dtype}")


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
            for label, weight in weights.items():
                if str(label) not in labels:
                    raise Refusal(f"{at}.{axis}: '{label}' is no level of this axis; {choices(label, labels)}")
                if not 0 <= weight < math.inf:
                    raise Refusal(f"{at}.{axis}.{label}: {weight} is not a weight, a number from 0 up")
        tables = {a: {str(k): w for k, w in t.items()} for a, t in cover.weights.items()}
        shares = [math.prod(tables.get(a, {}).get(str(v), 1.0) for a, v in zip(axes, c, strict=True)) for c in combos]
    elif cover.weights == "uniform" or train is None:
        shares = [1.0] * len(combos)
    else:
        shares = real_shares(grid(axes, 1), train)
    if sum(shares) <= 0:
        raise Refusal(
            f"{at}: all weights are 0: no cell would be asked for (as_real: no real record lies in any); use uniform weights or a quota"
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
