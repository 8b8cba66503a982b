"""Exact relations are found, and what only looks like one is not."""

import numpy as np
import polars as pl

from synthmill.tables.relations import decisions, sums

RNG = np.random.default_rng(5)
N = 1000
NET, TAX = np.round(RNG.lognormal(4, 1, N), 2), np.round(RNG.lognormal(2, 1, N), 2)
CITY = RNG.integers(0, 30, N)
TABLE = pl.DataFrame(
    {
        "gross": np.round(NET + TAX, 2),
        "net": NET,
        "tax": [None, *TAX[1:]],
        "nothing": np.zeros(N),
        "copy": NET,
        "city": [f"c{i}" for i in CITY],
        "state": [f"s{i % 7}" for i in CITY],
        "rare": [*["x"] * (N - 10), *["y"] * 10],
        "other": RNG.integers(0, 30, N),
    }
)


def test_a_total_is_the_sum_of_its_parts():
    numbers = ["gross", "net", "tax", "nothing", "other"]
    assert sums(TABLE, numbers) == [("gross", "net", "tax")]
    assert sums(TABLE.with_columns(pl.col("gross") + pl.Series([*[0.0] * (N - 1), 0.01])), numbers) == []
    assert sums(TABLE.head(50), numbers) == []
    assert sums(TABLE, ["gross", "net", "copy", "nothing"]) == []


def test_a_city_decides_its_state():
    names = ["city", "state", "rare", "other"]
    assert decisions(TABLE, names) == [("city", "state")]
    assert decisions(TABLE.head(90), names) == []
    assert decisions(TABLE.head(200), names) == []
    mutual = TABLE.with_columns(number=pl.col("city").str.slice(1).cast(pl.Int64))
    assert decisions(mutual, ["city", "number"]) == [("city", "number"), ("number", "city")]
