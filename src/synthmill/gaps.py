"""What real data lacks: rare and empty cells, slices a model fails on, drift between two files; and cells against it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from .cells import Bin, Level, bins, holds
from .proposal import outward, yaml_value
from .schema import Schema
from .tables.drift import Drift
from .tables.encode import Ints
from .tables.literals import FEWEST, Literal, count, literals
from .tables.slices import Found, Slice

_RARE = 0.05
_RARE_PAIR = 0.01
_AXES = 12
_AXIS_LEVELS = 12
_MOST_CELLS = 60


@dataclass(frozen=True)
class Rare:
    """A cell few real people are of. people: None for fewer than 10, none included; expected: as many as if its columns
    were independent; share: of the rows, None likewise."""

    where: tuple[tuple[str, Level], ...]
    people: int | None
    expected: float | None = None
    share: float | None = None

    @property
    def text(self) -> str:
        return " & ".join(f"{c} {v}" if isinstance(v, Bin) else f"{c}={v}" for c, v in self.where)

    def to_json(self) -> dict[str, Any]:
        where = {c: str(v) if isinstance(v, Bin) else v for c, v in self.where}
        return {"where": where, "people": self.people, "below": FEWEST if self.people is None else None,
                "expected": self.expected, "share": self.share}  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """single: levels that less than 1 in 20 rows have; pairs: of axes, that less than 1 in 100 rows have and the axes alone
    do not explain. unnamed: columns with values of fewer than 10 people each. literals: all that were paired."""

    single: tuple[Rare, ...]
    pairs: tuple[Rare, ...]
    unnamed: tuple[str, ...]
    axes: Mapping[str, tuple[Level, ...]]


def rare_cells(train: pl.DataFrame, schema: Schema, people: Ints, target: str | None) -> Cells:
    """Every level and every pair of levels of plausible axes: categories of at most 12 levels, numbers in five ranges."""
    n = max(1, train.height)
    found = literals(train, schema, people)
    by_column: dict[str, list[Literal]] = {}
    for one in found:
        by_column.setdefault(one.column, []).append(one)
    single = [
        Rare(((one.column, one.level),), count(one.rows, people), None, float(one.rows.mean()))
        for one in found
        if one.rows.mean() < _RARE and not isinstance(one.level, Bin)
    ]
    unnamed = tuple(
        c.name
        for c in schema
        if c.kind in ("categorical", "boolean")
        and (train[c.name].drop_nulls().value_counts(sort=False)["count"] < FEWEST).any()
    )
    plausible = [c for c, some in by_column.items() if len(some) <= _AXIS_LEVELS]
    plausible.sort(key=lambda c: (c != target, isinstance(by_column[c][0].level, Bin), len(by_column[c])))
    axes = plausible[:_AXES]
    pairs = []
    for a, b in itertools.combinations(axes, 2):
        for one, other in itertools.product(by_column[a], by_column[b]):
            both = one.rows & other.rows
            expected = float(one.rows.mean() * other.rows.mean() * n)
            if both.sum() < _RARE_PAIR * n and both.sum() < expected / 2 and expected >= FEWEST:
                known = count(both, people)
                where = ((a, one.level), (b, other.level))
                named = known >= FEWEST
                pairs.append(
                    Rare(where, known if named else None, _two(expected), float(both.mean()) if named else None)
                )
    levels = {c: tuple(one.level for one in by_column[c]) for c in axes}
    single.sort(key=lambda r: (r.share or 0, r.text))
    pairs.sort(key=lambda r: ((r.people or 0) / (r.expected or 1), -(r.expected or 0), r.text))
    return Cells(tuple(single), tuple(pairs), unnamed, levels)


def _two(x: float) -> float:
    """Two significant digits: an expectation is the product of two counts."""
    return float(f"{x:.2g}")


def cover_for(
    train: pl.DataFrame, schema: Schema, cells: Cells, found: Found | None, drifted: Sequence[Drift], newer: pl.DataFrame | None,
    people: Ints, newer_people: Ints | None, target: str | None,
) -> list[str] | None:  # fmt: skip
    """The `cover` section against the gaps: failing slices before drift before rare cells; None where nothing is lacking."""
    if found is not None and found.slices:
        return list(_against_slices(train, schema, found.slices))
    if newer is not None and newer_people is not None:
        lines = list(_against_drift(train, schema, [d for d in drifted if d.p < 0.05], newer, people, newer_people))
        if lines:
            return lines
    return list(_against_rare(train, cells, people, target)) or None


def _against_slices(train: pl.DataFrame, schema: Schema, slices: Sequence[Slice]) -> Iterator[str]:
    first = slices[0]
    columns = [one.column for one in first.literals]
    alike = [first]
    if len(columns) == 1 and not isinstance(first.literals[0].level, Bin):  # the same axis holds them all
        alike = [s for s in slices if [one.column for one in s.literals] == columns]
    yield "# What the model fails on most: as many new records as there are real ones, so that it sees twice as many."
    yield from _axes(
        {c: [one.level for s in alike for one in s.literals if one.column == c] for c in columns}, train, schema
    )
    have = [train.select(holds({one.column: one.level for one in s.literals}).sum()).item() for s in alike]
    yield f"  quota: {_quota(max(have))}  # accepted records per cell"
    others = [s for s in slices if s not in alike]
    if others:
        yield "  # Other slices it fails on, each for a spec of its own (axes are combined, slices are not):"
        for s in others[:8]:
            yield f"  #   {s.text}: error {s.error:.3g} against {s.rest:.3g}"
    yield ""


def _against_drift(
    train: pl.DataFrame, schema: Schema, drifted: Sequence[Drift], newer: pl.DataFrame, people: Ints, newer_people: Ints
) -> Iterator[str]:
    """The most drifted column that can be an axis, at the shares of the newer file."""
    for d in drifted:
        ours = {str(one.level): one for one in literals(train.select(d.column), schema.select([d.column]), people)}
        both = [(one, share) for one in ours.values() if (share := _share_in(newer, one, newer_people)) is not None]
        if len(both) < 2 or sum(s for _, s in both) < 0.5:
            continue
        yield f"# {d.column} has drifted ({d.kind.upper()} {d.distance.value:.2f}): records at the shares of the newer file."
        yield from _axes({d.column: [one.level for one, _ in both]}, train, schema)
        yield f"  total: {max(100, min(10_000, int(round(train.height, -2))))}"
        rows = _rows_of([one.level for one, _ in both], d.column, train, schema)
        shares = ", ".join(f"{yaml_value(r)}: {s:.3g}" for r, (_, s) in zip(rows, both, strict=True))
        yield f"  weights: {{{yaml_value(d.column)}: {{{shares}}}}}"
        if len(drifted) > 1:
            yield f"  # also drifted: {', '.join(o.column for o in drifted if o is not d)}"
        yield ""
        return


def _share_in(frame: pl.DataFrame, one: Literal, people: Ints) -> float | None:
    """The level's share of another table; None where fewer than 10 of its people have it."""
    rows = frame.select(holds({one.column: one.level})).to_series().to_numpy()
    return float(rows.mean()) if count(rows, people) >= FEWEST else None


