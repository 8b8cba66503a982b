"""A static embedding model: a vector for each word, and for a text their weighted mean."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.refusal import Refusal

_WORD = re.compile(r"[^\W_]+")
_RARE = 1e-3
"""Arora et al., 2017, "A simple but tough-to-beat baseline for sentence embeddings": a word of probability p weighs
a / (a + p). Files of vectors are sorted by frequency, which by Zipf's law gives p."""


class Static:
    """Word vectors from a file in the text format of word2vec, GloVe and fastText: a word and its numbers a line, the
    most frequent word first, with or without a first line that counts them."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise Refusal(
                f"{path}: {'is a folder; word vectors are one text file' if path.is_dir() else 'there is no such file'}"
            )
        self._row: dict[str, int] = {}
        vectors: list[NDArray[np.float32]] = []
        with path.open(encoding="utf-8", errors="replace") as lines:
            for n, line in enumerate(lines, 1):
                word, *numbers = line.rstrip().split(" ")
                if n == 1 and len(numbers) == 1:
                    continue
                try:
                    vector = np.array(numbers, np.float32)
                except ValueError:
                    raise Refusal(f"{path}: line {n}: expected a word and its numbers") from None
                if not len(vector) or (vectors and len(vector) != len(vectors[0])) or not np.isfinite(vector).all():
                    raise Refusal(f"{path}: line {n}: expected a word and its numbers, as many as in the lines before")
                if self._row.setdefault(word.lower(), len(vectors)) == len(vectors):
                    vectors.append(vector)
        if not vectors:
            raise Refusal(f"{path}: holds no word vectors")
        rank = np.arange(1, len(vectors) + 1)
        chance = 1 / (rank * np.log(len(vectors) + 1))
        self._vectors = np.array(vectors) * (_RARE / (_RARE + chance)).astype(np.float32)[:, None]

    def __call__(self, texts: pl.Series) -> NDArray[np.float32]:
        """(n, d) unit vectors of (n,) String; NaN for a text without a known word."""
        out = np.full((len(texts), self._vectors.shape[1]), np.float32(np.nan))
        for i, text in enumerate(texts.fill_null("")):
            rows = [r for w in _WORD.findall(text.lower()) if (r := self._row.get(w)) is not None]
            if rows:
                total = self._vectors[rows].sum(axis=0)
                length = float(np.sqrt((total * total).sum()))
                out[i] = total / length if length > 0 else np.nan
        return out
