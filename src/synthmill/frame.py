"""A Frame is a polars.DataFrame whose `_` columns are ours. Names become digests and seeds; rows become stable keys."""

from __future__ import annotations

import hashlib
import json
from enum import IntEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


class Status(IntEnum):
    """What became of a candidate. SURPLUS passed every check but its cell was already full."""

    PASS = 0
    FAIL = 1
    ERROR = 2
    SURPLUS = 3


def digest(*names: object) -> str:
    """32 hex digits that depend on the values alone, never on process, clock or dict order."""
    text = json.dumps(names, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def seed_of(*names: object) -> int:
    """A 128-bit seed from names: streams of different names never overlap, which `seed + i` cannot promise."""
    return int(digest(*names), 16)


def rng_of(*names: object) -> np.random.Generator:
    return np.random.default_rng(seed_of(*names))


def payload(frame: pl.DataFrame) -> list[str]:
    """The user's columns, in order."""
    return [c for c in frame.columns if not c.startswith("_")]


def synthetic_ids(prefix: str) -> pl.Expr:
    """`<run>-<k>-<i>`: unique by construction, and the request is readable from it."""
    return pl.concat_str(pl.lit(prefix), pl.col("_k"), pl.col("_i"), separator="-").alias("_id")


def row_keys(frame: pl.DataFrame, key: int = 0) -> Keys:
    """One 64-bit key per row from canonical values: (n,) uint64, equal for equal rows in any file format.

    1, 1.0, True and Decimal 1 are one value, -0.0 is 0.0, every NaN is the same, dates are midnight, times with
    a zone are the moment they name; column order does not matter, names do.
    Ours rather than `polars.hash`, which may change between versions and would then move rows between splits.
    Not cryptographic: never publish these keys for real rows. Mixing: splitmix64 (Steele et al., 2014).
    """
    total = np.zeros(frame.height, np.uint64)
    for name in frame.columns:
        salt = np.uint64(seed_of("row_keys", key, name) & 0xFFFFFFFFFFFFFFFF)
        total += _mix(_value_keys(frame[name]) ^ salt)
    return _mix(total)


_NULL, _NAN, _REAL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03), np.uint64(0xA24BAED4963EE407)
_BIG = np.uint64(0x8EBC6AF09C88C6E3)
"""Sets unsigned numbers beyond int64 apart from the negative numbers that have the same bits."""


def _mix(x: Keys) -> Keys:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _value_keys(s: pl.Series) -> Keys:
    dtype = s.dtype
    if dtype.is_nested():
        keys = _nested_keys(s)
    elif dtype.is_decimal():
        keys = _decimal_keys(s)
    elif dtype.is_float():
        keys = _float_keys(s.cast(pl.Float64).fill_null(0.0).to_numpy())
    elif dtype == pl.UInt64:
        unsigned = s.fill_null(0).to_numpy()
        keys = np.where(unsigned >> np.uint64(63), unsigned ^ _BIG, unsigned)
    elif dtype == pl.Boolean or dtype.is_integer():
        keys = s.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)
    elif dtype.is_temporal():
        keys = _temporal_keys(s)
    elif dtype == pl.Null:
        keys = np.zeros(len(s), np.uint64)
    else:
        keys = _text_keys(s if dtype == pl.Binary else s.cast(pl.String))
    return np.where(s.is_null().to_numpy(), _NULL, _mix(keys.astype(np.uint64, copy=False)))


def _float_keys(x: NDArray[np.float64]) -> Keys:
    whole = (x >= -(2.0**63)) & (x < 2.0**63) & (x == np.trunc(x))
    big = (x >= 2.0**63) & (x < 2.0**64)
    integral = np.where(whole, x, 0.0).astype(np.int64).view(np.uint64)
    keys = np.where(whole, integral, x.view(np.uint64) ^ _REAL)
    keys = np.where(big, np.where(big, x, 0.0).astype(np.uint64) ^ _BIG, keys)
    return np.where(np.isnan(x), _NAN, keys)


def _decimal_keys(s: pl.Series) -> Keys:
    """As the float that is written alike, which 15 digits always have; longer ones as integers or as text."""
    short = _float_keys(s.cast(pl.Float64).fill_null(0.0).to_numpy())
    scale, precision = s.dtype.scale, s.dtype.precision  # type: ignore[attr-defined]
    if precision is not None and precision <= 15:
        return short
    text = s.cast(pl.String).fill_null("0")
    if scale:
        text = text.str.strip_chars_end("0").str.strip_chars_end(".")
    whole = text.cast(pl.Int64, strict=False)
    digits = text.str.replace_all(r"^-?0*\.?0*|\.", "").str.len_chars()
    keys = np.where((digits > 15).to_numpy(), _text_keys(text), short)
    return np.where(whole.is_not_null().to_numpy(), whole.fill_null(0).to_numpy().view(np.uint64), keys)


def _temporal_keys(s: pl.Series) -> Keys:
    """Microseconds, and nanoseconds only where there are any; a time of day stays in nanoseconds."""
    if s.dtype == pl.Date:
        s = s.cast(pl.Datetime("us"))
    unit = getattr(s.dtype, "time_unit", "us")
    ticks = s.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    if unit == "ns":
        return (ticks // 1000).view(np.uint64) ^ np.where(ticks % 1000, _mix((ticks % 1000).view(np.uint64)), _ZERO)
    return (ticks * 1000 if unit == "ms" else ticks).view(np.uint64)


_ZERO = np.uint64(0)


def _text_keys(s: pl.Series) -> Keys:
    """Each distinct value is hashed once: tables repeat their strings."""
    distinct = s.unique().drop_nulls()
    if not len(distinct):
        return np.zeros(len(s), np.uint64)
    hashes = [
        int.from_bytes(hashlib.blake2b(v.encode() if isinstance(v, str) else v, digest_size=8).digest(), "little")
        for v in distinct
    ]
    return s.replace_strict(distinct, pl.Series(hashes, dtype=pl.UInt64), default=0, return_dtype=pl.UInt64).to_numpy()


def _nested_keys(s: pl.Series) -> Keys:
    if isinstance(s.dtype, pl.Struct):
        return row_keys(s.struct.unnest())
    if isinstance(s.dtype, pl.Array):
        s = s.arr.to_list()
    lengths = s.list.len().fill_null(0).to_numpy().astype(np.int64)
    items = s.filter(pl.Series(lengths > 0)).list.explode()
    starts = np.cumsum(lengths) - lengths
    position = np.arange(len(items), dtype=np.uint64) - np.repeat(starts, lengths).astype(np.uint64)
    hashed = _mix(_value_keys(items) + _mix(position + np.uint64(1)))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashed, dtype=np.uint64)])
    return _mix(sums[starts + lengths] - sums[starts] + lengths.astype(np.uint64))
