"""Codes: the way they are written is found, and new ones never meet."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmill.tables.patterns import BLOCK, number, pattern, write


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([f"CUST-{i:05d}" for i in range(50)], "CUST-#####"),
        ([f"{a}{i}{b}" for i, (a, b) in enumerate(["AX", "BY", "CZ"])], "?#?"),
        ([f"{i * 2654435761 % 2**32:08x}" for i in range(500)], "^" * 8),
        (["ab1-X", "cd2-X"], "~~#-X"),
        (["red", "blue"], ""),
        (["two words 1", "two words 2"], ""),
        ([1, 2], "integer"),
    ],
)
def test_the_pattern_of_codes(values: list[object], form: str) -> None:
    assert pattern(pl.Series(values)) == form


@given(st.sets(st.integers(0, 10**7), min_size=1, max_size=200), st.integers(0, 2**64), st.sampled_from(
    ["integer", "uuid", "C-##", "?#", "^^^^^^^^^^^^^^^^^^^^", "A#", "X"]))  # fmt: skip
def test_different_numbers_give_different_codes(numbers: set[int], key: int, form: str) -> None:
    codes = write(form, 2, sorted(numbers), key)
    assert codes.n_unique() == len(numbers)


def test_codes_look_like_their_pattern_until_there_are_no_more() -> None:
    codes = write("C-##", 0, range(1_050), key=5).to_list()
    assert all(re.fullmatch(r"C-\d\d", c) for c in codes[:100])
    assert all(re.fullmatch(r"C-\d\d\d", c) for c in codes[100:])
    assert len(set(codes)) == 1_050
    assert all(100 <= int(c) < 1_000 for c in write("integer", 3, range(900), key=5))


@given(st.integers(0, 400), st.integers(0, 40), st.integers(0, 400), st.integers(0, 40))
def test_no_two_rows_of_a_run_share_a_number(k: int, c: int, k2: int, c2: int) -> None:
    same = (k, c) == (k2, c2)
    assert (number(k, c * BLOCK) == number(k2, c2 * BLOCK)) == same
    assert number(k, c * BLOCK + 17) == number(k, c * BLOCK) + 17
