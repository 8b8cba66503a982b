"""Any table as a Frame: files by their extension, databases by URL, and the caller's own polars, pandas or Arrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.refusal import MissingExtra, Refusal, choices

from .database import read_duckdb, read_sqlite, read_url
from .delimited import read_delimited

RESERVED = ("_id", "_origin", "_run", "_depth", "_weight")
"""Columns of ours that a table made here carries: `_origin` and `_depth` say what is synthetic, all are set aside."""

_Reader = Callable[[Path, str | None, Sequence[str]], pl.DataFrame]
_READERS: dict[str, _Reader] = {
    ".csv": lambda p, _, missing: read_delimited(p, None, missing),
    ".csv.gz": lambda p, _, missing: read_delimited(p, None, missing),
    ".tsv": lambda p, _, missing: read_delimited(p, "\t", missing),
    ".tsv.gz": lambda p, _, missing: read_delimited(p, "\t", missing),
    ".parquet": lambda p, *_: pl.read_parquet(p, use_statistics=False),
    ".jsonl": lambda p, *_: pl.read_ndjson(p, infer_schema_length=None),
    ".ndjson": lambda p, *_: pl.read_ndjson(p, infer_schema_length=None),
    ".arrow": lambda p, *_: pl.read_ipc(p),
    ".ipc": lambda p, *_: pl.read_ipc(p),
    ".feather": lambda p, *_: pl.read_ipc(p),
    ".sqlite": lambda p, table, _: read_sqlite(p, table),
    ".sqlite3": lambda p, table, _: read_sqlite(p, table),
    ".db": lambda p, table, _: read_sqlite(p, table),
    ".duckdb": lambda p, table, _: read_duckdb(p, table),
}


def read(source: str | Path, table: str | None = None, missing: Sequence[str] = ()) -> pl.DataFrame:
    """The table in a file or behind a database URL, with plain column types.

    missing: values that mean 'not known', beside empty cells and NaN. Infinite numbers are refused: no statistic
    survives them, and what they stand for only the user knows (`missing: [inf]` makes them missing).
    Raises Refusal in one sentence; MissingExtra where a driver is not installed.
    """
    text = str(source)
    if "://" in text and not text.startswith(("sqlite:///", "duckdb:///")):
        return plain(read_url(text, table), text, missing)
    path = Path(text.removeprefix("sqlite:///").removeprefix("duckdb:///"))
    if not path.exists():
        raise Refusal(f"{path}: there is no such file")
    if not path.is_file():
        raise Refusal(f"{path}: is a folder; a table is one file")
    if path.stat().st_size == 0:
        raise Refusal(f"{path}: the file is empty")
    scheme = text.partition(":///")[0]
    reader = _READERS[f".{scheme}"] if scheme in ("sqlite", "duckdb") else _reader(path)
    try:
        frame = reader(path, table, missing)
    except (pl.exceptions.PolarsError, OSError) as e:
        raise Refusal(f"{path}: not a readable {_extension(path)} file: {str(e).splitlines()[0]}") from None
    return plain(frame, str(path), missing)


def _extension(path: Path) -> str:
    return "".join(path.suffixes[-2:]).lower() if path.suffix == ".gz" else path.suffix.lower()


def _reader(path: Path) -> _Reader:
    extension = _extension(path)
    if extension not in _READERS:
        raise Refusal(f"{path}: '{extension}' is not a kind of table synthmill reads; {choices(extension, _READERS)}")
    return _READERS[extension]


def plain(frame: pl.DataFrame, source: str, missing: Sequence[str] = ()) -> pl.DataFrame:
    """Checks a table and gives its columns the types that schemas know; missing is always null."""
    for name in frame.columns:
        if not name.strip():
            raise Refusal(f"{source}: a column has no name")
        if name.startswith("_") and name not in RESERVED:
            raise Refusal(f"{source}: column '{name}': names that start with '_' are synthmill's own; rename it")
    if not frame.width:
        raise Refusal(f"{source}: has no columns")
    if not frame.height:
        raise Refusal(f"{source}: has column names but no rows")
    return frame.select(_plain_column(s, source, missing) for s in frame.iter_columns())


def _plain_column(s: pl.Series, source: str, missing: Sequence[str]) -> pl.Series:
    dtype = s.dtype
    if dtype == pl.Null or isinstance(dtype, pl.Categorical | pl.Enum):
        s = s.cast(pl.String)
    elif dtype.is_decimal():
        s = s.cast(pl.Float64)
    elif dtype in (pl.Int128, pl.UInt128):
        narrow = s.cast(pl.Int64, strict=False)
        s = narrow if narrow.null_count() == s.null_count() else s.cast(pl.Float64)
    elif isinstance(dtype, pl.Array):
        s = s.arr.to_list()
    if s.dtype == pl.Object:
        raise Refusal(f"{source}: column '{s.name}' holds Python objects; give numbers, text, dates, lists or structs")
    if s.dtype.is_float():
        s = s.fill_nan(None)
    if missing and (s.dtype.is_numeric() or s.dtype == pl.String):
        s = s.set(_among(s, missing), None)
    if s.dtype.is_float() and s.name not in RESERVED and s.is_infinite().any():  # a run's name may read as 12e745
        row = s.is_infinite().arg_true()[0] + 1
        raise Refusal(
            f"{source}: column '{s.name}' holds an infinite number (row {row}); "
            "remove it, or name it as missing: real.missing: ['inf', '-inf']"
        )
    return s


def _among(s: pl.Series, missing: Sequence[str]) -> pl.Series:
    if s.dtype == pl.String:
        return s.is_in(list(missing))
    numbers = pl.Series(list(missing), dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
    return s.cast(pl.Float64).is_in(numbers.to_list())


def from_any(frame: Any, source: str = "the table") -> tuple[pl.DataFrame, Callable[[pl.DataFrame], Any]]:
    """A polars, pandas or Arrow table as a plain polars frame, and the way back to the caller's kind and column types.

    A pandas index is not data and is left out. Raises Refusal on anything else.
    """
    kind = f"{type(frame).__module__.split('.')[0]}.{type(frame).__name__}"
    if isinstance(frame, pl.LazyFrame):
        eager, back = from_any(frame.collect(), source)
        return eager, lambda made: back(made).lazy()
    if isinstance(frame, pl.DataFrame):
        return plain(frame, source), lambda made: made.cast({n: t for n, t in frame.schema.items() if n in made})
    if kind not in ("pandas.DataFrame", "pyarrow.Table"):
        raise Refusal(f"{source}: {kind} is not a table; give a polars, pandas or Arrow one")
    names = [str(n) for n in (frame.columns if kind == "pandas.DataFrame" else frame.column_names)]
    for name in names:
        if names.count(name) > 1:
            raise Refusal(f"{source}: column '{name}' appears {names.count(name)} times; names must differ")
    try:
        if kind == "pyarrow.Table":
            return plain(pl.DataFrame(frame), source), lambda made: _as_arrow(made, frame.schema)
        own = dict(zip(names, frame.columns, strict=True))
        return plain(pl.from_pandas(frame.set_axis(names, axis=1)), source), lambda made: _as_pandas(made, frame, own)
    except ModuleNotFoundError as e:
        raise MissingExtra(f"a {kind}", str(e.name), "pandas") from None


def _as_arrow(made: pl.DataFrame, schema: Any) -> Any:
    import pyarrow as pa

    return made.to_arrow().cast(pa.schema([schema.field(n) for n in made.columns]))


def _as_pandas(made: pl.DataFrame, frame: Any, own: Mapping[str, Any]) -> Any:
    """own: the caller's labels, which need not be text."""
    types = {n: frame.dtypes[label] for n, label in own.items() if n in made.columns}
    return made.to_pandas().astype(types).rename(columns=own)
