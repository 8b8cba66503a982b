"""Reading: every kind of file gives the same table, and every bad one a sentence."""

from __future__ import annotations

import gzip
import sqlite3
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from synthmill.refusal import Refusal
from synthmill.tables.database import read_url
from synthmill.tables.delimited import typed
from synthmill.tables.read import from_any, read

TABLE = pl.DataFrame(
    {
        "zip": ["00501", "10001", None],
        "n": [1, 2, 3],
        "x": [0.5, None, 2.0],
        "ok": [True, False, None],
        "who": ["a", "b", "ä"],
    }
)


def _refused(tmp_path: Path, content: bytes, name: str = "t.csv") -> str:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.parquet", "t.jsonl", "t.arrow", "t.feather"])
def test_every_kind_of_file_gives_the_same_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if "csv" in name or "tsv" in name:
        data = TABLE.write_csv(separator="\t" if "tsv" in name else ",").encode()
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    elif name == "t.parquet":
        TABLE.write_parquet(path)
    elif name == "t.jsonl":
        TABLE.write_ndjson(path)
    else:
        TABLE.write_ipc(path)
    assert_frame_equal(read(path), TABLE)


@pytest.mark.parametrize("cells", [['say "x" now', '"it" is'], ['"opens', 'closes"'], ['"open', "never"]])
def test_quotes_in_a_tsv_may_be_plain_characters(tmp_path: Path, cells: list[str]) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("label\ttext\n" + "".join(f"ham\t{c}\n" for c in cells))
    assert read(path)["text"].to_list() == cells
    pl.DataFrame({"label": "ham", "text": [*cells, "two\nlines"]}).write_csv(path, separator="\t")
    assert read(path)["text"].to_list() == [*cells, "two\nlines"]


def test_a_quote_out_of_place_is_refused_by_its_line(tmp_path: Path) -> None:
    assert "line 3: a quoted field goes on" in _refused(tmp_path, b'a,b\n1,x\n2,"secret" y\n')


def test_types_are_judged_on_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "1,1,x\n" * 5_000 + "late,2.5,x\n")
    assert read(path).dtypes == [pl.String, pl.Float64, pl.String]


def test_codes_keep_their_zeros_and_long_numbers_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("zip,account,zero\n00501,12345678901234567890,0\n10001,12345678901234567891,0.5\n")
    frame = read(path)
    assert frame["zip"].to_list() == ["00501", "10001"]
    assert frame["account"].dtype == pl.String
    assert frame["zero"].to_list() == [0.0, 0.5]


def test_missing_marks_count_in_numbers_and_are_words_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n,country,x\n1,NA,-999\nNA,DE,1.5\n?,,2\n")
    assert read(path).rows() == [(1, "NA", -999.0), (None, "DE", 1.5), (None, None, 2.0)]
    assert read(path, missing=["NA", "-999"]).rows() == [(1, None, None), (None, "DE", 1.5), (None, None, 2.0)]


def test_semicolons_blank_lines_a_byte_order_mark_and_nameless_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeff;b\n0;x\n\n1;\n".encode())
    assert read(path).to_dict(as_series=False) == {"column_1": [0, 1], "b": ["x", None]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a,b\n,\n,\n", "has 2 rows, and every value in them is missing"),
        (b"a,b,a\n1,2,3\n", "column 'a' 2 times"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header has 2"),
        (b"a,b\n1,2\n1\n", "line 3 has 1 fields, the header has 2"),
        (b"a,b\n1,caf\xe9\n", "line 2 is not UTF-8"),
        (b"a,_status\n1,2\n", "'_status'"),
        (b"a,b\n1,inf\n2,3\n", "column 'b' holds an infinite number (row 1)"),
    ],
)
def test_a_bad_csv_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in _refused(tmp_path, content)


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl", "t.arrow", "t.csv.gz", "t.sqlite", "t.duckdb"])
def test_a_file_that_is_not_what_it_says_is_refused(tmp_path: Path, name: str) -> None:
    assert "not a readable" in _refused(tmp_path, b"nonsense, and nothing else\n" * 9, name)


def test_no_file_a_folder_and_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(Refusal, match="folder"):
        read(tmp_path)
    assert "did you mean '.parquet'" in _refused(tmp_path, b"x", "t.parque")


