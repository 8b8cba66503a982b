"""What a row starts from: facets (topic, persona, language, ...), seeds and pieces of documents, each used as evenly as can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.cells import Bin
from synthmill.frame import digest, rng_of
from synthmill.plugins import Request, beside
from synthmill.refusal import Refusal, choices
from synthmill.texts.documents import Document
from synthmill.texts.seeds import Seed, content, seeds


def even(request: Request, name: str, count: int, each: int = 1) -> NDArray[np.int64]:
    """(n, each) indices below `count`: within a cell every one comes up once before any comes up again.

    The requests of a cell walk through one shuffled order, then through the next; which one depends on the cell and the
    ordinal alone, so that a retry goes on where the last request stopped. `each` indices of a row differ where they can.
    """
    wanted = request.n * each
    slots = request.ordinal * wanted + np.arange(wanted)
    epochs, within = np.divmod(slots, count)
    out = np.empty(wanted, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        out[here] = _order(name, request.cell.label, int(epoch), count)[within[here]]
    return out.reshape(request.n, each)


@lru_cache(64)
def _order(name: str, cell: str, epoch: int, count: int) -> NDArray[np.int64]:
    return rng_of("even", name, cell, epoch, count).permutation(count)


@dataclass
class Facets:
    """Columns whose value is given to the model: by the cell, else drawn evenly from the levels."""

    levels: dict[str, list[Any]]
    sources: list[Seed] = field(default_factory=list)

    @classmethod
    def parse(cls, given: Mapping[str, Any], at: str) -> Facets:
        """Levels are a list, or {from: a file or finished run, column: name}. Raises Refusal."""
        levels, sources = {}, []
        for name, value in given.items():
            if name.startswith("_"):
                raise Refusal(f"{at}: facets.{name}: names that start with '_' are synthmill's own")
            if isinstance(value, Mapping):
                found = _from(value, f"{at}: facets.{name}")
                sources += found
                value = list(dict.fromkeys(s.values[str(given[name].get("column", name))] for s in found))
            if not isinstance(value, list) or any(isinstance(v, list | dict | None) for v in value):
                raise Refusal(
                    f"{at}: facets.{name}: {value!r}: expected a list of values, or {{from: file, column: name}}"
                )
            if len({type(v) for v in value}) > 1 or (value and not isinstance(value[0], str | int | bool | float)):
                raise Refusal(f"{at}: facets.{name}: values of one kind are needed, texts or numbers")
            levels[name] = value
        return cls(levels, sources)

    def schema(self) -> dict[str, pl.DataType]:
        kinds: dict[type, pl.DataType] = {bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64()}
        return {c: kinds.get(type(v[0]) if v else str, pl.String()) for c, v in self.levels.items()}

    def draw(self, request: Request) -> list[dict[str, Any]]:
        """One dict per row."""
        columns = {}
        for name, levels in self.levels.items():
            asked = request.cell.where.get(name)
            if isinstance(asked, Bin):
                columns[name] = _within(asked, levels, name, request)
            elif asked is not None:
                columns[name] = [asked] * request.n
            elif levels:
                columns[name] = [levels[i] for i in even(request, name, len(levels))[:, 0]]
            else:
                raise Refusal(f"facets.{name}: has no values of its own, so 'cover.axes' must ask for them")
        return [{c: v[i] for c, v in columns.items()} for i in range(request.n)]


def _within(asked: Bin, levels: list[Any], name: str, request: Request) -> list[Any]:
    low, high = asked.low, asked.high
    fitting = [
        v for v in levels if (low is None or v >= low) and (high is None or v < high or (asked.closed and v == high))
    ]
    if not fitting:
        raise Refusal(f"facets.{name}: none of its values lies in {asked}")
    return [fitting[i] for i in even(request, name, len(fitting))[:, 0]]


def _from(value: Mapping[str, Any], at: str) -> list[Seed]:
    unknown = next((k for k in value if k not in ("from", "column")), None)
    if unknown is not None or "from" not in value:
        raise Refusal(f"{at}: {unknown or dict(value)}: expected a list of values, or {{from: file, column: name}}")
    found = read_seeds(str(value["from"]), at)
    return with_column(found, str(value.get("column", at.rpartition(".")[2])), at)


def read_seeds(path: str, at: str) -> list[Seed]:
    try:
        return seeds(beside(Path(path)))
    except Refusal as e:
        raise Refusal(f"{at}: {e}", e.code) from None


def with_column(found: Sequence[Seed], column: str, at: str) -> list[Seed]:
    """The seeds that have a value there. Raises Refusal if none has."""
    kept = [s for s in found if s.values.get(column) not in (None, "")]
    if not kept:
        raise Refusal(f"{at}: no seed has a column '{column}'; {choices(column, found[0].values)}")
    return kept


def identity(*parts: Any) -> str:
    """A digest of what a generator starts from: lists of seeds, passages, and anything else as it is written."""
    seeded = [content(p) if isinstance(p, list) and p and isinstance(p[0], Seed) else p for p in parts]
    return digest([getattr(p, "identity", p) for p in seeded])[:12]


def ancestors(parts: Sequence[Any]) -> list[Seed | Document]:
    """The seeds and documents among what a generator starts from."""
    listed = [getattr(p, "documents", p) for p in parts]
    return [s for p in listed if isinstance(p, list) for s in p if isinstance(s, Seed | Document)]
