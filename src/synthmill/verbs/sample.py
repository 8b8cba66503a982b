"""Rows from a fitted model, on request and into a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from synthmill.refusal import Refusal, choices
from synthmill.run import atomic, sentences

from .fit import load, parse_where

WRITERS = {
    ".csv": "write_csv",
    ".parquet": "write_parquet",
    ".jsonl": "write_ndjson",
    ".arrow": "write_ipc",
    ".feather": "write_ipc",
}


def sample(folder: str | Path, n: int, where: Sequence[str] = (), seed: int = 0) -> pl.DataFrame:
    """Rows with `_id`, `_origin`, `_run`, `_depth`, from a model's folder or a run. where: such as `income=>50K`, `age>=30`."""
    model = load(folder)
    levels = parse_where(where, model.maker.schema())
    return model.export(model.draw(n, levels, seed), seed, n, sorted(where))


def write_table(frame: pl.DataFrame, path: str | Path) -> None:
    """The kind of file is its ending; it is there whole or not at all. Raises Refusal for an unknown one, and for nested columns in CSV."""
    path = Path(path)
    if path.suffix not in WRITERS:
        raise Refusal(f"{path}: '{path.suffix}' is not a kind of file to write; {choices(path.suffix, WRITERS)}")
    nested = [c for c, t in frame.schema.items() if t.is_nested()]
    if path.suffix == ".csv" and nested:
        raise Refusal(f"{path}: CSV cannot hold the nested column {nested[0]}; write .parquet or .jsonl")
    with sentences(path):
        atomic(path, lambda f: getattr(frame, WRITERS[path.suffix])(f))
