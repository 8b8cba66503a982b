"""The documents of a run: report.html, README.md (the dataset card) and croissant.json. Reads what may be shown, only."""

from __future__ import annotations

from pathlib import Path

from synthmill.run import Run


def write_documents(run: Run) -> list[Path]:
    """Writes the run's documents and returns their paths. A run without data (an evaluation alone) has only the report."""
    from .facts import Facts
    from .page import page

    facts = Facts.of(run)
    written = [run.write("report.html", page(facts))]
    if facts.columns:
        from .card import card
        from .croissant import croissant

        written += [run.write("README.md", card(facts)), run.write("croissant.json", croissant(facts))]
    return written
