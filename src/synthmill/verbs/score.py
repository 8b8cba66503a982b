"""`evaluate` for any synthetic file, of any tool: the line's own metrics and report on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.evaluate import Evaluation, evaluate
from synthmill.frame import digest
from synthmill.real import Real
from synthmill.real import load as load_real
from synthmill.run import Run
from synthmill.spec import RealNeed, Spec
from synthmill.tables.read import read

from .make import Observer, about_real

METRICS = ("fidelity", "detection", "coverage", "utility", "privacy")
UNSEEN = "the holdout was set aside here: if the tool was fitted on the whole real file, privacy and utility look better than they are"


def score(
    synthetic: str | Path,
    real: str | Path,
    out: str | Path | None = None,
    *,
    holdout: str | None = None,
    target: str | None = None,
    entity: str | None = None,
    seed: int = 0,
    metrics: Sequence[str] = METRICS,
    observer: Observer | None = None,
) -> tuple[Evaluation, Path]:
    """The evaluation and the folder with its report. holdout: your own held-out file; without it a fifth of `real` is set aside.

    Raises Refusal when the two tables have no columns in common or a file cannot be read.
    """
    observer = observer or Observer()
    need = RealNeed(path=str(real), target=target, entity=entity, holdout=holdout or 0.2)
    anchor = load_real(need, Path("."), seed)
    table = read(synthetic)
    table = table.select(c for c in table.columns if not c.startswith("_"))
    uses = [{"use": m} for m in metrics]
    name = Path(synthetic).name.split(".")[0] or "synthetic"
    root = Path(out) if out is not None else Path("runs") / f"evaluate-{name}"
    run = Run.start(root, _identity(need, uses, seed, anchor, table, name))
    try:
        made = evaluate(table, anchor, uses, seed=seed, progress=observer.say)
        run.write("evaluation.json", json.dumps(made.to_json(), indent=1))
        from synthmill.report import write_documents

        write_documents(run)
    finally:
        run.close()
    return made, root


def _identity(need: RealNeed, uses: Any, seed: int, anchor: Real, table: pl.DataFrame, name: str) -> dict[str, Any]:
    spec = Spec(name="evaluate", seed=seed, real=need, generate=[{"use": "external"}], evaluate=uses)
    return {
        "name": name,
        "digest": digest("external", seed, anchor.digest, name, table.height, table.columns),
        "spec": spec.model_dump(mode="json"),
        "checks": [],
        "cells": [],
        "real": about_real(anchor, None),
        "external": {"name": name, "rows": table.height, "notes": [] if need.holdout != 0.2 else [UNSEEN]},
    }
