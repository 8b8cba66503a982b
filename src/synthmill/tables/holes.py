"""Missing values of a table that constraints hold together: drawn in the space of a plan, what is known staying as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .plan import Plan
from .solve import absorbed, allowed, between, chosen, columns_of, decided, met, text_of
from .steps import Gaps, Rest, Step

Mask = NDArray[np.bool_]
Impute = Callable[[pl.DataFrame, int], pl.DataFrame]
"""Draws the missing values of an encoded frame; the number tells one draw from another."""

ATTEMPTS = 8
"""Draws of a row of which none agrees with what is known, before a combination is drawn by its share in train."""


@dataclass(frozen=True)
class Conflict:
    """Rows in which a constraint's missing values stay missing. known: what is known of them already breaks it; else no
    value was found that would not. open: whether any of its values is missing there."""

    text: str
    rows: Mask
    known: bool
    open: Mask

    @property
    def sentence(self) -> str:
        n, left = int(self.rows.sum()), int((self.rows & self.open).sum())
        rows = f"{n:,} row" + "s" * (n > 1)
        if not self.known:
            return f"'{self.text}': for {rows} no value was found that agrees with what is known; left missing"
        return f"'{self.text}': what is known of {rows} breaks it already" + (
            f"; left missing in {left:,}" if left else ""
        )


def fill(
    plan: Plan, frame: pl.DataFrame, impute: Impute, rng: np.random.Generator
) -> tuple[pl.DataFrame, list[Conflict]]:
    """The frame, of the plan's columns, with its missing values drawn, and where that could not be done.

    What a constraint holds together comes first; everything else is then drawn given that. A row is drawn again where
    constraints that share columns disagree, or a value gets a sign that its column has nowhere else.
    """
    frame = frame.select(pl.col(n).fill_nan(None) if t.is_float() else pl.col(n) for n, t in plan.types.items())
    missing = {n: frame[n].is_null().to_numpy() for n in frame.columns}
    open_ = [np.any([missing[n] for n in columns_of(s)], axis=0) for s in plan.steps]
    broken = [~met(s, frame) for s in plan.steps]
    done, failed = frame, [np.zeros(frame.height, bool) for _ in plan.steps]
    todo = np.flatnonzero(
        np.any([np.zeros(frame.height, bool), *(o & ~b for o, b in zip(open_, broken, strict=True))], axis=0)
    )
    for attempt in range(ATTEMPTS):
        if not len(todo):
            break
        last = attempt == ATTEMPTS - 1
        part = done[todo]
        made, likely = _solved(plan, part, impute(_known(plan, part), attempt), rng if last else None)
        bad = [~met(s, made) & ~b[todo] for s, b in zip(plan.steps, broken, strict=True)]
        again = np.any(bad, axis=0) | (~likely & ~np.bool_(last))
        kept = np.ones(len(todo), bool) if last else ~again
        if last:
            for at, b in zip(failed, bad, strict=True):
                at[todo] = b
        done = _put(done, todo[kept], made.filter(pl.Series(kept)))
        todo = todo[~kept]
    for step, b, f in zip(plan.steps, broken, failed, strict=True):
        for name in columns_of(step):
            back = pl.Series((b | f) & missing[name])
            done = done.with_columns(pl.when(~back).then(pl.col(name)).alias(name))
    conflicts = [
        Conflict(text_of(s), rows, known, o)
        for s, b, f, o in zip(plan.steps, broken, failed, open_, strict=True)
        for rows, known in ((b, True), (f, False))
        if rows.any()
    ]
    return _rest(plan, done, impute), conflicts


def _rest(plan: Plan, frame: pl.DataFrame, impute: Impute) -> pl.DataFrame:
    """Columns that no constraint holds, drawn given those that one does."""
    held = {n for s in plan.steps for n in columns_of(s)}
    free = [n for n in frame.columns if n not in held and frame[n].null_count()]
    if not free:
        return frame
    rows = frame.select(pl.any_horizontal(pl.col(free).is_null())).to_series().arg_true().to_numpy()
    drawn = impute(_known(plan, frame[rows]), ATTEMPTS)
    return _put(frame, rows, drawn.select(free))


def _put(frame: pl.DataFrame, rows: NDArray[np.int64], values: pl.DataFrame) -> pl.DataFrame:
    place = np.full(frame.height, -1)
    place[rows] = np.arange(len(rows))
    at, inside = pl.Series(np.maximum(place, 0)), pl.Series(place >= 0)
    return (
        frame.with_columns(values[c].gather(at).zip_with(inside, frame[c]) for c in values.columns)
        if len(rows)
        else frame
    )


def _known(plan: Plan, part: pl.DataFrame) -> pl.DataFrame:
    """The encoded frame as far as it is known: null is what has to be drawn, never a value that is missing by design."""
    encoded = plan.encode(part)
    known = {}
    for step in plan.steps:
        if isinstance(step, Gaps):
            whole = [part[g.name].is_not_null() for g in step.grids]
            for name, a, b in zip(step.gaps, whole, whole[1:], strict=False):
                known[name] = encoded[name].zip_with(a & b, _nulls(encoded[name]))
            if step.start:
                known[step.base] = encoded[step.base].zip_with(whole[0], _nulls(encoded[step.base]))
                known[step.start] = pl.repeat(step.grids[0].name, part.height, eager=True)
        elif isinstance(step, Rest):
            if step.hidden:
                known[step.hidden] = pl.repeat(False, part.height, eager=True)
        else:
            keys, dtype = allowed(step, part)["keys"], step.table[step.table.columns[0]].dtype
            known[step.table.columns[0]] = pl.Series([k[0] if k is not None and len(k) == 1 else None for k in keys.to_list()], dtype=dtype)  # fmt: skip
    return encoded.with_columns(s.alias(n) for n, s in known.items())


def _nulls(s: pl.Series) -> pl.Series:
    return pl.Series(s.name, [None], dtype=s.dtype).new_from_index(0, len(s)) if len(s) else s


def _solved(
    plan: Plan, part: pl.DataFrame, drawn: pl.DataFrame, rng: np.random.Generator | None
) -> tuple[pl.DataFrame, Mask]:
    """The part's columns without gaps, and whether each row is likely. rng: see `solve.chosen`."""
    columns = {s.name: s for s in drawn.iter_columns()}
    likely, now = np.ones(part.height, bool), part  # now: with what earlier steps have made of it
    for step in plan.steps:
        made, well = _step(step, now, columns, rng)
        likely &= well
        columns |= {name: _kept(now, name, values) for name, values in made}
        if isinstance(step, Rest):
            moved, well = absorbed(step, part, now, columns)
            likely &= well
            columns |= {name: _kept(part, name, values) for name, values in moved.items()}
            columns[step.grid.name] = _kept(part, step.grid.name, step.back(columns)[0])
        now = now.with_columns(columns[n].alias(n) for n in columns_of(step))
    return pl.DataFrame([columns[n].alias(n) for n in part.columns]), likely


def _kept(part: pl.DataFrame, name: str, values: pl.Series) -> pl.Series:
    """What is known, else the values."""
    if name not in part.columns:
        return values
    return part[name].zip_with(part[name].is_not_null(), values.cast(part[name].dtype))


def _step(
    step: Step, part: pl.DataFrame, columns: dict[str, pl.Series], rng: np.random.Generator | None
) -> tuple[list[tuple[str, pl.Series]], Mask]:
    anyhow = np.ones(part.height, bool)
    if isinstance(step, Gaps):
        return list(zip(columns_of(step), between(step, part, columns), strict=True)), anyhow
    if isinstance(step, Rest):
        return [], anyhow
    key, agrees = chosen(step, part, columns[step.table.columns[0]], rng)
    return [(key.name, key), *zip(step.outs, decided(step, key), strict=True)], agrees
