"""How much texts differ from each other: distinct n-grams, self-BLEU, compression, Vendi score; and how much of others they cover."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .units import words

Floats = NDArray[np.float64]
Tokens = list[str]
_FEATURES = 2**18


def tokens(texts: Sequence[str]) -> list[Tokens]:
    return [[w.casefold() for w in words(t)] for t in texts]


def distinct(texts: Sequence[Tokens], n: int, group: NDArray[np.int64]) -> Floats:
    """Distinct n-grams over all n-grams (Li et al., 2016): of all texts, then without each group of them (1 + groups,)."""
    total: Counter[tuple[str, ...]] = Counter()
    each = [Counter[tuple[str, ...]]() for _ in range(int(group.max(initial=-1)) + 1)]
    for text, g in zip(texts, group.tolist(), strict=True):
        grams = Counter(zip(*(text[i:] for i in range(n)), strict=False))
        total.update(grams)
        each[g].update(grams)
    every = sum(total.values())
    out = [len(total) / every if every else math.nan]
    for own in each:
        rest = every - sum(own.values())
        out.append((len(total) - sum(total[k] == c for k, c in own.items())) / rest if rest else math.nan)
    return np.array(out)


def self_bleu(texts: Sequence[Tokens], order: int = 4) -> Floats:
    """(n,) BLEU of each text with all others as its references (Zhu et al., 2018), with uniform weights up to `order` and
    0.1 in place of a precision without a match (Chen & Cherry's first smoothing). Linear in the words: the most and the
    second most that any text holds of an n-gram say what the others hold at most."""
    n = len(texts)
    if n < 2:
        return np.full(n, math.nan)
    logs = np.zeros(n)
    for k in range(1, order + 1):
        grams = [Counter(zip(*(t[i:] for i in range(k)), strict=False)) for t in texts]
        most: dict[tuple[str, ...], tuple[int, int, int]] = {}  # highest count, whose, second highest
        for i, counted in enumerate(grams):
            for gram, c in counted.items():
                best, whose, second = most.get(gram, (0, -1, 0))
                most[gram] = (c, i, best) if c > best else (best, whose, max(second, c))
        for i, counted in enumerate(grams):
            hit = sum(min(c, most[g][2] if most[g][1] == i else most[g][0]) for g, c in counted.items())
            logs[i] += math.log(max(hit, 0.1) / max(1, sum(counted.values()))) / order
    lengths = np.array([len(t) for t in texts])
    ordered = np.sort(lengths)
    penalty = np.array([_brevity(int(x), ordered) for x in lengths])
    return np.where(lengths > 0, np.exp(logs + penalty), 0.0)


def _brevity(length: int, ordered: NDArray[np.int64]) -> float:
    """The logarithm of BLEU's penalty, by the other text whose length is nearest; the shorter of two as near."""
    at = int(np.searchsorted(ordered, length))
    others = np.delete(ordered, at)
    nearest = int(others[np.argmin(np.abs(others - length) * 2 + (others > length))])
    return 0.0 if length >= nearest or not length else 1 - nearest / length


def compression(texts: Sequence[str]) -> float:
    """Bytes over compressed bytes (Shaib et al., 2024), by LZMA: gzip's window of 32 KB would miss what repeats later."""
    import lzma

    raw = "\n".join(texts).encode()
    chain = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 2**23}]
    return len(raw) / len(lzma.compress(raw, format=lzma.FORMAT_RAW, filters=chain)) if raw else math.nan


class Space:
    """Texts as TF-IDF vectors of length 1: words hashed to 2^18 places, weighed by how few of the fitted texts hold them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._idf: Floats = np.ones(_FEATURES)
        counts = self._counts(texts)
        held = np.bincount(counts.indices, minlength=_FEATURES)
        self._idf = np.log((1 + len(texts)) / (1 + held)) + 1

    def embed(self, texts: Sequence[str]) -> Any:
        """(n, 2^18) sparse rows."""
        from sklearn.preprocessing import normalize

        counts = self._counts(texts).astype(np.float64)
        counts.data = (1 + np.log(counts.data)) * self._idf[counts.indices]
        return normalize(counts)

    @staticmethod
    def _counts(texts: Sequence[str]) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        hashed = HashingVectorizer(
            analyzer=lambda t: [w.casefold() for w in words(t)], n_features=_FEATURES, alternate_sign=False, norm=None
        )
        return hashed.transform(texts)


def vendi(rows: Any) -> float:
    """The effective number of different rows (Friedman & Dieng, 2023): exp of the entropy of the eigenvalues of X X' / n, from
    the smaller of X X' and its dual X' X. Rows must have length 1; 1 if all are the same, n if none shares anything."""
    from scipy.linalg import eigh

    n, width = rows.shape
    if not n:
        return math.nan
    gram = rows @ rows.T if n <= width else rows.T @ rows
    dense = gram.toarray() if hasattr(gram, "toarray") else np.asarray(gram)
    values = eigh(dense / n, eigvals_only=True)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def covered(real: Any, made: Any, k: int = 5) -> NDArray[np.bool_]:
    """(n,) whether a made row is as near to a real one as its k-th nearest among the real (Naeem et al., 2020: coverage)."""
    among = _dense(real @ real.T)
    np.fill_diagonal(among, -np.inf)
    reach = np.sort(among, axis=1)[:, -min(k, len(among) - 1)]
    nearest = _dense(real @ made.T).max(axis=1)
    found: NDArray[np.bool_] = nearest >= reach - 1e-12
    return found


def _dense(product: Any) -> Floats:
    return np.asarray(product.toarray() if hasattr(product, "toarray") else product, dtype=np.float64)
