"""Plugins small enough to reason about, for tests of the line. Used as `toys:Name`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

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
        answers = {
            "none": None,
            "columns": frame.rename({"x": "y"}),
            "types": frame.with_columns(
                pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("many")).otherwise(pl.col("x").cast(pl.String)).alias("x")
            ),
            "rows": pl.concat([frame, frame]),
            "empty": frame.clear(),
            "some": frame.with_columns(pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("lost it")).alias("_error")),
        }
        return answers.get(self.how, frame)


@dataclass
class Odd:
    """Rejects odd x, with x as its score."""

    trouble: str = ""

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        if self.trouble == "raise":
            raise RuntimeError("the judge is out")
        if self.trouble == "hang":
            time.sleep(60)
        if self.trouble == "short":
            return Verdicts.all_pass(1)
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
