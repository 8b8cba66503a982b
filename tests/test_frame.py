from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmill.frame import digest, payload, rng_of, row_keys, seed_of, synthetic_ids


def key(value: Any, dtype: Any, name: str = "a") -> int:
    return int(row_keys(pl.DataFrame({name: pl.Series([value], dtype=dtype)}))[0])


INT64 = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
SAME_TYPE: dict[str, tuple[Any, Any]] = {
    "integer": (pl.Int64, INT64),
    "unsigned": (pl.UInt64, st.integers(0, 2**64 - 1)),
    "float": (pl.Float64, st.floats()),
    "decimal": (pl.Decimal(30, 6), st.decimals(-(10**20), 10**20, places=6)),
    "boolean": (pl.Boolean, st.booleans()),
    "date": (pl.Date, st.dates()),
    "datetime": (pl.Datetime("us"), MOMENTS),
    "duration": (pl.Duration("us"), st.timedeltas(dt.timedelta(-(10**5)), dt.timedelta(10**5))),
    "time": (pl.Time, st.times()),
    "text": (pl.String, st.text(max_size=5)),
    "bytes": (pl.Binary, st.binary(max_size=5)),
    "list": (pl.List(pl.Int64), st.lists(st.none() | st.integers(0, 3), max_size=4)),
    "lists": (pl.List(pl.List(pl.String)), st.lists(st.lists(st.sampled_from("ab"), max_size=2), max_size=3)),
    "struct": (
        pl.Struct({"p": pl.Int64, "q": pl.String}),
        st.fixed_dictionaries({"p": st.none() | st.integers(0, 2), "q": st.sampled_from("ab")}),
    ),
}


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_keys_are_equal_exactly_where_values_are(data: st.DataObject) -> None:
    dtype, values = SAME_TYPE[data.draw(st.sampled_from(sorted(SAME_TYPE)))]
    pool = data.draw(st.lists(st.none() | values, min_size=1, max_size=6))
    column = [*pool, *reversed(pool)]
    keys = row_keys(pl.DataFrame({"a": pl.Series(column, dtype=dtype)}))
    for v, k in zip(column, keys, strict=True):
        for w, other in zip(column, keys, strict=True):
            assert (_canonical(v) == _canonical(w)) == (k == other), (v, w)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_one_value_in_every_type(n: int) -> None:
    same = {
        key(n, pl.Int64),
        key(float(n), pl.Float64),
        key(Decimal(n), pl.Decimal(20, 2)),
        key(Decimal(n), pl.Decimal(38, 0)),
    }
    if n >= 0:
        same.add(key(n, pl.UInt64))
    if abs(n) < 2**24:
        same.add(key(float(n), pl.Float32))
    assert len(same) == 1


@given(INT64)
def test_large_whole_numbers_too(n: int) -> None:
    assert key(Decimal(n), pl.Decimal(38, 4)) == key(n, pl.Int64)
    if int(float(n)) == n and float(n) < 2.0**63:
        assert key(float(n), pl.Float64) == key(n, pl.Int64)


@given(st.integers(2**63, 2**64 - 1))
def test_unsigned_numbers_beyond_int64_are_not_their_negative_twins(n: int) -> None:
    assert key(n, pl.UInt64) != key(n - 2**64, pl.Int64)
    if float(n) < 2.0**64 and int(float(n)) == n:
        assert key(float(n), pl.Float64) == key(n, pl.UInt64)


@given(st.decimals(-(10**8), 10**8, places=4))
def test_a_decimal_is_the_float_that_is_written_alike(d: Decimal) -> None:
    assert len({key(d, pl.Decimal(14, 4)), key(d, pl.Decimal(30, 8)), key(float(d), pl.Float64)}) == 1


@given(
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)).map(
        lambda d: d.replace(microsecond=d.microsecond // 1000 * 1000)
    )
)
def test_a_moment_is_one_value_in_every_unit(moment: dt.datetime) -> None:
    zoned = pl.Series([moment], dtype=pl.Datetime("us")).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    keys = {key(moment, pl.Datetime(unit)) for unit in ("ms", "us", "ns")}
    assert keys == {int(row_keys(pl.DataFrame({"a": zoned}))[0])}
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    assert key(day, pl.Datetime("us")) == key(day.date(), pl.Date)


def test_nanoseconds_count() -> None:
    ticks = pl.Series([-1, 0, 1, 999, 1000, 1001]).cast(pl.Datetime("ns"))
    assert len(set(row_keys(pl.DataFrame({"a": ticks})).tolist())) == 6


