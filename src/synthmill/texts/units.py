"""A text cut into what people count: words, sentences, lines, paragraphs, bullets."""

from __future__ import annotations

import re

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han, written without blanks
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’\u2010-\u2011-][^\W_{_UNSPACED}]+)*")
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[”’」』）]*|\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|sr|jr|st|vs|etc|e\.g|i\.e|cf|no|vol|fig|inc|ltd|co|approx|dept|est)|\b[a-z]|\b\w\.\w)\.$",
    re.IGNORECASE,
)
_NEVER_LAST = re.compile(r"\b(?:mr|mrs|ms|dr|prof|st|vs|e\.g|i\.e|cf|fig|vol|approx)\.$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*+•‣●▪◦–]|\d+[.)])\s+\S", re.MULTILINE)


def words(text: str) -> list[str]:
    """Words as written, without punctuation; `don't` and `well-known` are one. A Han character or a kana is a word;
    Thai, Lao, Khmer and Burmese, which also go without blanks, count by stretches between blanks."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Ends at `.!?…` before a blank, at full-width stops, at empty lines and before list items. `Dr.`, `e.g.` and single
    initials end none; an abbreviation such as `etc.` ends one where a capital follows."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        piece = text[start : match.end()]
        if match[0] == "." and _ABBREVIATION.search(piece):
            follows = text[match.end() :].lstrip()[:1]
            if _NEVER_LAST.search(piece) or not follows or not follows.isupper() or re.search(r"\b\w\.$", piece):
                continue
        found.append(piece)
        start = match.end()
    found.append(text[start:])
    return [s.strip() for s in found if any(c.isalnum() for c in s)]


def lines(text: str) -> list[str]:
    """Lines that hold more than blanks, stripped."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def paragraphs(text: str) -> list[str]:
    """What empty lines divide."""
    return [p.strip() for p in re.split(r"\n\s*\n", text) if p.strip()]


def bullets(text: str) -> int:
    """List items: lines that begin with a bullet, a dash or a number."""
    return len(_BULLET.findall(text))
