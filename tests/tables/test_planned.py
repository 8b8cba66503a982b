"""Combinations of planned columns: those of train, whatever else comes."""

import polars as pl
import pytest

from synthmill.refusal import Refusal
from synthmill.tables.infer import infer
from synthmill.tables.planned import BINS, Coder, Planned

TRAIN = pl.DataFrame({"n": [i // 2 for i in range(100)], "c": ["a"] * 60 + ["b"] * 30 + [None] * 10})


def test_a_column_is_bins_or_levels_then_anything_else_then_missing():
    level = Coder.of(TRAIN["c"], False)
    assert level(pl.DataFrame({"c": ["a", "b", "new", None]})).tolist() == [0, 1, 2, 3]
    assert level.size == 4
    few = Coder.of(TRAIN["c"], False, most=1)
    assert few(pl.DataFrame({"c": ["a", "b", None]})).tolist() == [0, 1, 2]
    number = Coder.of(TRAIN["n"], True)
    assert number(pl.DataFrame({"n": [-5, 0, 25, 49, 500, None]})).tolist() == [0, 0, 5, 9, 9, BINS + 1]


def test_combinations_train_does_not_have_are_none():
    planned = Planned.of(TRAIN, ["n", "c"], infer(TRAIN), "x")
    assert planned.rows.sum() == 100
    assert len(planned.known) == 12  # two of the ten bins lie across a border of c
    made = planned(pl.DataFrame({"n": [2, 2, 48], "c": ["a", "b", None]}))
    assert made[0] >= 0
    assert made[1] == -1  # nobody so low is b
    assert made[2] >= 0
    assert set(Planned.of(TRAIN, [], infer(TRAIN), "x")(TRAIN)) == {0}


def test_refusals_name_the_plugin():
    with pytest.raises(Refusal, match="x: within: no column 'm'"):
        Planned.of(TRAIN, ["m"], infer(TRAIN), "x")
    with pytest.raises(Refusal, match="x: train has no rows"):
        Planned.of(TRAIN.clear(), [], infer(TRAIN), "x")