def test_special_values() -> None:
    frame = pl.DataFrame({"a": [0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf, None, 1e308]})
    a = row_keys(frame).tolist()
    assert a[0] == a[1]
    assert a[2] == a[3]
    assert len(set(a)) == 6
    assert key(None, pl.Null) == key(None, pl.Int64) == key(None, pl.List(pl.Int8)) == key(None, pl.String)
    assert key(True, pl.Boolean) == key(1, pl.Int8)
    assert key("x", pl.String) == key("x", pl.Categorical) == key("x", pl.Enum(["x"])) == key(b"x", pl.Binary)
    assert key("1", pl.String) != key(1, pl.Int64)
    assert key([], pl.List(pl.Int64)) != key(None, pl.List(pl.Int64))
    assert key([1, 2], pl.List(pl.Int64)) == key([1, 2], pl.Array(pl.Int8, 2)) != key([2, 1], pl.List(pl.Int64))
    assert key([[1], [2]], pl.List(pl.List(pl.Int8))) != key([[1, 2]], pl.List(pl.List(pl.Int8)))


ROWS = pl.DataFrame(
    {
        "n": [1, 2, 2, None],
        "x": [0.5, math.nan, math.nan, 3.0],
        "s": ["a", "b", "b", ""],
        "l": [[{"p": 1}], [], [], None],
    },
    schema_overrides={"l": pl.List(pl.Struct({"p": pl.Int64}))},
)


@given(st.permutations(ROWS.columns), st.permutations(range(4)))
def test_columns_may_come_in_any_order_and_rows_do_not_see_each_other(columns: list[str], rows: list[int]) -> None:
    assert (row_keys(ROWS[list(rows)].select(columns)) == row_keys(ROWS)[list(rows)]).all()


def test_names_matter() -> None:
    assert key(1, pl.Int64, "a") != key(1, pl.Int64, "b")
    swapped = row_keys(pl.DataFrame({"a": [1, 2], "b": [2, 1]}))
    assert swapped[0] != swapped[1]
    assert (row_keys(ROWS, key=1) != row_keys(ROWS)).all()


GOLDEN = [9891608224307337558, 16056744327031635745]
GOLDEN_COLUMNS = {
    "i": 13830669320177227422,
    "f": 16214898257296914726,
    "d": 12734530016127489173,
    "t": 17870286272148407306,
    "m": 12871581478908349653,
    "b": 16472310103002232508,
    "s": 10006227553383625320,
    "l": 1753482828707360223,
    "r": 13836615494062543408,
}
GOLDEN_SEED = 179989677695678643597882293104637655807
GOLDEN_DIGEST = "8a2de248823cb36100bcda2e006a6672"
GOLDEN_DRAW = 3330179292539124320


def test_keys_never_change() -> None:
    """A change here moves every row of every user's data between train and holdout."""
    typed = pl.DataFrame(
        {
            "i": [1, -5],
            "f": [0.1, 2.0],
            "d": pl.Series([Decimal("1.10"), None], dtype=pl.Decimal(10, 2)),
            "t": [dt.date(2026, 1, 31), None],
            "m": [dt.datetime(1969, 12, 31, 23, 59, 59, 5), dt.datetime(2026, 1, 31)],
            "b": [True, False],
            "s": ["ä", ""],
            "l": [[1, None], []],
            "r": [{"p": 1, "q": "x"}, None],
        }
    )
    assert row_keys(typed).tolist() == GOLDEN
    assert {c: int(row_keys(typed.select(c))[0]) for c in typed.columns} == GOLDEN_COLUMNS
    assert seed_of("a", 1) == GOLDEN_SEED
    assert digest({"b": 1, "a": [None, 2.5]}) == digest({"a": [None, 2.5], "b": 1}) == GOLDEN_DIGEST
    assert rng_of("a").integers(0, 2**62) == GOLDEN_DRAW


def test_an_empty_frame_and_a_frame_without_columns() -> None:
    assert row_keys(ROWS.clear()).shape == (0,)
    assert row_keys(pl.DataFrame()).dtype == np.uint64


def test_what_is_ours_and_what_is_the_users() -> None:
    frame = pl.DataFrame({"_k": [0, 1], "a": [1, 2], "_i": [3, 4]})
    assert payload(frame) == ["a"]
    assert frame.select(synthetic_ids("abc"))["_id"].to_list() == ["abc-0-3", "abc-1-4"]
