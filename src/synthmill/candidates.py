"""From a request to judged candidates: what a worker does. Plugin failures become verdicts here, never exceptions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from .frame import Status
from .plugins import Request, Verdicts

FAILURES = (Exception, pl.exceptions.PanicException)  # a panic inside polars is not an Exception
IN_FLIGHT: dict[str, pl.DataType] = {
    "_k": pl.UInt32(),
    "_i": pl.UInt32(),
    "_status": pl.UInt8(),
    "_check": pl.UInt8(),
    "_score": pl.Float32(),
    "_reason": pl.String(),
    "_raw": pl.String(),
}
GENERATOR = 0
"""`_check` of a row that the generator itself got wrong; checks count from 1."""


@dataclass(frozen=True)
class Made:
    """A generator's answer as it came: a frame of anything, or the message of what went wrong."""

    frame: Any
    error: str = ""


class Work:
    """Generates and verifies. With `bare` a worker only generates, and the line stamps and verifies many requests in one pass."""

    def __init__(self, maker: Any, checks: Sequence[Any], schema: Mapping[str, pl.DataType], bare: bool) -> None:
        self.maker, self.checks, self.bare = maker, list(checks), bare
        self.schema = dict(schema)

    def __call__(self, request: Request) -> Any:
        made = self.make(request)
        return made if self.bare else self.judge([(request, made)])

    def make(self, request: Request) -> Made:
        try:
            return Made(self.maker.generate(request))
        except FAILURES as e:
            return Made(None, sentence(e))

    def judge(self, answers: Sequence[tuple[Request, Made]]) -> pl.DataFrame:
        """Stamped and verified candidates of some requests, in order."""
        frames = [self._stamp(r, m) for r, m in answers]
        frame = frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=True)
        for place, check in enumerate(self.checks, 1):
            frame = apply(frame, check, place, list(self.schema))
        return frame

    def _stamp(self, request: Request, made: Made) -> pl.DataFrame:
        problem = made.error or _unusable(made.frame, self.schema)
        if problem:
            n = made.frame.height if isinstance(made.frame, pl.DataFrame) else request.n
            return self._broken(request, min(n, request.n) or min(1, request.n), problem, made.frame)
        frame = made.frame
        n = frame.height
        errors: list[tuple[pl.Series, str]] = []
        if "_error" in frame.columns:
            errors.append((frame["_error"].is_not_null(), "_error"))
        columns, raw = [], pl.Series("_raw", [None], dtype=pl.String).new_from_index(0, n)
        for name, dtype in self.schema.items():
            column, lost = _cast(frame[name], dtype)
            columns.append(column)
            if lost is not None:
                errors.append((lost, f"{name}: {frame[name].dtype} does not become {dtype}"))
        status, reason = np.zeros(n, np.uint8), np.full(n, None, object)
        for mask, why in errors:
            hit = mask.to_numpy() & (status == Status.PASS)
            status[hit] = Status.ERROR
            reason[hit] = frame["_error"].to_numpy()[hit] if why == "_error" else why
        if n > request.n:
            status[request.n :] = Status.ERROR
            reason[request.n :] = f"{n} rows were made where {request.n} were asked"
        if errors and status.any():
            raw = pl.Series("_raw", [_raw(frame, i) if s else None for i, s in enumerate(status)], dtype=pl.String)
        return pl.DataFrame(columns).hstack(self._ours(request, n, status, reason, raw))

    def _ours(self, request: Request, n: int, status: Any, reason: Any, raw: pl.Series) -> list[pl.Series]:
        clean = not status.any()
        return [
            pl.repeat(request.k, n, dtype=pl.UInt32, eager=True).alias("_k"),
            pl.Series("_i", np.arange(n, dtype=np.uint32)),
            pl.Series("_status", status),
            _nulls("_check", pl.UInt8, n)
            if clean
            else pl.Series("_check", [GENERATOR if s else None for s in status.tolist()], dtype=pl.UInt8),
            _nulls("_score", pl.Float32, n),
            _nulls("_reason", pl.String, n) if clean else pl.Series("_reason", reason.tolist(), dtype=pl.String),
            raw,
        ]

    def _broken(self, request: Request, n: int, problem: str, frame: Any) -> pl.DataFrame:
        """Error rows that stand for what could not be used; their text is kept."""
        known = isinstance(frame, pl.DataFrame)
        raw = pl.Series(
            "_raw", [_raw(frame, i) if known and i < frame.height else None for i in range(n)], dtype=pl.String
        )
        empty = [_nulls(c, t, n) for c, t in self.schema.items()]
        return pl.DataFrame(empty).hstack(
            self._ours(request, n, np.full(n, int(Status.ERROR), np.uint8), np.full(n, problem, object), raw)
        )


