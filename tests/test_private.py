"""What derives from single real records lies under `private/` and nowhere else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import synthmill
from synthmill.data import adult

SENTINEL, EXTREME = "Zorblax-of-one", 987_654.25


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adult with one person who holds a level and an extreme alone."""
    people = adult().head(1500).with_columns(pay=pl.int_range(pl.len()).cast(pl.Float64) * 1.25 + 100)
    at = pl.int_range(pl.len()) == 700
    people = people.with_columns(
        pl.when(at).then(pl.lit(SENTINEL)).otherwise("workclass").alias("workclass"),
        pl.when(at).then(pl.lit(EXTREME)).otherwise("pay").alias("pay"),
    )
    path = tmp_path_factory.mktemp("real") / "people.csv"
    people.write_csv(path)
    return path


def make(real: Path, generator: str) -> synthmill.Run:
    spec = synthmill.Spec.model_validate(
        {
            "name": "private",
            "real": {"path": str(real), "target": "income"},
            "cover": {"total": 400},
            "generate": generator,
            "verify": ["schema", {"use": "rules", "all": ["age < 60"]}],
            "filter": ["copies", "duplicates"],
            "blend": {"real": 0.5},
            "evaluate": ["fidelity"],
            "release": {"fidelity.shapes": ">= 0.99"},
        }
    )
    return synthmill.make(spec, real.parent / generator).run


def public(run: synthmill.Run) -> list[Path]:
    return [p for p in run.root.rglob("*") if p.is_file() and "private" not in p.relative_to(run.root).parts]


def test_rejects_of_other_checks_that_equal_real_rows_are_private_too(real: Path) -> None:
    run = make(real, "tabular.bootstrap")
    columns = adult().columns
    train = pl.read_csv(real, infer_schema_length=None)
    shown = run.rejected()
    failed = run.private_rejected().filter(pl.col("_reason").str.contains("age < 60"))
    assert failed.height > 0
    same = shown.filter(pl.col("_reason") == "age < 60").join(train, on=columns, how="semi", nulls_equal=True)
    assert same.height == 0


@pytest.mark.parametrize("generator", ["tabular.forest", "tabular.copula", "tabular.independent", "tabular.bootstrap"])
def test_fitted_models_are_private(real: Path, generator: str) -> None:
    run = make(real, generator)
    assert not any("models" in p.parts for p in public(run))
    assert any((run.root / "private" / "models").rglob("*"))
    assert synthmill.sample(run.root, 5).height == 5


@pytest.mark.parametrize("generator", ["tabular.forest", "tabular.copula"])
def test_one_persons_level_and_extreme_are_in_no_public_file(real: Path, generator: str) -> None:
    run = make(real, generator)
    needles = (SENTINEL, "987654", "987,654", "987_654")
    for path in public(run):
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            for column in frame.get_columns():
                text = column.cast(pl.String, strict=False)
                assert not any(text.str.contains(n, literal=True).any() for n in needles), path
        else:
            text = path.read_text("utf-8", "replace")
            assert not any(n in text for n in needles), path
