from datetime import date, datetime

import polars as pl
import pytest

from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.verify.schema import SchemaCheck

STAMP = "Datetime(time_unit='us', time_zone=None)"
SCHEMA = Schema(
    (
        Column("age", "integer", "Int64", low=17, high=90),
        Column("sex", "categorical", "String", levels=("F", "M")),
        Column("price", "decimal", "Float64", digits=2),
        Column("seen", "datetime", STAMP, granularity="1h", low=1.6e15, high=1.7e15),
        Column("note", "text", "String", missing=0.5),
    )
)
TRAIN = pl.DataFrame(
    {
        "age": [17, 40, 90],
        "sex": ["F", "M", "F"],
        "price": [0.29, 19.99, 1e9 + 0.01],
        "seen": [datetime(2021, 1, 1), datetime(2022, 5, 5, 7), datetime(2023, 1, 1)],
        "note": ["a", None, "b"],
    }
)


def fitted(**options) -> SchemaCheck:
    check = SchemaCheck(**options)
    check.fit(TRAIN, SCHEMA)
    return check


def faults(change: dict, **options) -> tuple[int, str | None]:
    row = TRAIN[:1].with_columns(**{k: v if isinstance(v, pl.Expr) else pl.lit(v) for k, v in change.items()})
    verdicts = fitted(**options).judge(row)
    reason = verdicts.reason[0] if isinstance(verdicts.reason, pl.Series) else verdicts.reason
    return verdicts.status[0], reason


def test_real_rows_pass():
    for ranges in ("none", "train"):
        assert fitted(ranges=ranges).judge(TRAIN).status.to_list() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"age": pl.lit(None, pl.Int64)}, "age is missing"),
        ({"age": 17.5}, "age: 17.5 is not a whole number"),
        ({"age": float("nan")}, "age: NaN is not finite"),
        ({"age": "old"}, "age: old is String, not Int64"),
        ({"age": True}, "age: true is Boolean, not Int64"),
        ({"sex": "robot"}, "sex: robot is not a known level"),
        ({"price": 0.125}, "price: 0.125 has more than 2 decimals"),
        ({"price": float("inf")}, "price: inf is not finite"),
        ({"price": float("nan")}, "price: NaN is not finite"),
        ({"seen": datetime(2021, 1, 1, 0, 30)}, "seen: 2021-01-01 00:30:00.000000 is finer than 1h"),
        ({"seen": date(2021, 1, 1)}, "seen: 2021-01-01 is Date, not Datetime(time_unit='us', time_zone=None)"),
    ],
)
def test_each_fault_names_column_and_value(change, reason):
    assert faults(change) == (1, reason)


@pytest.mark.parametrize(
    "change",
    [
        {"age": 200},
        {"age": 18.0},
        {"age": pl.lit(18, pl.Int8)},
        {"price": 1e12 + 0.5},
        {"price": -0.0},
        {"note": pl.lit(None, pl.String)},
        {"sex": pl.lit("F", pl.Categorical)},
    ],
)
def test_what_real_data_allows_passes(change):
    assert faults(change)[0] == 0


def test_ranges_are_open_unless_asked_for():
    assert faults({"age": 91}, ranges="train") == (1, "age: 91 is above every real value")
    assert faults({"seen": datetime(1999, 1, 1)}, ranges="train")[0] == 1
    assert faults({"age": 5}, ranges={"age": (18, None)}) == (1, "age: 5 is below 18")
    assert faults({"age": 500}, ranges={"age": (18, None)})[0] == 0
    with pytest.raises(Refusal, match="did you mean 'age'"):
        fitted(ranges={"agee": (1, 2)})


def test_the_first_column_at_fault_is_the_reason():
    frame = TRAIN.with_columns(age=pl.Series([None, 40, 90]), sex=pl.Series(["robot", "robot", "F"]))
    verdicts = fitted().judge(frame)
    assert verdicts.status.to_list() == [1, 1, 0]
    assert verdicts.reason.to_list() == ["age is missing", "sex: robot is not a known level", None]


def test_missing_and_unknown_columns_fail_every_row():
    assert fitted().judge(TRAIN.drop("sex")).reason == "sex: the column is missing"
    more = TRAIN.with_columns(extra=1, _k=0)
    assert fitted().judge(more).reason == "extra: the column is not in the schema"
    assert fitted(columns={"extra": "integer"}).judge(more).status.sum() == 0
    assert fitted().judge(TRAIN[:0]).status.len() == 0


def test_a_column_that_only_the_generators_declare_has_their_type():
    check = SchemaCheck()
    more = TRAIN.with_columns(plate=pl.lit("AB 1"), _k=0)
    check.expect(more.drop("_k").schema)
    check.fit(TRAIN, SCHEMA)
    assert check.judge(more).status.sum() == 0
    assert check.judge(more.with_columns(plate=pl.lit(7))).status.to_list() == [1] * more.height
    assert check.judge(more.with_columns(other=1)).reason == "other: the column is not in the schema"


def test_without_real_data_the_generators_columns_are_the_schema():
    check = SchemaCheck()
    check.expect({"stop": pl.Float64(), "readings": pl.List(pl.Struct({"t": pl.Int64()}))})
    frame = pl.DataFrame({"stop": [1.5, float("nan"), None], "readings": [[{"t": 1}], [], None]})
    assert check.judge(frame).status.to_list() == [0, 1, 0]
    assert check.judge(frame.with_columns(stop=pl.lit("x"))).status.to_list() == [1, 1, 1]


def test_without_real_data_columns_are_declared():
    check = build(
        "verify",
        {"use": "schema", "columns": {"n": "integer", "r": "List(Struct({'v': Float64}))"}, "ranges": {"n": [0, 9]}},
    )
    frame = pl.DataFrame({"n": [1, 10, None], "r": [[{"v": 1.0}], [], None]})
    assert check.judge(frame).status.to_list() == [0, 1, 0]
    assert check.judge(frame.with_columns(r=pl.lit(3))).status.to_list() == [1, 1, 1]
    with pytest.raises(Refusal, match="did you mean 'integer'"):
        build("verify", {"use": "schema", "columns": {"n": "interger"}})
    with pytest.raises(Refusal, match="name the columns"):
        SchemaCheck().judge(frame)
    with pytest.raises(Refusal, match="did you mean 'n'"):
        SchemaCheck(columns={"nn": "integer"}).expect(frame.schema)
    check.expect(frame.schema)
