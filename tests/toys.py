"""Plugins small enough to reason about, for tests of the line. Used as `toys:Name`."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from synthmill.plugins import Alarm, Request, Verdicts
from synthmill.schema import Schema


@dataclass
class Coin:
    """Draws a colour and a number. bias: share of red when it does not condition."""

    able: bool = True
    bias: float = 0.5
    values: int = 1_000_000
    kind: str = "cpu"

    def schema(self) -> dict[str, pl.DataType]:
        return {"colour": pl.String(), "x": pl.Int64()}

    def conditions(self, axes: list[str]) -> bool:
        return self.able and set(axes) <= {"colour"}

    def generate(self, request: Request) -> pl.DataFrame:
        rng = request.rng()
        wanted = request.cell.where.get("colour")
        red = rng.random(request.n) < self.bias
        colour = [wanted] * request.n if wanted else ["red" if r else "blue" for r in red]
        return pl.DataFrame({"colour": colour, "x": rng.integers(0, self.values, request.n)}, schema=self.schema())


@dataclass
class Trouble:
    """A coin that misbehaves in one declared way."""

    how: str
    every: int = 1
    seconds: float = 60.0

    def schema(self) -> dict[str, pl.DataType]:
        return Coin().schema()

    def generate(self, request: Request) -> pl.DataFrame:
        frame = Coin().generate(request)
        if request.k % self.every:
            return frame
        if self.how == "raise":
            raise ValueError("no coins left")
        if self.how == "hang":
            time.sleep(self.seconds)
        if self.how == "die":
            os._exit(9)
        if self.how == "exit":
            sys.exit("bye")
        if self.how == "panic":
            raise pl.exceptions.PanicException("polars fell over")
        answers = {
            "none": None,
            "columns": frame.rename({"x": "y"}),
            "types": frame.with_columns(
                pl.when(pl.int_range(pl.len()) % 2 == 0)
                .then(pl.lit("many"))
                .otherwise(pl.col("x").cast(pl.String))
                .alias("x")
            ),
            "rows": pl.concat([frame, frame]),
            "lazy": frame.lazy(),
            "floats": frame.with_columns(pl.col("x").cast(pl.Float64) + 0.5),
            "numbered": frame.with_columns(_error=pl.when(pl.int_range(pl.len()) < 2).then(7)),
            "function": lambda: frame,
            "empty": frame.clear(),
            "some": frame.with_columns(pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("lost it")).alias("_error")),
        }
        return answers.get(self.how, frame)


@dataclass
class Odd:
    """Rejects odd x, with x as its score."""

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return Verdicts.where(frame["x"] % 2 == 0, "odd", frame["x"].cast(pl.Float32))


@dataclass
class Fresh:
    """A filter with a memory: x may be admitted once."""

    seen: set[int] = field(default_factory=set)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        first = frame["x"].is_first_distinct()
        new = pl.Series([x not in self.seen for x in frame["x"]], dtype=pl.Boolean)
        return Verdicts.where(first & new, "seen")

    def remember(self, admitted: pl.DataFrame) -> None:
        self.seen.update(admitted["x"])


@dataclass
class Hush:
    """Rejects x below 100 and keeps the rejects private."""

    private = True

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return Verdicts.where(frame["x"] >= 100, "too near")


@dataclass
class Bell:
    """Rings once `after` rows were admitted."""

    after: int = 50
    stop: bool = False
    count: int = 0

    def fit(self, train: pl.DataFrame, schema: Schema) -> None: ...

    def observe(self, admitted: pl.DataFrame) -> Alarm | None:
        before, self.count = self.count, self.count + admitted.height
        return Alarm("the bell rang", self.stop) if before < self.after <= self.count else None

    def state(self) -> dict[str, int]:
        return {"count": self.count}

    def load(self, state: dict[str, int]) -> None:
        self.count = state["count"]


@dataclass
class Moody:
    """A check or filter that misbehaves: judge in one declared way, or remember."""

    how: str
    seconds: float = 60.0

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        n = frame.height
        if self.how == "raise":
            raise RuntimeError("the judge is out")
        if self.how == "exit":
            raise SystemExit(3)
        if self.how == "panic":
            raise pl.exceptions.PanicException("polars fell over")
        if self.how == "hang":
            time.sleep(self.seconds)
        zeros = pl.zeros(n, pl.UInt8, eager=True)
        answers: dict[str, Any] = {
            "short": Verdicts.all_pass(1),
            "none": None,
            "list": Verdicts([0] * n),  # type: ignore[arg-type]
            "words": Verdicts(pl.Series(["pass"] * n)),
            "seven": Verdicts(zeros + 7),
            "null": Verdicts(pl.Series([None] * n, dtype=pl.UInt8)),
            "score": Verdicts(zeros, pl.Series(["high"] * n)),
            "scores": Verdicts(zeros, pl.Series([0.5] * (n + 1))),
            "reasons": Verdicts(zeros, None, pl.Series(["why"] * (n + 1))),
        }
        return answers.get(self.how, Verdicts.all_pass(n))


@dataclass
class MoodyFilter(Moody):
    """The same at admission."""

    def remember(self, admitted: pl.DataFrame) -> None:
        if self.how == "remember":
            raise RuntimeError("the memory is full")


@dataclass
class Slow:
    """A coin that waits. naps: seconds, one request after the other."""

    naps: list[float] = field(default_factory=lambda: [0.01])
    kind: str = "io"

    def schema(self) -> dict[str, pl.DataType]:
        return Coin().schema()

    def generate(self, request: Request) -> pl.DataFrame:
        time.sleep(self.naps[request.k % len(self.naps)])
        return Coin().generate(request)


@dataclass
class Flaky:
    """Hangs at one request until the file `cured` exists: what a deadline decided must stay decided."""

    cured: str
    hangs_at: int = 1

    def schema(self) -> dict[str, pl.DataType]:
        return Coin().schema()

    def generate(self, request: Request) -> pl.DataFrame:
        if request.k == self.hangs_at and not os.path.exists(self.cured):
            time.sleep(60)
        return Coin().generate(request)


@dataclass
class Stuck:
    """A coin that cannot be sent to another process."""

    def __post_init__(self) -> None:
        self.lock = threading.Lock()

    def schema(self) -> dict[str, pl.DataType]:
        return Coin().schema()

    def generate(self, request: Request) -> pl.DataFrame:
        with self.lock:
            return Coin().generate(request)


@dataclass
class Few:
    """Passes one x in fifty."""

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return Verdicts.where(frame["x"] % 50 == 0, "too common")
