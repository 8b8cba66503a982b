"""Personal data is found, and what only looks like it is left alone."""

from __future__ import annotations

import polars as pl
import pytest

from synthmill.tables.personal import detect, iban, luhn

PEOPLE = ["Maria Schmidt", "John Smith", "Anna Rossi", "Pierre Dubois", "Sofia Garcia", "Peter Miller", "Laura Jones",
          "David Brown", "Emma Wilson", "Lucas Martin", "Julia Weber", "Thomas Fischer", "Sarah Taylor", "Paul Meyer",
          "Clara Bauer", "Daniel Evans", "Alice Moore", "Robert King", "Helen Clark", "Mark Lewis"]  # fmt: skip
MAILS = [f"{p.split()[0].lower()}@firm{i}.de" for i, p in enumerate(PEOPLE)]
PHONES = [f"+49 (0)30 555{i:04d}" for i in range(20)]
IBANS = ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR1420041010050500013M02606"]
CARDS = ["4111 1111 1111 1111", "5500000000000004", "340000000000009"]
STREETS = [f"{i} Maple Street" for i in range(1, 21)]


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("CustomerEmail", MAILS, "email"),
        ("contact", MAILS, "email"),
        ("x", PHONES, "phone"),
        ("Fax", ["0305550001", "0305550002"], "phone"),
        ("account", IBANS, "iban"),
        ("number", CARDS, "credit_card"),
        ("x", ["123-45-6789", "987-65-4321"], "ssn"),
        ("client", ["10.0.0.1", "192.168.17.4"], "ip"),
        ("x", ["https://a.org/1", "https://b.org/2"], "url"),
        ("patient_name", PEOPLE, "name"),
        ("who", PEOPLE, "name"),
        ("FirstName", [p.split()[0] for p in PEOPLE], "first_name"),
        ("surname", [p.split()[1] for p in PEOPLE], "last_name"),
        ("addr", STREETS, "address"),
        ("x", STREETS, "address"),
        ("employer", [f"{p} Ltd" for p in PEOPLE], "company"),
        ("city", [f"{p.split()[1]}ville" for p in PEOPLE], "city"),
        ("login", [f"user{i}" for i in range(20)], "username"),
        ("zip", list(range(10_000, 10_020)), "postcode"),
    ],
)
def test_found(name: str, values: list[object], found: str) -> None:
    assert detect(name, pl.Series(values)) == found


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("native_country", ["Germany", "France", "Peru"] * 9),
        ("occupation", ["Sales", "Craft repair", "Tech support"] * 9),
        ("city", ["Berlin", "Paris", "Rome"] * 9),
        ("name", [f"{w} Airport" for w in ("Lansdowne", "Moton Field", "Schaumburg", "Jekyll Island", "Tampa")] * 5),
        ("thing", ["Turbo fan", "Turbo jet", "Reciprocating"] * 9),
        ("day", ["2024-01-31", "2024-02-01"] * 9),
        ("amount", [1234567, 7654321, 2345678]),
        ("code", ["1234567890123456", "1234567890123457"]),
        ("zip", [98001, 98002] * 20),
        ("phone_kind", ["mobile", "fixed"] * 9),
        ("cell", [*range(19), 1_234_567]),
        ("mailing", ["yes", "no"] * 9),
        ("hostname", ["a1", "b2"] * 9),
        ("ip_count", [1, 2, 3]),
        ("nothing", []),
    ],
)
def test_left_alone(name: str, values: list[object]) -> None:
    assert detect(name, pl.Series(values, dtype=None if values else pl.String)) == ""


FIFTY = [f"{p.split()[0]} {q.split()[1]}" for p in PEOPLE[:6] for q in PEOPLE[:9]]


@pytest.mark.parametrize(
    "title", ["name", "nm", "full_name", "Customer", "ship_name", "client", "customer_name", "soldBy", "Kunde"]
)
def test_names_that_repeat_are_names_still(title: str) -> None:
    assert detect(title, pl.Series(FIFTY * 30)) == "name"


def test_names_are_told_by_title_and_values_together() -> None:
    strange = [f"Zorb{c} Quux{d}" for c in "abcdefgh" for d in "klmnop"]
    assert detect("customer", pl.Series(strange * 30)) == "name"
    assert detect("name", pl.Series(strange * 30)) == ""
    assert detect("team", pl.Series(FIFTY * 30)) == ""
    assert detect("owner", pl.Series(PEOPLE[:5] * 30)) == ""
    assert detect("owner", pl.Series([*PEOPLE[:5] * 30, PEOPLE[6]])) == "name"
    assert detect("customer", pl.Series(["retail", "wholesale"] * 30)) == ""


@pytest.mark.parametrize(
    ("title", "values", "found"),
    [
        ("x", MAILS, "email"),
        ("x", IBANS, "iban"),
        ("x", PHONES, "phone"),
        ("tel", [2125550100 + i for i in range(12)], "phone"),
        ("ssn", [123456780 + i for i in range(12)], "ssn"),
        ("national_id", [f"85 07 {i} 116 001" for i in range(12)], "ssn"),
    ],
)
def test_numbers_and_addresses_of_one_person_are_personal_however_often(title, values, found) -> None:
    assert detect(title, pl.Series(values * 50)) == found


def test_check_digits_catch_a_wrong_one() -> None:
    assert all(map(iban, IBANS))
    assert not iban("DE89370400440532013001")
    assert all(map(luhn, CARDS))
    assert not luhn("4111111111111112")


def test_parts_of_names_are_found_under_short_titles_only_where_they_are_names() -> None:
    last = [
        "Smith",
        "Jones",
        "Taylor",
        "Brown",
        "Williams",
        "Wilson",
        "Johnson",
        "Davies",
        "Wright",
        "Evans",
        "Green",
        "Hall",
    ]
    first = ["Anna", "John", "Mary", "Peter", "Susan", "Paul", "Laura", "Mark", "Karen", "David", "Linda", "James"]
    assert detect("names", pl.Series(last * 20)) == "last_name"
    assert detect("surnames", pl.Series(last * 20)) == "last_name"
    assert detect("first", pl.Series(first * 20)) == "first_name"
    assert detect("first", pl.Series([f"step {i}" for i in range(12)] * 20)) == ""
    assert detect("name", pl.Series([f"Plan {i}" for i in range(12)] * 20)) == ""
