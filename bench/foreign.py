"""Runs one peer inside its own environment: `python foreign.py JOB.json`. Needs pandas and the peer, nothing of synthmill.

The job: model, train (a CSV), kinds (column -> number, whole, category or date), rows, seed, minutes, threads, out (a
folder). Into it go made.csv and cost.json, the latter with a note where training was cut short.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from meter import metered

SDV = {"sdv-copula": "GaussianCopulaSynthesizer", "sdv-ctgan": "CTGANSynthesizer", "sdv-tvae": "TVAESynthesizer"}


def read(job: dict[str, Any]) -> pd.DataFrame:
    """Categories as text with missing ones as a level of their own, dates as timestamps."""
    kinds = job["kinds"]
    text = {c: str for c, k in kinds.items() if k == "category"}
    frame = pd.read_csv(
        job["train"], dtype=text, keep_default_na=False, na_values={c: [""] for c in kinds if c not in text}
    )
    for column, kind in kinds.items():
        if kind == "date":
            frame[column] = pd.to_datetime(frame[column])
        if kind == "category":
            frame[column] = frame[column].astype(object)
    return frame


def sdv(job: dict[str, Any]) -> tuple[Callable[[], pd.DataFrame], list[int]]:
    """Defaults of SDV; networks stop after the epoch in which their minutes of CPU time are over."""
    import sdv.single_table
    import sdv.single_table.base as base
    import torch
    from sdv.metadata import Metadata

    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    base.FIXED_RNG_SEED += job["seed"]  # SDV samples under one fixed seed; 0 leaves it as it is
    kinds = {"number": "numerical", "whole": "numerical", "category": "categorical", "date": "datetime"}
    columns: dict[str, dict[str, str]] = {c: {"sdtype": kinds[k]} for c, k in job["kinds"].items()}
    for about in columns.values():
        if about["sdtype"] == "datetime":
            about["datetime_format"] = "%Y-%m-%d"
    metadata = Metadata.load_from_dict({"tables": {"t": {"columns": columns}}})
    model = getattr(sdv.single_table, SDV[job["model"]])(metadata)
    epochs: list[int] = []
    for name in ("ctgan", "tvae"):
        importlib.import_module(f"ctgan.synthesizers.{name}").tqdm = _until(60 * job["minutes"], epochs)
    frame = read(job)

    def make() -> pd.DataFrame:
        model.fit({"t": frame})
        made = model.sample(num_rows=job["rows"])
        return made["t"] if isinstance(made, dict) else made

    return make, epochs


def _until(seconds: float, epochs: list[int]) -> Callable[..., Iterator[int]]:
    """In the place of a progress bar over epochs: ends it when this process has used `seconds` of CPU time."""

    def bar(planned: Iterable[int], **_: Any) -> Iterator[int]:
        todo = list(planned)
        epochs[:] = [0, len(todo)]
        start = time.process_time()
        for epoch in todo:
            if time.process_time() - start > seconds:
                return
            yield epoch
            epochs[0] += 1

    return bar


def mostly(job: dict[str, Any]) -> tuple[Callable[[], pd.DataFrame], list[int]]:
    """Defaults of TabularARGN, early stopping included, but for its time limit, which counts CPU time here."""
    import torch
    from mostlyai.engine import TabularARGN

    torch.set_num_threads(job["threads"])
    training = importlib.import_module("mostlyai.engine._tabular.training")
    training.time = SimpleNamespace(time=time.process_time)
    frame = read(job)
    spent: list[int] = []

    def make() -> pd.DataFrame:
        limit = job["minutes"]
        model = TabularARGN(device="cpu", verbose=0, max_training_time=limit, random_state=job["seed"])
        start = time.process_time()
        model.fit(frame)
        spent[:] = [round(time.process_time() - start), round(60 * limit)]
        return model.sample(n_samples=job["rows"])

    return make, spent


def main(path: str) -> None:
    job = json.loads(Path(path).read_text("utf-8"))
    warnings.simplefilter("ignore")
    import numpy as np

    np.random.seed(job["seed"])
    make, said = (sdv if job["model"] in SDV else mostly)(job)
    with metered() as cost:
        made = make()
    if job["model"] in SDV and said:
        cost["note"] = (
            f"{said[0]} of {said[1]} epochs in {job['minutes']:g} minutes of CPU" if said[0] < said[1] else ""
        )
    elif said and said[0] >= said[1]:
        cost["note"] = f"training ended by its limit of {job['minutes']:g} minutes of CPU"
    names = ("sdv", "ctgan", "torch") if job["model"] in SDV else ("mostlyai-engine", "torch")
    cost["versions"] = {n: version(n) for n in names}
    out = Path(job["out"])
    made[list(job["kinds"])].to_csv(out / "made.csv", index=False)
    (out / "cost.json").write_text(json.dumps(cost), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
