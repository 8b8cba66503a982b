from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmill.cells import Bin
from synthmill.cover import apportion, cells_of
from synthmill.refusal import Refusal
from synthmill.spec import Cover

TRAIN = pl.DataFrame(
    {
        "income": ["<=50K"] * 6 + [">50K"] * 2,
        "age": [17, 20, 30, 40, 50, 60, 70, 90],
        "rate": [0.5, 1.5, None, 2.5, 3.5, 4.5, 5.5, 6.5],
        "zip": ["1", "1", "1", "2", "2", "3", "3", "3"],
        "late": [True, False] * 4,
        "day": [date(2024, 1, d) for d in range(1, 9)],
        "empty": pl.Series([None] * 8, dtype=pl.Int64),
    }
)


def cells(train: pl.DataFrame | None = TRAIN, **cover: Any) -> list[Any]:
    return cells_of(Cover(**cover), dict(TRAIN.schema), train, "s.yaml")


def test_without_axes_as_many_as_train_has() -> None:
    assert [(c.label, c.quota) for c in cells()] == [("all", 8)]
    assert [c.quota for c in cells(None)] == [1000]


def test_a_quota_is_for_every_cell() -> None:
    found = cells(axes={"income": ["<=50K", ">50K"], "late": "all"}, quota=5)
    assert [(c.label, c.quota) for c in found] == [
        ("income=<=50K & late=False", 5),
        ("income=<=50K & late=True", 5),
        ("income=>50K & late=False", 5),
        ("income=>50K & late=True", 5),
    ]


def test_a_total_is_split_by_weights() -> None:
    axes = {"income": ["<=50K", ">50K"]}
    assert [c.quota for c in cells(axes=axes, total=10)] == [8, 2]
    assert [c.quota for c in cells(axes=axes, total=10, weights="uniform")] == [5, 5]
    assert [c.quota for c in cells(axes=axes, total=10, weights={"income": {">50K": 3}})] == [3, 7]
    assert [c.quota for c in cells(axes=axes)] == [6, 2]


def test_values_take_the_columns_type() -> None:
    assert [c.where["zip"] for c in cells(axes={"zip": [1, 2]})] == ["1", "2"]
    assert [c.where["late"] for c in cells(axes={"late": [True]})] == [True]
    assert [c.where["age"] for c in cells(axes={"age": [30, 33]}, quota=1)] == [30, 33]


def test_bins_and_quantiles() -> None:
    assert [c.label for c in cells(axes={"age": {"bins": [17, 30, 91]}}, quota=1)] == ["age [17, 30)", "age [30, 91]"]
    days = cells(axes={"day": {"bins": ["2024-01-01", "2024-01-05"]}}, quota=1)
    assert days[0].where["day"] == Bin(date(2024, 1, 1), date(2024, 1, 5), closed=True)
    found = cells(axes={"age": {"quantiles": 2}}, quota=1)
    assert [(c.where["age"].low, c.where["age"].high) for c in found] in (
        [(None, 40), (40, None)],
        [(None, 50), (50, None)],
    )


def test_edges_take_the_columns_time_zone() -> None:
    made = cells_of(
        Cover(axes={"t": {"bins": ["2024-01-01", "2024-02-01"]}}, quota=1), {"t": pl.Datetime("us", "Europe/Paris")}
    )
    edge = made[0].where["t"].low
    assert isinstance(edge, datetime)
    assert edge.utcoffset() is not None


