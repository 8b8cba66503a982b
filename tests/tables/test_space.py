from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmill.schema import Column, Schema
from synthmill.tables import space
from synthmill.tables.space import Space, nearest

TRAIN = pl.DataFrame(
    {
        "age": [20, 30, 40, 50, None],
        "sex": ["F", "M", "F", None, "M"],
        "seen": [datetime(2020, 1, d) for d in (1, 2, 3, 4, 5)],
        "id": ["a", "b", "c", "d", "e"],
    }
)
SCHEMA = Schema(
    (
        Column("age", "integer", "Int64"),
        Column("sex", "categorical", "String"),
        Column("seen", "datetime", "Datetime(time_unit='us', time_zone=None)"),
        Column("id", "identifier", "String"),
    )
)


def apart(a: dict, b: dict, fitted: Space) -> float:
    base = TRAIN.row(0, named=True)
    rows = fitted.embed(pl.DataFrame([base | a, base | b], schema=TRAIN.schema)).astype(float)
    return float(((rows[0] - rows[1]) ** 2).sum())


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"sex": "F"}, {"sex": "M"}),
        ({"sex": "F"}, {"sex": None}),
        ({"sex": None}, {"sex": "unknown level"}),
        ({"age": 35}, {"age": None}),  # the median against missing
    ],
)
def test_a_mismatch_costs_like_a_numbers_whole_range(a, b):
    assert apart(a, b, Space.fit(TRAIN, SCHEMA)) == pytest.approx(1.0, abs=1e-6)


def test_numbers_cost_their_share_of_the_range_and_outliers_only_logarithmically():
    ages = pl.DataFrame({"age": np.arange(1001)})
    fitted = Space.fit(ages, SCHEMA.select(["age"]))
    x = fitted.embed(pl.DataFrame({"age": [5, 995, 500, 990 * 100]}))[:, 0]
    assert x[:3] == pytest.approx([0.0, 1.0, 0.5], abs=1e-6)
    assert 1 < x[3] < 7


def test_unmodelled_columns_and_other_frames_do_not_matter():
    fitted = Space.fit(TRAIN, SCHEMA)
    assert fitted.names == ["age", "sex", "seen"]
    alone = fitted.embed(TRAIN[:1].with_columns(pl.col("id").str.to_uppercase(), extra=1))
    np.testing.assert_array_equal(alone, fitted.embed(TRAIN)[:1])


def test_infinite_and_mistyped_numbers_are_missing():
    fitted = Space.fit(TRAIN, SCHEMA)
    rows = TRAIN[:2].with_columns(pl.Series("age", ["inf", "old"]))
    missing = TRAIN[:2].with_columns(age=pl.lit(None, pl.Int64))
    np.testing.assert_array_equal(fitted.embed(rows), fitted.embed(missing))


def test_many_levels_stay_nearly_orthogonal_and_narrow():
    train = pl.DataFrame({"zip": [f"z{i}" for i in range(3000)]})
    fitted = Space.fit(train, Schema((Column("zip", "categorical", "String"),)))
    points = fitted.embed(train)
    assert points.shape[1] == 64
    gaps = ((points[:500, None] - points[None, 500:1000]) ** 2).sum(axis=2)
    assert abs(gaps.mean() - 1) < 0.01
    assert gaps.std() < 0.15
    assert gaps.min() > 0.3


def brute(queries, base, k, exclude_self):
    gaps = ((queries[:, None].astype(float) - base[None].astype(float)) ** 2).sum(axis=2)
    if exclude_self:
        np.fill_diagonal(gaps, np.inf)
    order = np.argsort(gaps, axis=1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(gaps, order, axis=1)), order


@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans(), st.sampled_from([2, 5, 1000]))
@settings(max_examples=30, deadline=None)
def test_nearest_agrees_with_brute_force_ties_included(seed, k, exclude_self, grid):
    rng = np.random.default_rng(seed)
    base = (rng.integers(0, grid, (90, 3)) / grid).astype(np.float32)
    queries = base if exclude_self else (rng.integers(0, grid, (17, 3)) / grid).astype(np.float32)
    expected, order = brute(queries, base, k, exclude_self)
    distance, index = nearest(queries, base, k, exclude_self)
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(distance, expected, atol=1e-7)


def test_blocks_do_not_show(monkeypatch):
    points = np.random.default_rng(1).normal(size=(500, 12)).astype(np.float32)
    points = np.concatenate([points, *[points[100:150]] * 4])  # the later copies answer for nobody, but ask
    whole = nearest(points, points, 3, exclude_self=True)
    monkeypatch.setattr(space, "_TILE", 1000)
    monkeypatch.setattr(space, "_WIDTH", 128)
    for a, b in zip(whole, nearest(points, points, 3, exclude_self=True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_points_without_coordinates_are_all_equal():
    distance, index = nearest(np.zeros((2, 0), np.float32), np.zeros((3, 0), np.float32), 2)
    assert (distance.tolist(), index.tolist()) == ([[0, 0]] * 2, [[0, 1]] * 2)


def test_too_few_neighbours_are_infinitely_far():
    one = np.zeros((1, 2), np.float32)
    distance, index = nearest(one, one, 2, exclude_self=True)
    assert np.isinf(distance).all()
    assert (index == -1).all()
    assert nearest(one, one[:0])[1].tolist() == [[-1]]
    assert nearest(one[:0], one)[0].shape == (0, 1)


def test_threads_do_not_show():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    points = (np.random.default_rng(2).integers(0, 6, (900, 40)) / 7).astype(np.float32)
    answers = []
    for threads in (1, 2, 4):
        with threadpoolctl.threadpool_limits(threads):
            answers.append(nearest(points, points, 2, exclude_self=True))
    for distance, index in answers[1:]:
        np.testing.assert_array_equal(distance, answers[0][0])
        np.testing.assert_array_equal(index, answers[0][1])
