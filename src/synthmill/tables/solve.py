"""Values of single constraints, given some of them and draws for the rest: what `holes` puts together.

Each answers the original columns of a step (`tables/steps.py`) with all that is known in place. Draws come encoded.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.constraints import Inequality, Total

from .steps import COUNT, Columns, Gaps, Grid, Joint, Lookup, Rest, Step

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_FINE = 13
"""Decimals from here on are no grid that values could be rounded to."""


def columns_of(step: Step) -> list[str]:
    """The original columns that a step holds together, in the order of its constraint."""
    if isinstance(step, Gaps):
        names = [g.name for g in step.grids]
        return names if step.up else names[::-1]
    return [*step.ins, *step.outs]


def text_of(step: Step) -> str:
    """The constraint in words."""
    if isinstance(step, Gaps):
        return Inequality(tuple(columns_of(step)), step.strict).text
    return _total(step).text if isinstance(step, Rest) else f"combinations of {', '.join(columns_of(step))}"


def met(step: Step, frame: pl.DataFrame) -> Mask:
    """(n,) what is known does not break it; of combinations: that some combination agrees with what is known."""
    if isinstance(step, Gaps):
        return Inequality(tuple(columns_of(step)), step.strict).holds(frame).to_numpy()
    if isinstance(step, Rest):
        return _total(step).holds(frame).to_numpy()
    return allowed(step, frame)["keys"].is_not_null().to_numpy()


def _total(step: Rest) -> Total:
    plus, minus = (tuple(g.name for g, s in zip(step.others, step.signs, strict=True) if s == w) for w in (1, -1))
    return Total(step.grid.name, plus, minus, step.tolerance)


def allowed(step: Lookup | Joint, frame: pl.DataFrame) -> pl.DataFrame:
    """(n,) `keys`: the values of the deciding category whose combination agrees with what is known of a row, and how often
    train has each, `counts`. Combinations with missing parts are among them only where there are no others."""
    names, key = columns_of(step), step.table.columns[0]
    table = step.table.with_columns(pl.col(key).alias("_key")).select("_key", *names, COUNT)
    whole = table.filter(pl.all_horizontal(pl.col(names).is_not_null()))
    rows = frame.select(names).with_row_index("_row")
    holes = rows.select(pl.concat_str([pl.col(n).is_null().cast(pl.Int8) for n in names]).alias("_holes"))["_holes"]
    found = []
    for pattern in holes.unique().sort():
        mine = rows.filter(holes == pattern)
        known = [n for n, hole in zip(names, pattern, strict=True) if hole == "0"]
        for source in (whole, table):
            lists = source.group_by(known or [pl.lit(0).alias("_all")]).agg(
                pl.col("_key").sort_by("_key").alias("keys"), pl.col(COUNT).sort_by("_key").alias("counts")
            )
            done = mine.join(lists, on=known) if known else mine.join(lists.drop("_all"), how="cross")
            found.append(done.select("_row", "keys", "counts"))
            mine = mine.filter(~pl.col("_row").is_in(done["_row"].implode()))
    return rows.select("_row").join(pl.concat(found), on="_row", how="left", maintain_order="left")


def chosen(
    step: Lookup | Joint, frame: pl.DataFrame, draws: pl.Series, rng: np.random.Generator | None
) -> tuple[pl.Series, Mask]:
    """The deciding category of each row: the draw where it agrees with what is known, or the only value that does; else, with
    an rng, one that does at train's shares, and without one the draw all the same. And (n,) whether it agrees."""
    fits = allowed(step, frame)
    keys, counts, out = fits["keys"].to_list(), fits["counts"].to_list(), draws.to_list()
    agrees = np.ones(len(out), bool)
    for i, (able, held) in enumerate(zip(keys, counts, strict=True)):
        if able is None or out[i] in able:
            continue
        if len(able) == 1:
            out[i] = able[0]
        elif rng is not None:
            out[i] = able[int(rng.choice(len(able), p=np.array(held) / sum(held)))]
        else:
            agrees[i] = False
    return pl.Series(draws.name, out, dtype=step.table[step.table.columns[0]].dtype), agrees


def decided(step: Lookup | Joint, key: pl.Series) -> list[pl.Series]:
    return step.back({key.name: key})


