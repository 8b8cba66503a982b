"""Open models on this machine: which are known, fetching one, and whether a file is what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthmill.llm import known as table
from synthmill.llm.known import Tick, locate, place, present, sha256_of
from synthmill.llm.pull import pull as fetch


@dataclass(frozen=True)
class Listed:
    """path: where its file is or would be; here: whether it is there, as long as it should be. size: bytes, 0 where neither
    table nor file tells."""

    name: str
    path: Path
    here: bool
    size: int
    licence: str
    context: int
    about: str


def models() -> list[Listed]:
    """Known open models, then further files in the cache."""
    found = []
    for name in present():
        entry, path = table.known(name), place(name)
        there = path.stat().st_size if path.is_file() else 0
        if entry is None:
            found.append(Listed(name, path, True, there, "not known", 0, "a file of your own"))
        else:
            e = entry
            found.append(Listed(name, path, there == e.size, e.size, e.licence, e.context, e.about))
    return found


def pull(name: str, hub: str | None = None, tick: Tick | None = None) -> Path:
    """Downloads a known model, or `owner/repository/file.gguf`, into the cache; what is there already is only checked.

    hub: another address than the Hugging Face hub's. Raises Refusal when nothing can be reached, or when what arrived is
    not what it should be.
    """
    return fetch(name, hub, tick)


def check_model(name: str, tick: Tick | None = None) -> tuple[Path, str, bool | None]:
    """(file, its SHA-256, whether it is the right one: None where no checksum is known). Raises Refusal when it is absent."""
    path = locate(name)
    digest, entry = sha256_of(path, tick), table.known(name)
    return path, digest, None if entry is None else digest == entry.sha256
