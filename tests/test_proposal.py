"""`init` writes specs that parse, hold on the data they came from, and give nobody away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import synthmill
from synthmill.data import adult, adult_path
from synthmill.plugins import build
from synthmill.proposal import propose
from synthmill.real import load
from synthmill.refusal import Refusal
from synthmill.spec import Spec, load_spec, parse_spec

RNG = np.random.default_rng(2)
N = 2_000
START = RNG.integers(0, 900, N)
SHOP = pl.DataFrame(
    {
        "order_id": range(1, N + 1),
        "Email": [f"p{i}@firm.org" for i in range(N)],
        "from": START,
        "unit to": START + RNG.integers(0, 300, N),
        "price": np.round(RNG.lognormal(3, 1, N), 2),
        "state": RNG.choice(["yes", "no", "it's", "a: b"], N, p=[0.6, 0.37, 0.02, 0.01]),
        "secret": ["common"] * (N - 3) + ["only three"] * 3,
    }
)


def _spec(tmp_path: Path, frame: pl.DataFrame, **options: str) -> tuple[str, Spec]:
    frame.write_parquet(tmp_path / "my shop.parquet")
    text = propose(tmp_path / "my shop.parquet", out=tmp_path / "spec.yaml", **options)  # type: ignore[arg-type]
    (tmp_path / "spec.yaml").write_text(text)
    return text, load_spec(tmp_path / "spec.yaml")[0]


def test_adult(tmp_path: Path) -> None:
    text = propose(adult_path(), out=adult_path().parent / "spec.yaml")
    spec = parse_spec(yaml.safe_load(text))
    assert spec.real is not None
    assert (spec.name, spec.real.path, spec.real.target) == ("adult", "adult.csv.gz", "income")
    assert spec.cover.axes == {"income": ["<=50K", ">50K"]}
    assert "a guess" in text
    assert "missing: ['?']" in text
    assert "Amer-Indian-Eskimo" in text  # a rare group


def test_every_part_is_configured_rightly_and_the_rules_hold(tmp_path: Path) -> None:
    _, spec = _spec(tmp_path, SHOP)
    for family in ("generate", "verify", "filter", "evaluate"):
        for use in getattr(spec, family):
            plugin = build("measure" if family == "evaluate" else family, use)
            if use["use"] == "rules":
                assert '"price" >= 0' in use["all"]
                assert not plugin.judge(SHOP).status.sum()


def test_whether_synthetic_rows_are_welcome_is_for_the_user_to_say(tmp_path: Path) -> None:
    text, spec = _spec(tmp_path, SHOP.with_columns(_origin=pl.lit("synthetic")))
    assert "# accept_synthetic: true" in text
    assert spec.real is not None
    with pytest.raises(Refusal, match="synthetic"):
        load(spec.real, tmp_path, 0)


def test_constraints_that_hold_are_proposed_and_can_be_made(tmp_path: Path) -> None:
    price, fee = SHOP["price"], pl.Series(RNG.integers(1, 50, N)) / 4
    frame = SHOP.with_columns(fee=fee, total=(price + fee).round(2))
    frame = frame.with_columns(land=pl.col("state").replace_strict({"yes": 1}, default=2))
    text, spec = _spec(tmp_path, frame)
    assert spec.constraints == [
        {"inequality": ["from", "unit to"]},
        {"total": "total", "plus": ["price", "fee"]},
        {"combinations": ["state", "land"]},
        {"unique": ["order_id"]},
    ]
    assert "Each holds in all 2,000 real rows" in text
    prepared = synthmill.check(tmp_path / "spec.yaml")
    assert not any("break" in note for note in prepared.notes)
    assert _spec(tmp_path, SHOP.head(200))[1].constraints == []


def test_what_is_made_up_and_may_yet_be_real_is_said(tmp_path: Path) -> None:
    text, _ = _spec(tmp_path, SHOP.with_columns(town=pl.Series([f"{i}ville" for i in range(N)])))
    assert "email: made up, never one of train" in text
    assert "city: made up, may coincide with a real one" in text


def test_small_groups_and_extremes_are_not_named(tmp_path: Path) -> None:
    text, _ = _spec(tmp_path, SHOP)
    assert "only three" not in text
    assert str(SHOP["price"].max()) not in text
    assert "@firm.org" not in text


def test_odd_names_and_levels_survive_yaml(tmp_path: Path) -> None:
    frame = SHOP.drop("secret").with_columns(SHOP["state"].alias("no"))
    _, spec = _spec(tmp_path, frame, target="no")
    assert spec.real is not None
    assert (spec.real.target, spec.real.path) == ("no", "my shop.parquet")
    assert spec.cover.axes == {"no": ["a: b", "it's", "no", "yes"]}


def test_a_target_of_few_whole_numbers_is_taken_for_classes(tmp_path: Path) -> None:
    _, spec = _spec(tmp_path, SHOP.with_columns(grade=pl.Series(RNG.integers(1, 6, N))), target="grade")
    assert spec.real is not None
    assert spec.real.columns == {"grade": "categorical"}
    assert spec.cover.axes == {"grade": [1, 2, 3, 4, 5]}


def test_tables_without_much_to_propose(tmp_path: Path) -> None:
    for frame in (
        pl.DataFrame({"x": RNG.normal(size=50)}),
        pl.DataFrame({"x": [1]}),
        pl.DataFrame({"t": [None, None]}),
    ):
        text, spec = _spec(tmp_path, frame)
        assert spec.cover.axes == {}
        assert "# target" in text


def test_an_identifier_that_repeats_is_the_entity(tmp_path: Path) -> None:
    _, spec = _spec(tmp_path, SHOP.with_columns(customer_id=pl.Series(RNG.integers(0, 500, N))))
    assert spec.real is not None
    assert spec.real.entity == "customer_id"


def test_what_one_person_holds_alone_is_not_named_in_however_many_rows(tmp_path: Path) -> None:
    visits = SHOP.select("price", customer_id=pl.int_range(N) // 12, state=pl.lit("well"))
    ill = pl.col("customer_id") == 7
    text, _ = _spec(tmp_path, visits.with_columns(state=pl.when(ill).then(pl.lit("rare illness")).otherwise("state")))
    assert "rare illness" not in text


def test_nothing_is_predicted_from_texts_alone(tmp_path: Path) -> None:
    texts = pl.DataFrame(
        {"label": ["ham", "spam"] * 50, "text": [f"a message of many words number {i}" for i in range(100)]}
    )
    text, spec = _spec(tmp_path, texts)
    assert "# target" in text
    assert list(spec.release) == ["fidelity.shapes"]


@pytest.mark.parametrize(
    ("rows", "bars"),
    [
        (50, {"fidelity.shapes": ">= 0.5"}),
        (2_000, {"fidelity.shapes": ">= 0.9", "privacy.membership": "<= 0.65"}),
        (20_000, {"fidelity.shapes": ">= 0.9", "utility.gap": "<= 0.09", "privacy.membership": "<= 0.55"}),
    ],
)
def test_the_bars_are_ones_that_so_many_rows_can_prove(tmp_path: Path, rows: int, bars: dict[str, str]) -> None:
    text, spec = _spec(tmp_path, pl.DataFrame({"x": RNG.normal(size=rows), "y": RNG.normal(size=rows)}), target="y")
    assert {name: str(bar) for name, bar in spec.release.items()} == bars
    for name in ("utility.gap", "privacy.membership"):
        assert (f"  # {name}" in text) == (name not in bars)


def test_a_target_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refusal, match="did you mean 'income'"):
        propose(adult_path(), target="incom")


def test_the_sample_is_adult() -> None:
    assert adult().shape == (8_000, 15)
    assert set(adult()["income"]) == {"<=50K", ">50K"}
