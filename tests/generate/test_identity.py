"""Identifiers and personal data: new, unique, consistent, and never anybody's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from synthmill.cells import Cell
from synthmill.generate.tabular.identity import Identity
from synthmill.plugins import Request, build
from synthmill.refusal import Refusal
from synthmill.tables.infer import infer
from synthmill.tables.personal import detect, iban, luhn

N = 120
RNG = np.random.default_rng(11)
FIRST = ["Maria", "John", "Anna", "Pierre", "Sofia", "Peter", "Laura", "David", "Emma", "Lucas", "Julia", "Thomas"]
LAST = ["Schmidt", "Smith", "Rossi", "Dubois", "Garcia", "Miller", "Jones", "Brown", "Wilson", "Martin"]
PAIRS = [(f, s) for s in LAST for f in FIRST]
REAL = pl.DataFrame(
    {
        "customer_id": range(1, N + 1),
        "badge": [f"EMP-{i:04d}" for i in range(N)],
        "uuid": [f"{i:08x}-1111-4222-8333-{i:012x}" for i in range(N)],
        "first_name": [f for f, _ in PAIRS],
        "last_name": [s for _, s in PAIRS],
        "email": [f"{f}.{s}@firm.com".lower() for f, s in PAIRS],
        "doctor_name": [f"{s}, {f}" for f, s in reversed(PAIRS)],
        "phone": [f"+1 ({200 + i}) 555-{i:04d}" for i in range(N - 30)] + [None] * 30,
        "address": [f"{i} Oak Street" for i in range(N)],
        "city": [f"Town{i}" for i in range(N)],
        "iban": ["DE89370400440532013000"] * N,
        "card": [4111111111111111] * N,
        "age": RNG.integers(18, 90, N),
    }
)
SCHEMA = infer(REAL, {"card": "credit_card"})
KINDS = dict.fromkeys(["customer_id", "badge", "uuid"], "identifier")


def _request(k: int = 0, n: int = 300, given: pl.DataFrame | None = None, seed: int = 5) -> Request:
    return Request(k, Cell(0, (), n), k, n, seed + k, given)


@pytest.fixture(scope="module")
def identity() -> Identity:
    made: Identity = build("generate", {"use": "tabular.identity"})
    made.fit(REAL, SCHEMA)
    return made


def test_the_columns_are_what_they_should_be(identity: Identity) -> None:
    assert {c.name: c.kind for c in SCHEMA if c.name != "age"} == {
        n: KINDS.get(n, "personal") for n in REAL.columns if n != "age"
    }
    made = identity.generate(_request())
    assert dict(made.schema) == identity.schema()
    assert made.columns == [c for c in REAL.columns if c != "age"]


def test_no_real_value_comes_back(identity: Identity) -> None:
    made = identity.generate(_request(n=3_000))
    for name in set(made.columns) - {"first_name", "last_name"}:
        assert not set(made[name].drop_nulls()) & set(REAL[name].drop_nulls()), name
    assert not set(made.select("first_name", "last_name").rows()) & set(PAIRS)


def test_identifiers_never_meet_within_a_run_and_look_like_the_real_ones(identity: Identity) -> None:
    made = pl.concat([identity.generate(_request(k, n)) for k, n in enumerate([500, 1, 33_000, 500])])
    for name in ("customer_id", "badge", "uuid", "email"):
        assert made[name].n_unique() == made.height, name
    first = identity.generate(_request(n=50))
    assert first["customer_id"].is_between(100, 999).all()
    assert first["badge"].str.contains(r"^EMP-\d{4}$").all()
    assert first["uuid"].str.contains(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").all()


def test_a_row_is_one_person(identity: Identity) -> None:
    made = identity.generate(_request(given=REAL.select("age").head(50).with_columns(sex=pl.lit("F"))))
    assert made.columns[:2] == ["age", "sex"]
    assert made["age"].equals(REAL["age"].head(50))
    for row in made.iter_rows(named=True):
        assert row["email"].startswith(f"{row['first_name']}.{row['last_name']}".lower())
    doctors = made["doctor_name"].to_list()
    assert all(", " in d for d in doctors)
    patients = zip(made["first_name"], made["last_name"], strict=True)
    assert sum(d == f"{last}, {first}" for d, (first, last) in zip(doctors, patients, strict=True)) < 2
    men = identity.generate(_request(given=pl.DataFrame({"sex": ["M"] * 200})))
    assert not set(men["first_name"]) & {"Mary", "Jennifer", "Linda", "Patricia", "Elizabeth", "Susan", "Jessica"}


def test_formats_are_valid(identity: Identity) -> None:
    made = identity.generate(_request(n=100))
    assert all(map(iban, made["iban"]))
    assert all(luhn(str(c)) for c in made["card"])
    assert made["card"].n_unique() > 90
    assert detect("x", made["email"]) == "email"
    assert made["email"].str.contains(r"@example\.(com|org|net)$").all()


def test_the_share_of_missing_values_is_kept(identity: Identity) -> None:
    assert identity.generate(_request(n=4_000))["phone"].is_null().mean() == pytest.approx(0.25, abs=0.03)


def test_the_same_request_makes_the_same_rows_and_another_seed_others(identity: Identity) -> None:
    one = identity.generate(_request())
    assert one.equals(identity.generate(_request()))
    other = identity.generate(replace(_request(), seed=99))
    assert other["customer_id"].equals(one["customer_id"])
    assert not other["last_name"].equals(one["last_name"])


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(identity: Identity, n: int) -> None:
    assert dict(identity.generate(_request(n=n)).schema) == identity.schema()
    assert identity.generate(_request(n=n)).height == n
    assert identity.generate(_request(given=REAL.select("age").head(n))).height == n


def test_a_saved_model_makes_the_same_and_names_nobody(identity: Identity, tmp_path: Path) -> None:
    identity.save(tmp_path)
    loaded = Identity()
    loaded.load(tmp_path)
    assert loaded.generate(_request()).equals(identity.generate(_request()))
    stored = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"Oak Street" not in stored
    assert b"firm.com" not in stored
    assert Identity.private_model


def test_other_locales_and_manners() -> None:
    frame = pl.DataFrame(
        {"full_name": [f"{f} {s}".upper() for f, s in PAIRS], "street": [f"Weg {i}" for i in range(N)]}
    )
    made = Identity(locale="de_DE")
    made.fit(frame, infer(frame))
    rows = made.generate(_request(n=20))
    assert (rows["full_name"] == rows["full_name"].str.to_uppercase()).all()
    assert rows["street"].str.contains(r"\d{5} |, ").all()  # no column for the city: it is in the address
    with pytest.raises(Refusal, match="did you mean 'de_DE'"):
        Identity(locale="de_DX").fit(frame, infer(frame))


def test_fit_without_the_real_columns_is_refused() -> None:
    with pytest.raises(Refusal, match="fit needs column 'customer_id'"):
        Identity().fit(REAL.select("age"), SCHEMA)


def test_a_type_too_narrow_for_more_identifiers_is_refused() -> None:
    frame = pl.DataFrame({"id": pl.Series(range(100), dtype=pl.Int8)})
    made = Identity()
    made.fit(frame, infer(frame))
    with pytest.raises(Refusal, match="more identifiers are needed than Int8 holds"):
        made.generate(_request(n=200))
