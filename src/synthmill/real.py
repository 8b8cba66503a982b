"""The real-data anchor: loaded, its schema inferred, split by entity into train and holdout."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .frame import Keys, digest, rng_of, row_keys
from .refusal import Refusal, choices
from .run import Run
from .schema import Schema
from .spec import RealNeed
from .tables.infer import infer, observed, prepare
from .tables.read import RESERVED, plain, read


@dataclass(frozen=True)
class Real:
    """train and holdout hold payload columns in the schema's order; nothing that fits or prompts sees the holdout.

    schema: kinds are judged on the whole table; levels, bounds and missing shares are train's. digest: of the content
    and the split, in row order. depth: the oldest synthetic generation in train, 0 for real data alone; train_depth:
    the same per row, (rows,) UInt16. source: as the spec writes it, without credentials. notes: sentences for the user.
    lacking, extra: columns that were left out since your own holdout lacks them, and since it alone has them (`shared`).
    """

    train: pl.DataFrame
    holdout: pl.DataFrame
    schema: Schema
    target: str | None
    entity: str | None
    source: str
    digest: str
    depth: int = 0
    train_depth: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt16))
    notes: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def load(need: RealNeed, base: Path, seed: int, *, shared: bool = False) -> Real:
    """The anchor that a spec names; its paths are relative to `base`. Raises Refusal in one sentence.

    shared: columns that only one of the table and your own holdout has are left out; else they are refused.
    """
    if need.path is None:
        raise Refusal("real.path: is needed: the file or database with the real data")
    source = _place(need.path, base)
    frame = _table(source, need)
    own = None
    if isinstance(need.holdout, str):
        own = _table(_place(need.holdout, base), need)
    return _anchor(frame, own, need, re.sub(r"//[^@/]*@", "//", need.path), seed, shared)


def from_frame(
    frame: pl.DataFrame,
    *,
    target: str | None = None,
    entity: str | None = None,
    holdout: float | pl.DataFrame | None = 0.2,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    accept_synthetic: bool = False,
    shared: bool = False,
) -> Real:
    """The anchor made of a frame, as `load` makes it of a file. holdout: a share, a table, or None: all is train."""
    own = plain(holdout, "the holdout") if isinstance(holdout, pl.DataFrame) else None
    if isinstance(holdout, int | float) and not 0 < holdout < 1:
        raise Refusal(f"holdout: {holdout}: expected a share between 0 and 1, a table, or None")
    share = holdout if isinstance(holdout, float) else "the holdout"
    frame = plain(frame, "the table")
    need = RealNeed(
        target=target, entity=entity, holdout=share, columns=dict(columns or {}), accept_synthetic=accept_synthetic
    )
    return _anchor(frame, frame.clear() if holdout is None else own, need, "the table", seed, shared)


def real_ids(frame: pl.DataFrame, entity: str | None, source: str, key: bytes) -> pl.Series:
    """(n,) String: one id per row, a keyed digest of the source and the row's entity, or its content if it has none.

    Rows with the same entity or content are told apart by their occurrence. Without `key`, which stays in `private/`,
    nobody can check a guess.
    """
    keys = row_keys(frame if entity is None else frame.select(entity))
    parts = zip(keys.tolist(), _occurrence(keys).tolist(), strict=True)
    ids = [hmac.digest(key, f"{source}\0{k:x}\0{i}".encode(), "sha256").hex()[:24] for k, i in parts]
    return pl.Series("_id", ids, dtype=pl.String)


def _table(source: str | Path, need: RealNeed) -> pl.DataFrame:
    """A file or database; or a finished run's records, whose `_depth` says that they are synthetic."""
    if isinstance(source, Path) and (source / "manifest.json").is_file():
        return plain(Run.open(source).data(), str(source), need.missing)
    return read(source, need.table, need.missing)


def _place(path: str, base: Path) -> str | Path:
    if "://" not in path:
        return base / path
    scheme, rest = path.split("://", 1)
    local = scheme in ("sqlite", "duckdb") and rest.startswith("/")
    return f"{scheme}:///{base / rest[1:]}" if local else path


