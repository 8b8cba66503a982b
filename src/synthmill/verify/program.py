"""Program: the user's own function as a check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from synthmill.frame import Status
from synthmill.plugins import Verdicts, load_object
from synthmill.refusal import Refusal


@dataclass
class Program:
    """The user's own function judges each record; where it raises, that record alone is an error.

    function: `file.py:name`, `package.module:name` or, in Python, the function itself. It gets a row as a dict and
    returns true or false, (true or false, reason), or a number where `threshold` is set: below it the record fails.
    batch: it gets the whole polars frame and returns one boolean (or number) per row, as a Series or an array;
    should it raise, it is asked again row by row.
    """

    function: str | Callable[..., Any]
    batch: bool = False
    threshold: float | None = None

    def __post_init__(self) -> None:
        self._call = (
            load_object(self.function, "program: function") if isinstance(self.function, str) else self.function
        )
        if not callable(self._call):
            raise Refusal(f"program: function: {self.function} is not a function")

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Whose source belongs to this plugin's identity."""
        return (self._call,)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        answers = self._whole(frame) if self.batch else [self._one(row) for row in frame.iter_rows(named=True)]
        status = pl.Series([int(a[0]) for a in answers], dtype=pl.UInt8)
        reason = pl.Series([a[2] for a in answers], dtype=pl.String)
        score = pl.Series([a[1] for a in answers], dtype=pl.Float32) if self.threshold is not None else None
        return Verdicts(status, score, reason)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return pl.DataFrame({"a": [2, 3]}), pl.DataFrame({"a": [-2, None]})

    example_config = {"function": lambda row: row["a"] > 0}

    def _whole(self, frame: pl.DataFrame) -> list[_Answer]:
        try:
            values = list(self._call(frame))
        except Exception as e:
            if frame.height <= 1:
                return [_error(e)] * frame.height
            return [self._whole(frame[i : i + 1])[0] for i in range(frame.height)]
        if len(values) != frame.height:
            return [(Status.ERROR, None, f"returned {len(values)} values for {frame.height} rows")] * frame.height
        return [self._read(v) for v in values]

    def _one(self, row: dict[str, Any]) -> _Answer:
        try:
            return self._read(self._call(row))
        except Exception as e:
            return _error(e)

    def _read(self, value: Any) -> _Answer:
        reason = None
        if isinstance(value, tuple) and len(value) == 2 and not self.batch:
            value, reason = value
        if isinstance(value, bool | np.bool_):
            return (Status.PASS, None, None) if value else (Status.FAIL, None, str(reason) if reason else None)
        if self.threshold is not None and isinstance(value, int | float | np.number):
            score = float(value)
            if score != score:
                return Status.ERROR, None, "returned not a number"
            low = reason or f"{score:g} is below {self.threshold:g}"
            return (Status.PASS, score, None) if score >= self.threshold else (Status.FAIL, score, str(low))
        expected = "true or false" if self.threshold is None else "true, false or a number"
        return Status.ERROR, None, f"returned {type(value).__name__}, not {expected}"


_Answer = tuple[Status, float | None, str | None]


def _error(e: Exception) -> _Answer:
    return Status.ERROR, None, f"{type(e).__name__}: {e}"
