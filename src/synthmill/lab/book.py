"""The experiment on disk: what is finished is kept, so that the same command goes on where it was stopped."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.refusal import Refusal
from synthmill.run import atomic, sentences, write_parquet

from .chain import Drawn

VERSION = 1


class Book:
    """A folder: `experiment.json` says what is asked, `chains/` holds what was measured, `private/wip/` the tables of
    chains that are not finished. Locked while it is open.

    Raises Refusal for a folder that is something else, holds another experiment, is in use or cannot be written.
    """

    def __init__(self, root: Path, about: Mapping[str, Any], fresh: bool = False) -> None:
        self.root = root
        with sentences(root):
            root.mkdir(parents=True, exist_ok=True)
            page = root / "experiment.json"
            if any(root.iterdir()) and not page.exists() and not (root / ".lock").exists():
                raise Refusal(f"{root}: the folder is not empty and no experiment; choose another with --out")
            self._lock = open(root / ".lock", "w")  # noqa: SIM115 - held as long as the book is open
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refusal(f"{root}: another process is working on this experiment") from None
            if fresh:
                for folder in ("chains", "private"):
                    shutil.rmtree(root / folder, ignore_errors=True)
                page.unlink(missing_ok=True)
            if page.exists() and _read(page).get("digest") != about["digest"]:
                raise Refusal(
                    f"{root}: holds another experiment (other spec, data, code or options); choose another --out, or "
                    "start anew with --fresh"
                )
            (root / "chains").mkdir(exist_ok=True)
            (root / "private" / "wip").mkdir(parents=True, exist_ok=True)
        self.write("experiment.json", json.dumps({"version": VERSION, **about}, indent=1, default=str))

    def close(self) -> None:
        self._lock.close()

    def write(self, name: str, text: str) -> Path:
        with sentences(self.root):
            atomic(self.root / name, lambda f: f.write(text.encode()))
        return self.root / name

    def chain(self, key: str) -> dict[str, Any]:
        """`{"generations": [...], "ended": reason or None, "whole": bool}`; empty for one that was not begun."""
        path = self.root / "chains" / f"{key}.json"
        return _read(path) if path.exists() else {"generations": [], "ended": None, "whole": False}

    def enter(self, key: str, chain: Mapping[str, Any], drawn: Drawn | None = None) -> None:
        """Keeps what was measured; the generation's table first, so that what is named is there."""
        if drawn is not None:
            t = len(chain["generations"])
            write_parquet(drawn.frame, self._table(key, t))
        self.write(f"chains/{key}.json", json.dumps(dict(chain)))

    def tables(self, key: str, generations: Sequence[Mapping[str, Any]]) -> list[Drawn]:
        """The tables of some generations of an unfinished chain."""
        out = []
        for about in generations:
            t = int(about["t"])
            path = self._table(key, t)
            if not path.is_file():
                raise Refusal(f"{path}: missing, although its chain names it; start anew with --fresh")
            out.append(Drawn(pl.read_parquet(path), int(about["judged"])))
        return out

    def forget(self, key: str) -> None:
        for path in (self.root / "private" / "wip").glob(f"{key}-*.parquet"):
            path.unlink()

    def _table(self, key: str, t: int) -> Path:
        return self.root / "private" / "wip" / f"{key}-{t:04d}.parquet"


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise Refusal(f"{path}: damaged or not readable; start anew with --fresh") from None
    if not isinstance(data, dict):
        raise Refusal(f"{path}: damaged; start anew with --fresh")
    return data
