"""A text as the numbers of its words: what shingles, duplicates, contamination and memorised passages are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import Keys, rng_of

Starts = NDArray[np.int64]

_AT_ONCE = 1 << 20  # bytes hashed together: their 64-bit prefixes stay in the cache
_STEP = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its powers can be inverted modulo 2^64
_SINGLE = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
"""Scripts written without spaces: there every letter counts as a word."""


@dataclass(frozen=True)
class Words:
    """Word numbers of n texts, one text after the other. hashes: (m,) uint64; starts: (n + 1,), where each text begins."""

    hashes: Keys
    starts: Starts

    @property
    def counts(self) -> Starts:
        return np.diff(self.starts)


def words(texts: pl.Series) -> Words:
    """The words of (n,) String: runs of letters, marks and digits, whatever their case and what stands between them.

    Compatible forms are one (full width and ligatures, by NFKC); a null has no words. Equal words have equal numbers
    everywhere, different ones different numbers but for a chance of 2^-64 a pair.
    """
    plain = _plain(texts.cast(pl.String).fill_null(""))
    hashes, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for some in _chunks(plain):
        found, many = _hashed(some)
        hashes.append(found)
        counts.append(many)
    return Words(np.concatenate(hashes), starts_of(np.concatenate(counts)))


def starts_of(counts: NDArray[np.int64]) -> Starts:
    """(n + 1,) where each of n runs of these lengths begins, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def spread(starts: Starts) -> NDArray[np.int64]:
    """(m,) which run each element belongs to."""
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def _plain(texts: pl.Series) -> pl.Series:
    """Texts with more than ASCII brought to the form that bytes can be read from: lower case, spaces between words."""
    beyond = texts.str.len_bytes() != texts.str.len_chars()
    if not beyond.any():
        return texts
    rich = texts.filter(beyond).str.normalize("NFKC").str.to_lowercase()
    rich = rich.str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.replace_all(_SINGLE, " $1 ")
    return texts.scatter(beyond.arg_true(), rich)


def _chunks(texts: pl.Series) -> Iterator[pl.Series]:
    ends = np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64) + 1)
    first = 0
    while first < len(texts):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        yield texts[first:last]
        first = last


def _table() -> tuple[NDArray[np.uint8], Keys]:
    """Byte -> its lower case, 0 between words; and a random 64-bit number for each byte, 0 for none."""
    lower = np.zeros(256, np.uint8)
    for c in range(128):
        lower[c] = ord(chr(c).lower()) if chr(c).isalnum() else 0
    lower[128:] = np.arange(128, 256)
    values = rng_of("texts", "bytes").integers(1, 2**64, 256, dtype=np.uint64)
    values[0] = 0
    return lower, values[lower]


_LOWER, _VALUES = _table()


def _hashed(texts: pl.Series) -> tuple[Keys, NDArray[np.int64]]:
    """Word hashes of a chunk and how many each text has: sums of byte values times powers, from differences of one
    running sum (Karp & Rabin, 1987, modulo 2^64 on random byte values), so that no word is touched by Python."""
    raw = np.frombuffer((texts.str.join(" ").item() + " ").encode(), np.uint8)
    inside = _LOWER[raw] != 0
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    first, last = edges[::2], edges[1::2]
    power = _powers(len(raw))
    sums = np.cumsum(_VALUES[raw] * power[0, : len(raw)])
    before = np.where(first > 0, sums[first - 1], np.uint64(0))
    hashes = mixed((sums[last - 1] - before) * power[1, first])
    ends = np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64) + 1)
    return hashes, np.diff(np.searchsorted(first, ends), prepend=0)


_POWERS: list[Keys] = []


def _powers(n: int) -> Keys:
    """(2, >= n): powers of the step and of its inverse."""
    if not _POWERS or _POWERS[0].shape[1] < n:
        m = max(n, _AT_ONCE)
        steps = np.full((2, m), _STEP, np.uint64)
        steps[1] = pow(int(_STEP), -1, 2**64)
        steps[:, 0] = 1
        _POWERS[:] = [np.cumprod(steps, axis=1, dtype=np.uint64)]
    return _POWERS[0]


def mixed(x: Keys) -> Keys:
    """Every bit of the answer depends on every bit of x: splitmix64's end (Steele et al., 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
