"""Schema inference: what a user would say each column is."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from synthmill.data import adult
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables.infer import infer, observed, prepare
from synthmill.tables.read import plain, read

RNG = np.random.default_rng(3)
N = 400


def _schema(overrides: dict[str, str] | None = None, **columns: object) -> Schema:
    frame, _ = prepare(pl.DataFrame(columns), overrides)
    return infer(frame, overrides)


def test_adult_is_read_as_its_authors_describe_it() -> None:
    schema = infer(adult())
    numbers = ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
    assert schema.of("integer") == numbers
    assert schema.of("categorical") == [c for c in schema.names if c not in numbers]
    assert schema["income"].levels == ("<=50K", ">50K")
    assert (schema["age"].low, schema["age"].high) == (17.0, 90.0)


def test_numbers() -> None:
    schema = _schema(
        price=np.round(RNG.lognormal(3, 1, N), 2),
        continuous=RNG.normal(size=N),
        whole=RNG.integers(0, 900, N).astype(float),
        flag=RNG.integers(0, 2, N),
        gap=[None, 1.0] + [0.0] * (N - 2),
        stars=RNG.integers(1, 6, N),
        zip_code=RNG.integers(10_000, 10_050, N),
        same=[7] * N,
    )
    kinds = {c.name: (c.kind, c.digits) for c in schema}
    assert kinds == {
        "price": ("decimal", 2), "continuous": ("decimal", 15), "whole": ("decimal", 0), "flag": ("categorical", 0),
        "gap": ("categorical", 0), "stars": ("integer", 0), "zip_code": ("categorical", 0), "same": ("constant", 0),
    }  # fmt: skip
    assert schema["gap"].missing == pytest.approx(1 / N)


@pytest.mark.parametrize(
    ("values", "kind", "form"),
    [
        (list(range(1, N + 1)), "identifier", "integer"),
        ([f"CUST-{i:05d}" for i in range(N)], "identifier", "CUST-#####"),
        ([f"{i:08x}-1234-4abc-8def-{i:012x}" for i in range(N)], "identifier", "uuid"),
        ((RNG.permutation(10_000)[:N] * 97).tolist(), "integer", ""),
        (RNG.normal(size=N).tolist(), "decimal", ""),
        ([f"{w} things were said about {i} of them, as usual" for i, w in enumerate("ab" * (N // 2))], "text", ""),
        ([f"Model {i}" for i in range(N)], "text", ""),
        ([f"Model {i % 90}" for i in range(N)], "categorical", ""),
        ([[1, 2]] * N, "nested", ""),
        ([{"a": 1}] * N, "nested", ""),
    ],
)
def test_a_column_with_a_name_that_says_nothing(values: list[object], kind: str, form: str) -> None:
    column = _schema(thing=values)["thing"]
    assert (column.kind, column.format) == (kind, form)
    assert bool(column.note) == (kind in ("text", "nested", "integer"))


def test_narrow_and_wide_types_are_read_as_plain_ones() -> None:
    frame = plain(
        pl.DataFrame(
            {
                "f32": pl.Series(RNG.integers(0, 999, N) / 10, dtype=pl.Float32),
                "noise32": pl.Series(RNG.normal(size=N), dtype=pl.Float32),
                "huge": pl.Series(RNG.integers(0, 9, N), dtype=pl.Int128),
                "cat": pl.Series(["a", "b"] * (N // 2), dtype=pl.Categorical),
                "pair": pl.Series([[1, 2]] * N, dtype=pl.Array(pl.Int64, 2)),
                "clock": pl.Series([time(1, 2)] * N),
            }
        ),
        "t",
    )
    schema = infer(frame)
    assert [(c.kind, c.dtype, c.digits) for c in schema] == [
        ("decimal", "Float32", 1), ("decimal", "Float32", 15), ("integer", "Int64", 0), ("categorical", "String", 0),
        ("nested", "List(Int64)", 0), ("text", "Time", 0),
    ]  # fmt: skip
    assert [c.polars for c in schema] == frame.dtypes


@pytest.mark.parametrize(
    "title", ["account", "patient", "badge", "memberNo", "case_nr", "AccountNumber", "Customer", "Rechnungsnummer"]
)
def test_numbers_that_all_differ_are_identifiers_where_the_title_says_so(title: str) -> None:
    codes = RNG.choice(10**9, 500, replace=False).tolist()
    assert _schema(**{title: codes})[title].kind == "identifier"
    assert _schema(thing=codes)["thing"].note.endswith("columns: {thing: identifier}")


def test_accounts_that_repeat() -> None:
    codes = (RNG.choice(10**6, 200, replace=False) + 10_000).tolist() * 8
    schema = _schema(account=codes, balance=codes, customer=[i % 200 for i in range(1600)])
    assert [c.kind for c in schema] == ["identifier", "integer", "integer"]


def test_keys_that_repeat() -> None:
    schema = _schema(
        patient_id=RNG.integers(1, 200, N), shop_id=RNG.integers(1, 9, N), case_id=[None, *map(float, range(1, N))]
    )
    assert [c.kind for c in schema] == ["identifier", "categorical", "identifier"]
    assert "real.entity" in schema["patient_id"].note


def test_dates_written_as_text_become_dates() -> None:
    frame = pl.DataFrame(
        {
            "iso": ["2024-01-31", None, "2024-02-01"],
            "us": ["1/31/2024", "12/9/2024", "1/1/2024"],
            "german": ["31.01.2024", "01.02.2024", "01.03.2024"],
            "stamp": ["2024-01-31T10:00:00Z", "2024-01-31T11:00:00Z", "2024-01-31T11:00:00Z"],
            "unclear": ["01/02/2024", "03/04/2024", "05/06/2024"],
            "version": ["1.2.3", "1.2.4", "1.2.5"],
        }
    )
    made, notes = prepare(frame)
    assert made["us"].to_list() == [date(2024, 1, 31), date(2024, 12, 9), date(2024, 1, 1)]
    assert made["german"].to_list() == [date(2024, 1, 31), date(2024, 2, 1), date(2024, 3, 1)]
    schema = infer(made)
    assert [c.kind for c in schema] == ["datetime"] * 5 + ["categorical"]
    assert [schema[n].granularity for n in ("iso", "stamp")] == ["1d", "1h"]
    assert len(notes) == 1
    assert "unclear" in notes[0]
    low = schema["iso"].low
    assert low == (datetime(2024, 1, 31) - datetime(1970, 1, 1)).total_seconds() * 1e6


def test_a_column_without_values_is_constant_and_says_so() -> None:
    column = _schema(nothing=pl.Series([None, None], dtype=pl.String), x=[1, 2])["nothing"]
    assert (column.kind, column.missing, column.levels) == ("constant", 1.0, ())
    assert "missing" in column.note


def test_overrides() -> None:
    schema = _schema(
        {"zip": "categorical", "mail": "email", "n": "decimal", "yes": "boolean", "code": "identifier"},
        zip=[501, 502], mail=["x", "y"], n=["1", "2.5"], yes=["y", "n"], code=["A-1", "B-22"],
    )  # fmt: skip
    assert [(c.kind, c.format) for c in schema][:2] == [("categorical", ""), ("personal", "email")]
    assert schema.dtypes()["n"] == pl.Float64
    assert schema["yes"].levels == (False, True)
    assert schema["code"].kind == "identifier"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"agee": "integer"}, "did you mean 'age'"),
        ({"age": "categoric"}, "did you mean 'categorical'"),
        ({"word": "integer"}, "real.columns.word: integer"),
        ({"word": "datetime"}, "not dates"),
        ({"word": "personal"}, "name it"),
    ],
)
def test_an_override_that_cannot_be_is_refused(overrides: dict[str, str], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        _schema(overrides, age=[1, 2], word=["red", "blue"])


def test_levels_and_bounds_are_what_train_holds() -> None:
    whole = pl.DataFrame({"c": ["a", "b", "z"], "n": [1, 2, 99]})
    schema = observed(infer(whole), whole.head(2))
    assert schema["c"].levels == ("a", "b")
    assert schema["n"].high == 2


def test_ten_thousand_levels_are_a_category() -> None:
    column = _schema(tail=[f"N{i % 10_000}" for i in range(40_000)])["tail"]
    assert (column.kind, len(column.levels)) == ("categorical", 10_000)


def test_a_schema_survives_json() -> None:
    schema = infer(adult())
    assert Schema.from_json(schema.to_json()) == schema


def test_customers_of_a_real_schema(shared: Path) -> None:
    schema = infer(read(shared / "chinook" / "Chinook_Sqlite.sqlite", "Customer"))
    made = {"CustomerId": "integer", "FirstName": "first_name", "LastName": "last_name", "Company": "company"}
    made |= {"Address": "address", "City": "city", "PostalCode": "postcode", "Phone": "phone", "Fax": "phone"}
    made |= {"Email": "email", "State": "", "Country": "", "SupportRepId": ""}
    assert {c.name: c.format for c in schema} == made


@pytest.fixture
def shared() -> Path:
    path = Path(__file__).parents[3] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the shared real tables are not here")
    return path


def test_decimals_are_counted_on_the_columns_own_scale():
    x = np.random.default_rng(0).random(50)
    digits = {size: infer(pl.DataFrame({"x": x * size}))["x"].digits for size in (1.0, 1e-13, 1e-300)}
    assert digits == {1.0: 15, 1e-13: 15, 1e-300: 15}
    assert infer(pl.DataFrame({"x": [0.1 + 0.2, 0.7, 0.25]}))["x"].digits == 2


def test_codes_of_an_account_that_repeat_are_identifiers_and_say_what_to_declare() -> None:
    codes = pl.DataFrame({"account": [f"ACC-{i % 300:04d}" for i in range(1500)], "policy": ["full", "basic"] * 750})
    schema = infer(codes, {})
    assert (schema["account"].kind, schema["account"].format) == ("identifier", "ACC-####")
    assert "real.entity" in schema["account"].note
    assert schema["policy"].kind == "categorical"
