"""How identifiers are written (`integer`, `uuid`, or a pattern such as `CUST-#####`), and writing new ones."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Sequence

import numpy as np
import polars as pl

from synthmill.frame import seed_of

CLASSES = {
    "#": "0123456789",
    "?": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "~": "abcdefghijklmnopqrstuvwxyz",
    "^": "0123456789abcdef",
    "*": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "%": "0123456789abcdefghijklmnopqrstuvwxyz",
    "!": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
}
"""What a place in a pattern stands for; any other character stands for itself."""

_UUID = r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
_SAMPLE = 5_000
_SHORT = 40


def pattern(values: pl.Series, forced: bool = False) -> str:
    """The pattern of a column of codes, "" if its values are not codes. forced: find one for any column.

    A code is short, has no spaces, and has a digit in it or is in capitals of one length. The commonest length decides; a place that always holds the
    same letter keeps it, digits are never kept.
    """
    if values.dtype.is_numeric():
        return "integer"
    text = values.drop_nulls().cast(pl.String).unique().sort()
    text = text.gather_every(max(1, len(text) // _SAMPLE))
    if not len(text):
        return "#" * 8 if forced else ""
    if text.str.contains(_UUID).all():
        return "uuid"
    codes = text.str.contains(rf"^[A-Za-z0-9._:/-]{{2,{_SHORT}}}$").all()
    numbered = int(text.str.contains(r"\d").sum()) >= 0.8 * len(text)
    lengths = text.str.len_chars()
    upright = lengths.n_unique() == 1 and lengths[0] > 2 and not text.str.contains(r"[a-z]").any()
    codes = codes and (numbered or upright)
    if not codes and not forced:
        return ""
    width = _commonest(lengths.to_list())
    same = [t for t in text if len(t) == width]
    places = [_place({t[i] for t in same}) for i in range(width)]
    return "".join(places) if all(places) else ("*" * 12 if forced else "")


def _commonest(lengths: list[int]) -> int:
    return max(sorted(set(lengths)), key=lengths.count)


def _place(seen: set[str]) -> str:
    first = next(iter(seen))
    if len(seen) == 1 and not first.isdigit():
        return first
    return next((mark for mark, alphabet in CLASSES.items() if seen <= set(alphabet)), "")


BLOCK = 32_768


def number(k: int, i: int) -> int:
    """A number for row i of request k that no other row of the run has; consecutive within a BLOCK of rows.

    First blocks of requests take the even blocks of numbers, so that numbers stay short; later ones share the odd
    blocks by Cantor's pairing, since nobody knows beforehand how many a request needs.
    """
    chunk, within = divmod(i, BLOCK)
    if not chunk:
        return 2 * k * BLOCK + within
    return ((k + chunk - 1) * (k + chunk) + 2 * (chunk - 1) + 1) * BLOCK + within


def write(form: str, width: int, numbers: Sequence[int], key: int) -> pl.Series:
    """One code per number, as text: different numbers give different codes (integers, patterns: always; uuids: 2^-122).

    Numbers are scattered over all codes of the pattern by a keyed affine bijection; those beyond its capacity go on to
    the same pattern with one more digit, then two. width: digits of an `integer`, which never starts with 0.
    """
    if form == "uuid":
        hashes = (hashlib.blake2b(f"{key}-{i}".encode(), digest_size=16).digest() for i in numbers)
        return pl.Series([str(uuid.UUID(bytes=h, version=4)) for h in hashes], dtype=pl.String)
    out: list[str] = [""] * len(numbers)
    waiting = list(enumerate(numbers))
    longer = 0
    while waiting:
        alphabets = _alphabets(form, width, longer)
        room = math.prod(len(a) for a in alphabets)
        now = [(at, i) for at, i in waiting if i < room]
        for (at, _), code in zip(now, _spell(alphabets, room, [i for _, i in now], key), strict=True):
            out[at] = code
        waiting = [(at, i - room) for at, i in waiting if i >= room]
        longer += 1
    return pl.Series(out, dtype=pl.String)


def _alphabets(form: str, width: int, longer: int) -> list[str]:
    if form == "integer":
        return ["123456789", *["0123456789"] * (width + longer - 1)]
    end = form.rfind("#") + 1 or len(form)
    return [CLASSES.get(mark, mark) for mark in form[:end] + "#" * longer + form[end:]]


def _spell(alphabets: list[str], room: int, numbers: list[int], key: int) -> list[str]:
    if not numbers:
        return []
    a, b = seed_of(key, "factor") % room, seed_of(key, "shift") % room
    while math.gcd(a, room) != 1:
        a += 1
    left = np.array([(a * i + b) % room for i in numbers], dtype=np.uint64 if room < 2**63 else object)
    letters = np.empty((len(numbers), len(alphabets)), "<U1")
    for place in reversed(range(len(alphabets))):
        size = len(alphabets[place])
        letters[:, place] = np.array(list(alphabets[place]))[(left % size).astype(np.int64)]
        left = left // size
    words: list[str] = letters.view(f"<U{len(alphabets)}").ravel().tolist()
    return words
