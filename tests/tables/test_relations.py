"""Constraints that hold are found, what only looks like one is not, and nothing is told twice."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from synthmill.constraints import Constraint
from synthmill.tables.infer import infer
from synthmill.tables.relations import discover

RNG = np.random.default_rng(5)
N = 1000
NET, TAX = np.round(RNG.lognormal(4, 1, N), 2), np.round(RNG.lognormal(2, 1, N), 2)
CITY, DAY = RNG.integers(0, 30, N), RNG.integers(0, 300, N)


def days(after: np.ndarray) -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=int(d)) for d in after]


TABLE = pl.DataFrame(
    {
        "gross": np.round(NET + TAX, 2),
        "net": NET,
        "tax": [None, *TAX[1:]],
        "nothing": np.zeros(N),
        "city": [f"c{i}" for i in CITY],
        "state": [f"s{i % 7}" for i in CITY],
        "rare": [*["x"] * (N - 10), *["y"] * 10],
        "other": RNG.integers(0, 30, N),
    }
)


def found(frame: pl.DataFrame) -> list[str]:
    return [_said(c) for c in discover(frame, infer(frame))]


def _said(c: Constraint) -> str:
    return c.text


def test_a_total_is_the_sum_of_its_parts() -> None:
    numbers = TABLE.select("gross", "net", "tax", "nothing", "other")
    assert found(numbers) == ["gross = net + tax"]
    assert found(numbers.with_columns(pl.col("gross") + pl.Series([*[0.0] * (N - 1), 0.01]))) == ["net <= gross"]
    assert found(numbers.head(200)) == []


def test_totals_of_many_parts_are_found_and_none_that_follows_from_others() -> None:
    parts = RNG.integers(-50, 900, (5, N)).astype(float)
    frame = pl.DataFrame({f"p{i}": p for i, p in enumerate(parts)})
    frame = frame.with_columns(four=pl.sum_horizontal(pl.col(["p0", "p1", "p2", "p3"])))
    assert found(frame) == ["four = p0 + p1 + p2 + p3"]
    nested = frame.drop("four").with_columns(two=pl.col("p0") + pl.col("p1"))
    nested = nested.with_columns(three=pl.col("two") + pl.col("p2"))
    assert found(nested) == ["two = p0 + p1", "three = p2 + two"]


def test_a_city_decides_its_state() -> None:
    names = ["city", "state", "rare", "other"]
    assert found(TABLE.select(names)) == ["combinations of city, state"]
    assert found(TABLE.select(names).head(299)) == []
    mutual = TABLE.select("city", "state").with_columns(number=pl.col("city").str.slice(1).cast(pl.Int64))
    assert found(mutual) == ["combinations of city, state, number"]
    moved = TABLE.with_columns(state=pl.when(pl.int_range(N) == 7).then(pl.lit("s9")).otherwise("state"))
    assert found(moved.select("city", "state")) == []


def test_inequalities_form_chains() -> None:
    frame = pl.DataFrame(
        {
            "back": days(DAY + 60 + RNG.integers(0, 99, N)),
            "out": days(DAY),
            "due": days(DAY + 20 + RNG.integers(0, 40, N)),
            "small": RNG.integers(0, 5, N),
            "large": RNG.integers(50, 90, N),
        }
    )
    assert found(frame) == ["out <= due <= back"]
    broken = frame.with_columns(due=pl.when(pl.int_range(N) == 3).then("out").otherwise("due"))
    assert found(broken) == ["out <= due <= back"]
    one = pl.int_range(N) == 3
    assert found(frame.with_columns(due=pl.when(one).then(pl.col("out") - timedelta(days=1)).otherwise("due"))) == [
        "out <= back",
        "due <= back",
    ]
    low = RNG.integers(0, 20, N)
    strict = pl.DataFrame({"low": low, "high": low + RNG.integers(1, 9, N)})
    assert found(strict) == ["low < high"]
    assert found(strict.with_columns(high=pl.when(one).then("low").otherwise("high"))) == ["low <= high"]


def test_flags_of_which_one_is_set() -> None:
    color = RNG.integers(0, 3, N)
    flags = pl.DataFrame({f"is_{i}": (color == i).astype(int) for i in range(3)}).with_columns(
        lone=pl.Series(RNG.random(N) < 0.3), yes=pl.Series(color == 7)
    )
    assert found(flags) == ["exactly one of is_0, is_1, is_2"]
    assert found(flags.with_columns(is_0=pl.when(pl.int_range(N) == 5).then(0).otherwise("is_0"))) == []


def test_keys() -> None:
    frame = pl.DataFrame({"order_id": range(N), "customer_id": RNG.integers(0, 400, N), "x": RNG.normal(size=N)})
    assert found(frame) == ["unique order_id"]


def test_noise_proposes_nothing() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        frame = pl.DataFrame(
            {f"x{i}": rng.integers(0, 4, 400) for i in range(8)} | {f"y{i}": rng.normal(size=400) for i in range(8)}
        )
        assert found(frame) == []
