"""Schema inference: what each column is, judged on the whole table; what it holds, measured on train alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import polars as pl

from synthmill.refusal import Refusal, choices
from synthmill.schema import KINDS, Column, Kind, Schema

from . import dates, patterns, personal

_CODE = r"(zip|postal|post)_?code|zip|plz|fips|naics|sic|icd\d*|area_?code|.*_code|code"
_KEY = r"(.*_)?(id|uuid|guid|key|index)|pid|rowid|row_?(no|num|number)|column_1"
_NUMBERED = r"(.*_)?(number|no|nr|num|ref|reference|code)"
_HOLDER = (
    r"(.*_)?(account|acct|badge|passport|serial|barcode|ean)|"
    r"customer|client|patient|person|member|employee|user|student|holder|subject|donor|case|ticket|order|invoice|policy|"
    r".*(number|nummer)"
)
_LONG = 10_000
"""Numbers from here on with a key's title are codes, even where they repeat."""
_FEW = 100
"""A key with at most this many values that repeat is a category (a shop); with more it points at people or things."""


def infer(frame: pl.DataFrame, overrides: Mapping[str, str] | None = None) -> Schema:
    """The schema of a table whose values stay as they are; `prepare` first casts what is written as text.

    overrides: column -> kind, or the format of personal data (`email`). Raises Refusal on an unknown column or kind.
    """
    overrides = _known(frame, overrides or {})
    columns = [_column(s, overrides.get(s.name, "")) for s in frame.iter_columns()]
    if any(c.format == "address" for c in columns):
        columns = [c if c.name in overrides else _beside_address(c, frame[c.name]) for c in columns]
    return observed(Schema(tuple(columns)), frame)


def prepare(frame: pl.DataFrame, overrides: Mapping[str, str] | None = None) -> tuple[pl.DataFrame, list[str]]:
    """The table with dates that are written as text, and overridden columns, in their own types; notes for the user."""
    overrides = _known(frame, overrides or {})
    notes: list[str] = []
    return frame.select(_cast(s, overrides.get(s.name, ""), notes) for s in frame.iter_columns()), notes


def observed(schema: Schema, train: pl.DataFrame) -> Schema:
    """The schema with the missing shares, levels and bounds that train holds."""
    return Schema(tuple(_observed(c, train[c.name]) for c in schema), schema.constraints)


def _known(frame: pl.DataFrame, overrides: Mapping[str, str]) -> Mapping[str, str]:
    for name, kind in overrides.items():
        if name not in frame.columns:
            raise Refusal(f"real.columns: there is no column '{name}'; {choices(name, frame.columns)}")
        if kind not in KINDS and kind not in personal.FORMATS:
            raise Refusal(f"real.columns.{name}: '{kind}' is no kind; {choices(kind, [*KINDS, *personal.FORMATS])}")
    return overrides


_WANTED: dict[str, pl.DataType] = {"integer": pl.Int64(), "decimal": pl.Float64(), "boolean": pl.Boolean()}


def _cast(s: pl.Series, kind: str, notes: list[str]) -> pl.Series:
    if s.dtype == pl.String and kind in ("", "datetime"):
        fmt = dates.date_format(s)
        if fmt:
            if (other := dates.twin(fmt)) and dates.parse(s, other).null_count() == s.null_count():
                notes.append(f"column '{s.name}': dates are read as {fmt}, though {other} would fit as well")
            return dates.parse(s, fmt)
    if kind == "datetime" and not s.dtype.is_temporal():
        raise Refusal(f"real.columns.{s.name}: datetime: its values are not dates in a form synthmill knows")
    if kind not in _WANTED or (kind == "integer" and s.dtype.is_integer()):
        return s
    if kind == "decimal" and s.dtype.is_float():
        return s
    made = _truth(s) if kind == "boolean" and s.dtype == pl.String else s.cast(_WANTED[kind], strict=False)
    if made.null_count() > s.null_count() or (s.dtype.is_float() and not (made.cast(s.dtype) == s).all()):
        raise Refusal(f"real.columns.{s.name}: {kind}: not every value is one; leave it out or give another kind")
    return made


def _truth(s: pl.Series) -> pl.Series:
    words = {"true": True, "false": False, "yes": True, "no": False, "y": True, "n": False, "1": True, "0": False}
    return s.str.strip_chars().str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)


def _column(s: pl.Series, kind: str) -> Column:
    bare = Column(s.name, "categorical", str(s.dtype))
    if kind in personal.FORMATS:
        return replace(bare, kind="personal", format=kind)
    if kind == "personal":
        return replace(bare, kind="personal", format=personal.detect(s.name, s) or _refuse_personal(s.name))
    if kind == "identifier":
        return replace(bare, kind="identifier", format=patterns.pattern(s, forced=True))
    if kind:
        return replace(bare, kind=cast(Kind, kind), **_details(s, kind))
    return _judged(s, bare)


def _refuse_personal(name: str) -> str:
    raise Refusal(
        f"real.columns.{name}: personal: which kind of personal data cannot be told from its values; "
        f"name it. {choices('', personal.FORMATS)}"
    )


