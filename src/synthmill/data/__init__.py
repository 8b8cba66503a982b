"""The real sample that comes with synthmill: see SOURCE.md beside this file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import polars as pl


def adult_path() -> Path:
    """A CSV file (gzip) of 8,000 rows of the Adult census table; `income` is what people predict."""
    return Path(str(files(__name__) / "adult.csv.gz"))


def adult() -> pl.DataFrame:
    from synthmill.tables.read import read

    return read(adult_path())