def _anchor(
    frame: pl.DataFrame, own: pl.DataFrame | None, need: RealNeed, source: str, seed: int, shared: bool
) -> Real:
    lacking, extra = _unshared(frame, own) if own is not None else ([], [])
    if own is not None and shared:
        if not set(frame.columns) - set(RESERVED) - set(lacking):
            raise Refusal(f"real.holdout: {need.holdout}: has no column of {source}; {choices('', frame.columns)}")
        frame, own = frame.drop(lacking), own.drop(extra)
    whole, depth = frame, _depths(frame, source, need.accept_synthetic)
    if own is not None:
        its = re.sub(r"//[^@/]*@", "//", str(need.holdout))
        depth = pl.concat([depth, _depths(own, its, need.accept_synthetic)])
        whole = _joined(frame, own, its)
    whole = whole.drop(c for c in RESERVED if c in whole.columns)
    if not whole.width:
        raise Refusal(f"{source}: has no columns of its own")
    for key, name in (("target", need.target), ("entity", need.entity)):
        if name in lacking:
            raise Refusal(f"real.{key}: the holdout lacks column '{name}'")
        if name is not None and name not in whole.columns:
            raise Refusal(f"real.{key}: there is no column '{name}' in {source}; {choices(name, whole.columns)}")
    columns = {need.entity: "identifier", **need.columns} if need.entity else need.columns
    whole, notes = prepare(whole, columns)
    kinds = infer(whole, columns)
    keys = row_keys(whole)
    _check_target(kinds, need.target)
    if own is None:
        assert isinstance(need.holdout, float)
        out = _held_out(whole, keys, need.entity, need.holdout, seed, source)
    else:
        out = np.arange(whole.height) >= frame.height
    train, holdout = whole.filter(pl.Series(~out)), whole.filter(pl.Series(out))
    schema = observed(kinds, train)
    train_depth = depth.filter(pl.Series(~out))
    hashed = hashlib.blake2b(keys.tobytes() + np.packbits(out).tobytes(), digest_size=16).hexdigest()
    return Real(
        train=train,
        holdout=holdout,
        schema=schema,
        target=need.target,
        entity=need.entity,
        source=source,
        digest=digest("real", hashed, whole.height, {n: str(t) for n, t in whole.schema.items()}),
        depth=int(train_depth.to_numpy().max(initial=0)),
        train_depth=train_depth,
        notes=tuple(notes + _notes(schema, train, holdout, own is not None and own.height > 0)),
        lacking=tuple(lacking),
        extra=tuple(extra),
    )


