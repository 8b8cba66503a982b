"""From a request to judged candidates: what a worker does. Plugin failures become verdicts here, never exceptions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from .engine import Failure
from .engine.signals import Overdue
from .frame import Status
from .lineage import TRACED, traced
from .plugins import FAILURES, Request, Verdicts, sentence
from .refusal import Halt

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
    at: int = GENERATOR


class Work:
    """Generates and verifies. With `bare` a worker only generates, and the line stamps and verifies many requests in one pass."""

    def __init__(
        self, maker: Any, checks: Sequence[Any], schema: Mapping[str, pl.DataType], bare: bool, tells: bool = False
    ) -> None:
        """tells: the generator may tell of each row which answers it was made of, and from what (`TRACED`)."""
        self.maker, self.checks, self.bare = maker, list(checks), bare
        self.schema, self.traced = dict(schema), TRACED if tells else {}

    def __call__(self, request: Request) -> Any:
        made = self.make(request)
        return made if self.bare else self.judge([(request, made)])

    def make(self, request: Request) -> Made:
        try:
            return Made(self.maker.generate(request))
        except Halt:
            raise
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
        problem = made.error or _unusable(made.frame, self.schema, self.traced)
        if problem:
            n = made.frame.height if isinstance(made.frame, pl.DataFrame) else request.n
            return self._broken(request, min(n, request.n) or min(1, request.n), problem, made)
        frame = made.frame
        n = frame.height
        status, reason = np.zeros(n, np.uint8), np.full(n, None, object)
        if "_error" in frame.columns:
            status[frame["_error"].is_not_null().to_numpy()] = Status.ERROR
            reason[:] = frame["_error"].cast(pl.String, strict=False).to_numpy()
        columns, lossy = [], bool(status.any())
        for name, dtype in self.schema.items():
            column, lost = _cast(frame[name], dtype)
            columns.append(column)
            if lost is not None:
                hit = lost.to_numpy() & (status == Status.PASS)
                status[hit], reason[hit] = Status.ERROR, f"{name}: {frame[name].dtype} does not become {dtype}"
                lossy = True
        if n > request.n:
            status[request.n :] = Status.ERROR
            reason[request.n :] = f"{n} rows were made where {request.n} were asked"
        raw = _nulls("_raw", pl.String, n)
        if lossy:
            raw = pl.Series("_raw", [_raw(frame, i) if s else None for i, s in enumerate(status)], dtype=pl.String)
        told = [traced(frame, c) for c in self.traced]
        return pl.DataFrame(columns).hstack([*self._ours(request, n, status, reason, raw), *told])

    def _ours(
        self, request: Request, n: int, status: Any, reason: Any, raw: pl.Series, at: int = GENERATOR
    ) -> list[pl.Series]:
        clean = not status.any()
        return [
            pl.repeat(request.k, n, dtype=pl.UInt32, eager=True).alias("_k"),
            pl.Series("_i", np.arange(n, dtype=np.uint32)),
            pl.Series("_status", status),
            _nulls("_check", pl.UInt8, n)
            if clean
            else pl.Series("_check", [at if s else None for s in status.tolist()], dtype=pl.UInt8),
            _nulls("_score", pl.Float32, n),
            _nulls("_reason", pl.String, n) if clean else pl.Series("_reason", reason.tolist(), dtype=pl.String),
            raw,
        ]

    def _broken(self, request: Request, n: int, problem: str, made: Made) -> pl.DataFrame:
        """Error rows that stand for what could not be used; their text is kept."""
        frame, known = made.frame, isinstance(made.frame, pl.DataFrame)
        raw = pl.Series(
            "_raw", [_raw(frame, i) if known and i < frame.height else None for i in range(n)], dtype=pl.String
        )
        empty = [_nulls(c, t, n) for c, t in self.schema.items()]
        status, reason = np.full(n, int(Status.ERROR), np.uint8), np.full(n, problem, object)
        ours = self._ours(request, n, status, reason, raw, made.at)
        return pl.DataFrame(empty).hstack([*ours, *(_nulls(c, t, n) for c, t in self.traced.items())])


def failed(request: Request, failure: Failure, work: Work) -> pl.DataFrame:
    """Error rows of a request that never came back."""
    return work.judge([(request, Made(None, failure.message, failure.at))])


def apply(frame: pl.DataFrame, check: Any, place: int, columns: Sequence[str]) -> pl.DataFrame:
    """Runs one check on the rows that still pass and writes its verdicts; its exceptions are error verdicts."""
    live = frame["_status"] == Status.PASS
    everything = live.all()
    judged = frame if everything else frame.filter(live)
    if not judged.height:
        return frame
    try:
        verdicts = verdict_of(check, judged.select(columns))
    except Overdue as e:
        e.at = place
        raise
    hit = verdicts.status != Status.PASS
    if verdicts.score is None and not hit.any():
        return frame
    n = judged.height
    new = pl.DataFrame(
        {
            "_status": verdicts.status,
            "_check": pl.repeat(place, n, dtype=pl.UInt8, eager=True),
            "_score": judged["_score"] if verdicts.score is None else verdicts.score,
            "_reason": verdicts.reason,
        }
    ).with_columns(pl.when(hit).then("_check").alias("_check"), pl.when(hit).then("_reason").alias("_reason"))
    if everything:
        return frame.with_columns(new.get_columns())
    at = live.arg_true()
    back = pl.repeat(None, frame.height, dtype=pl.UInt32, eager=True).scatter(at, np.arange(n, dtype=np.uint32))
    return frame.with_columns(
        pl.when(live).then(new[c].gather(back.fill_null(0))).otherwise(pl.col(c)).alias(c) for c in new.columns
    )


def exposed(frame: pl.DataFrame, check: Any, place: int, columns: Sequence[str]) -> pl.Series:
    """Which rows that an earlier check rejected a private check would have rejected as well: they tell of real people
    no less for having failed something else first."""
    asked = (frame["_status"] == Status.FAIL) & (frame["_check"] < place).fill_null(False)
    at = asked.arg_true()
    if not len(at):
        return pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)
    status = verdict_of(check, frame[at].select(columns)).status
    return pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True).scatter(at.filter(status != Status.PASS), True)


def veil(frame: pl.DataFrame, stations: Sequence[Any], columns: Sequence[str]) -> pl.DataFrame:
    """Marks what must stay private: rejects of private checks, and rejects of others that those would reject too."""
    hidden = pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)
    for place, station in enumerate(stations, 1):
        if station.private:
            hidden |= (frame["_check"] == place).fill_null(False)
            hidden |= exposed(frame, station.plugin, place, columns)
    return frame.with_columns(hidden.alias("_hidden"))


def verdict_of(check: Any, frame: pl.DataFrame) -> Verdicts:
    """The check's verdicts, in the types that `Verdicts` promises and one reason a row; errors where it raised or erred."""
    n = frame.height
    try:
        verdicts: Any = check.judge(frame)
        if not isinstance(verdicts, Verdicts):
            return Verdicts.errors(n, f"answered {type(verdicts).__name__}, not Verdicts")
        status, score, reason = verdicts.status, verdicts.score, verdicts.reason
        if not status.cast(pl.Int64).is_between(0, 2).fill_null(False).all():
            return Verdicts.errors(n, "answered a status that is none of 0 (pass), 1 (fail) and 2 (error)")
        for answered in (status, score, reason):
            if isinstance(answered, pl.Series) and len(answered) != n:
                return Verdicts.errors(n, f"answered {len(answered)} verdicts for {n} rows")
        score = None if score is None else score.cast(pl.Float32)
        words = pl.repeat(reason, n, dtype=pl.String, eager=True) if not isinstance(reason, pl.Series) else reason
        return Verdicts(status.cast(pl.UInt8), score, words.cast(pl.String))
    except Halt:
        raise
    except FAILURES as e:
        return Verdicts.errors(n, sentence(e))