def test_nan_is_missing_and_infinity_refused_unless_named(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.0, float("nan"), float("inf")]})
    frame.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(Refusal, match="infinite"):
        read(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", missing=["inf"])["x"].to_list() == [1.0, None, None]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as db:
        db.execute('create table "order" (id integer, total numeric, note text)')
        db.executemany('insert into "order" values (?, ?, ?)', [(1, 2, "x"), (2, 2.5, None)])
        db.execute("create table customer (id integer)")
    db.close()
    return path


def test_sqlite_by_path_and_by_url(database: Path) -> None:
    frame = read(database, "order")
    assert frame.rows() == [(1, 2.0, "x"), (2, 2.5, None)]
    assert_frame_equal(read(f"sqlite:///{database}", "order"), frame)
    with pytest.raises(Refusal, match=r"2 tables.*customer, order"):
        read(database)
    with pytest.raises(Refusal, match="no table 'ordr'; did you mean 'order'"):
        read(database, "ordr")
    with pytest.raises(Refusal, match="no rows"):
        read(database, "customer")


def test_databases_of_the_extra(database: Path, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("sqlalchemy")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as db:
        db.execute("create table sale as select 1 as id, date '2024-01-31' as day, 2.50::decimal(8,2) as total")
    assert read(tmp_path / "t.duckdb").rows() == [(1, date(2024, 1, 31), 2.5)]
    assert read(f"sqlite+pysqlite:///{database}", "order").rows() == [(1, 2.0, "x"), (2, 2.5, None)]
    with pytest.raises(Refusal, match="no table 'x'"):
        read(f"sqlite+pysqlite:///{database}", "x")


def test_adbc_drivers_are_used_where_installed(database: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    assert read_url(f"sqlite:///{database}", "order")["id"].to_list() == [1, 2]
    with pytest.raises(Refusal, match=r"2 tables.*customer, order"):
        read_url(f"sqlite:///{database}", None)


def test_a_refused_url_hides_its_password() -> None:
    pytest.importorskip("sqlalchemy")
    with pytest.raises(Refusal) as caught:
        read("nosuch://me:secret@host/db", "t")
    assert "secret" not in str(caught.value)


def test_callers_get_their_own_kind_back() -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for given_ in (TABLE, TABLE.lazy(), TABLE.to_pandas(), TABLE.to_arrow()):
        frame, back = from_any(given_)
        assert_frame_equal(frame.select("n", "zip"), TABLE.select("n", "zip"))
        assert type(back(frame)) is type(given_)
    with pytest.raises(Refusal, match=r"builtins\.list is not a table"):
        from_any([1])
    with pytest.raises(Refusal, match="'a' appears 2 times"):
        from_any(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert from_any(pa.table({"a": pa.array(["x", "y"]).dictionary_encode()}))[0]["a"].dtype == pl.String


def test_callers_get_their_own_column_types_back() -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    own = pl.DataFrame({"price": [1.5, 2.25], "city": ["a", "b"], "left out": ["x", "y"]}).with_columns(
        pl.col("price").cast(pl.Decimal(9, 2)), pl.col("city").cast(pl.Enum(["a", "b"]))
    )
    arrow = own.to_arrow().set_column(1, "city", pa.array(["a", "b"]).dictionary_encode())
    pandas = pd.DataFrame({5: pd.array([1, None], dtype="Int64"), "city": pd.Categorical(["a", "b"])})
    for given_ in (own, own.lazy(), arrow):
        frame, back = from_any(given_)
        made = back(frame.drop("left out"))
        assert frame["price"].dtype == pl.Float64
        if given_ is arrow:
            assert made.schema == arrow.schema.remove(2)
        else:
            assert_frame_equal(made, given_.drop("left out"))
    frame, back = from_any(pandas)
    assert frame.columns == ["5", "city"]
    pd.testing.assert_frame_equal(back(frame), pandas)


@given(st.lists(st.one_of(st.none(), st.integers(-(10**17), 10**17)), min_size=1))
def test_integers_written_and_read_are_the_same(values: list[int | None]) -> None:
    text = pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    assert typed(text).cast(pl.Int64).to_list() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_decimals_written_and_read_are_the_same(values: list[float]) -> None:
    assert typed(pl.Series(map(str, values), dtype=pl.String)).cast(pl.Float64).to_list() == values
