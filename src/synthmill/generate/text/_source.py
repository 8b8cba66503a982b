"""The texts a generator works on: rows it is given, seeds of its own, or passages of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from synthmill.llm.forms import Values
from synthmill.plugins import Request
from synthmill.refusal import Refusal, choices
from synthmill.texts.seeds import Seed

from ._draw import even, read_seeds, with_column
from ._passages import Passages


@dataclass
class Row:
    """A candidate in the making.

    at: its place in the request. values: its columns so far. start: what it starts from. error: why it will not become a
    record; raw: the answer that could not be used. asked: addresses of the answers; parents: ids of seeds and documents.
    """

    at: int
    values: Values
    start: Values = field(default_factory=dict)
    error: str = ""
    raw: str = ""
    asked: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)

    def fail(self, error: str, raw: str = "") -> None:
        self.error, self.raw = self.error or error, self.raw or raw


@dataclass
class Source:
    """Gives every row of a request the text in `column` that it starts from.

    found: seeds; passages: of documents; neither: the rows come from another generator. kept: columns that rows keep of
    their seeds, with types.
    """

    name: str
    column: str
    found: list[Seed]
    passages: Passages | None
    kept: dict[str, pl.DataType]

    @classmethod
    def parse(
        cls,
        name: str,
        column: str,
        seeds: str | None = None,
        documents: str | None = None,
        size: int = 1_500,
        keep: Sequence[str | None] = (),
    ) -> Source:
        """keep: further columns that are used. Raises Refusal where the seeds have none of that name."""
        if seeds is not None and documents is not None:
            raise Refusal(f"{name}: give 'seeds' or 'documents', not both")
        if documents is not None:
            return cls(name, column, [], Passages(documents, size, name), {column: pl.String()})
        if seeds is None:
            return cls(name, column, [], None, {})
        found = with_column(read_seeds(seeds, f"{name}: seeds"), column, f"{name}: column")
        for c in (c for c in keep if c):
            with_column(found, c, f"{name}: seeds")
        kept = dict.fromkeys([column, *(c for c in keep if c)])
        return cls(name, column, found, None, {c: _type_of(found, c, name) for c in kept})

    def schema(self) -> dict[str, pl.DataType]:
        return self.kept

    @property
    def identity(self) -> list[Any]:
        return [self.found] if self.found else [self.passages] if self.passages else []

    def begin(self, request: Request, rows: list[Row]) -> None:
        """Gives every row its `start`, or the error that it already has."""
        if request.given is not None:
            self._from_given(request.given, rows)
        elif self.passages:
            for row, (passage,) in zip(rows, self.passages.draw(request), strict=True):
                self._start(row, {self.column: passage.text}, passage.document.id)
        elif self.found:
            for row, i in zip(rows, even(request, "seeds", len(self.found))[:, 0].tolist(), strict=True):
                self._start(row, self.found[i].values, self.found[i].id)
        else:
            raise Refusal(f"{self.name}: what does it start from? Give 'seeds', or let another generator make its rows")

    def _start(self, row: Row, values: Values, parent: str) -> None:
        row.start = values
        row.parents.append(parent)
        row.values |= {c: values.get(c) for c in self.kept}

    def _from_given(self, given: pl.DataFrame, rows: list[Row]) -> None:
        if self.column not in given.columns:
            raise Refusal(
                f"{self.name}: column: the rows have no '{self.column}'; {choices(self.column, given.columns)}"
            )
        for row, values in zip(rows, given.iter_rows(named=True), strict=True):
            row.start = values
            if values[self.column] is None:
                row.fail(f"'{self.column}' is missing, and {self.name} starts from it")

    def text(self, row: Row) -> str:
        return str(row.start[self.column])


def _type_of(found: Sequence[Seed], column: str, name: str) -> pl.DataType:
    values = [s.values.get(column) for s in found]
    try:
        dtype = pl.Series(values, strict=True).dtype
        if not dtype.is_nested():
            return dtype
        # a Series would know the fields of the first value alone, and drop all others
        return pl.from_dicts([{column: v} for v in values], infer_schema_length=None).schema[column]
    except (TypeError, pl.exceptions.PolarsError):
        raise Refusal(f"{name}: seeds: column '{column}' holds values of several kinds") from None
