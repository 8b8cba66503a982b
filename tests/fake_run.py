"""A tiny run directory, made by hand through the run's own doors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from synthmill.frame import digest
from synthmill.lineage import REQUESTS, ROWS
from synthmill.profile import profile
from synthmill.run import Run
from synthmill.schema import Schema
from synthmill.tables.infer import infer

NASTY = "<script>alert('x')</script>"
SENTINEL_LEVEL, SENTINEL_NUMBER = "Zanzibarian", 987_654_321


def people(n: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    pay = np.round(rng.lognormal(7, 0.5, n), 2)
    return pl.DataFrame(
        {
            "age": age,
            "pay": pay,
            NASTY: rng.choice(["a & b", "<b>bold</b>", "c"], n, p=[0.6, 0.3, 0.1]),
            "since": pl.Series(rng.integers(15_000, 19_000, n)).cast(pl.Int32).cast(pl.Date),
            "smokes": age > 40,
        }
    )


def with_sentinel(real: pl.DataFrame) -> pl.DataFrame:
    """One person who is unlike all others."""
    alone = real[:1].with_columns(
        pl.lit(SENTINEL_NUMBER, pl.Int64).alias("age"),
        pl.lit(float(SENTINEL_NUMBER)).alias("pay"),
        pl.lit(SENTINEL_LEVEL).alias(NASTY),
        pl.lit(None, pl.Boolean).alias("smokes"),
    )
    return pl.concat([real, alone])


def measure(name: str, value: float | None, better: str = "higher", **more: Any) -> dict[str, Any]:
    near = (None, None) if value is None else (value - 0.02, value + 0.02)
    return {
        "name": name, "value": value, "low": near[0], "high": near[1], "better": better,
        "floor": None, "ceiling": None, "note": "", "detail": {}, **more,
    }  # fmt: skip


WITHIN = [
    {"cell": f"x={NASTY}", "share": 0.75, "value": 0.95, "low": 0.9, "high": None, "note": ""},
    {"cell": "2 cells together", "share": 0.25, "value": 0.87, "low": 0.8, "high": 0.9, "note": ""},
]
MEASURES = [
    measure("fidelity.shapes", 0.93, floor=0.9, ceiling=0.98, detail={"cells": WITHIN}),
    measure("detection.c2st", 0.71, "half", floor=0.98, ceiling=0.5),
    measure("utility.real", 0.91, detail={"score": "AUC"}),
    measure("utility.synthetic", 0.86, detail={"score": "AUC"}, floor=0.5),
    measure("utility.gap", 0.05, "lower"),
    measure("privacy.membership", 0.51, "half", floor=0.7, ceiling=0.5),
    measure("privacy.membership_unfiltered", 0.53, "half"),
    measure("coverage.tails", None, note="no tail has 5 held-out rows"),
    measure(f"mine.{NASTY}", 0.5),
]
BARS = [
    {"name": "utility.gap", "bar": "<= 0.02", "held": False, "sentence": "utility.gap <= 0.02: missed by 0.05"},
    {"name": "privacy.membership", "bar": "<= 0.6", "held": True, "sentence": "privacy.membership <= 0.6: held"},
]


def fake_run(
    root: Path, synthetic: pl.DataFrame, real: pl.DataFrame | None, *, parts: int = 2, bars: list[Any] | None = None
) -> Run:
    """synthetic is split into `parts`; with `real` there are an evaluation and bars."""
    run = Run.start(root, {"digest": digest("fake", synthetic.height, synthetic.columns), "name": "people & more"})
    half = -(-synthetic.height // parts)
    for p in range(parts):
        run.add_part(_frames(synthetic[p * half : (p + 1) * half], run.id, p), _state(synthetic.height))
    n = synthetic.height
    run.manifest.update(
        checks=["generator", "schema", "rules", "copies", "cover"],
        cells=[{"label": f"x={NASTY}", "quota": n + 50, "accepted": n, "short": 50}],
        generators=[{"use": "tabular.copula", "version": "v1", "config": {}, "digest": "c0ffee", "depth": 1}],
        versions={"synthmill": "0.1.0"},
        times={"fill": 1.5, "evaluate": 61.0},
        spec={"seed": 7, "licence": "CC BY 4.0", "verify": [{"use": "rules", "all": ["age >= 18"]}]},
        released=False if bars or real is not None else None,
        bars=BARS if bars is None and real is not None else bars or [],
    )
    if real is not None:
        run.manifest["real"] = {
            "source": "people.csv", "digest": "d1", "train": real.height, "holdout": 10, "licence": "CC0-1.0",
            "notes": ["a note"], "schema": infer(real).to_json(),
        }  # fmt: skip
        run.write("evaluation.json", json.dumps({"version": 1, "sizes": {}, "notes": [], "measures": MEASURES}))
        run.write("blend/blend.json", json.dumps({"real": 7, "synthetic": 3, "share": 0.7, "notes": ["it shrank"]}))
    schema = infer(real) if real is not None else Schema(())
    run.write("profile.json", json.dumps(profile(real, synthetic, schema)))
    run.commit()
    return run


def _frames(part: pl.DataFrame, run: str, k: int) -> dict[str, pl.DataFrame]:
    n = part.height
    data = part.with_columns(
        pl.Series("_id", [f"{run}-{k}-{i}" for i in range(n)], pl.String),
        pl.lit("synthetic").alias("_origin"),
        pl.lit(run).alias("_run"),
        pl.lit(1, pl.UInt8).alias("_depth"),
    )
    reasons = ["age 17 is below 18.0"] * 3 + ["age >= 18"] * 2
    rejected = pl.DataFrame(
        {"_check": [1, 1, 1, 2, 2], "_status": [1] * 5, "_reason": reasons},
        schema={"_check": pl.UInt8, "_status": pl.UInt8, "_reason": pl.String},
    )
    return {
        "data": data,
        "rows": pl.DataFrame(schema=ROWS),
        "requests": pl.DataFrame(schema=REQUESTS),
        "rejected": rejected,
        "private": rejected.clear(),
    }


def _state(accepted: int) -> dict[str, Any]:
    tally = [[0, 0, 2, 0], [0, 6, 0, 0], [0, 4, 0, 0], [0, 5, 0, 0], [accepted, 0, 0, 3]]
    return {"tally": tally, "warnings": [f"statistics: drift in {NASTY}"], "stopped": ""}
