"""A long text in pieces that end where a paragraph or a sentence does."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*(?:\s+|(?<=[。！？]))(?=\S)")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|cf|e\.g|i\.e|Fig|No|Vol|pp|al)|\b[A-Z])\.$")


@dataclass(frozen=True)
class Piece:
    """text is `source[start:end]`."""

    start: int
    end: int
    text: str


def chunks(text: str, size: int = 1500, overlap: int = 0) -> list[Piece]:
    """Pieces of at most `size` characters that cover the text, each cut at the last end of a paragraph in its second
    half, else of a sentence, else of a word, else anywhere. overlap: characters (to the next start of a word) that a
    piece shares with the one before, less than half of `size`."""
    if size < 1 or not 0 <= overlap < max(1, size / 2):
        raise ValueError(f"overlap {overlap} must be less than half of size {size}")
    ends = [
        [m.end() for m in pattern.finditer(text)] for pattern in (re.compile(r"\n\s*\n"), _SENTENCE, re.compile(r"\s+"))
    ]
    words = ends[2]
    out, start = [], _word(text, 0)
    while start < len(text):
        end = len(text) if len(text) - start <= size else _cut(ends, start, start + size)
        piece = text[start:end].rstrip()
        out.append(Piece(start, start + len(piece), piece))
        if end >= len(text.rstrip()):
            break
        back = words[min(bisect_left(words, end - overlap), len(words) - 1)] if overlap and words else end
        start = _word(text, back if start < back <= end else end)
    return [p for p in out if p.text]


def _cut(ends: list[list[int]], start: int, limit: int) -> int:
    for kind in ends:
        at = bisect_right(kind, limit) - 1
        if at >= 0 and kind[at] > start + (limit - start) // 2:
            return kind[at]
    return limit


def _word(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def sentences(text: str) -> list[Piece]:
    """The sentences of a text, by punctuation; an empty line ends one as well. Rules of thumb, made for prose in
    languages that put a full stop and a blank (or 。) behind a sentence."""
    out: list[Piece] = []
    for block in re.finditer(r"\S(?:.|\n(?!\s*\n))*", text):
        start = block.start()
        for m in list(_SENTENCE.finditer(text, block.start(), block.end())):
            end = m.start() + len(m[0].rstrip())
            if not _ABBREVIATION.search(text, max(start, end - 12), end):
                out.append(Piece(start, end, text[start:end]))
                start = m.end()
        rest = text[start : block.end()].rstrip()
        if rest:
            out.append(Piece(start, start + len(rest), rest))
    return out