def _unusable(frame: Any, schema: Mapping[str, pl.DataType], traced: Mapping[str, Any]) -> str:
    if not isinstance(frame, pl.DataFrame):
        return f"the generator answered {type(frame).__name__}, not a polars.DataFrame"
    made = [c for c in frame.columns if c != "_error" and c not in traced]
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
        cast = _dates(s, dtype) if s.dtype == pl.String and dtype.is_temporal() else s.cast(dtype, strict=False)
        lost = s.is_not_null() & cast.is_null()
        if s.dtype != pl.String and (dtype.is_integer() or dtype.is_temporal() or dtype == pl.Boolean):
            lost = lost | (s != cast.cast(s.dtype)).fill_null(False)  # 1.5 as an integer would be cut, not cast
    except FAILURES:
        return _nulls(s.name, dtype, len(s)), pl.repeat(True, len(s), eager=True)
    return cast, lost if lost.any() else None


def _dates(s: pl.Series, dtype: pl.DataType) -> pl.Series:
    """ISO 8601 alone: a format guessed from the first row would make a value depend on its neighbours."""
    written = "%Y-%m-%d" if dtype == pl.Date else "%Y-%m-%d %H:%M:%S%.f"
    return s.str.replace("T", " ", literal=True).str.strptime(dtype, written, strict=False)  # type: ignore[arg-type]


def _nulls(name: str, dtype: Any, n: int) -> pl.Series:
    return pl.Series(name, [None], dtype=dtype).new_from_index(0, n) if n else pl.Series(name, [], dtype=dtype)


def _raw(frame: pl.DataFrame, row: int) -> str:
    return json.dumps(frame.row(row, named=True), default=str, ensure_ascii=False)[:4000]
