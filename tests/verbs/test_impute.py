from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.cli.main import main
from synthmill.data import adult
from synthmill.refusal import Refusal


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "model"
    return synthmill.fit(adult().head(1500), "tabular.forest").save(folder)


def gaps() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    table = adult().tail(200).with_columns(note=pl.lit("kept"))
    return table.with_columns(
        pl.when(pl.Series(rng.random(200) < 0.2)).then(None).otherwise(pl.col(c)).alias(c)
        for c in ("age", "sex", "income")
    )


def test_a_file_is_filled_and_says_what_was_drawn(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = gaps(), tmp_path / "full.parquet"
    before.write_csv(tmp_path / "gaps.csv")
    assert main(["impute", str(model), str(tmp_path / "gaps.csv"), "-o", str(out)]) == 0
    after, shown = pl.read_parquet(out), capsys.readouterr().out
    assert after.drop("_imputed").columns == before.columns
    for name in before.columns:
        held = before[name].is_not_null()
        assert after[name].filter(held).equals(before[name].filter(held))
        assert after[name].null_count() == 0
        told = after["_imputed"].fill_null("").str.split(",").list.contains(name)
        assert told.equals(~held, check_names=False)
        assert held.all() or f"{(~held).sum()} of {name}" in shown
    assert synthmill.impute(model, tmp_path / "gaps.csv").equals(after)


def test_nothing_missing_nothing_drawn(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adult().tail(20).write_csv(tmp_path / "whole.csv")
    assert main(["impute", str(model), str(tmp_path / "whole.csv"), "-o", str(tmp_path / "x.csv")]) == 0
    assert "nothing, no value was missing" in capsys.readouterr().out


def test_what_cannot_be_imputed_is_refused(model: Path, tmp_path: Path) -> None:
    gaps().drop("sex").write_csv(tmp_path / "less.csv")
    with pytest.raises(Refusal, match="the table has no column 'sex'"):
        synthmill.impute(model, tmp_path / "less.csv")
    gaps().with_columns(age=pl.lit("old")).write_csv(tmp_path / "odd.csv")
    with pytest.raises(Refusal, match="column 'age' is String, the model's is Int64"):
        synthmill.impute(model, tmp_path / "odd.csv")
    other = synthmill.fit(adult().head(200), "tabular.copula").save(tmp_path / "copula")
    gaps().write_csv(tmp_path / "gaps.csv")
    with pytest.raises(Refusal, match=r"tabular\.copula draws whole rows only"):
        synthmill.impute(other, tmp_path / "gaps.csv")


def test_dates_of_a_file_are_read_as_the_models_own(tmp_path: Path) -> None:
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 10, 26), eager=True)
    table = pl.DataFrame({"day": days, "x": [i % 7 for i in range(300)]})
    table.write_csv(tmp_path / "days.csv")
    main(["fit", str(tmp_path / "days.csv"), "-o", str(tmp_path / "m")])
    table.with_columns(pl.when(pl.col("x") > 3).then("day").alias("day")).write_csv(tmp_path / "gaps.csv")
    full = synthmill.impute(tmp_path / "m", tmp_path / "gaps.csv")
    assert full["day"].null_count() == 0
    assert full["day"].filter(table["x"] > 3).equals(days.filter(table["x"] > 3))
