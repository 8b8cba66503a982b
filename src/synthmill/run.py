"""The run directory. `manifest.json` is the only commit point: a part that it does not name does not exist."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import polars as pl

from .lineage import parse_id
from .refusal import Refusal, choices

VERSION = 1
KINDS = {
    "data": "data",
    "rows": "lineage",
    "requests": "lineage",
    "rejected": "rejected",
    "private": "private/rejected",
}
"""What a part consists of, and the folder each piece lies in."""
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
            manifest = (
                {"version": VERSION, "parts": 0, "wip": [], "state": None, **identity} if fresh else _manifest(root)
            )
            if manifest["digest"] != identity["digest"]:
                raise Refusal(
                    f"{root}: holds the run of another spec or other real data ({manifest['digest'][:12]}, not "
                    f"{identity['digest'][:12]}); choose another --out, or delete the folder"
                )
            run = cls(root, manifest, lock)
            for folder in FOLDERS:
                (root / folder).mkdir(exist_ok=True)
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
        """Deletes what a kill left behind: files that the manifest does not name."""
        named = {self.path(kind, p) for kind in KINDS for p in range(self.manifest["parts"])}
        for folder in set(KINDS.values()):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            for file in (self.root / folder).iterdir():
                if file not in named:
                    file.unlink()
        for file in (self.root / "wip").iterdir():
            if file.name.split(".")[0] not in self.manifest["wip"]:
                file.unlink()

    def commit(self) -> None:
        text = json.dumps(self.manifest, sort_keys=True, indent=1, default=str)
        atomic(self.root / "manifest.json", lambda f: f.write(text.encode()))

    def checkpoint(self, frames: Mapping[str, pl.DataFrame], state: Mapping[str, Any]) -> None:
        """Keeps admitted rows that do not fill a part yet."""
        name = f"{len(self.manifest['wip']):06d}"
        with sentences(self.root):
            for kind, frame in frames.items():
                atomic(self.root / "wip" / f"{name}.{kind}", lambda f, frame=frame: frame.write_ipc(f))  # type: ignore[misc]
            self.manifest["wip"] = [*self.manifest["wip"], name]
            self.manifest["state"] = dict(state)
            self.commit()

    def recover(self) -> list[dict[str, pl.DataFrame]]:
        """Checkpointed rows that are in no part yet, in order."""
        wip = self.root / "wip"
        return [{k: pl.read_ipc((wip / f"{n}.{k}").read_bytes()) for k in KINDS} for n in self.manifest["wip"]]

    def add_part(self, frames: Mapping[str, pl.DataFrame], state: Mapping[str, Any]) -> None:
        """Files first, then the manifest, then the checkpoints they replace are deleted."""
        part, old = self.manifest["parts"], self.manifest["wip"]
        with sentences(self.root):
            for kind, frame in frames.items():
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
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def _read(self, kind: str) -> pl.DataFrame:
        parts = [pl.read_parquet(self.path(kind, p)) for p in range(self.manifest["parts"])]
        parts += [pl.read_ipc((self.root / "wip" / f"{n}.{kind}").read_bytes()) for n in self.manifest["wip"]]
        if not parts:
            raise Refusal(f"{self.root}: nothing was made yet")
        return pl.concat(parts, rechunk=True)

    def data(self) -> pl.DataFrame:
        """Accepted records: payload, `_id`, `_origin`, `_run`, `_depth`."""
        return self._read("data")

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
    whole = frame.rechunk()
    atomic(
        path,
        lambda f: whole.write_parquet(
            f, compression="zstd", compression_level=3, row_group_size=131_072, statistics=False
        ),
    )


@contextmanager
def sentences(root: Path) -> Iterator[None]:
    """Turns what the disk refuses into one sentence; what was committed before stays."""
    try:
        yield
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        what = "no space left" if full else (e.strerror or str(e)).lower()
        raise Refusal(
            f"{e.filename or root}: {what}; what was committed is safe, the same command continues", 1 if full else 2
        ) from e
    except pl.exceptions.ComputeError as e:
        raise Refusal(f"{root}: writing failed: {str(e).splitlines()[0]}", 1) from e


def _manifest(root: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((root / "manifest.json").read_text())
    except (ValueError, UnicodeDecodeError):
        raise Refusal(f"{root}/manifest.json: damaged; it is not valid JSON") from None
    if manifest.get("version") != VERSION:
        raise Refusal(
            f"{root}/manifest.json: version: {manifest.get('version')!r} is not readable here; {choices('', [VERSION])}"
            " (make the run again, or use the synthmill that made it)"
        )
    return manifest
