"""Short ways to run the loop in tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.cells import grid
from synthmill.compose import maker
from synthmill.frame import digest
from synthmill.job import Job, Station, Watch
from synthmill.line import Filling, fill
from synthmill.plugins import build
from synthmill.run import Run
from synthmill.spec import Budget, EngineNeed, Fill

COLOURS = {"colour": ["red", "blue"]}


def job(generate: Any = "toys:Coin", quota: int = 100, axes: Any = None, **options: Any) -> Job:
    uses = [{"use": generate}] if isinstance(generate, str) else generate if isinstance(generate, list) else [generate]
    stations = {
        name: [
            Station(u if isinstance(u, str) else u["use"], build("verify", {"use": u} if isinstance(u, str) else u))
            for u in options.pop(name, [])
        ]
        for name in ("verify", "filters", "monitors")
    }
    return Job(
        seed=options.pop("seed", 1),
        maker=maker(uses),
        cells=grid(COLOURS if axes is None else axes, quota),
        fill=Fill(**options.pop("fill", {"size": 40, "window": 4})),
        engine=EngineNeed(**{"checkpoint": 1e9, **options.pop("engine", {})}),
        budget=Budget(**options.pop("budget", {})),
        **stations,
        **options,
    )


def run_job(made: Job, root: Path, watch: Watch | None = None) -> tuple[Filling, Run]:
    identity = {
        "name": "test",
        "digest": digest("test", made.seed, made.names, [c.label for c in made.cells]),
        "cells": [{"label": c.label, "quota": c.quota} for c in made.cells],
    }
    run = Run.start(root, identity)
    try:
        return fill(made, run, watch), run
    finally:
        run.close()


def bytes_of(root: Path) -> dict[str, str]:
    """Digest of every data file of a run: what must not depend on workers, threads or kills."""
    files = sorted(p for p in root.rglob("*.parquet"))
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def hard(quota: int = 600, size: int = 40, **engine: Any) -> Job:
    """A job with everything that a kill could spoil: parts, segments, a memory, a private check, a monitor's count."""
    coin = {"use": "toys:Coin", "values": 4 * quota + 400}
    return job(
        coin,
        quota=quota,
        verify=["toys:Odd"],
        filters=["toys:Hush", "toys:Fresh"],
        monitors=[{"use": "toys:Bell", "after": quota}],
        fill={"size": size, "window": 4, "group": 2, "part_rows": quota // 2},
        engine={"checkpoint": 0, **engine},
        max_attempts=50,
    )


def check_succeeded(filling: Filling, run: Run) -> None:
    """Every quota met, every candidate accounted for."""
    assert not filling.stopped
    assert filling.ledger.room().sum() == 0
    assert run.manifest["filled"]
    check_accounted(filling, run)


def check_accounted(filling: Filling, run: Run) -> None:
    """Candidates counted = accepted + rejected, each once."""
    data, lost, hidden = run.data(), run.rejected(), run.private_rejected()
    assert filling.tally.sum() == data.height + lost.height + hidden.height
    ids = pl.concat([data["_id"], lost["_id"], hidden["_id"]])
    assert ids.n_unique() == len(ids)
    assert lost["_reason"].null_count() == 0
