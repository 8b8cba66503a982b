"""A small world with a known law, drawn as often as a test wants: real rows whose fresh copies cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from synthmill.frame import rng_of
from synthmill.plugins import Evidence
from synthmill.schema import Column, Schema

SCHEMA = Schema(
    (
        Column("age", "integer", "Int64"),
        Column("wage", "decimal", "Float64"),
        Column("job", "categorical", "String"),
        Column("town", "categorical", "String"),
        Column("rich", "categorical", "String"),
    )
)


def people(n: int, *names: object) -> pl.DataFrame:
    """Wage grows with age and job, riches with wage; town is rare in its tail and sometimes missing."""
    rng = rng_of("people", *names)
    age = rng.integers(18, 80, n)
    job = rng.choice(["cook", "clerk", "judge"], n, p=[0.5, 0.4, 0.1])
    wage = np.round(age * 10 + np.where(job == "judge", 900, 0) + rng.gamma(2, 100, n), 1)
    town = rng.choice(["aa", "bb", "cc", "zz"], n, p=[0.5, 0.3, 0.17, 0.03])
    rich = np.where(wage + rng.normal(0, 150, n) > 800, "yes", "no")
    frame = pl.DataFrame({"age": age, "wage": wage, "job": job, "town": town, "rich": rich})
    return frame.with_columns(town=pl.when(pl.Series(rng.random(n) < 0.04)).then(None).otherwise("town"))


@dataclass
class Real:
    train: pl.DataFrame
    holdout: pl.DataFrame
    schema: Schema = SCHEMA
    target: str | None = "rich"
    entity: str | None = None


TRAIN, HOLDOUT, FRESH = people(1500, "train"), people(800, "holdout"), people(1500, "fresh")
REAL = Real(TRAIN, HOLDOUT)


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    rng = rng_of("shuffled")
    return pl.DataFrame([frame[c].gather(rng.permutation(frame.height)) for c in frame.columns])


INDEPENDENT = shuffled(TRAIN)
BOOTSTRAP = TRAIN[rng_of("bootstrap").integers(TRAIN.height, size=TRAIN.height)]


def evidence(synthetic: pl.DataFrame, **changes: object) -> Evidence:
    given = {"train": TRAIN, "holdout": HOLDOUT, "schema": SCHEMA, "seed": 0, "target": "rich", **changes}
    return Evidence(synthetic, **given)  # type: ignore[arg-type]
