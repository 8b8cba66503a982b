"""`evaluate` for any synthetic file, of any tool: the line's own metrics and report on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.documents import write_documents
from synthmill.evaluation import Evaluation, evaluate
from synthmill.frame import digest, payload
from synthmill.profile import profile
from synthmill.real import Real, from_frame
from synthmill.real import load as load_real
from synthmill.refusal import Refusal, choices
from synthmill.run import Run
from synthmill.spec import RealNeed, Spec
from synthmill.tables.read import from_any, read

from .make import Observer, about_real, discard

METRICS = ("fidelity", "detection", "coverage", "utility", "privacy")
UNSEEN = "the holdout was set aside here: if the tool was fitted on the whole real file, privacy and utility look better than they are"


def score(
    synthetic: Any,
    real: Any,
    out: str | Path | None = None,
    *,
    holdout: Any = None,
    target: str | None = None,
    entity: str | None = None,
    seed: int = 0,
    metrics: Sequence[str] = METRICS,
    observer: Observer | None = None,
) -> tuple[Evaluation, Path]:
    """The evaluation and the folder with its report. holdout: your own held-out table; without it a fifth of `real` is set aside.

    synthetic, real, holdout: files, or polars, pandas or Arrow tables.
    Raises Refusal when the two tables have no columns in common or a file cannot be read.
    """
    observer = observer or Observer()
    anchor = anchor_of(real, holdout, target, entity, seed)
    source = str(synthetic) if isinstance(synthetic, str | Path) else "the synthetic table"
    table = table_of(synthetic)
    table = table.select(payload(table))
    if not set(table.columns) & set(anchor.schema.names):
        raise Refusal(f"{source}: has no column of {anchor.source}; {choices(table.columns[0], anchor.schema.names)}")
    uses = [{"use": m} for m in metrics]
    name = Path(source).name.split(".")[0] if isinstance(synthetic, str | Path) else "synthetic"
    root = Path(out) if out is not None else Path("runs") / f"evaluate-{name}"
    if (root / "manifest.json").is_file() and "external" in Run.open(root).manifest:
        discard(root)  # an evaluation is cheap: the new one takes the old one's place
    run = Run.start(root, _identity(uses, seed, anchor, table, name))
    try:
        made = evaluate(table, anchor, uses, seed=seed, progress=lambda what: observer.say(f"measuring {what}"))
        if holdout is None:
            made = replace(made, notes=(*made.notes, UNSEEN))
        run.write("evaluation.json", json.dumps(made.to_json(), indent=1))
        run.write("profile.json", json.dumps(profile(anchor.train, table, anchor.schema, entity=anchor.entity)))
        write_documents(run)
    finally:
        run.close()
    return made, root


def table_of(given: Any) -> pl.DataFrame:
    return read(given) if isinstance(given, str | Path) else from_any(given)[0]


def anchor_of(
    real: Any, holdout: Any, target: str | None, entity: str | None, seed: int, *, shared: bool = False
) -> Real:
    if isinstance(real, str | Path) and (holdout is None or isinstance(holdout, str | Path)):
        need = RealNeed(path=str(real), target=target, entity=entity, holdout=str(holdout) if holdout else 0.2)
        return load_real(need, Path("."), seed, shared=shared)
    own = table_of(holdout) if holdout is not None else 0.2
    return from_frame(table_of(real), target=target, entity=entity, holdout=own, seed=seed, shared=shared)


def _identity(uses: Any, seed: int, anchor: Real, table: pl.DataFrame, name: str) -> dict[str, Any]:
    need = RealNeed(path=anchor.source, target=anchor.target, entity=anchor.entity)
    spec = Spec(name="evaluate", seed=seed, real=need, generate=[{"use": "external"}], evaluate=uses)
    return {
        "name": name,
        "digest": digest("external", seed, anchor.digest, name, table.height, table.columns),
        "spec": spec.model_dump(mode="json", exclude={"base"}),
        "checks": [],
        "cells": [],
        "real": about_real(anchor, None),
        "external": {"name": name, "rows": table.height},
    }
