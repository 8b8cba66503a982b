from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmill.cells import Bin
from synthmill.schema import Column
from synthmill.tables.grid import Grid
from synthmill.tables.margins import CROWD, Margin
from synthmill.tables.store import load_frame, save_frame


def numbers(values, kind="integer", **options):
    s = pl.Series("v", values)
    return Column("v", kind, str(s.dtype), **options), s


@pytest.mark.parametrize(
    ("values", "kind", "digits"),
    [
        ([10, 30, None, 50], "integer", 0),
        ([2**62, 2**62 + 4], "integer", 0),
        ([-(2**63), 2**62], "integer", 0),
        ([2**63, 2**63 + 4096], "integer", 0),
        ([1e-300, 2.5e-300], "decimal", 15),
        ([0.25, 0.5, None, 7.75], "decimal", 2),
        ([1e-9, 12345.678901234], "decimal", 15),
        ([date(2020, 1, 6), date(2020, 1, 13), None], "datetime", 0),
        ([datetime(2020, 1, 6, 5, 30), datetime(1969, 1, 1)], "datetime", 0),
        ([datetime(2020, 1, 6, 5, 30, tzinfo=UTC)], "datetime", 0),
    ],
)
def test_codes_come_back_as_the_same_values(values, kind, digits):
    column, s = numbers(values, kind, digits=digits)
    grid = Grid.fit(column, s)
    codes = grid.codes(s)
    assert grid.series("v", codes, np.isnan(codes)).equals(s)


def test_a_column_in_fifties_is_made_in_fifties():
    column, s = numbers([100 + 50 * i for i in range(200)])
    made = Margin.fit(column, s).draw(np.random.default_rng(0).random(1000))
    assert set(made % 50) == {0}


@given(
    st.lists(st.integers(-500, 500), min_size=1, max_size=80),
    st.integers(-600, 600),
    st.integers(0, 300),
    st.booleans(),
    st.sampled_from([0, 1, 2]),
)
def test_a_window_is_exactly_what_the_bin_holds(values, low, width, closed, digits):
    scale = 10**digits
    column, s = numbers([v / scale if digits else v for v in values], "decimal" if digits else "integer", digits=digits)
    bin_ = Bin(low / scale, (low + width) / scale, closed)
    margin = Margin.fit(column, s)
    everything = margin.draw(np.linspace(0, 1, 4001)[:-1])
    window = margin.window(bin_)
    if window is None:
        assert everything.to_frame().filter(bin_.holds("v")).height == 0
        return
    u = window.low + np.linspace(0, 1, 101) * (window.high - window.low)
    made = margin.draw(np.clip(u, window.low, np.nextafter(window.high, 0)), window)
    assert made.to_frame().filter(bin_.holds("v")).height == 101


@given(st.lists(st.integers(0, 40), min_size=1, max_size=300))
def test_pieces_are_in_order_and_weigh_what_they_hold(values):
    column, s = numbers(values)
    margin = Margin.fit(column, s)
    if margin.missing == 1.0:
        assert all(values.count(v) < CROWD for v in values)
        assert max(values) - min(values) <= 1
        return
    assert (margin.first <= margin.last).all()
    assert (margin.last[:-1] < margin.first[1:]).all()
    assert (np.diff(margin.edges) > 0).all()
    held = np.bincount(margin.locate(s), minlength=len(margin.first))
    assert np.allclose(held / len(values), np.diff(margin.edges))
    atoms = {v for v in values if values.count(v) >= CROWD}
    assert atoms <= set(margin.grid.base + margin.first[margin.first == margin.last] * margin.grid.step)


def test_levels_keep_their_shares_and_missing_is_one_of_them():
    s = pl.Series("v", ["b", "a", None, "b"])
    margin = Margin.fit(Column("v", "categorical", "String"), s)
    made = margin.draw(np.arange(0, 1, 0.01))
    assert dict(made.value_counts().iter_rows()) == {"a": 25, "b": 50, None: 25}
    assert margin.window("c") is None
    assert margin.window(None) is None
    again = Margin.load(margin.to_json(), margin.arrays())
    assert again.draw(np.arange(0, 1, 0.01)).equals(made)


def test_a_column_with_nothing_in_it():
    margin = Margin.fit(Column("v", "constant", "Null"), pl.Series("v", [None, None]))
    assert margin.draw(np.array([0.1, 0.9])).to_list() == [None, None]
    margin = Margin.fit(*numbers(pl.Series([None, None], dtype=pl.Int64)))
    assert margin.missing == 1.0
    assert margin.window(Bin(0, 1)) is None


def test_a_stored_frame_comes_back_equal(tmp_path):
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, None, -3], dtype=pl.Int8),
            "f": [0.1, None, float("nan")],
            "s": ["ü", None, ""],
            "b": [True, None, False],
            "d": [date(1900, 1, 1), None, date(2100, 1, 1)],
            "t": pl.Series([datetime(2020, 1, 1, tzinfo=UTC), None, None], dtype=pl.Datetime("ms", "UTC")),
            "n": pl.Series([None, None, None], dtype=pl.Null),
        }
    )
    for f in (frame, frame.clear()):
        save_frame(f, tmp_path, "frame")
        back = load_frame(tmp_path, "frame")
        assert back.schema == f.schema
        assert back.equals(f)