def between(step: Gaps, frame: pl.DataFrame, drawn: Columns) -> list[pl.Series]:
    """Ascending values: known ones stay, those beyond an end lie a drawn gap away, those between two known ones share the
    distance in proportion to their gaps."""
    grids = list(step.grids if step.up else step.grids[::-1])
    x = [_known(g, frame[g.name]) for g in grids]
    size = min(g.step for g in grids) if all(g.whole for g in grids) else 1
    gaps = [np.nan_to_num(drawn[n].cast(pl.Float64).to_numpy()).clip(0) * size for n in step.gaps]
    gaps = gaps if step.up else gaps[::-1]
    end = 0 if step.up else len(grids) - 1
    start = drawn[step.base] if step.start else drawn[step.grids[0].name]
    nobody = np.all([np.isnan(v) for v in x], axis=0)
    kept = _known(Grid(start.name, str(start.dtype), step.grids[0].digits), start)
    x[end] = np.where(
        nobody, _on_grid(grids[end], kept, np.full(len(kept), -np.inf), np.full(len(kept), np.inf), False), x[end]
    )
    known = [~np.isnan(v) for v in x]
    for i in range(len(grids)):
        x[i] = np.where(known[i], x[i], _placed(step, grids, x, known, gaps, i))
    for i in reversed(range(len(grids) - 1)):
        below = x[i + 1] - gaps[i]
        least = np.full(len(below), -np.inf)
        x[i] = np.where(np.isnan(x[i]), _on_grid(grids[i], below, least, x[i + 1], step.strict), x[i])
    return [pl.Series(_logical(g, v)) for g, v in zip(grids, x, strict=True)]


def _placed(step: Gaps, grids: list[Grid], x: list[Floats], known: list[Mask], gaps: list[Floats], i: int) -> Floats:
    """Where column i lies above the last known one below it, NaN where there is none. x: up to i - 1 filled."""
    if i == 0:
        return np.full(len(x[0]), np.nan)
    high, (left, many) = np.full(len(x[0]), np.inf), np.zeros((2, len(x[0])))
    for k in reversed(
        range(i + 1, len(grids))
    ):  # the nearest known one above, the gaps up to it, and how many these are
        high = np.where(known[k], x[k], high)
        left, many = np.where(known[k], 0.0, left) + gaps[k - 1], np.where(known[k], 0.0, many) + 1
    room, whole = high - x[i - 1], gaps[i - 1] + left
    share = np.where(whole > 0, gaps[i - 1] / np.where(whole > 0, whole, 1), 1 / (many + 1))
    value = x[i - 1] + np.where(np.isfinite(room), share * np.where(np.isfinite(room), room, 0), gaps[i - 1])
    return _on_grid(grids[i], value, x[i - 1], high, step.strict)


def _on_grid(grid: Grid, value: Floats, low: Floats, high: Floats, strict: bool) -> Floats:
    """The nearest place on the column's grid between low and high; the nearest of all where there is none."""
    if not grid.whole and grid.digits >= _FINE:
        return value
    into, out = (1.0, float(grid.step)) if grid.whole else (10.0**grid.digits, 1.0)
    unit, least, most = (v * into / out for v in (value, low, high))
    places = (np.round(unit), np.ceil(unit), np.floor(unit), np.floor(least) + 1, np.ceil(most) - 1)
    best = places[0] * out / into
    for other in (p * out / into for p in places[1:]):
        inside = (best > low) & (best < high) if strict else (best >= low) & (best <= high)
        fits = (other > low) & (other < high) if strict else (other >= low) & (other <= high)
        best = np.where(~inside & fits & np.isfinite(other), other, best)
    return best


def absorbed(
    step: Rest, frame: pl.DataFrame, solved: pl.DataFrame, columns: Columns
) -> tuple[dict[str, pl.Series], Mask]:
    """The other columns of a sum whose own column is known: of those that are not, the largest takes up the rest. And (n,)
    whether it has the sign that all other values of its column have. solved: with what other constraints have made of it,
    which is changed only where nothing else can be."""
    now = {g.name: _known(g, columns[g.name]) for g in step.others}
    own = _known(step.grid, frame[step.grid.name])
    total = sum(now[g.name] * s for g, s in zip(step.others, step.signs, strict=True))
    size = {n: float(np.nanmean(np.abs(v))) if (~np.isnan(v)).any() else 0.0 for n, v in now.items()}
    signs = dict(zip((g.name for g in step.others), step.signs, strict=True))
    taken = {g.name: solved[g.name].null_count() < frame[g.name].null_count() for g in step.others}
    todo, likely = ~np.isnan(own), np.ones(len(own), bool)
    out = {}
    for grid in sorted(step.others, key=lambda g: (taken[g.name], -size[g.name])):
        at = todo & frame[grid.name].is_null().to_numpy()
        values = now[grid.name]
        moved = values + (own - total) * signs[grid.name]
        least = np.nanmin(values) if (~np.isnan(values)).any() else 0.0
        likely &= ~(at & (moved < 0) & (least >= 0))
        out[grid.name] = _logical(grid, np.where(at, moved, values)).alias(grid.name)
        todo = todo & ~at
    return out, likely


def _known(grid: Grid, s: pl.Series) -> Floats:
    """(n,) physical values as floats, NaN where missing: days and cents are exact in them."""
    return np.asarray(grid.physical(s).cast(pl.Float64).fill_null(np.nan).to_numpy(), np.float64)


def _logical(grid: Grid, x: Floats) -> pl.Series:
    return grid.logical(pl.Series(grid.name, x).fill_nan(None))
