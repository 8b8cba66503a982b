"""Imputation by a model with constraints: what is known stays, what is drawn meets them, what cannot be is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.cli.main import main
from synthmill.constraints import parse

RULES: list[dict[str, Any]] = [
    {"inequality": ["ordered", "packed", "shipped"]},
    {"inequality": ["low", "high"], "strict": True},
    {"total": "total", "plus": ["net", "tax"], "minus": ["off"]},
    {"combinations": ["town", "region"]},
    {"combinations": ["grade", "colour"]},
    {"one_hot": ["red", "green", "blue"]},
]
TOWNS = {"Aachen": "West", "Bonn": "West", "Celle": "North", "Dresden": "East", "Emden": "North"}


def goods(n: int = 900, seed: int = 4) -> pl.DataFrame:
    """Every kind of constraint; how long shipping takes and what is paid depend on the town."""
    rng = np.random.default_rng(seed)
    town = rng.choice(list(TOWNS), n)
    far = np.isin(town, ["Dresden", "Emden"])
    start = np.datetime64("2024-01-01") + rng.integers(0, 200, n)
    packed = start + rng.integers(0, 5, n)
    shipped = packed + rng.integers(0, 5, n) + far * 10
    net, tax = rng.lognormal(4 + far, 0.3, n).round(2), rng.integers(0, 20, n) / 4
    off = np.where(rng.random(n) < 0.7, 0.0, rng.integers(1, 9, n) / 2)
    grade = rng.choice(["A", "B", "C"], n)
    low = rng.integers(0, 50, n)
    flag = rng.integers(0, 3, n)
    return pl.DataFrame(
        {
            "town": town, "region": [TOWNS[t] for t in town],
            "ordered": start, "packed": packed, "shipped": shipped,
            "low": low, "high": low + rng.integers(1, 6, n),
            "net": net, "tax": tax, "off": off, "total": np.round(net + tax - off, 2),
            "grade": grade, "colour": [rng.choice({"A": ["red", "blue"], "B": ["blue", "tan"], "C": ["tan"]}[g]) for g in grade],
            "red": flag == 0, "green": flag == 1, "blue": flag == 2,
            "mood": rng.choice(["fine", "so so"], n),
        }
    )  # fmt: skip


def holed(table: pl.DataFrame, share: float = 0.35, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return table.with_columns(
        pl.when(pl.Series(rng.random(table.height) < share)).then(None).otherwise(pl.col(c)).alias(c)
        for c in table.columns
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("goods") / "model"
    return synthmill.fit(goods(), "tabular.forest", constraints=RULES).save(place)


@pytest.fixture(scope="module")
def filled(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    before = holed(goods(400, seed=9))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        after = synthmill.load(folder).impute(before)
    assert not [str(w.message) for w in said if "impute" in str(w.message)]
    return before, after


@pytest.mark.parametrize(
    "rule",
    RULES,
    ids=lambda r: "-".join(map(str, next(iter(r.items()))[1])) if isinstance(next(iter(r.values())), list) else "total",
)
def test_each_kind_holds_and_nothing_stays_missing(
    filled: tuple[pl.DataFrame, pl.DataFrame], rule: dict[str, Any]
) -> None:
    _, after = filled
    constraint = parse([rule])[0]
    if hasattr(constraint, "learned"):
        constraint = constraint.learned(goods())
    names = list(constraint.columns)
    assert after.select(names).null_count().sum_horizontal()[0] == 0
    assert constraint.holds(after).all()


def test_what_is_known_stays(filled: tuple[pl.DataFrame, pl.DataFrame], folder: Path) -> None:
    before, after = filled
    assert after.schema == before.schema
    for name in before.columns:
        held = before[name].is_not_null()
        assert after[name].filter(held).equals(before[name].filter(held))
        assert after[name].null_count() == 0
    assert synthmill.load(folder).impute(before).equals(after)
    assert not synthmill.load(folder).impute(before, seed=1).equals(after)


def test_what_is_drawn_goes_along_with_what_is_known(folder: Path) -> None:
    table = goods(600, seed=21)
    model = synthmill.load(folder)
    end = model.impute(table.with_columns(pl.lit(None, pl.Date).alias("shipped")))
    far = end["town"].is_in(["Dresden", "Emden"])
    days = (end["shipped"] - end["packed"]).dt.total_days()
    assert days.filter(far).mean() > days.filter(~far).mean() + 6  # ten days more
    first = model.impute(table.with_columns(pl.lit(None, pl.Date).alias("ordered")))
    gap, real = ((t["packed"] - t["ordered"]).dt.total_days() for t in (first, table))
    assert abs(gap.mean() - real.mean()) < 0.5
    middle = model.impute(table.with_columns(pl.lit(None, pl.Date).alias("packed")))
    assert (middle["packed"] - table["packed"]).dt.total_days().abs().mean() < 4
    parts = model.impute(
        table.with_columns(pl.lit(None, pl.Float64).alias("net"), pl.lit(None, pl.Float64).alias("tax"))
    )
    assert np.corrcoef(parts["net"], table["net"])[0, 1] > 0.99
    assert parts["tax"].min() >= 0
    assert parts["net"].min() >= 0
    assert model.impute(table.with_columns(pl.lit(None, pl.Float64).alias("off")))["off"].equals(table["off"])
    region = model.impute(table.with_columns(pl.lit(None, pl.String).alias("region")))
    assert region["region"].equals(table["region"])
    towns = model.impute(table.with_columns(pl.lit(None, pl.String).alias("town")))["town"]
    assert set(towns.filter(table["region"] == "West")) == {"Aachen", "Bonn"}
    late = (table["shipped"] - table["packed"]).dt.total_days() > 8
    north = table["region"] == "North"
    assert (towns.filter(north & late) == "Emden").mean() > (towns.filter(north & ~late) == "Emden").mean() + 0.5


def test_what_cannot_be_is_said_with_a_count(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = pl.date
    odd = holed(goods(6, seed=5), 0).with_row_index("n").with_columns(
        ordered=pl.when(n=0).then(day(2024, 5, 1)).otherwise("ordered"),
        packed=pl.when(pl.col("n").is_in([0, 1])).then(None).otherwise("packed"),
        shipped=pl.when(n=0).then(day(2024, 4, 1)).otherwise("shipped"),
        town=pl.when(n=2).then(pl.lit("Atlantis")).otherwise("town"),
        region=pl.when(n=2).then(None).when(n=3).then(pl.lit("East")).otherwise("region"),
        low=pl.when(n=4).then(None).otherwise("low"),
        total=pl.when(n=5).then(pl.col("total") + 1).otherwise("total"),
        mood=pl.lit(None, pl.String),
    )  # fmt: skip
    odd = odd.with_columns(town=pl.when(n=3).then(pl.lit("Bonn")).otherwise("town"))
    odd.write_parquet(tmp_path / "odd.parquet")
    with pytest.warns(UserWarning, match="impute: ") as said:
        after = synthmill.load(folder).impute(odd)
    sentences = [str(w.message) for w in said]
    assert (
        "impute: 'ordered <= packed <= shipped': what is known of 1 row breaks it already; left missing in 1"
        in sentences
    )
    assert (
        "impute: 'combinations of town, region': what is known of 2 rows breaks it already; left missing in 1"
        in sentences
    )
    assert any("total" in s and "what is known of 1 row breaks it already" in s for s in sentences)
    assert len(sentences) == 3
    assert after["packed"].null_count() == 1
    assert after["packed"][0] is None
    assert after["region"][2] is None
    assert after["low"].null_count() == after["mood"].null_count() == 0
    assert main(["impute", str(folder), str(tmp_path / "odd.parquet"), "-o", str(tmp_path / "out.parquet")]) == 0
    assert "4 rows are at odds with a constraint" in capsys.readouterr().out
    out = pl.read_parquet(tmp_path / "out.parquet")
    assert out["_conflict"].is_not_null().to_list() == [True, False, True, True, False, True]
    assert out["_conflict"][0] == "ordered <= packed <= shipped"
    assert out["_imputed"].str.contains("mood").all()


def test_a_table_with_gaps_of_its_own() -> None:
    """Missing by design in train: the end that others hang on, parts of a sum, and of a combination."""
    table = holed(goods(900), 0.15, seed=2)
    model = synthmill.fit(table, "tabular.forest", constraints=RULES)
    before = holed(goods(200, seed=8), 0.3, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = model.impute(before)
    for rule in RULES:
        c = parse([rule])[0]
        held = (c.learned(table) if hasattr(c, "learned") else c).holds(after)
        whole = after.select(pl.all_horizontal(pl.col(c.columns).is_not_null())).to_series()
        assert held.filter(whole).all(), c.text
        assert whole.mean() > 0.97, c.text


def test_constraints_that_share_a_column() -> None:
    """Both hold; the few rows for which eight draws find nothing are left missing and counted."""
    rng, n = np.random.default_rng(0), 800
    a, b = rng.integers(0, 50, (2, n))
    table = pl.DataFrame({"a": a, "b": b, "t": a + b, "cap": a + b + rng.integers(0, 30, n)})
    rules: list[dict[str, Any]] = [{"total": "t", "plus": ["a", "b"]}, {"inequality": ["t", "cap"]}]
    before = holed(table, 0.4)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        after, conflicts = synthmill.fit(table, "tabular.forest", constraints=rules).imputed(before)
    assert not said
    assert all(c.holds(after).all() for c in parse(rules))
    left = after.select(pl.any_horizontal(pl.all().is_null())).to_series()
    assert 0 <= left.sum() < 0.02 * n
    assert left.sum() <= sum(int(c.rows.sum()) for c in conflicts)
    assert not any(c.known for c in conflicts)
    for name in table.columns:
        held = before[name].is_not_null()
        assert after[name].filter(held).equals(before[name].filter(held))
