from datetime import date

import polars as pl
import pytest

from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.tables.align import align

TRAIN = pl.DataFrame(
    {"n": [1, 2], "code": ["1", "2"], "zip": ["01", "1"], "day": [date(2020, 1, 1)] * 2, "ok": [True, False]}
)
SCHEMA = Schema(
    (
        Column("n", "integer", "Int64"),
        Column("code", "categorical", "String"),
        Column("zip", "categorical", "String"),
        Column("day", "datetime", "Date"),
        Column("ok", "boolean", "Boolean"),
    )
)
WRITTEN = pl.DataFrame({"n": ["7", " 8"], "code": [1.0, 2.0], "zip": ["01", "1"], "day": ["2020-02-01", "2021-01-01"]})
WRITTEN = WRITTEN.with_columns(ok=pl.Series(["True", "0"]))


def test_another_tools_spelling_is_read_as_trains():
    frame, notes = align(WRITTEN.select("ok", "zip", "n", "day", "code"), TRAIN, SCHEMA)
    assert frame.schema == TRAIN.schema
    assert frame.rows() == [(7, "1", "01", date(2020, 2, 1), True), (8, "2", "1", date(2021, 1, 1), False)]
    assert notes == []


def test_numbers_keep_their_fractions():
    frame, _ = align(WRITTEN.with_columns(n=pl.Series([1.5, 2.0])), TRAIN, SCHEMA)
    assert frame["n"].to_list() == [1.5, 2.0]


def test_dates_as_text_are_read_as_the_real_tables_are():
    frame, notes = align(WRITTEN.with_columns(day=pl.Series(["02/03/2020", "12/04/2020"])), TRAIN, SCHEMA)
    assert frame["day"].to_list() == [date(2020, 2, 3), date(2020, 12, 4)]
    assert notes == []


def test_extra_columns_are_left_out_with_a_note():
    frame, notes = align(WRITTEN.with_columns(more=1), TRAIN, SCHEMA)
    assert "more" not in frame.columns
    assert "more" in notes[0]


def test_missing_columns_are_refused_by_name_with_the_nearest():
    with pytest.raises(Refusal, match=r"lacks 'day', 'ok'.*did you mean 'days'"):
        align(WRITTEN.rename({"day": "days"}).drop("ok"), TRAIN, SCHEMA)
    with pytest.raises(Refusal, match="no columns"):
        align(pl.DataFrame(), TRAIN, SCHEMA)


def test_unreadable_values_are_counted_and_an_unreadable_column_is_refused():
    frame, notes = align(WRITTEN.with_columns(n=pl.Series(["7", "many"])), TRAIN, SCHEMA)
    assert frame["n"].to_list() == [7, None]
    assert notes == ["n: 1 of 2 values are not Int64 and count as missing"]
    for column, value in [("n", "many"), ("day", "someday")]:
        with pytest.raises(Refusal, match=f"'{column}' holds String, none of it readable"):
            align(WRITTEN.with_columns(pl.lit(value).alias(column)), TRAIN, SCHEMA)
