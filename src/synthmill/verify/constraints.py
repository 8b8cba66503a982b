"""Constraints: what a spec declares between columns, judged in every record whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from synthmill.constraints import Combinations, Constraint, Unique, check_types, parse
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal
from synthmill.schema import Schema

_CONTRADICTED = 0.5
"""A constraint that fewer real rows meet is not one of this table."""


@dataclass
class Constraints:
    """Inequalities, totals, fixed combinations and one-hot groups; the reason names the first that is broken.

    all: as in a spec's `constraints`; none: the spec's own, for which this check is added by itself. Unknown values break
    nothing (`synthmill.constraints`). `unique` looks at other rows, and is the filter of that name.
    Fixed combinations are those of train. Raises Refusal where most train rows have a combination of their own: to keep
    to those would copy people.
    """

    all: list[dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        if self.all == []:
            raise Refusal("there is none to check: declare some under 'constraints', or as 'all' here")
        self._own = parse(self.all, "all") if self.all else ()
        self._checked = _row_wise(self._own)

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """Raises Refusal where a constraint names no column that is made, or one it does not fit."""
        check_types(self._own, columns, "all")

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        declared = _row_wise(self._own if self.all else schema.constraints)
        self._checked = tuple(c.learned(train) if isinstance(c, Combinations) else c for c in declared)
        for c in self._checked:
            if not set(c.columns) <= set(train.columns):
                continue  # of columns that only the generators know
            if isinstance(c, Combinations):
                _refuse_copies(c, train)
            elif train.height and (share := float(c.holds(train).to_numpy().mean())) < _CONTRADICTED:
                raise Refusal(f"'{c.text}' contradicts the real data: {share:.2%} of its rows meet it")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        ok = np.ones(frame.height, bool)
        reason = pl.repeat(None, frame.height, dtype=pl.String, eager=True)
        for c in self._checked:
            broken = ok & ~c.holds(frame).to_numpy()
            if broken.any():
                ok &= ~broken
                reason = reason.scatter(np.flatnonzero(broken), _said(c, frame.filter(pl.Series(broken))))
        return Verdicts.where(pl.Series(ok), reason)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = pl.DataFrame({"ordered": [1, 2, 2], "shipped": [1, 3, None], "net": [3, 4, 5], "tax": [1, 1, 2]})
        good = good.with_columns(gross=pl.col("net") + pl.col("tax"))
        bad = pl.DataFrame([[2, 1], [1, 1], [3, 3], [1, 1], [4, 4]], schema=good.columns)
        return good, bad.with_columns(gross=pl.Series([4, 5]))

    example_config = {"all": [{"inequality": ["ordered", "shipped"]}, {"total": "gross", "plus": ["net", "tax"]}]}


def _row_wise(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    return tuple(c for c in constraints if not isinstance(c, Unique))


def _refuse_copies(c: Combinations, train: pl.DataFrame) -> None:
    alone = train.group_by(c.columns).len().filter(pl.col("len") == 1).height
    if train.height and alone > 0.5 * train.height:
        raise Refusal(
            f"{c.text}: {alone:,} of {train.height:,} real rows have one of their own: to keep to these would copy those rows"
        )


def _said(c: Constraint, rows: pl.DataFrame) -> pl.Series:
    """`breaks a <= b (3, 2)` for every row."""
    shown = (pl.col(n).cast(pl.String).fill_null("null").str.slice(0, 40) for n in c.columns)
    values = pl.concat_str(*shown, separator=", ")
    return rows.select(pl.concat_str(pl.lit(f"breaks {c.text} ("), values, pl.lit(")")).alias("reason")).to_series()
