from __future__ import annotations

import json
import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmill.cells import ANY, Assign, Bin, Cell, Ledger, bins, grid, holds


def test_without_axes_one_cell_holds_anything() -> None:
    (cell,) = grid({}, 7)
    assert (cell.label, cell.quota, cell.where) == ("all", 7, {})
    assert Assign([cell])(pl.DataFrame({"x": [1, None]})).tolist() == [0, 0]


def test_bins_share_no_value_and_the_last_is_closed() -> None:
    first, last = bins([17, 30, 91])
    frame = pl.DataFrame({"age": [16, 17, 29, 30, 91, 92, None]})
    inside = [frame.select(holds({"age": b}).alias("in"))["in"].to_list() for b in (first, last)]
    assert inside[0] == [False, True, True, False, False, False, False]
    assert inside[1] == [False, False, False, True, True, False, False]
    assert [str(b) for b in (first, last, Bin(None, 3), Bin(3, None))] == ["[17, 30)", "[30, 91]", "<3", ">=3"]


def test_no_bin_holds_nan() -> None:
    frame = pl.DataFrame({"x": [math.nan, math.inf, 1.0, 5.0]})
    for b, expected in [(Bin(3, None), [False, True, False, True]), (Bin(None, 3), [False, False, True, False])]:
        assert frame.select(holds({"x": b}).alias("in"))["in"].to_list() == expected


def test_cells_of_dates() -> None:
    cells = grid({"day": bins([date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)])}, 1)
    frame = pl.DataFrame({"day": [date(2023, 12, 31), date(2024, 1, 31), date(2024, 3, 1), None]})
    assert Assign(cells)(frame).tolist() == [-1, 0, 1, -1]
    assert cells[0].label == "day [2024-01-01, 2024-02-01)"


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(-5, 40) | st.none()), max_size=30),
)
def test_a_cell_is_measured_from_the_record(rows: list[tuple[str | None, int | None]]) -> None:
    cells = grid({"kind": ["a", "b"], "x": bins([0, 10, 30])}, 1)
    frame = pl.DataFrame(rows, schema={"kind": pl.String(), "x": pl.Int64()}, orient="row")
    found = Assign(cells)(frame)
    for (kind, x), at in zip(rows, found.tolist(), strict=True):
        expected = -1
        if kind in ("a", "b") and x is not None and 0 <= x <= 30:
            expected = 2 * (kind == "b") + (x >= 10)
        assert at == expected
    for cell in cells:
        assert frame.filter(cell.holds()).height == (found == cell.index).sum()


def drive(ledger: Ledger, yields: list[float], window: int, seed: int) -> None:
    """Plays the line: `window` requests in flight, answers in order, a share of each good."""
    rng = np.random.default_rng(seed)
    flying: list[tuple[int, int, int, int]] = []
    while True:
        while len(flying) < window and (planned := ledger.plan()):
            flying.append(planned)
        if not flying:
            return
        k, cell, _, n = flying.pop(0)
        good = np.zeros(len(ledger.cells), np.int64)
        if cell == ANY:
            good += rng.multinomial(n, [*yields, 1 - sum(yields)])[:-1]
        else:
            good[cell] = rng.binomial(n, yields[cell])
        ledger.credit(good, np.minimum(good, ledger.room()))
        ledger.settle([k])


@settings(max_examples=40)
@given(
    quota=st.integers(1, 400),
    size=st.integers(1, 64),
    window=st.integers(1, 32),
    able=st.booleans(),
    seed=st.integers(0, 9),
)
def test_quotas_are_met_and_hardly_overshot(quota: int, size: int, window: int, able: bool, seed: int) -> None:
    cells = grid({"c": ["a", "b"]}, quota)
    ledger = Ledger(cells, max_attempts=200, size=size, conditions=able)
    drive(ledger, [0.5, 0.4], window, seed)
    assert ledger.room().tolist() == [0, 0]
    assert ledger.accepted.tolist() == [quota, quota]
    assert int(ledger.asked.sum()) <= (2 * quota) / 0.4 * 2 + 40 * size


@settings(max_examples=40)
@given(quota=st.integers(1, 50), attempts=st.integers(1, 10), size=st.integers(1, 30), able=st.booleans())
def test_attempts_bound_what_is_asked_for_an_unreachable_cell(quota: int, attempts: int, size: int, able: bool) -> None:
    ledger = Ledger(grid({"c": ["a", "b"]}, quota), attempts, size, able)
    drive(ledger, [0.9, 0.0], 4, 0)
    assert ledger.room()[1] == quota
    assert int(ledger.asked.sum()) <= 2 * quota * attempts


def test_one_request_at_a_time_of_a_perfect_generator_asks_exactly_the_quota() -> None:
    ledger = Ledger(grid({}, 1000), 20, 64)
    drive(ledger, [1.0], 16, 0)
    assert int(ledger.asked[0]) == 1000


def test_the_ledger_goes_on_where_it_was() -> None:
    def fresh() -> Ledger:
        return Ledger(grid({"c": ["a", "b"]}, 90), 20, 7)

    one = fresh()
    flying = [one.plan() for _ in range(3)]
    other = fresh()
    other.load(json.loads(json.dumps(one.state())))
    assert other.pending == one.pending
    assert [k for k, *_ in flying if k in other.pending] == [0, 1, 2]
    for ledger in (one, other):
        ledger.credit(np.array([7, 0]), np.array([7, 0]))
        ledger.settle([0])
    assert [one.plan() for _ in range(9)] == [other.plan() for _ in range(9)]


def test_a_label_reads_like_a_condition() -> None:
    cell = Cell(0, (("income", ">50K"), ("age", Bin(17, 30))), 1)
    assert cell.label == "income=>50K & age [17, 30)"
    with pytest.raises(AttributeError):
        cell.quota = 2  # type: ignore[misc]
