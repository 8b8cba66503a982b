"""Constraints that hold in every row of a table, with enough rows behind them to be no chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.constraints import Combinations, Constraint, Inequality, OneHot, Total, Unique
from synthmill.frame import rng_of
from synthmill.schema import Schema

from .encode import Floats, Ints, codes, numbers

LEAST = 300
"""Rows below which what holds in all of them may be broken by more than 1 in 100 others (the rule of three)."""
_MOST = 40
"""Columns beyond this are not compared: totals are sought among all their fours."""
_GLANCE = 64
"""Rows on which a total is sought before it is tried on all."""
_OFTEN = 0.05
_PER_LEVEL = 10
"""Rows behind each combination, on average; with fewer it is no law but a list of people."""
_FLAGS = 200
_FIRST = 2_000
"""Rows that settle most questions before all of them are asked."""


def discover(frame: pl.DataFrame, schema: Schema) -> list[Constraint]:
    """What may be declared, none of it implied by another. frame: all real rows; the schema is theirs.

    Conservative on purpose, since what is declared decides what can be made: everything holds in every row where it is
    known, in LEAST rows or more; an inequality is broken by rows paired at random; parts of a total, the columns of a
    combination and both sides of an inequality vary; a combination has ten rows behind it on average.
    """
    if frame.height < LEAST:
        return []
    totals = _totals(frame, schema.of("integer", "decimal"))
    flags = _one_hot(frame, schema)
    grouped = {n for f in flags for n in f.columns}
    fixed = _combinations(frame, [n for n in schema.of("categorical", "boolean", "integer") if n not in grouped])
    return [*_inequalities(frame, schema, totals), *totals, *fixed, *flags, *_keys(frame, schema)]


def _totals(frame: pl.DataFrame, names: Sequence[str]) -> list[Total]:
    """total = sum of up to four others in every row where all are known; parts differ from 0 often enough to count.

    Sums of one or two columns are met with what a total lacks without one or two others (both sides are looked up by
    their values on a few rows), so that fours of forty columns are one hash join rather than three million sums.
    """
    x = {n: numbers(frame[n]) for n in names}
    parts = [n for n, v in x.items() if np.mean(np.nan_to_num(v) != 0) >= _OFTEN and np.nanstd(v) > 0][:_MOST]
    glance = _glance({n: x[n] for n in parts}) or _glance({n: x[n] for n in parts if np.isnan(x[n]).mean() < _OFTEN})
    digits = 9 - math.ceil(math.log10(max(1.0, *(np.abs(g).max() for g in glance.values())))) if glance else 0
    sums: dict[bytes, list[tuple[str, ...]]] = {}
    for some in itertools.chain(itertools.combinations(glance, 1), itertools.combinations(glance, 2)):
        sums.setdefault(_key([glance[n] for n in some], digits), []).append(some)
    candidates = set()
    for total in glance:
        others = [n for n in glance if n != total]
        for less in itertools.chain(itertools.combinations(others, 1), itertools.combinations(others, 2)):
            for some in sums.get(_key([glance[total], *(-glance[n] for n in less)], digits), ()):
                if total not in some and not set(less) & set(some):
                    candidates.add((total, tuple(sorted({*less, *some}, key=parts.index))))
    found: list[Total] = []
    for total, plus in sorted(candidates, key=lambda c: (len(c[1]), parts.index(c[0]), [parts.index(p) for p in c[1]])):
        t = Total(total, plus)
        if not _implied(t, found) and _all_hold(t, frame, x):
            found.append(t)
    return found


def _glance(x: dict[str, Floats]) -> dict[str, Floats]:
    """Some rows in which all columns are known; nothing where there are too few."""
    rows = np.flatnonzero(~np.isnan(np.sum(list(x.values()), axis=0))) if x else np.zeros(0, np.int64)
    if len(rows) < _GLANCE:
        return {}
    some = rows[np.linspace(0, len(rows) - 1, _GLANCE).astype(int)]
    return {n: v[some] for n, v in x.items()}


def _key(terms: Sequence[Floats], digits: int) -> bytes:
    """Equal for sums that are equal up to the rounding of float64."""
    return bytes((np.round(np.sum(terms, axis=0), digits) + 0.0).tobytes())  # -0.0 becomes 0.0


def _implied(t: Total, found: Sequence[Total]) -> bool:
    """It follows from a shorter one: parts replaced by their total, or a total by its parts."""
    sides = [({f.total: 1.0}, f.plus) for f in found]
    rows = [{**side, **dict.fromkeys(plus, -1.0)} for side, plus in sides]
    row = {t.total: 1.0, **dict.fromkeys(t.plus, -1.0)}
    names = sorted({n for r in [*rows, row] for n in r})
    matrix = np.array([[r.get(n, 0.0) for n in names] for r in [*rows, row]])
    return bool(np.linalg.matrix_rank(matrix) < len(matrix))


def _all_hold(t: Total, frame: pl.DataFrame, x: dict[str, Floats]) -> bool:
    known = ~np.isnan(np.sum([x[n] for n in t.columns], axis=0))
    return int(known.sum()) >= LEAST and bool(t.holds(frame).all())


def _inequalities(frame: pl.DataFrame, schema: Schema, totals: Sequence[Total]) -> list[Inequality]:
    """Chains of a <= b for columns of one scale: rows paired at random would break each often."""
    found: dict[tuple[str, str], bool] = {}
    for kinds in (("integer", "decimal"), ("datetime",)):
        names = schema.of(*kinds)[:_MOST]
        x = {n: numbers(frame[n]) for n in names}
        for a, b in itertools.permutations(names, 2):
            if (frame[a].dtype.is_temporal() and frame[a].dtype != frame[b].dtype) or _part_of(a, b, totals, x):
                continue
            strict = _ordered(x[a], x[b], rng_of("relations", a, b))
            if strict is not None:
                found[a, b] = strict
    direct = {
        p: s for p, s in found.items() if not any((p[0], m) in found and (m, p[1]) in found for m in _ends(found))
    }
    return _chains(direct)


def _ends(pairs: dict[tuple[str, str], bool]) -> list[str]:
    return list(dict.fromkeys(n for p in pairs for n in p))


def _part_of(a: str, b: str, totals: Sequence[Total], x: dict[str, Floats]) -> bool:
    """a <= b says nothing new where b is a total of which a is a part and the other parts are never negative."""
    return any(b == t.total and a in t.plus and all(np.nanmin(x[p]) >= 0 for p in t.plus if p in x) for t in totals)


def _ordered(a: Floats, b: Floats, rng: np.random.Generator) -> bool | None:
    """None: no inequality to propose; else whether it is strict, told only where chance would have brought ties."""
    if (a[:_FIRST] > b[:_FIRST]).any():
        return None
    known = ~(np.isnan(a) | np.isnan(b))
    low, high = a[known], b[known]
    if len(low) < LEAST or (low > high).any() or (low < high).mean() < _OFTEN:
        return None
    mixed = low[rng.permutation(len(low))]
    if (mixed > high).mean() < _OFTEN:
        return None
    return not (low == high).any() and int((mixed == high).sum()) >= 10


def _chains(direct: dict[tuple[str, str], bool]) -> list[Inequality]:
    """a <= b and b <= c as one, where nothing else branches off at b."""
    left = dict(direct)
    after = {n: [b for a, b in direct if a == n] for n in _ends(direct)}
    before = {n: [a for a, b in direct if b == n] for n in _ends(direct)}
    made = []
    while left:
        start = next((p for p in left if not (len(before[p[0]]) == 1 and len(after[p[0]]) == 1)), next(iter(left)))
        strict, chain = left.pop(start), list(start)
        while len(after[chain[-1]]) == 1 and len(before[chain[-1]]) == 1:
            step = (chain[-1], after[chain[-1]][0])
            if left.get(step) is not strict:
                break
            left.pop(step)
            chain.append(step[1])
        made.append(Inequality(tuple(chain), strict))
    return made


def _combinations(frame: pl.DataFrame, names: Sequence[str]) -> list[Combinations]:
    """Columns that one of them decides (equal values of it come with equal values of the others), as one group."""
    coded = {n: codes([frame[n]])[0][0] for n in names[:_MOST]}
    levels = {n: len(np.unique(c)) for n, c in coded.items()}
    varied = [n for n, c in coded.items() if np.bincount(c).max() <= (1 - _OFTEN) * frame.height]
    decides: dict[str, list[str]] = {
        a: [b for b in varied if b != a and levels[b] <= levels[a] and _decides(coded[a], coded[b])]
        for a in varied
        if levels[a] <= frame.height / _PER_LEVEL
    }
    made, taken = [], set[str]()
    for a in sorted(decides, key=lambda n: (-len(decides[n]), varied.index(n))):
        group = [b for b in decides[a] if b not in taken]
        if a not in taken and group:
            taken |= {a, *group}
            made.append(Combinations((a, *group)))
    return made


def _decides(a: Ints, b: Ints) -> bool:
    def joint(some: slice) -> bool:
        return len(np.unique(a[some] * (int(b.max(initial=0)) + 1) + b[some])) == len(np.unique(a[some]))

    return joint(slice(_FIRST)) and joint(slice(None))


def _one_hot(frame: pl.DataFrame, schema: Schema) -> list[OneHot]:
    """Flags of which exactly one is set in every row: grown from each flag by those that are never set with it."""
    names = [n for n in schema.of("categorical", "boolean", "integer", "decimal") if _is_flag(frame[n])][:_FLAGS]
    if len(names) < 2:
        return []
    flags = {n: frame[n].cast(pl.Int64).to_numpy().astype(bool) for n in names}
    made, taken = [], set[str]()
    for first in sorted(names, key=lambda n: (-int(flags[n].sum()), names.index(n))):
        if first in taken:
            continue
        group = _grown(first, [n for n in names if n not in taken and n != first], flags)
        if group:
            taken |= set(group)
            made.append(OneHot(tuple(sorted(group, key=names.index))))
    return made


def _grown(first: str, others: Sequence[str], flags: dict[str, NDArray[np.bool_]]) -> list[str]:
    group, covered = [first], flags[first].copy()
    for n in sorted(others, key=lambda n: -int(flags[n].sum())):
        if not (covered & flags[n]).any():
            group.append(n)
            covered |= flags[n]
        if covered.all():
            return group if len(group) > 1 else []
    return []


def _is_flag(s: pl.Series) -> bool:
    if s.null_count() or not (s.dtype == pl.Boolean or s.dtype.is_numeric()):
        return False
    x = numbers(s.cast(pl.Int8) if s.dtype == pl.Boolean else s)
    return bool(np.isin(x, (0.0, 1.0)).all()) and 0 < x.sum() < len(x)


def _keys(frame: pl.DataFrame, schema: Schema) -> Iterator[Unique]:
    for n in schema.of("identifier"):
        if frame[n].null_count() < len(frame) and not frame[n].drop_nulls().is_duplicated().any():
            yield Unique((n,))
