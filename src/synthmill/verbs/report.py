"""A run's report, dataset card and croissant.json, written anew."""

from __future__ import annotations

from pathlib import Path

from synthmill.documents import write_documents
from synthmill.run import Run


def report(root: str | Path) -> list[Path]:
    """The paths of what was written. Reads the run alone: neither `private/` nor the real data."""
    return write_documents(Run.open(root))
