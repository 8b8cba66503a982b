"""The journal of a workspace: what it holds, what it saved, and how to forget or take out what is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthmill.llm.journal import Journal, journal_path
from synthmill.refusal import Refusal


@dataclass(frozen=True)
class Overview:
    """size: bytes on disk. asked, remembered: questions of all runs that were sent, and that were answered from here.

    lines: per run, model and stage: answers, bytes, errors, refusals, tokens, money (None: not known), first, last.
    """

    path: Path
    size: int
    asked: int
    remembered: int
    lines: list[dict[str, Any]]

    @property
    def hit_rate(self) -> float | None:
        total = self.asked + self.remembered
        return self.remembered / total if total else None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path), "hit_rate": self.hit_rate}


def _open(folder: str | Path) -> Journal:
    """Raises Refusal where there is no journal: looking must not make one."""
    path = Path(folder)
    if not path.is_file():
        path = journal_path(path)
    if not path.is_file():
        raise Refusal(f"{path}: there is no journal; runs that ask language models write one")
    return Journal(path)


def overview(folder: str | Path = "runs") -> Overview:
    """folder: that of the runs, or the journal itself."""
    journal = _open(folder)
    try:
        files = [journal.path.with_name(journal.path.name + end) for end in ("", "-wal")]
        size = sum(f.stat().st_size for f in files if f.is_file())
        return Overview(journal.path, size, *journal.hits(), journal.about())
    finally:
        journal.close()


def prune(
    folder: str | Path = "runs",
    errors: bool = False,
    run: str | None = None,
    model: str | None = None,
    days: float | None = None,
) -> int:
    """Forgets the answers that meet every condition; how many that were. Raises Refusal without any condition, as all of
    it is forgotten by deleting the file."""
    if not errors and run is None and model is None and days is None:
        raise Refusal(
            "--prune: say what to forget: --errors, --run, --model or --days (to forget all, delete the file)"
        )
    journal = _open(folder)
    try:
        return journal.prune(errors, run, model, days)
    finally:
        journal.close()


def export(folder: str | Path, to: str | Path, run: str | None = None) -> int:
    """Writes one JSON object per answer, oldest first; how many these were."""
    journal = _open(folder)
    n = 0
    try:
        with open(to, "w", encoding="utf-8") as f:
            for line in journal.export(run):
                f.write(json.dumps(line, ensure_ascii=False) + "\n")
                n += 1
    except OSError as e:
        raise Refusal(f"{to}: cannot be written: {(e.strerror or str(e)).lower()}") from None
    finally:
        journal.close()
    return n
