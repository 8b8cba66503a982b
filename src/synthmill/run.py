"""The run directory. `manifest.json` is the only commit point: a part that it does not name does not exist."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import polars as pl

from .lineage import PARENTS, parse_id
from .refusal import Refusal, choices

VERSION = 1
KINDS = {
    "data": "data",
    "rows": "lineage",
    "requests": "lineage",
    "rejected": "rejected",
    "private": "private/rejected",
    "parents": "private/parents",
}
"""What a part consists of, and the folder each piece lies in."""
SPARSE = {"parents": PARENTS}
"""Pieces with their columns that are only there where they have rows."""
FOLDERS = ("data", "rejected", "lineage", "models", "blend", "private", "wip")


class Run:
    """One run on disk. `Run.open` reads a finished or stopped one; `Run.start` also locks it for writing."""

    def __init__(self, root: Path, manifest: dict[str, Any], lock: IO[str] | None = None) -> None:
        self.root, self.manifest, self._lock = root, manifest, lock

    @classmethod
    def open(cls, root: str | Path) -> Run:
        """Read-only. Raises Refusal when the folder is no run, or one of another version."""
        root = Path(root)
        if not (root / "manifest.json").is_file():
            what = "is not a run directory (no manifest.json)" if root.exists() else "does not exist"
            raise Refusal(f"{root}: {what}")
        return cls(root, _manifest(root))

    @classmethod
    def start(cls, root: str | Path, identity: Mapping[str, Any]) -> Run:
        """A new run, or the one that stopped here. Raises Refusal: other spec, other version, in use, not writable."""
        root = Path(root)
        with sentences(root):
            root.mkdir(parents=True, exist_ok=True)
            if any(root.iterdir()) and not (root / "manifest.json").exists() and not (root / ".lock").exists():
                raise Refusal(f"{root}: the folder is not empty and not a run; choose another with --out")
            lock = open(root / ".lock", "w")  # noqa: SIM115 - held as long as the run is open
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refusal(
                    f"{root}: another process is working on this run; wait for it or choose another --out"
                ) from None
            fresh = not (root / "manifest.json").exists()
            if fresh and any((root / "data").glob("*.parquet")):
                raise Refusal(f"{root}: holds data but no manifest.json; put it back, or delete the folder")
            manifest = (
                {"version": VERSION, "parts": 0, "wip": [], "state": None, **identity} if fresh else _manifest(root)
            )
            if manifest["digest"] != identity["digest"]:
                raise Refusal(
                    f"{root}: holds a run of another spec, other real data or other plugin code ({manifest['digest'][:12]}, "
                    f"not {identity['digest'][:12]}); choose another --out, or start anew with --fresh"
                )
            run = cls(root, manifest, lock)
            run._sweep()
            if fresh:
                run.commit()
        return run

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def id(self) -> str:
        """The prefix of every record's id."""
        return str(self.manifest["digest"][:12])

    def path(self, kind: str, part: int) -> Path:
        prefix = f"{kind}-" if kind in ("rows", "requests") else ""
        return self.root / KINDS[kind] / f"{prefix}{part:05d}.parquet"

    def _sweep(self) -> None:
        """Deletes what a kill left behind: files that the manifest does not name, and half a line of the journal.

        Raises Refusal when a file is missing that it names.
        """
        named = {self.path(kind, p) for kind in KINDS for p in range(self.manifest["parts"])}
        named |= {self.root / "wip" / f"{name}.{kind}" for kind in KINDS for name in self.manifest["wip"]}
        sparse = {self.path(kind, p) for kind in SPARSE for p in range(self.manifest["parts"])}
        sparse |= {self.root / "wip" / f"{name}.{kind}" for kind in SPARSE for name in self.manifest["wip"]}
        for folder in (*FOLDERS, *KINDS.values()):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for missing in sorted(f for f in named - sparse if not f.is_file()):
            raise Refusal(f"{missing}: missing, although manifest.json names it; delete the folder to start anew")
        for folder in (".", "wip", *KINDS.values()):
            for file in (self.root / folder).iterdir():
                ours = file.is_file() and (folder != "." or file.suffix == ".tmp")
                if ours and file not in named:
                    file.unlink()
        journal = self.root / "journal.jsonl"
        if journal.exists():
            os.truncate(journal, journal.read_bytes().rfind(b"\n") + 1)

    def commit(self) -> None:
        self.write("manifest.json", json.dumps(self.manifest, sort_keys=True, indent=1, default=str))

    def checkpoint(self, frames: Mapping[str, pl.DataFrame], state: Mapping[str, Any]) -> None:
        """Keeps admitted rows that do not fill a part yet."""
        name = f"{len(self.manifest['wip']):06d}"
        with sentences(self.root):
            for kind, frame in _present(frames):
                atomic(self.root / "wip" / f"{name}.{kind}", lambda f, frame=frame: frame.write_ipc(f))  # type: ignore[misc]
            self.manifest["wip"] = [*self.manifest["wip"], name]
            self.manifest["state"] = dict(state)
            self.commit()

    def recover(self) -> list[dict[str, pl.DataFrame]]:
        """Checkpointed rows that are in no part yet, in order."""
        return [{kind: self._segment(name, kind) for kind in KINDS} for name in self.manifest["wip"]]

    def add_part(self, frames: Mapping[str, pl.DataFrame], state: Mapping[str, Any]) -> None:
        """Files first, then the manifest, then the checkpoints they replace are deleted."""
        part, old = self.manifest["parts"], self.manifest["wip"]
        with sentences(self.root):
            for kind, frame in _present(frames):
                write_parquet(frame, self.path(kind, part))
            self.manifest.update(parts=part + 1, wip=[], state=dict(state))
            self.commit()
            for name in old:
                for kind in KINDS:
                    (self.root / "wip" / f"{name}.{kind}").unlink(missing_ok=True)

    def journal(self, entry: Mapping[str, Any]) -> None:
        """What came from outside (a timeout, a dead worker) is written down before it is admitted."""
        with sentences(self.root), open(self.root / "journal.jsonl", "a") as f:
            f.write(json.dumps(dict(entry), sort_keys=True) + "\n")
            f.flush()
            os.fsync(f.fileno())

    def journaled(self) -> list[dict[str, Any]]:
        """Whole lines only: a kill may have cut the last one, and then its request was not admitted."""
        path = self.root / "journal.jsonl"
        lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            raise Refusal(f"{path}: damaged; a line is not valid JSON") from None

    def _read(self, kind: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        parts = [self._part(p, kind, columns) for p in range(self.manifest["parts"])]
        parts += [self._segment(name, kind, columns) for name in self.manifest["wip"]]
        if not parts:
            raise Refusal(f"{self.root}: nothing was made yet")
        return pl.concat(parts, rechunk=True)

    def _part(self, part: int, kind: str, columns: Sequence[str] | None) -> pl.DataFrame:
        path = self.path(kind, part)
        if kind in SPARSE and not path.exists():
            return pl.DataFrame(schema=SPARSE[kind])
        with _readable(path):
            return pl.read_parquet(path, columns=list(columns) if columns else None)

    def _segment(self, name: str, kind: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        path = self.root / "wip" / f"{name}.{kind}"
        if kind in SPARSE and not path.exists():
            return pl.DataFrame(schema=SPARSE[kind])
        with _readable(path):
            return pl.read_ipc(path.read_bytes(), columns=list(columns) if columns else None)

    def data(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Accepted records: payload, `_id`, `_origin`, `_run`, `_depth`."""
        return self._read("data", columns)

    def rows(self) -> pl.DataFrame:
        """Lineage of the accepted records, in the order of `data`."""
        return self._read("rows")

    def requests(self) -> pl.DataFrame:
        return self._read("requests")

    def rejected(self) -> pl.DataFrame:
        """Rejected candidates with check, reason and score, without those that derive from single real records."""
        return self._read("rejected")

    def private_rejected(self) -> pl.DataFrame:
        return self._read("private")

    def parents(self) -> pl.DataFrame:
        """`PARENTS` of candidates, accepted or not, that came from seeds or documents of the user's own."""
        return self._read("parents")

    def write(self, name: str, text: str) -> Path:
        """A document of the run, replaced as a whole."""
        with sentences(self.root):
            atomic(self.root / name, lambda f: f.write(text.encode()))
        return self.root / name

    def part_of(self, record: str) -> tuple[int, int]:
        """(k, i) of one of this run's records. Raises Refusal for another run's id."""
        run, k, i = parse_id(record)
        if run != self.id:
            raise Refusal(f"{self.root}: record {record} is of run {run}; this is run {self.id}")
        return k, i


def _present(frames: Mapping[str, pl.DataFrame]) -> list[tuple[str, pl.DataFrame]]:
    return [(kind, frame) for kind, frame in frames.items() if frame.height or kind not in SPARSE]


def atomic(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """A file that is there whole or not at all: temporary name, fsync, rename, fsync of the folder."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    with sentences(path):
        atomic(path, lambda f: encode(frame, f))


def encode(frame: pl.DataFrame, file: IO[bytes]) -> None:
    """Parquet whose bytes depend on the rows alone."""
    frame.rechunk().write_parquet(
        file, compression="zstd", compression_level=3, row_group_size=131_072, statistics=False
    )


@contextmanager
def sentences(root: Path) -> Iterator[None]:
    """Turns what the disk refuses into one sentence; what was committed before stays."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as e:
        said = (e.strerror or str(e)) if isinstance(e, OSError) else str(e).splitlines()[0]
        where = getattr(e, "filename", None) or root
        if getattr(e, "errno", None) in _FULL or any(os.strerror(code) in said for code in _FULL):
            raise Refusal(
                f"{where}: no space left; what was committed is safe, the same command continues once there is", 1
            ) from None
        raise Refusal(f"{where}: cannot be written: {said[:1].lower()}{said[1:]}") from None


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Refusal(f"{path}: missing, although manifest.json names it") from None
    except (OSError, pl.exceptions.PolarsError) as e:
        raise Refusal(f"{path}: damaged: {str(e).splitlines()[0]}") from None


def _manifest(root: Path) -> dict[str, Any]:
    path = root / "manifest.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except OSError as e:
        raise Refusal(f"{path}: {(e.strerror or str(e)).lower()}") from None
    except ValueError:
        raise Refusal(f"{path}: damaged; it is not valid JSON") from None
    if not isinstance(manifest, dict):
        raise Refusal(f"{path}: damaged; it is not the manifest of a run")
    if manifest.get("version") != VERSION:
        raise Refusal(
            f"{path}: version: {manifest.get('version')!r} is not readable here; {choices('', [VERSION])}"
            " (make the run again, or use the synthmill that made it)"
        )
    for key in ("digest", "parts", "wip", "state"):
        if key not in manifest:
            raise Refusal(f"{path}: damaged; it has no '{key}'")
    return manifest