def _against_rare(train: pl.DataFrame, cells: Cells, people: Ints, target: str | None) -> Iterator[str]:
    """The pair of axes with most rare cells of which ten people or more are; else the column with most rare levels."""
    impossible = {frozenset(c for c, _ in r.where) for r in cells.pairs if r.people is None}
    pairs: dict[tuple[str, ...], int] = {}
    for r in cells.pairs:
        names = tuple(c for c, _ in r.where)
        if frozenset(names) not in impossible and math.prod(len(cells.axes[c]) for c in names) <= _MOST_CELLS:
            pairs[names] = pairs.get(names, 0) + 1
    pairs = {p: k for p, k in pairs.items() if not any(isinstance(v, Bin) for c in p for v in cells.axes[c])}
    columns = max(pairs, key=lambda p: (target in p, pairs[p], p)) if pairs else ()
    if not columns:
        rare: dict[str, int] = {}
        for r in cells.single:
            rare[r.where[0][0]] = rare.get(r.where[0][0], 0) + 1
        rare = {c: k for c, k in rare.items() if c in cells.axes}
        if not rare:
            return
        columns = (max(rare, key=lambda c: (rare[c], c)),)
    yield "# As many of each kind, the rare ones too. Strike out what cannot be."
    yield "cover:"
    yield "  axes:"
    for c in columns:
        yield f"    {yaml_value(c)}: {yaml_value(list(cells.axes[c]))}"
    yield f"  quota: {_quota(train.height / math.prod(len(cells.axes[c]) for c in columns))}  # accepted records per cell"
    yield ""


def _quota(have: float) -> int:
    return max(100, min(5_000, int(round(have, -2))))


def _axes(levels: Mapping[str, Sequence[Level]], train: pl.DataFrame, schema: Schema) -> Iterator[str]:
    yield "cover:"
    yield "  axes:"
    for column, some in levels.items():
        if any(isinstance(v, Bin) for v in some):
            yield f"    {yaml_value(column)}: {{bins: {yaml_value(_edges(some, column, schema))}}}"
        else:
            yield f"    {yaml_value(column)}: {yaml_value(list(dict.fromkeys(some)))}"


def _edges(some: Sequence[Level], column: str, schema: Schema) -> list[Any]:
    """From the lowest to the highest of these ranges; open ends are closed outside of the data."""
    c = schema[column]
    low, high = (float(outward(c, c.low or 0.0)), float(outward(c, c.high or 0.0, up=True)))
    edges = {low if v.low is None else v.low for v in some} | {high if v.high is None else v.high for v in some}
    return sorted(int(e) if c.kind == "integer" else float(e) for e in edges)


def _rows_of(some: Sequence[Level], column: str, train: pl.DataFrame, schema: Schema) -> list[str]:
    """The levels as a cover's weights name them."""
    if not any(isinstance(v, Bin) for v in some):
        return [str(v) for v in some]
    edges = _edges(some, column, schema)
    if train.schema[column].is_float():
        edges = [float(e) for e in edges]
    return [str(b) for b in bins(edges)]
