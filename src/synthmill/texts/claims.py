"""The claims of a text, and what of them can be held against a source without a model."""

from __future__ import annotations

import re
import unicodedata

from .evidence import locate, spoken
from .units import sentences, words

_NUMBER = re.compile(r"\d+(?:[.,  ]\d{3})*(?:[.,]\d+)?")
_SPELLED = {
    w: str(n)
    for n, w in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90", "hundred": "100", "dozen": "12"}  # fmt: skip
_FEW = 3


def claims(text: str) -> list[str]:
    """Its sentences, without questions, lines that only lead in (they end in a colon), and sentences of one or two words;
    a text that has nothing else is one claim."""
    found = []
    for sentence in sentences(text):
        plain = re.sub(r"^\s*(?:[-*+•]|\d+[.)])\s+", "", sentence).strip()
        if plain.endswith(("?", "？", ":")) or len(words(plain)) < _FEW:
            continue
        found.append(plain)
    whole = text.strip()
    return found or ([whole] if words(whole) and not whole.endswith(("?", "？")) else [])


def stands(claim: str, source: str) -> bool:
    """Whether the source says the claim word for word, punctuation at its end aside."""
    return locate(claim.rstrip(" .!;"), source) is not None


def lacking(claim: str, source: str, names: bool = True) -> str | None:
    """The first number, or the first name, of a claim that the source does not have; None if it has them all.

    Numbers compare by value (`1,000` is 1000, `five` in the source is 5). A name is a word with a capital inside a sentence;
    its case and a possessive 's make no difference.
    """
    there = numbers(source)
    for n in sorted(_digits(claim)):
        if n not in there:
            return n
    if not names:
        return None
    held = set(spoken(_plain(source)).split())
    for name in _names(claim):
        parts = spoken(_plain(name)).split()
        if not all(p in held or p.removesuffix("s") in held or f"{p}s" in held for p in parts):
            return name
    return None


def numbers(text: str) -> set[str]:
    """Numbers in a text, in digits or as English words up to a hundred."""
    spelled = {_SPELLED[w] for w in spoken(text).split() if w in _SPELLED}
    return _digits(text) | spelled


def _digits(text: str) -> set[str]:
    return {_value(m) for m in _NUMBER.findall(unicodedata.normalize("NFKC", text))}


def _value(written: str) -> str:
    """One spelling of a number: groups of three digits behind a separator are thousands, anything else is a fraction."""
    whole = re.fullmatch(r"\d{1,3}(?:[.,  ]\d{3})+", written)
    if whole:
        return re.sub(r"\D", "", written).lstrip("0") or "0"
    head, mark, tail = written.replace(" ", " ").rpartition("." if written.rfind(".") > written.rfind(",") else ",")
    head, tail = (re.sub(r"\D", "", head), tail.rstrip("0")) if mark else (re.sub(r"\D", "", tail), "")
    return (head.lstrip("0") or "0") + (f".{tail}" if tail else "")


def _plain(text: str) -> str:
    return re.sub(r"['’]s\b", "", text)


def _names(claim: str) -> list[str]:
    """Words with a capital that no sentence begins with; `I` and all that follows an opening mark are none."""
    found = []
    for at, word in enumerate(re.finditer(r"[^\W\d_][\w'’-]*", claim)):
        text, before = word[0], claim[: word.start()].rstrip()
        begins = at == 0 or before.endswith((".", "!", "?", ":", '"', "“", "("))
        if text[0].isupper() and not begins and text not in ("I", "I'm", "I’m"):
            found.append(text)
    return found