def _judged(s: pl.Series, bare: Column) -> Column:
    """The kind from type, values and name. Order matters: what must not be copied is looked for first."""
    known = s.drop_nulls()
    if not len(known):
        return replace(bare, kind="constant", note="every value is missing, and stays so")
    if s.dtype.is_nested():
        return replace(bare, kind="nested", note="nested records are left out of table models")
    if s.dtype in (pl.Time, pl.Duration, pl.Binary):
        note = f"{s.dtype} values are left out of table models; give them as numbers or dates to keep them"
        return replace(bare, kind="text", note=note)
    if s.dtype == pl.Boolean:
        return replace(bare, kind="boolean")
    if s.dtype.is_temporal():
        return replace(bare, kind="datetime", **_details(s, "datetime"))
    if (s.dtype.is_integer() or s.dtype == pl.String) and (found := personal.detect(s.name, known)):
        return replace(bare, kind="personal", format=found)
    levels = known.n_unique()
    if levels == 1:
        return replace(bare, kind="constant")
    if s.dtype == pl.String:
        return _text(s.name, known, levels, bare)
    return _number(known, levels, bare)


def _number(known: pl.Series, levels: int, bare: Column) -> Column:
    integer = known.dtype.is_integer()
    name = personal.words(known.name)
    whole = integer or bool((known == known.round(0)).all())  # pandas makes floats of integers with gaps
    if levels == 2 and whole and float(known.abs().max()) < 10:  # type: ignore[arg-type]
        return bare  # a code, not a quantity
    if whole and (integer or re.fullmatch(_KEY, name)) and _is_key(known, levels, name):
        return replace(bare, kind="identifier", format="integer", note=_repeats(known, levels))
    if integer and re.fullmatch(f"{_CODE}|{_KEY}", name):
        return bare
    kind: Kind = "integer" if integer else "decimal"
    note = f"every value is different; if they are codes, say so: columns: {{{known.name}: identifier}}"
    named = integer and levels == len(known) > _FEW
    return replace(bare, kind=kind, note=note if named else "", **_details(known, kind))


def _is_key(known: pl.Series, levels: int, name: str) -> bool:
    rows = len(known)
    if re.fullmatch(_KEY, name):
        return levels > 0.5 * rows or levels > _FEW
    if re.fullmatch(_NUMBERED, name):
        return levels == rows >= 5
    low, high = int(known.min()), int(known.max())  # type: ignore[arg-type]
    if re.fullmatch(_HOLDER, name):
        return levels == rows >= 5 or (levels > _FEW and low >= _LONG)
    counted = (rows >= 30 and low in (0, 1)) or rows >= 1_000  # 40 years in a row are no identifier
    return levels == rows and counted and high - low < 1.05 * rows


def _repeats(known: pl.Series, levels: int) -> str:
    if levels > 0.95 * len(known):
        return ""
    return f"{levels} values in {len(known)} rows: if it names what a row belongs to, declare it as real.entity"


def _text(name: str, known: pl.Series, levels: int, bare: Column) -> Column:
    rows, distinct = len(known), levels / len(known)
    form = patterns.pattern(known)
    named = re.fullmatch(f"{_KEY}|{_NUMBERED}|{_HOLDER}", personal.words(name)) is not None
    if form and (distinct > 0.95 or (named and levels > _FEW)) and rows >= 5:
        return replace(bare, kind="identifier", format=form, note=_repeats(known, levels))
    words = float(np.mean(known.str.count_matches(r"\S+").to_numpy()))
    length = float(np.mean(known.str.len_chars().to_numpy()))
    if distinct > 0.3 and (words > 6 or length > 60) and levels > 10:
        return replace(bare, kind="text", note="free text is left out of table models")
    if distinct > 0.5 and levels > 30:
        note = "nearly every value is different, so it is left out of table models; `categorical` would copy them"
        return replace(bare, kind="text", note=note)
    return bare


def _beside_address(c: Column, s: pl.Series) -> Column:
    """A city or postcode with many levels says where a person lives, once there is a street beside it."""
    if c.kind == "categorical" and (found := personal.detect(s.name, s, rare=0.1)) in ("city", "postcode"):
        return replace(c, kind="personal", format=found)
    return c


def _details(s: pl.Series, kind: str) -> dict[str, Any]:
    if kind == "datetime":
        return {"granularity": dates.granularity(s)}
    return {"digits": _digits(s)} if kind == "decimal" else {}


def _digits(s: pl.Series) -> int:
    """Decimal places that write every value back exactly; 15 for a continuous column."""
    x = s.drop_nulls().to_numpy().astype(np.float64)
    x = x[np.isfinite(x)]
    size = np.abs(x)
    noise = (1e-7 if s.dtype == pl.Float32 else 1e-12) * np.maximum(min(1.0, size.max(initial=0)), size)
    for digits in range(6 if s.dtype == pl.Float32 else 11):
        if np.all(np.abs(x - np.round(x, digits)) <= noise):
            return digits
    return 15


def _observed(c: Column, s: pl.Series) -> Column:
    known = s.drop_nulls()
    c = replace(c, missing=s.null_count() / max(1, len(s)))
    if c.kind in ("categorical", "boolean", "constant"):
        return replace(c, levels=tuple(known.unique().sort().to_list()))
    if c.kind in ("integer", "decimal") and len(known):
        return replace(c, low=float(known.min()), high=float(known.max()))  # type: ignore[arg-type]
    if c.kind == "datetime" and len(known):
        micros = known.dt.epoch("us")
        return replace(c, low=float(micros.min()), high=float(micros.max()))  # type: ignore[arg-type]
    return c
