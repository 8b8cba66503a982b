"""Columns of Faker's providers, the same for the same request whatever the day."""

from __future__ import annotations

import polars as pl
import pytest

from synthmill.cells import Cell
from synthmill.plugins import Request, build
from synthmill.refusal import Refusal

CONFIG = {"use": "faker", "columns": {"who": "name", "mail": "email", "n": "random_int"}, "unique": ["mail"]}


def _request(k: int = 0, n: int = 50, given: pl.DataFrame | None = None) -> Request:
    return Request(k, Cell(0, (), n), k, n, 100 + k, given)


def test_it_completes_given_rows() -> None:
    faker = build("generate", CONFIG)
    given = pl.DataFrame({"x": range(20)})
    made = faker.generate(_request(given=given))
    assert made.columns == ["x", "who", "mail", "n"]
    assert made["x"].equals(given["x"])
    assert faker.schema() == {"who": pl.String, "mail": pl.String, "n": pl.Int64}
    assert faker.generate(_request(n=0)).height == 0


def test_requests_are_repeatable_in_any_order_and_differ() -> None:
    one, other = build("generate", CONFIG), build("generate", CONFIG)
    first = one.generate(_request(0))
    other.generate(_request(1))
    assert other.generate(_request(0)).equals(first)
    assert not one.generate(_request(1))["who"].equals(first["who"])


def test_unique_columns_are_so_in_the_whole_run() -> None:
    faker = build("generate", CONFIG)
    mails = pl.concat([faker.generate(_request(k, 2_100))["mail"] for k in range(2)])
    assert mails.n_unique() == 4_200
    assert mails.str.contains(r"^[^@ ]+\d+@").all()


def test_locales_speak_their_language() -> None:
    streets = build("generate", {"use": "faker", "columns": {"s": "street_name"}, "locale": "de_DE"}).generate(
        _request()
    )
    assert streets["s"].str.contains("(?i)(str|weg|platz|allee|gasse|ring)").mean() > 0.5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"columns": {"a": "nme"}}, "did you mean 'name'"),
        ({"columns": {"a": "_x"}}, "no Faker provider"),
        ({"columns": {"a": "profile"}}, "depends on today's date|not a single value"),
        ({"columns": {"a": "pylist"}}, "not a single value"),
        ({"columns": {"a": "format"}}, "without arguments"),
        ({"columns": {"a": "date_of_birth"}}, "today's date"),
        ({"columns": {"a": "credit_card_expire"}}, "today's date"),
        ({"columns": {"a": "ssn"}, "locale": "sv_SE"}, "today's date"),
        ({"columns": {"a": "name"}, "locale": "xx"}, "locale: 'xx'"),
        ({"columns": {"a": "random_int"}, "unique": ["a"]}, "no text column"),
        ({"columns": {"a": "name"}, "unique": ["b"]}, "no text column"),
    ],
)
def test_what_it_cannot_make_is_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        build("generate", {"use": "faker", **config})
