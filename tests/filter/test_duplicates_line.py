"""Near duplicates inside the line: the same records at any worker count, and after a stop at any admission."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lines import bytes_of, job, run_job
from synthmill.filter.duplicates import Duplicates
from synthmill.frame import rng_of
from synthmill.job import Station
from synthmill.plugins import Request

VOCABULARY = np.array([f"w{i}" for i in range(2_000)])
BASE = rng_of("duplicates_line").choice(VOCABULARY, (30, 60))
TEMPLATE = rng_of("duplicates_line", "template").choice(VOCABULARY, 60)


@dataclass
class Babbler:
    """A third says one of thirty texts over with words changed, a third fills one template, a third is new."""

    def schema(self) -> dict[str, pl.DataType]:
        return {"text": pl.String()}

    def generate(self, request: Request) -> pl.DataFrame:
        rng, rows = request.rng(), []
        for _ in range(request.n):
            kind = rng.integers(3)
            words = (
                BASE[rng.integers(30)] if kind == 0 else TEMPLATE if kind == 1 else rng.choice(VOCABULARY, 60)
            ).copy()
            slots = rng.random(60) < 0.05 if kind == 0 else np.arange(60) % 15 < 3
            words[slots] = rng.choice(VOCABULARY, int(slots.sum()))
            rows.append(" ".join(words))
        return pl.DataFrame({"text": rows})


def babble(quota: int = 300, **engine: Any) -> Any:
    made = job("test_duplicates_line:Babbler", quota, axes={}, engine=engine)
    made.filters.append(Station("duplicates", Duplicates(rate=0, text="text")))
    return made


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("near") / "run"
    filling, run = run_job(babble(kind="serial"), root)
    assert not filling.stopped
    kept = run.data(["text"])["text"].to_list()
    assert len(kept) == 300
    assert (
        20
        <= sum(sum(a == b for a, b in zip(t.split(), BASE[i], strict=True)) > 40 for t in kept for i in range(30))
        <= 35
    )
    fixed = np.arange(60) % 15 >= 3
    assert sum(bool((np.array(t.split())[fixed] == TEMPLATE[fixed]).all()) for t in kept) > 100
    return root


@pytest.mark.parametrize(("kind", "workers"), [("thread", 1), ("thread", 3), ("process", 2)])
def test_engines_and_workers(tmp_path: Path, reference: Path, kind: str, workers: int) -> None:
    run_job(babble(kind=kind, workers=workers), tmp_path / "run")
    assert bytes_of(tmp_path / "run") == bytes_of(reference)


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_stopped_run_remembers_what_it_had_admitted(tmp_path: Path, reference: Path, after: int) -> None:
    seen = []

    def stop(progress: Any) -> None:
        seen.append(progress)
        if len(seen) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(babble(kind="serial"), tmp_path / "run", stop)
    run_job(babble(kind="serial"), tmp_path / "run")
    assert bytes_of(tmp_path / "run") == bytes_of(reference)