def _unshared(frame: pl.DataFrame, own: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Columns that only the table has, and that only the holdout has."""
    mine, theirs = ([c for c in f.columns if c not in RESERVED] for f in (frame, own))
    return [c for c in mine if c not in theirs], [c for c in theirs if c not in mine]


def _joined(frame: pl.DataFrame, own: pl.DataFrame, name: str) -> pl.DataFrame:
    """Train's rows, then the user's own holdout; together, so that both get the same types."""
    lacking, extra = _unshared(frame, own)
    if lacking or extra:
        parts = [f"lacks {', '.join(lacking)}"] * bool(lacking) + [f"adds {', '.join(extra)}"] * bool(extra)
        raise Refusal(f"real.holdout: {name}: its columns differ from the real table's: it {' and '.join(parts)}")
    made = []
    for column in (c for c in frame.columns if c not in RESERVED):
        a, b = frame[column], own[column]
        if a.dtype != b.dtype and pl.String in (a.dtype, b.dtype):
            a, b = _as_text(a, b)
        made.append((a, b))
    both = [pl.DataFrame([pair[i] for pair in made]) for i in (0, 1)]
    try:
        return pl.concat(both, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as e:
        raise Refusal(f"real.holdout: {name}: its types differ from the real table's: {e}") from None


def _as_text(a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series]:
    if a.null_count() == len(a):
        return a.cast(b.dtype), b
    if b.null_count() == len(b):
        return a, b.cast(a.dtype)
    return a.cast(pl.String), b.cast(pl.String)


def _depths(frame: pl.DataFrame, source: str, accepted: bool) -> pl.Series:
    """Generation of every row: 0 for real. Raises Refusal if any is synthetic and nobody said that is meant."""
    depth = pl.repeat(0, frame.height, dtype=pl.UInt16, eager=True)
    try:
        if "_depth" in frame.columns:
            depth = frame["_depth"].fill_null(0).cast(pl.UInt16)
        if "_origin" in frame.columns:
            made = frame["_origin"].cast(pl.String).fill_null("real") != "real"
            depth = depth.set(made & (depth == 0), 1)
    except pl.exceptions.PolarsError:
        raise Refusal(f"{source}: column '_depth' counts generations; it holds other things here") from None
    synthetic = int((depth > 0).sum())
    if synthetic and not accepted:
        raise Refusal(
            f"{source}: {synthetic} of {frame.height} rows are synthetic (_origin, _depth) and no anchor for new data; "
            "if that is meant, say real.accept_synthetic: true"
        )
    return depth


def shared_rows(train: pl.DataFrame, other: pl.DataFrame) -> float:
    """The share of `other`'s rows that are also train's, less what chance explains: coarse tables share as many as train has
    that are not alone in it."""
    rows, others = (row_keys(f.select(train.columns)) for f in (train, other))
    _, which, count = np.unique(rows, return_inverse=True, return_counts=True)
    return max(0.0, float(np.isin(others, rows).mean() - (count[which] > 1).mean()))


def _check_target(schema: Schema, target: str | None) -> None:
    if target is not None and target not in schema.modelled:
        raise Refusal(
            f"real.target: column '{target}' is {schema[target].kind} and cannot be predicted; "
            f"{choices(target, schema.modelled)}"
        )


def _occurrence(keys: Keys) -> NDArray[np.int64]:
    """How many equal keys came before each: (n,)."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    within = np.arange(len(keys)) - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))
    out = np.empty(len(keys), np.int64)
    out[order] = within
    return out


def _held_out(
    frame: pl.DataFrame, rows: Keys, entity: str | None, share: float, seed: int, source: str
) -> NDArray[np.bool_]:
    """Which rows are held out: decided by a keyed hash of each row (or entity) alone, so that rows added later move none.

    rows: the rows' own keys. Equal rows are told apart by their occurrence and may fall on both sides; rows without an
    entity are their own.
    """
    key = int(rng_of("split", seed).integers(2**63))
    keys = row_keys(pl.DataFrame({"row": rows, "occurrence": _occurrence(rows)}), key)
    if entity is not None:
        known = frame[entity].is_not_null().to_numpy()
        keys = np.where(known, row_keys(frame.select(entity), key), keys)
    out: NDArray[np.bool_] = keys < np.uint64(int(share * 2.0**64))
    if out.all() or not out.any():
        units = f"{frame.height} rows" if entity is None else f"{frame[entity].n_unique()} values of {entity}"
        raise Refusal(
            f"{source}: {units} are too few to hold out {share:.0%} of them; "
            "give more data, another share, or your own held-out file as real.holdout"
        )
    return out


def _notes(schema: Schema, train: pl.DataFrame, holdout: pl.DataFrame, own: bool) -> list[str]:
    notes = [f"column '{c.name}' ({c.kind}): {c.note}" for c in schema if c.note]
    marked = [c.name for c in schema if c.kind == "categorical" and c.dtype == "String" and "?" in c.levels]
    if marked:
        notes.append(f"'?' is a value of {', '.join(marked)}; if it means missing: real.missing: ['?']")
    if own:
        shared = np.isin(row_keys(holdout), row_keys(train)).mean()
        if shared > 0.01:
            notes.append(f"{shared:.1%} of the held-out rows are also in the real table: results on them mean little")
    return notes
