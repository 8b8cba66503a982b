"""Bring your own simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from synthmill.frame import seed_of
from synthmill.plugins import Request, load_object
from synthmill.refusal import Refusal
from synthmill.schema import dtype_of

from ._records import checker, plain
from ._space import Dimension, places

_PROBES = 8
_AT = "generate: simulate.program"


@dataclass
class Program:
    """Any Python callable f(parameters, seed) -> record, or a list of records, over a declared parameter space.

    function: `file.py:name`, `package.module:name`, or the callable itself. space: one entry per parameter: a list of
    choices, a fixed value, or {uniform: [a, b]}, {log_uniform: [a, b]}, {integers: [a, b]}, {normal: [mean, deviation]}.
    seed is an int below 2**63 for `numpy.random.default_rng`; the same parameters and seed must give the same records.

    A record is a dict of columns; lists and dicts nest. Parameters are columns too, unless the record has the name
    (`keep_parameters: false`: never). columns: {name: polars type}; without it the types are those of a few probe calls.
    A call that raises, or a record with other keys or types, becomes a row with `_error` set and the rest null.
    A call that returns several records may end the request early; surplus records of the last call are cut.

    Cells over parameters narrow the space exactly. sampler: `latin` and `sobol` spread the points of each request evenly
    (McKay et al. 1979; Owen 1998).
    """

    function: str | Callable[..., Any]
    space: dict[str, Any] = field(default_factory=dict)
    sampler: Literal["random", "latin", "sobol"] = "random"
    keep_parameters: bool = True
    columns: dict[str, str] | None = None

    def __post_init__(self) -> None:
        self._call = load_object(self.function, _AT) if isinstance(self.function, str) else self.function
        if not callable(self._call):
            raise Refusal(f"{_AT}: function: {self.function} is not callable")
        self._space = [Dimension.parse(k, v, _AT) for k, v in self.space.items()]
        self._schema = self._declared() if self.columns is not None else None

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Whose source belongs to this plugin's identity."""
        return (self._call,)

    def _declared(self) -> dict[str, pl.DataType]:
        own = {}
        for name, dtype in (self.columns or {}).items():
            try:
                own[name] = dtype_of(dtype)
            except ValueError as e:
                raise Refusal(f"{_AT}: columns: {name}: {e}; write for example Int64 or List(Float64)") from None
        return self._with_parameters(own)

    def _with_parameters(self, own: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
        kept = {d.name: d.dtype for d in self._space if d.name not in own} if self.keep_parameters else {}
        return {**kept, **own}

    def schema(self) -> dict[str, pl.DataType]:
        if self._schema is None:
            self._schema = self._probed()
        return self._schema

    def _probed(self) -> dict[str, pl.DataType]:
        """Types from a few calls: the same calls in every process."""
        rng = np.random.default_rng(seed_of("simulate.program", "probe"))
        records, failed = [], ""
        for i, parameters in enumerate(self._points(self._space, _PROBES, rng)):
            try:
                records += self._records(parameters, seed_of("simulate.program", "probe", i) >> 65)
            except Exception as e:
                failed = failed or _message(e)
        if not records:
            raise Refusal(
                f"{_AT}: {_name(self._call)}: no record from {_PROBES} probe calls ({failed or 'none returned'})"
            )
        try:
            found = dict(pl.DataFrame(records, infer_schema_length=None).schema)
        except (pl.exceptions.PolarsError, TypeError) as e:
            raise Refusal(f"{_AT}: {_name(self._call)}: records of different types; declare 'columns' ({e})") from None
        untyped = [k for k, v in found.items() if v == pl.Null]
        if untyped:
            raise Refusal(
                f"{_AT}: {_name(self._call)}: '{untyped[0]}' was always null; declare its type under 'columns'"
            )
        return self._with_parameters(found)

    def conditions(self, axes: Sequence[str]) -> bool:
        return set(axes) <= set(self.space)

    def generate(self, request: Request) -> pl.DataFrame:
        schema = self.schema()
        where = request.cell.where
        space = [d.within(where[d.name]) if d.name in where else d for d in self._space]
        narrowed = [d for d in space if d is not None]
        if len(narrowed) < len(space):
            return pl.DataFrame(schema=schema)
        rows: list[dict[str, Any]] = []
        fault = checker(schema)
        for i, parameters in enumerate(self._points(narrowed, request.n, request.rng("space"))):
            if len(rows) >= request.n:
                break
            rows += self._answer(parameters, seed_of(request.seed, "call", i) >> 65, fault)
        return _framed(rows[: request.n], schema)

    def _points(self, space: list[Dimension], n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
        u = places(self.sampler, n, len(space), rng)
        columns = {d.name: d.at(u[:, j]) for j, d in enumerate(space)}
        return [{name: values[i] for name, values in columns.items()} for i in range(n)]

    def _answer(self, parameters: dict[str, Any], seed: int, fault: Callable[..., str | None]) -> list[dict[str, Any]]:
        try:
            records = self._records(parameters, seed)
        except Exception as e:
            return [{"_error": _message(e)}]
        wrong = [fault(r) for r in records]
        return [{"_error": w} if w else r for w, r in zip(wrong, records, strict=True)]

    def _records(self, parameters: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        answer = self._call(dict(parameters), seed)
        records = answer if isinstance(answer, list) else [answer]
        for r in records:
            if not isinstance(r, dict):
                raise TypeError(
                    f"{_name(self._call)} returned {type(r).__name__}; a dict or a list of dicts is expected"
                )
        kept = parameters if self.keep_parameters else {}
        return [{**{k: v for k, v in kept.items() if k not in r}, **plain(r)} for r in records]


def _framed(rows: list[dict[str, Any]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The rows as a frame; a value that polars cannot hold although its type is right costs only its own row."""
    try:
        return _frame(rows, schema)
    except Exception:
        return _frame([_held(r, schema) for r in rows], schema)


def _frame(rows: list[dict[str, Any]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    failed = any("_error" in r for r in rows)
    return pl.DataFrame(rows, schema={**schema, "_error": pl.String()} if failed else schema)


def _held(row: dict[str, Any], schema: dict[str, pl.DataType]) -> dict[str, Any]:
    try:
        _frame([row], schema)
    except Exception as e:
        return {"_error": _message(e)}
    return row


def _message(e: Exception) -> str:
    return f"{type(e).__name__}: {e}"


def _name(call: Any) -> str:
    return str(getattr(call, "__qualname__", call))
