"""Which columns of a table hold text, and that text: plain, a list of texts, or chat messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from synthmill.frame import Status
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema

Judge = Callable[[str], str | None]
"""A text's fault in one sentence, None if it has none."""


def is_text(dtype: pl.DataType) -> bool:
    """Text, a list of texts, or messages: a list of structs with a text field `content` (or ShareGPT's `value`)."""
    if isinstance(dtype, pl.List):
        return dtype.inner == pl.String or _field(dtype) is not None
    return isinstance(dtype, pl.String)


def named(columns: Sequence[str] | None, types: Mapping[str, pl.DataType], at: str) -> list[str]:
    """The columns asked for, or all that hold text. Raises Refusal for one that is not there or holds no text."""
    known = [c for c, t in types.items() if is_text(t) and not c.startswith("_")]
    if columns is None:
        return known
    for name in columns:
        if name not in types:
            raise Refusal(f"{at}: no column '{name}'; {choices(name, known)}")
        if not is_text(types[name]):
            raise Refusal(f"{at}: column '{name}' is {types[name]}, which holds no text; {choices(name, known)}")
    return list(columns)


class Chosen:
    """The columns a check judges: those it was given, or every one that holds text but for those whose kind, as known
    from real data, is in `but`."""

    def __init__(self, columns: Sequence[str] | None, at: str, but: Sequence[str] = ()) -> None:
        self.columns, self.at, self.but = columns, at, but
        self._out: set[str] = set()
        self._types: Mapping[str, pl.DataType] = {}

    def expect(self, types: Mapping[str, pl.DataType]) -> None:
        self._types = dict(types)
        self.of(types)

    def fit(self, schema: Schema) -> None:
        self._out = set(schema.of(*self.but)) if self.columns is None else set()
        if self._types:
            self.of(self._types)

    def of(self, types: Mapping[str, pl.DataType]) -> list[str]:
        """Raises Refusal where nothing is left to judge."""
        at = f"{self.at}: columns"
        found = named(self.columns, {c: t for c, t in types.items() if c not in self._out}, at)
        if not found:
            raise Refusal(f"{self.at}: there is no column of text; name one in columns: [...]")
        return found


TABULAR = ("categorical", "constant", "identifier", "personal", "integer", "decimal", "datetime", "boolean")
"""Kinds of column that are no prose, whatever their type."""


def texts(column: pl.Series) -> list[str | None]:
    """(n,) the text of each row; parts of a list and messages are joined by empty lines, nulls among them left out."""
    if not isinstance(column.dtype, pl.List):
        return column.to_list()
    field = _field(column.dtype)
    parts = column.to_list()
    if field is not None:
        parts = [None if p is None else [m[field] for m in p if m is not None] for p in parts]
    return [None if p is None else "\n\n".join(x for x in p if x is not None) for p in parts]


def joined(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """(n,) String: the texts of some columns, one below the other; a null is left out."""
    plain = [frame[c] if frame[c].dtype == pl.String else pl.Series(c, texts(frame[c]), pl.String) for c in columns]
    below = pl.concat_str(columns, separator="\n\n", ignore_nulls=True).alias("text")
    return pl.DataFrame(plain).select(below).to_series()


def answers(column: pl.Series) -> list[str | None]:
    """(n,) the text of each row; of messages and of lists the last, which is the answer."""
    if not isinstance(column.dtype, pl.List):
        return column.to_list()
    field = _field(column.dtype)
    lasts = [p[-1] if p else None for p in column.to_list()]
    return lasts if field is None else [None if m is None else m[field] for m in lasts]


def first_fault(frame: pl.DataFrame, columns: Sequence[str], judge: Judge) -> Verdicts:
    """Fails a row for the first of its columns that `judge` finds at fault. Null holds no text, and passes."""
    reasons: list[str | None] = [None] * frame.height
    for name in columns:
        for i, text in enumerate(texts(frame[name])):
            if reasons[i] is None and text is not None and (fault := judge(text)) is not None:
                reasons[i] = f"{name}: {fault}" if len(columns) > 1 else fault
    return verdicts(reasons)


def verdicts(faults: Sequence[str | None], undecided: Sequence[str | None] = ()) -> Verdicts:
    """A row with a fault fails; one that is undecided and has none is an error."""
    unsure = list(undecided) or [None] * len(faults)
    status = np.array(
        [Status.FAIL if f is not None else Status.ERROR if u is not None else Status.PASS
         for f, u in zip(faults, unsure, strict=True)], np.uint8,
    )  # fmt: skip
    reason = [f if f is not None else u for f, u in zip(faults, unsure, strict=True)]
    return Verdicts(pl.Series(status, dtype=pl.UInt8), None, pl.Series(reason, dtype=pl.String))


def _field(dtype: pl.List) -> str | None:
    if not isinstance(dtype.inner, pl.Struct):
        return None
    fields = {f.name: f.dtype for f in dtype.inner.fields}
    return next((n for n in ("content", "value") if fields.get(n) == pl.String), None)


def nested(value: Any) -> Iterator[str]:
    """Every text in a value, whatever it is nested in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from nested(v)
    elif isinstance(value, list | tuple):
        for v in value:
            yield from nested(v)
