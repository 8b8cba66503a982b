"""A run's report, dataset card and croissant.json, written anew."""

from __future__ import annotations

from pathlib import Path

from synthmill.documents import write_documents
from synthmill.run import Run


def report(root: str | Path) -> list[Path]:
    """The paths of what was written. Reads the run alone: neither `private/` nor the real data.

    Raises Refusal while another process works on the run.
    """
    run = Run.start(root, {"digest": Run.open(root).manifest["digest"]})
    try:
        return write_documents(run)
    finally:
        run.close()
