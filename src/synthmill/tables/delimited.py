"""CSV and TSV: every cell is read as text first, so that types are judged on the whole file and codes keep their zeros."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import polars as pl

from synthmill.refusal import Refusal

NUMBERLESS = ("na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", ".")
"""How files write 'no number'. They count as missing where everything else in the column is a number; in a column of
words they may be a word (NA is Namibia), so there only an empty cell and the user's own `missing` are."""


def read_delimited(path: Path, separator: str | None, missing: Collection[str]) -> pl.DataFrame:
    """A typed frame. Raises Refusal naming the line of what is wrong. separator: None finds it in the header."""
    data = _bytes(path)
    header = _header(path, data, separator)
    separator = separator or header.separator
    text = _parsed(path, data, separator)
    text.columns = header.names
    last = text.to_series(-1)
    if last.null_count():
        text = _without_blank_lines(path, data, separator, text)
    return text.select(typed(s, missing) for s in text.iter_columns())


def _parsed(path: Path, data: bytes, separator: str) -> pl.DataFrame:
    """Every cell as text. In a TSV quotes may be plain characters (IANA): they are where lines only fit together so."""
    rows = _even_lines(data) if separator == "\t" else 0
    try:
        text = pl.read_csv(data, separator=separator, infer_schema=False)
    except pl.exceptions.NoDataError:
        raise Refusal(f"{path}: the file is empty") from None
    except pl.exceptions.PolarsError as e:
        if not rows:
            _refuse_ragged(path, data, separator)
            _refuse_quotes(path, data, separator)
            raise Refusal(f"{path}: not a readable table: {str(e).splitlines()[0]}") from None
    else:
        if text.height >= rows - 1:
            return text
    return pl.read_csv(data, separator=separator, infer_schema=False, quote_char=None)


def _even_lines(data: bytes) -> int:
    """How many lines a file has, if each has as many tabs as the first; else 0."""
    tabs = [line.count(b"\t") for line in data.split(b"\n") if line.strip()]
    return len(tabs) if tabs[0] and len(set(tabs)) == 1 else 0


class _Header:
    def __init__(self, names: list[str], separator: str) -> None:
        self.names, self.separator = names, separator


def _bytes(path: Path) -> bytes:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Refusal(f"{path}: not a readable gzip file") from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise Refusal(f"{path}: the file is empty")
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as e:
            line = data.count(b"\n", 0, e.start) + 1
            raise Refusal(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8") from None
    return data


def _lines(data: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(number of the line it ends on, fields) of every record; a blank line has no fields."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), delimiter=separator)
    for fields in reader:
        yield reader.line_num, fields


def _header(path: Path, data: bytes, separator: str | None) -> _Header:
    first = data.split(b"\n", 1)[0].decode()
    if separator is None:
        separator = "," if "," in first else max(",;\t|", key=first.count)
    try:
        names = next(_lines(data, separator))[1]
    except csv.Error as e:
        raise Refusal(f"{path}: line 1: {e}") from None
    names = [n.strip() or f"column_{i + 1}" for i, n in enumerate(names)]
    for name in names:
        if names.count(name) > 1:
            raise Refusal(f"{path}: the header names column '{name}' {names.count(name)} times; names must differ")
    return _Header(names, separator)


def _refuse_ragged(path: Path, data: bytes, separator: str) -> None:
    width = 0
    try:
        for line, fields in _lines(data, separator):
            width = width or len(fields)
            if fields and len(fields) != width:
                raise Refusal(f"{path}: line {line} has {len(fields)} fields, the header has {width}")
    except csv.Error as e:
        raise Refusal(f"{path}: {e}") from None


def _refuse_quotes(path: Path, data: bytes, separator: str) -> None:
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), delimiter=separator, strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error:
        raise Refusal(
            f"{path}: line {reader.line_num}: a quoted field goes on after its closing quote; "
            "quotes inside a quoted field are written twice"
        ) from None


def _without_blank_lines(path: Path, data: bytes, separator: str, text: pl.DataFrame) -> pl.DataFrame:
    """Polars fills short rows with nulls without a word; here they are refused, and only lines that say nothing left out."""
    if separator != "\t" or not _even_lines(data):
        _refuse_ragged(path, data, separator)
    if text.width == 1:
        return text.filter(pl.first().is_not_null())
    told = text.filter(~pl.all_horizontal(pl.all().is_null()))
    if not told.height and (rows := sum(any(fields) or len(fields) > 1 for _, fields in _lines(data, separator)) - 1):
        raise Refusal(f"{path}: has {rows} rows, and every value in them is missing")
    return told


def typed(text: pl.Series, missing: Collection[str] = ()) -> pl.Series:
    """The narrowest of boolean, integer, number and text that holds every value of a text column."""
    text = text.set(text.str.strip_chars().is_in(["", *missing]), None)
    if text.is_null().all():
        return text
    lower = text.str.strip_chars().str.to_lowercase()
    if (lower.is_null() | lower.is_in(["true", "false"])).all():
        return lower == "true"
    number = lower.set(lower.is_in(NUMBERLESS), None)
    present = number.drop_nulls()
    if not len(present) or present.str.contains(r"^[+-]?0\d").any():  # 00501 is a code
        return text
    if present.str.contains(r"^[+-]?\d{1,18}$").all():
        return number.cast(pl.Int64)
    decimal = number.cast(pl.Float64, strict=False)
    long_code = present.str.contains(r"^\d{19,}$").all()  # floats would round it
    return text if decimal.null_count() > number.null_count() or long_code else decimal
