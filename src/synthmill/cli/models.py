"""The command line of open models on this machine: list, pull, check."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def open_models(verbs: Any, verb: Any) -> None:
    """Adds the verb. verb: what the command line adds a verb with."""
    p = verb(verbs, "models", _models, "open models on this machine: list, pull and check them")
    p.add_argument("action", nargs="?", choices=("list", "pull", "check"), default="list")
    p.add_argument("name", nargs="?", help="a known model, or owner/repository/file.gguf to pull; a path to check")
    p.add_argument("--hub", metavar="URL", help="pull from this hub (default: $HF_ENDPOINT, or the Hugging Face hub)")
    p.add_argument("--quiet", action="store_true", help="no progress, only the outcome")


def _models(a: argparse.Namespace) -> int:
    from synthmill.refusal import Refusal
    from synthmill.verbs.models import check_model, pull

    if a.action == "list":
        _list()
        return 0
    if a.name is None:
        raise Refusal(f"models {a.action}: which model? See: synthmill models list")
    if a.action == "pull":
        with _counting(a.quiet, f"pulling {a.name}") as tick:
            path = pull(a.name, a.hub, tick)
        print(f"{path}\nuse it with: model: {path.stem if '/' in a.name else a.name}")
        return 0
    with _counting(a.quiet, f"reading {a.name}") as tick:
        path, digest, right = check_model(a.name, tick)
    said = {
        True: "as it should be",
        False: "NOT as it should be: delete it and pull again",
        None: "no checksum is known",
    }
    print(f"{path}\nSHA-256 {digest}: {said[right]}")
    return 1 if right is False else 0


def _list() -> None:
    """Lines rather than a table, which would be broken to the width of a terminal that is not there."""
    from synthmill.llm.known import folder, megabytes
    from synthmill.verbs.models import models

    found = models()
    wide = max(len(m.name) for m in found)
    for m in found:
        context = f"{m.context:>7,} tokens" if m.context else " " * 14
        print(
            f"{'✓' if m.here else ' '} {m.name:{wide}}  {megabytes(m.size):>7}  {context}  {m.licence:<10}  {m.about}"
        )
    print(f"\n✓ is in {folder()}; get another with: synthmill models pull NAME")


@contextmanager
def _counting(quiet: bool, text: str) -> Iterator[Any]:
    """A bar with bytes and speed where there is a terminal; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