def failed(request: Request, message: str, work: Work) -> pl.DataFrame:
    """Error rows of a request that never came back."""
    return work.judge([(request, Made(None, message))])


def apply(frame: pl.DataFrame, check: Any, place: int, columns: Sequence[str]) -> pl.DataFrame:
    """Runs one check on the rows that still pass and writes its verdicts; its exceptions are error verdicts."""
    live = frame["_status"] == Status.PASS
    everything = live.all()
    judged = frame if everything else frame.filter(live)
    if not judged.height:
        return frame
    verdicts = verdict_of(check, judged.select(columns))
    hit = verdicts.status != Status.PASS
    if verdicts.score is None and not hit.any():
        return frame
    n = judged.height
    reason = verdicts.reason
    reasons = (
        reason.cast(pl.String) if isinstance(reason, pl.Series) else pl.repeat(reason, n, dtype=pl.String, eager=True)
    )
    new = pl.DataFrame(
        {
            "_status": verdicts.status.cast(pl.UInt8),
            "_check": pl.repeat(place, n, dtype=pl.UInt8, eager=True),
            "_score": judged["_score"] if verdicts.score is None else verdicts.score.cast(pl.Float32),
            "_reason": reasons,
        }
    ).with_columns(pl.when(hit).then("_check").alias("_check"), pl.when(hit).then("_reason").alias("_reason"))
    if everything:
        return frame.with_columns(new.get_columns())
    at = live.arg_true()
    back = pl.repeat(None, frame.height, dtype=pl.UInt32, eager=True).scatter(at, np.arange(n, dtype=np.uint32))
    return frame.with_columns(
        pl.when(live).then(new[c].gather(back.fill_null(0))).otherwise(pl.col(c)).alias(c) for c in new.columns
    )


def verdict_of(check: Any, frame: pl.DataFrame) -> Verdicts:
    """The check's verdicts, or errors when it raised or answered for the wrong number of rows."""
    try:
        verdicts: Any = check.judge(frame)
        if not isinstance(verdicts, Verdicts):
            return Verdicts.errors(frame.height, f"answered {type(verdicts).__name__}, not Verdicts")
        if len(verdicts.status) != frame.height:
            return Verdicts.errors(frame.height, f"answered {len(verdicts.status)} verdicts for {frame.height} rows")
    except FAILURES as e:
        return Verdicts.errors(frame.height, sentence(e))
    return verdicts


def sentence(e: BaseException) -> str:
    text = str(e).strip().split("\n")[0]
    return f"{type(e).__name__}: {text}" if text else type(e).__name__


def _unusable(frame: Any, schema: Mapping[str, pl.DataType]) -> str:
    if not isinstance(frame, pl.DataFrame):
        return f"the generator answered {type(frame).__name__}, not a polars.DataFrame"
    made = [c for c in frame.columns if c != "_error"]
    if set(made) != set(schema):
        lacking = [c for c in schema if c not in made]
        extra = [c for c in made if c not in schema]
        parts = [f"lacks {', '.join(lacking)}" if lacking else "", f"has unknown {', '.join(extra)}" if extra else ""]
        return f"the generator's answer {' and '.join(p for p in parts if p)}"
    return ""


def _cast(s: pl.Series, dtype: pl.DataType) -> tuple[pl.Series, pl.Series | None]:
    """The column in its declared type, and which rows could not be read so (None: all could)."""
    if s.dtype == dtype:
        return s, None
    try:
        cast = s.cast(dtype, strict=False)
    except FAILURES:
        return _nulls(s.name, dtype, len(s)), pl.repeat(True, len(s), eager=True)
    lost = s.is_not_null() & cast.is_null()
    if s.dtype.is_float() and dtype.is_integer():
        lost = lost | (s != cast.cast(s.dtype)).fill_null(False)
    return cast, lost if lost.any() else None


def _nulls(name: str, dtype: Any, n: int) -> pl.Series:
    return pl.Series(name, [None], dtype=dtype).new_from_index(0, n) if n else pl.Series(name, [], dtype=dtype)


def _raw(frame: pl.DataFrame, row: int) -> str:
    return json.dumps(frame.row(row, named=True), default=str, ensure_ascii=False)[:4000]
