"""Groups of people by sensitive attributes: who is in which, and how many, resampled by entity."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from synthmill.cells import bins
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema

from .encode import Floats, Ints, is_numeric
from .interval import REPLICATES

FEWEST = 10
"""A group of fewer people is neither named nor judged alone: it is one of the others."""
_LEVELS = 20
Attribute = str | Mapping[str, Sequence[float]]
"""A column, or a column of numbers with the edges of its groups."""


@dataclass(frozen=True)
class Grouping:
    """labels: of the groups that enough of the first table's people are in; `others` counts the groups joined as the last
    label, which then has enough people too. codes: per table (n,) the place in `labels`, len(labels) for nobody's group.
    """

    labels: tuple[str, ...]
    others: int
    left_out: int
    codes: tuple[Ints, ...]

    @classmethod
    def of(cls, texts: Sequence[pl.Series], people: Ints) -> Grouping:
        """texts: each row's group, table by table. people: (n,) which person a row of the first table belongs to."""
        who = pl.DataFrame({"group": texts[0], "who": people}).unique().group_by("group").len()
        counted = {str(g): int(n) for g, n in who.sort("group").iter_rows()}
        large = [g for g, n in counted.items() if n >= FEWEST]
        small = len(counted) - len(large)
        joined = sum(n for n in counted.values() if n < FEWEST) >= FEWEST
        labels = [*large, f"{small} other groups"] if joined else large
        place = {g: i for i, g in enumerate(large)}
        codes = []
        for t in texts:
            at = (
                t.replace_strict(place, default=len(large), return_dtype=pl.Int64)
                if place
                else t.is_null().cast(pl.Int64)
            )
            codes.append(at.to_numpy().astype(np.int64))
        return cls(tuple(labels), small if joined else 0, 0 if joined else small, tuple(codes))

    @property
    def note(self) -> str:
        if self.others:
            return f"{self.others} groups with fewer than {FEWEST} held-out rows are joined as one"
        if self.left_out:
            one = self.left_out == 1
            return f"{self.left_out} group{'s' * (not one)} with fewer than {FEWEST} held-out rows {'is' if one else 'are'} left out"
        return ""


def named(attribute: Attribute) -> str:
    return attribute if isinstance(attribute, str) else next(iter(attribute))


def texts(attribute: Attribute, frames: Sequence[pl.DataFrame], schema: Schema) -> list[pl.Series]:
    """Each row's group as text, `sex=Female` or `age [25, 45)`. Raises Refusal for a column that makes no groups."""
    name = named(attribute)
    if name not in schema or any(name not in f.columns for f in frames):
        raise Refusal(f"sensitive: there is no column '{name}'; {choices(name, schema.names)}")
    if not isinstance(attribute, str):
        return _binned(name, attribute[name], frames, schema)
    if is_numeric(schema, name) and frames[0][name].n_unique() > _LEVELS:
        raise Refusal(f"sensitive: {name} is a number; give the edges of its groups, such as {{{name}: [20, 40, 60]}}")
    return [
        pl.select(pl.format(f"{name}={{}}", f[name].cast(pl.String).fill_null("missing"))).to_series() for f in frames
    ]


def _binned(name: str, edges: Sequence[Any], frames: Sequence[pl.DataFrame], schema: Schema) -> list[pl.Series]:
    if not frames[0][name].dtype.is_numeric():
        raise Refusal(f"sensitive: {name} is {frames[0][name].dtype}; only numbers have edges")
    if len(edges) < 1 or any(not a < b for a, b in itertools.pairwise(edges)):
        raise Refusal(f"sensitive: {name}: {list(edges)} are not edges in rising order")
    parts = [f"<{edges[0]:g}", *(str(b).rstrip("])") + ")" for b in bins(list(edges))), f">={edges[-1]:g}"]
    out = []
    for f in frames:
        at = np.searchsorted(np.asarray(edges, float), f[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), "right")
        text = pl.Series([f"{name} {p}" for p in parts]).gather(np.where(f[name].is_null().to_numpy(), 0, at))
        out.append(pl.select(pl.when(f[name].is_null()).then(pl.lit(f"{name}=missing")).otherwise(text)).to_series())
    return out


def tallies(code: Ints, size: int, people: Ints | None, rng: np.random.Generator) -> Floats:
    """(1 + REPLICATES, size) how often each code occurs, then in resamples of people (None: every row is its own)."""
    counts = np.bincount(code, minlength=size).astype(np.float64)
    if not len(code):
        return np.zeros((1 + REPLICATES, size))
    if people is None or len(np.unique(people)) == len(people):
        drawn = rng.multinomial(len(code), counts / len(code), size=REPLICATES).astype(np.float64)
        return np.concatenate([counts[None], drawn])
    n = int(people.max()) + 1
    each = np.bincount(people * size + code, minlength=n * size).reshape(n, size).astype(np.float64)
    drawn = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) @ each for _ in range(REPLICATES)])
    return np.concatenate([counts[None], drawn])
