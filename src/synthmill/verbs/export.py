"""A finished run's records as a file that trainers read, and on to a hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl

from synthmill.exchange.hub import Api, pushed
from synthmill.exchange.training import Mapped, converted, lacks, mapped
from synthmill.refusal import Refusal, choices
from synthmill.run import Run, atomic, sentences

from .review import reviewed

Pieces = Callable[[], Iterator[pl.DataFrame]]

ENDINGS = (".jsonl", ".parquet")


@dataclass(frozen=True)
class Exported:
    """rows: written. left_out: role -> rows that have nothing in it; rejected: rows that people rejected."""

    path: Path
    rows: int
    plan: Mapped
    left_out: dict[str, int]
    rejected: int = 0


@dataclass(frozen=True)
class Wanted:
    """How records are to be exported, as `export` explains it."""

    format: str = "messages"
    columns: Mapping[str, str] | None = None
    chat: bool = False
    keep: tuple[str, ...] = ()
    drop_rejected: bool = False
    blend: bool = False
    include_real: bool = False


def export(
    root: str | Path,
    to: str | Path | None = None,
    format: str = "messages",
    columns: Mapping[str, str] | None = None,
    chat: bool = False,
    keep: Sequence[str] = (),
    drop_rejected: bool = False,
    blend: bool = False,
    include_real: bool = False,
) -> Exported:
    """Writes a finished run's records in a format of `training.FORMATS`; the file is there whole or not at all.

    to: a `.jsonl` or `.parquet` file (default: `<run's name>-<format>.jsonl` here). columns: role -> column, where names do
    not tell. chat: prompts and completions as messages. keep: columns that go along, beside `id`. drop_rejected: leave out
    what most people who read it rejected. blend: the run's blend in place of its records; its real rows leave the run's
    `private/` then, which `include_real` has to allow.

    A record without one of the texts it needs (a question that has no answer) is left out and counted. Raises Refusal for an
    unfinished run, roles that no column plays, a file that cannot be written, and where nothing would be left.
    """
    run = _finished(root)
    wanted = Wanted(format, columns, chat, tuple(keep), drop_rejected, blend, include_real)
    path = Path(to) if to is not None else Path(f"{run.manifest.get('name', run.root.name)}-{format}.jsonl")
    return _written(run, wanted, path)


def push(
    root: str | Path,
    repository: str,
    wanted: Wanted | None = None,
    token: str = "HF_TOKEN",
    hub: str | None = None,
    public: bool = False,
    unreleased: bool = False,
    api: Api | None = None,
) -> tuple[str, Exported | None]:
    """Puts a finished run on a hub as a dataset, in one commit: (address of the commit, what was converted).

    `data/`, the card and croissant.json go, and with `wanted` the records in that format as a configuration of its own;
    nothing else of the run does. token: the name of an environment variable. hub: another address than the Hugging Face hub's.
    public: for a new repository, which is private otherwise. unreleased: also where the run missed its bars.

    Raises Refusal: bars missed (code 3), real rows in what is asked for, no token, or what the hub says no to.
    """
    run = _finished(root)
    if run.manifest.get("released") is False and not unreleased:
        raise Refusal(f"{root}: the run missed its release bars; add --unreleased to push it all the same", 3)
    if wanted is not None and wanted.blend:
        raise Refusal("--push: a blend holds real rows, which stay on this machine; leave out --blend")
    return pushed(
        run, repository, lambda path: _written(run, wanted, path) if wanted else None, token, hub, public, api
    )


def _finished(root: str | Path) -> Run:
    run = Run.open(root)
    if run.manifest["wip"] or not run.manifest["parts"]:
        raise Refusal(f"{root}: the run is not finished; `synthmill make` continues it")
    return run


def _written(run: Run, wanted: Wanted, path: Path) -> Exported:
    if path.suffix not in ENDINGS:
        raise Refusal(f"{path}: '{path.suffix}' is not a kind of file for training; {choices(path.suffix, ENDINGS)}")
    files = _files(run, wanted)
    rows = pl.scan_parquet(files)
    schema = {c: t for c, t in rows.collect_schema().items() if not c.startswith("_")}
    for column in wanted.keep:
        if column not in schema:
            raise Refusal(f"--keep: no column '{column}'; {choices(column, schema)}")
    plan = mapped(wanted.format, schema, wanted.columns, wanted.chat)
    made = converted(rows, plan).collect_schema().names()
    twice = next((c for c in wanted.keep if c in made or wanted.keep.count(c) > 1), None)
    if twice is not None:
        raise Refusal(f"--keep: '{twice}' is in the format already")
    bad = pl.col("_id").is_in(_rejected(run) if wanted.drop_rejected else [])
    left_out, left = _counted(rows.filter(~bad), plan)
    if not left:
        raise Refusal(f"{run.root}: no record has all that {wanted.format} needs ({plan})")

    def pieces() -> Iterator[pl.DataFrame]:
        for file in files:
            for start in range(0, pl.scan_parquet(file).select(pl.len()).collect().item(), _BLOCK):
                block = pl.scan_parquet(file).slice(start, _BLOCK).filter(~bad).collect()
                for piece in block.iter_slices(_PIECE):
                    yield converted(piece.lazy(), plan, wanted.keep).collect()

    with sentences(path):
        atomic(path, lambda f: _WRITERS[path.suffix](pieces, converted(rows, plan, wanted.keep), f))
    return Exported(path, left, plan, left_out, int(rows.select(bad.sum()).collect().item()))


_BLOCK, _PIECE = 131_072, 20_000
"""Rows read at once (a row group of a run's parts), and converted and written at once. Left to itself, polars holds most of a
large file in memory."""


def _as_lines(pieces: Pieces, shape: pl.LazyFrame, file: IO[bytes]) -> None:
    for piece in pieces():
        piece.write_ndjson(file)


def _as_parquet(pieces: Pieces, shape: pl.LazyFrame, file: IO[bytes]) -> None:
    from polars.io.plugins import register_io_source

    def source(with_columns: Any, predicate: Any, n_rows: Any, batch_size: Any) -> Iterator[pl.DataFrame]:
        return pieces()

    stream = register_io_source(source, schema=shape.collect_schema())
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "statistics": False}
    stream.sink_parquet(file, **options, row_group_size=_PIECE, engine="streaming")


_WRITERS = {".jsonl": _as_lines, ".parquet": _as_parquet}


def _files(run: Run, wanted: Wanted) -> list[Path]:
    if not wanted.blend:
        return [run.path("data", p) for p in range(run.manifest["parts"])]
    real, synthetic = run.root / "private" / "blend" / "real.parquet", run.root / "blend" / "synthetic.parquet"
    for file in (real, synthetic):
        if not file.is_file():
            raise Refusal(f"{file}: not there; `synthmill blend {run.root}` makes the blend")
    if pl.scan_parquet(real).select(pl.len()).collect().item() and not wanted.include_real:
        raise Refusal("--blend: the blend holds real rows; add --include-real if they may leave this machine")
    return [real, synthetic]


def _rejected(run: Run) -> list[str]:
    """Records that most people who read them rejected."""
    said = reviewed(run)
    if said is None:
        raise Refusal(f"{run.root}: nobody has reviewed it; `synthmill review {run.root} --out FILE` hands records out")
    return [record for record, verdict in said["majority"].items() if verdict == "reject"]


def _counted(frame: pl.LazyFrame, plan: Mapped) -> tuple[dict[str, int], int]:
    """(role -> rows without it, rows that have everything)."""
    missing = lacks(plan, frame)
    sums = [e.sum().alias(r) for r, e in missing.items()]
    whole = pl.all_horizontal(~e for e in missing.values()).sum().alias("")
    found = frame.select(*sums, whole).collect().row(0, named=True)
    return {r: int(n) for r, n in found.items() if r and n}, int(found[""] or 0)
