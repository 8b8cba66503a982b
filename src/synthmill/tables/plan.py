"""A plan to draw a table so that its constraints hold by construction, whatever generator draws it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.cells import Level, holds
from synthmill.constraints import Combinations, Constraint, Inequality, OneHot, Total, Unique
from synthmill.refusal import Refusal
from synthmill.schema import MODELLED, Schema, dtype_of

from .infer import observed
from .steps import COUNT, Gaps, Grid, Joint, Lookup, Rest, Step, from_json
from .store import load_frame, save_frame

_FILE = "plan.json"
_ORDER = (Combinations, OneHot, Total, Inequality)
"""Who chooses first: combinations have the least choice of what to leave out, inequalities the most."""


@dataclass(frozen=True)
class Plan:
    """`encode` a table, let a generator learn and draw in that space, `decode` what it drew.

    schema: of the encoded table. steps: in the order of decoding. types: the original columns in order.
    left: constraints that are not held by construction, and why; the check `constraints` judges them like all others.

    decode(encode(x)) is x, value for value and null for null, in rows where the constraints hold: exact for whole
    numbers, dates and categories and for decimals on a grid; numbers without one may differ in the last bit (float64
    has no gap g with a + g == b where a is much larger than b).
    """

    schema: Schema
    steps: tuple[Step, ...]
    types: dict[str, pl.DataType]
    left: tuple[tuple[Constraint, str], ...] = ()

    @classmethod
    def of(
        cls, constraints: Sequence[Constraint], train: pl.DataFrame, schema: Schema, keep: Sequence[str] = ()
    ) -> Plan:
        """keep: columns that should stay as they are (a target, the axes of a cover), as far as that is possible.

        A column is left out by one constraint at most, and never in a circle; constraints that overlap so that no
        such order exists are `left` to the check.
        """
        taken = set(train.columns)
        steps: list[Step] = []
        left: list[tuple[Constraint, str]] = []
        for c in sorted(constraints, key=lambda c: _ORDER.index(type(c)) if type(c) in _ORDER else len(_ORDER)):
            why = _unfit(c, schema)
            if why:
                left.append((c, why))
                continue
            step = next((s for s in _ways(c, train, schema, keep, taken) if _fits(s, steps)), None)
            if step is None:
                left.append((c, "other constraints or kept columns already decide its columns"))
            else:
                steps.append(step)
                taken |= set(step.made)
        ordered = _ordered(steps)
        types = dict(train.schema)
        bare = cls(Schema(()), ordered, types, tuple(left))
        return cls(_described(bare, train, schema), ordered, types, tuple(left))

    @property
    def kept(self) -> list[str]:
        """Columns that are drawn as they are: a condition on them may be asked of the generator."""
        outs = {n for s in self.steps for n in s.outs}
        return [n for n in self.types if n not in outs]

    def encode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Made columns stand where the first column that a step leaves out stood."""
        outs = {n: s for s in self.steps for n in s.outs}
        done: list[Step] = []
        columns = []
        for name in self.types:
            step = outs.get(name)
            if step is None:
                columns.append(frame[name])
            elif not any(step is d for d in done):
                done.append(step)
                columns += step.there(frame)
        return pl.DataFrame(columns)

    def decode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The original columns, in their order; every constraint not `left` then holds. Raises Refusal where an encoded one
        is not there."""
        columns = {s.name: s for s in frame.iter_columns()}
        lacking = [n for n in self.schema.names if n not in columns]
        if lacking:
            raise Refusal(f"the column '{lacking[0]}' was not made, and others are computed from it")
        for step in self.steps:
            columns |= {s.name: s for s in step.back(columns)}
        return pl.DataFrame([columns[n] for n in self.types])

    def computed(self) -> dict[str, tuple[str, ...]]:
        """Of each original column that is left out, the encoded ones that it is decoded from."""
        found: dict[str, tuple[str, ...]] = {}
        for step in self.steps:
            for i, out in enumerate(step.outs):
                made = step.made[: len(step.made) - len(step.outs) + i + 1] if isinstance(step, Gaps) else step.made
                basis = [e for name in (*step.ins, *made) for e in found.get(name, (name,))]
                found[out] = tuple(dict.fromkeys(basis))
        return found

    def grouped(self, axes: Sequence[str]) -> Lookup | Joint | None:
        """The category that decides all axes that are not kept; None where there are none such, or it takes several."""
        lacking = set(axes) - set(self.kept)
        found = [s for s in self.steps if isinstance(s, Lookup | Joint) and lacking and lacking <= set(s.outs)]
        return found[0] if found else None

    def able(self, axes: Sequence[str]) -> list[str] | None:
        """The encoded columns on which a condition on these axes is one; None where it is none."""
        if set(axes) <= set(self.kept):
            return list(axes)
        step = self.grouped(axes)
        if step is None:
            return None
        return list(dict.fromkeys([*(a for a in axes if a in self.kept), step.table.columns[0]]))

    def asked(self, where: Mapping[str, Level]) -> list[tuple[dict[str, Level], float]]:
        """Conditions on encoded columns that together are this one on the original columns, with their shares in train.

        A level that train lacks has none. A combination whose deciding category is missing cannot be asked for."""
        step = self.grouped(list(where))
        if step is None:
            return [(dict(where), 1.0)]
        key = step.table.columns[0]
        rows = step.table.filter(holds({c: v for c, v in where.items() if c in step.table.columns})).drop_nulls(key)
        rest = {c: v for c, v in where.items() if c not in step.table.columns}
        total = max(1, rows[COUNT].sum())
        return [({**rest, key: level}, n / total) for level, n in rows.select(key, COUNT).iter_rows()]

    def keeping(self, levels: Mapping[str, Sequence[Any]]) -> Plan:
        """The same with those combinations alone whose deciding category is among the `levels` it has left."""
        steps = []
        for s in self.steps:
            if isinstance(s, Lookup | Joint) and s.table.columns[0] in levels:
                key = s.table[s.table.columns[0]]
                left = pl.Series(key.name, list(levels[key.name]), dtype=key.dtype)
                s = replace(s, table=s.table.filter(key.is_in(left.implode(), nulls_equal=True)))
            steps.append(s)
        return replace(self, steps=tuple(steps))

    def save(self, folder: Path, tables: Path) -> None:
        """JSON into `folder`; combinations come from real rows, and go to `tables`, which belongs under `private/`."""
        for i, s in enumerate(self.steps):
            if isinstance(s, Lookup | Joint):
                save_frame(s.table, tables, f"plan-{i}")
        types = {n: str(t) for n, t in self.types.items()}
        data = {"types": types, "schema": self.schema.published(), "steps": [s.to_json() for s in self.steps]}
        (folder / _FILE).write_text(json.dumps(data), "utf-8")

    @staticmethod
    def kept_in(folder: Path) -> bool:
        return (folder / _FILE).is_file()

    @classmethod
    def load(cls, folder: Path, tables: Path) -> Plan:
        """Draws as the saved one does. `left`, levels and bounds are not kept: they serve fitting."""
        data = json.loads((folder / _FILE).read_text("utf-8"))
        made = []
        for i, about in enumerate(data["steps"]):
            table = load_frame(tables, f"plan-{i}") if about["kind"] in (Lookup.kind, Joint.kind) else None
            made.append(from_json(about, table))
        types = {n: dtype_of(t) for n, t in data["types"].items()}
        return cls(Schema.from_json(data["schema"]), tuple(made), types)


def _unfit(c: Constraint, schema: Schema) -> str:
    if isinstance(c, Unique):
        return "keys are made anew, or drawn again where one repeats"
    for name in c.columns:
        if name not in schema or schema[name].kind not in MODELLED:
            return f"'{name}' is not a column that a table model draws"
    return ""


def _ways(c: Constraint, train: pl.DataFrame, schema: Schema, keep: Sequence[str], taken: set[str]) -> Iterator[Step]:
    """Steps that would hold it, the best first."""
    if isinstance(c, Inequality):
        yield from (
            s for up in (True, False) if (s := _gaps(c, up, train, schema, taken)) and not set(s.outs) & set(keep)
        )
    elif isinstance(c, Total):
        # of the parts the largest: what is computed takes up all noise, which a small or spiky one would show most
        size = {n: train[n].cast(pl.Float64).abs().mean() or 0.0 for n in (*c.plus, *c.minus)}
        for name in (c.total, *sorted(size, key=lambda n: (-size[n], n))):  # type: ignore[operator]
            if name not in keep:
                yield _rest(c, name, train, schema, taken)
    else:
        table = train.select(c.columns).group_by(c.columns).agg(pl.len().alias(COUNT)).sort(c.columns)
        if isinstance(c, OneHot):
            table = table.filter(c.holds(table))
        elif isinstance(c, Combinations):
            yield from _lookups(c, table, schema, keep)
        name = _free(", ".join(c.columns), taken)
        yield Joint(table.select(pl.int_range(pl.len()).cast(pl.String).alias(name), pl.all()))


def _lookups(c: Combinations, table: pl.DataFrame, schema: Schema, keep: Sequence[str]) -> Iterator[Step]:
    """One category that decides all the others stays as it is. A number is no such key: generators draw between values."""
    for name in sorted(c.columns, key=lambda n: (n not in keep, c.columns.index(n))):
        if schema[name].kind in ("categorical", "boolean") and table[name].n_unique() == table.height:
            yield Lookup(table.select(name, pl.exclude(name, COUNT), COUNT))


def _gaps(c: Inequality, up: bool, train: pl.DataFrame, schema: Schema, taken: set[str]) -> Gaps:
    names = c.columns if up else c.columns[::-1]
    grids = tuple(Grid.of(schema[n]) for n in names)
    gaps: list[str] = []
    for one, other in itertools.pairwise(names):
        gaps.append(_free(f"{other} - {one}" if up else f"{one} - {other}", {*taken, *gaps}))
    first, rest = train[names[0]], train.select(names[1:])
    alone = first.is_null() & rest.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    if not alone.any():
        return Gaps(grids, tuple(gaps), up, c.strict)
    base, start = (_free(f"first {what} of {', '.join(names)}", taken) for what in ("value", "known"))
    return Gaps(grids, tuple(gaps), up, c.strict, base, start)


def _rest(c: Total, name: str, train: pl.DataFrame, schema: Schema, taken: set[str]) -> Rest:
    sign = {c.total: -1} | dict.fromkeys(c.plus, 1) | dict.fromkeys(c.minus, -1)
    others = [n for n in c.columns if n != name]
    grids = tuple(Grid.of(schema[n]) for n in others)
    signs = tuple(-sign[name] * sign[n] for n in others)
    known = train.select(pl.all_horizontal(pl.col(others).is_not_null())).to_series()
    given = _free(f"{name} alone", taken) if (~known & train[name].is_not_null()).any() else ""
    hidden = _free(f"{name} missing", taken) if (known & train[name].is_null()).any() else ""
    return Rest(Grid.of(schema[name]), grids, signs, given, hidden, c.tolerance)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    return name


def _fits(step: Step, steps: Sequence[Step]) -> bool:
    """No column is left out twice, and none is needed to compute itself."""
    decided = {n: s for s in steps for n in s.outs}
    if set(step.outs) & set(decided):
        return False
    reached, todo = set[str](), list(step.ins)
    while todo:
        name = todo.pop()
        if name in step.outs:
            return False
        if name not in reached:
            reached.add(name)
            todo += decided[name].ins if name in decided else ()
    return True


def _ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Each after those that compute what it needs."""
    todo, done = list(steps), list[Step]()
    while todo:
        open_ = {n for s in todo for n in s.outs}
        ready = [s for s in todo if not set(s.ins) & open_]
        done += ready
        todo = [s for s in todo if not any(s is r for r in ready)]
    return tuple(done)


def _described(plan: Plan, train: pl.DataFrame, schema: Schema) -> Schema:
    encoded = plan.encode(train)
    columns = {c.name: c for c in schema} | {c.name: c for s in plan.steps for c in s.describe(schema)}
    return observed(Schema(tuple(columns[n] for n in encoded.columns)), encoded)