@pytest.mark.parametrize(
    ("cover", "words"),
    [
        ({"axes": {"incom": ["a"]}}, ["cover.axes.incom", "did you mean 'income'?", "Choices: income, age"]),
        ({"axes": {"income": ["50K"]}}, ["cover.axes.income: '50K'", "did you mean '>50K'?"]),
        ({"axes": {"income": []}}, ["cover.axes.income", "at least one value"]),
        ({"axes": {"zip": ["1", 1]}}, ["cover.axes.zip", "listed twice"]),
        ({"axes": {"age": ["old"]}}, ["cover.axes.age: 'old'", "Int64"]),
        ({"axes": {"age": [1.5]}}, ["cover.axes.age: 1.5", "Int64"]),
        ({"axes": {"income": [None]}}, ["cover.axes.income: None", "String"]),
        ({"axes": {"income": [["a"]]}}, ["cover.axes.income: ['a']"]),
        ({"axes": {"late": ["yes"]}}, ["cover.axes.late: 'yes'", "Boolean"]),
        ({"axes": {"rate": ["high"]}}, ["cover.axes.rate: 'high'", "Float64"]),
        ({"axes": {"empty": "all"}}, ["cover.axes.empty", "'all' means 0 values"]),
        ({"axes": {"age": {"bins": [30, 17]}}}, ["cover.axes.age", "[30, 17]", "rising order"]),
        ({"axes": {"age": {"bins": [30]}}}, ["cover.axes.age", "at least two edges"]),
        ({"axes": {"age": {"bins": 30}}}, ["cover.axes.age: bins: 30", "list of edges"]),
        ({"axes": {"age": {"bins": ["low", 3]}}}, ["cover.axes.age: bins: 'low'", "Int64"]),
        ({"axes": {"age": {"bins": [True, 3]}}}, ["cover.axes.age: bins: True"]),
        ({"axes": {"day": {"bins": ["yesterday", "2024-01-01"]}}}, ["cover.axes.day", "'yesterday'", "2024-01-31"]),
        ({"axes": {"day": {"bins": [1, 2]}}}, ["cover.axes.day", "'1'"]),
        ({"axes": {"age": {"bin": [1, 2]}}}, ["cover.axes.age", "'bin'", "'bins' and 'quantiles'"]),
        ({"axes": {"age": {}}}, ["cover.axes.age", "'bins' and 'quantiles'"]),
        ({"axes": {"age": {"quantiles": 1}}}, ["cover.axes.age: quantiles: 1"]),
        ({"axes": {"age": {"quantiles": "four"}}}, ["cover.axes.age: quantiles: 'four'"]),
        ({"axes": {"income": {"quantiles": 4}}}, ["cover.axes.income: quantiles", "String"]),
        ({"axes": {"empty": {"quantiles": 4}}}, ["cover.axes.empty: quantiles", "no values"]),
        ({"axes": {"age": {"bins": list(range(200))}, "day": {"bins": [f"{y}-01-01" for y in range(1900, 2000)]}}}, ["19,701 combinations", "too many cells"]),
        ({"axes": {"zip": ["1"]}, "weights": {"income": {}}}, ["cover.weights.income", "not an axis", "Choices: zip"]),
        ({"axes": {"zip": ["1"]}, "weights": {"zip": {"9": 1}}}, ["cover.weights.zip: '9'", "Choices: 1"]),
        ({"axes": {"zip": ["1"]}, "weights": {"zip": {"1": -1}}}, ["cover.weights.zip.1: -1"]),
        ({"axes": {"zip": ["1"]}, "weights": {"zip": {"1": 0}}}, ["cover.weights", "all weights are 0"]),
        ({"axes": {"age": [33]}}, ["cover.weights", "no real record lies in any"]),
    ],
    ids=str,
)  # fmt: skip
def test_one_sentence_says_what_is_wrong_in_a_cover(cover: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(Refusal) as e:
        cells(**cover)
    said = str(e.value)
    assert said.startswith("s.yaml: cover.")
    assert "\n" not in said
    for word in words:
        assert word in said


def test_without_real_data_values_cannot_be_read() -> None:
    with pytest.raises(Refusal, match="'all' needs real data"):
        cells(None, axes={"zip": "all"})
    with pytest.raises(Refusal, match="quantiles need real data"):
        cells(None, axes={"age": {"quantiles": 3}})


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any), st.integers(0, 10_000))
def test_apportioned_numbers_sum_to_the_total_and_miss_their_share_by_less_than_one(
    counts: list[int], total: int
) -> None:
    shares = [c / sum(counts) for c in counts]
    whole = apportion(shares, total)
    assert sum(whole) == total
    assert all(abs(w - s * total) < 1 + 1e-6 for w, s in zip(whole, shares, strict=True))


def test_all_names_only_what_ten_records_hold() -> None:
    people = pl.DataFrame({"town": ["Aa"] * 30 + ["Bb"] * 10 + ["Cc"] * 9 + ["Dd"]})
    cells = cells_of(Cover(axes={"town": "all"}, quota=5), dict(people.schema), people)
    assert [c.label for c in cells] == ["town=Aa", "town=Bb"]
