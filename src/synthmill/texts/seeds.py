"""Seeds: examples and prompts to start from, out of a file or a finished run, with the ids that lineage will name."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.frame import digest
from synthmill.refusal import Refusal
from synthmill.tables.read import RESERVED, read

_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_TABLES = (*_LINES, ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".arrow", ".ipc", ".feather")


@dataclass(frozen=True)
class Seed:
    """values: column -> value. depth: 0 for what people wrote, that of the record for one of a run. source: its file or run,
    as `origin` names it."""

    id: str
    values: dict[str, Any]
    depth: int = 0
    source: str = field(default="", compare=False)


def seeds(source: str | Path) -> list[Seed]:
    """The seeds of a table, a text file (one a line, in the column `text`) or the accepted records of a finished run.

    Raises Refusal for what cannot be read or holds nothing.
    """
    path = Path(source)
    if not path.exists():
        raise Refusal(f"{path}: there is no such file")
    if is_table(path):
        return of_table(path)
    if path.is_dir():
        raise Refusal(f"{path}: is a folder and not a run directory; seeds are one file, or a run")
    if path.suffix.lower() != ".txt":
        raise Refusal(
            f"{path}: '{path.suffix}' holds no seeds; known are .txt, {', '.join(_TABLES)} and run directories"
        )
    lines = [line.strip() for line in _text(path).splitlines()]
    source = origin(path)
    found = [Seed(f"{path.stem}:{i}", {"text": line}, 0, source) for i, line in enumerate(lines, 1) if line]
    if not found:
        raise Refusal(f"{path}: the file is empty")
    return found


def origin(path: Path) -> str:
    """What lineage names a file or a finished run by: its content, so that another of the same name is another.

    `run 0123456789ab`; `seeds.jsonl sha256:` and the first 16 hex digits.
    """
    if path.is_dir():
        try:
            return f"run {json.loads((path / 'manifest.json').read_text('utf-8'))['digest'][:12]}"
        except (OSError, ValueError, KeyError, TypeError):
            raise Refusal(f"{path / 'manifest.json'}: damaged; it is not the manifest of a run") from None
    with path.open("rb") as file:
        return f"{path.name} sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def is_table(path: Path) -> bool:
    """Whether there is a seed in every row of it: a table by its extension, or a run directory."""
    return path.name.lower().endswith(_TABLES) if path.is_file() else (path / "manifest.json").is_file()


def of_table(path: Path) -> list[Seed]:
    """A row is named by its column `_id` or `id`, else by the file and its number (from 1)."""
    if path.is_dir():
        return _of_rows(_of_run(path), path)
    if path.name.lower().endswith(_LINES):
        return _of_rows(list(_objects(path)), path)
    return _of_rows(read(path).to_dicts(), path)


def content(found: Sequence[Seed]) -> str:
    """A digest of what the seeds say, for the identity of what is made from them."""
    return digest([(s.id, s.values, s.depth) for s in found])[:12]


def _of_rows(rows: Sequence[dict[str, Any]], path: Path) -> list[Seed]:
    if not rows:
        raise Refusal(f"{path}: holds no rows")
    found, source = [], origin(path)
    for i, row in enumerate(rows, 1):
        name = row.get("_id") or row.get("id") or f"{path.name.split('.')[0]}:{i}"
        values = {k: v for k, v in row.items() if k not in RESERVED}
        found.append(Seed(str(name), values, int(row.get("_depth") or 0), source))
    return found


def _of_run(path: Path) -> list[dict[str, Any]]:
    parts = sorted((path / "data").glob("*.parquet"))
    if not parts:
        raise Refusal(f"{path}: the run has accepted no record yet")
    return [row for p in parts for row in pl.read_parquet(p).to_dicts()]


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """Line by line, since rows of seed files differ in their keys and nest."""
    for i, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as e:
            raise Refusal(f"{path}: line {i}: not JSON: {e.msg}") from None
        if not isinstance(row, dict):
            raise Refusal(f"{path}: line {i}: {type(row).__name__} where an object is expected")
        yield row


def _text(path: Path) -> str:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(f"{path}: not UTF-8 text") from None
    except (OSError, EOFError) as e:
        raise Refusal(f"{path}: {str(e).lower()}") from None
