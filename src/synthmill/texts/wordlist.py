"""Words and phrases of a list in running text, as whole words, also where letters are swapped for signs or spelled out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthmill.refusal import Refusal

_LEET = str.maketrans("013457@$!|", "oieastasii")
_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_TOKEN = re.compile(r"[\w@$!|*'’]+")
_SPELLED = re.compile(r"(?<![\w'’])(?:[^\W\d_](?:[ .*_-]{1,2})){3,14}[^\W\d_](?![\w'’])")

_KEPT = 100_000


@dataclass(frozen=True)
class Hit:
    """text[start:end] stands under `category` of the list as `entry`."""

    category: str
    entry: str
    start: int
    end: int


class WordList:
    """Entries by category. An entry is a word or a phrase; a star at its end takes every ending."""

    def __init__(self, entries: list[tuple[str, str]]) -> None:
        self._exact: dict[tuple[str, ...], tuple[str, str]] = {}
        self._prefix: dict[tuple[str, ...], tuple[str, str]] = {}
        for category, entry in entries:
            parts = tuple(_plain(p) for p in entry.removesuffix("*").split())
            (self._prefix if entry.endswith("*") else self._exact)[parts] = category, entry
        phrases = [*self._exact, *self._prefix]
        self._longest = max(map(len, phrases), default=0)
        self._heads = {p[0] for p in phrases if len(p) > 1}
        self._ends = sorted({len(p[-1]) for p in self._prefix})
        self._words = [p[0] for p in phrases if len(p) == 1]
        self._known: dict[str, tuple[list[str], tuple[str, str] | None, bool]] = {}

    def find(self, text: str) -> list[Hit]:
        """Every hit, in order of place; of several at one place the longest."""
        hidden = _HIDDEN.sub("'", text)  # as many characters, of which no spelling keeps any
        tokens = [(m[0], m.start(), m.end()) for m in _TOKEN.finditer(hidden)]
        found = list(self._runs(tokens))
        for m in _SPELLED.finditer(hidden):
            if (entry := self._look(re.sub(r"\W|_", "", m[0]))[1]) is not None:
                found.append(Hit(*entry, m.start(), m.end()))
        return sorted(dict.fromkeys(found), key=lambda h: (h.start, h.end))

    def _runs(self, tokens: list[tuple[str, int, int]]) -> Iterator[Hit]:
        until = 0
        for i, (token, start, end) in enumerate(tokens):
            if i < until:
                continue
            _, alone, begins = self._look(token)
            longest = min(self._longest, len(tokens) - i) if begins else 1
            for n in range(longest, 1, -1):
                entry = self._entry([self._look(t)[0] for t, _, _ in tokens[i : i + n]])
                if entry is not None:
                    yield Hit(*entry, start, tokens[i + n - 1][2])
                    until = i + n
                    break
            else:
                if alone is not None:
                    yield Hit(*alone, start, end)

    def _look(self, token: str) -> tuple[list[str], tuple[str, str] | None, bool]:
        """(its spellings, the entry it is by itself, whether a phrase begins with it); words repeat, so it is kept."""
        known = self._known.get(token)
        if known is None:
            forms = _forms(token)
            known = forms, self._entry([forms]), any(f in self._heads for f in forms)
            if len(self._known) < _KEPT:
                self._known[token] = known
        return known

    def _entry(self, forms: list[list[str]]) -> tuple[str, str] | None:
        head = tuple(f[0] for f in forms[:-1])
        for last in forms[-1]:
            masked = self._unmasked(last) if not head and "*" in last.strip("*") else [last]
            for word in masked:
                if (entry := self._exact.get((*head, word))) is not None:
                    return entry
                for end in self._ends:
                    if len(word) >= end and (entry := self._prefix.get((*head, word[:end]))) is not None:
                        return entry
        return None

    def _unmasked(self, word: str) -> list[str]:
        """Listed words that a word with stars for letters may be: `f**k`."""
        if not 4 <= len(word) <= 20 or word[0] == "*":
            return []
        pattern = re.compile(re.escape(word).replace(r"\*", r"\w"))
        return [w for w in self._words if pattern.fullmatch(w)]


def read(path: Path, at: str) -> list[tuple[str, str]]:
    """Entries of a file: one on a line, after its category and a tab if it has one; `#` begins a comment.
    Raises Refusal where it cannot be read or holds none."""
    try:
        rows = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise Refusal(f"{at}: {path}: {e.strerror if isinstance(e, OSError) else 'is not UTF-8'}") from None
    entries = []
    for row in rows:
        line = row.strip()
        if line and not line.startswith("#"):
            category, _, entry = line.rpartition("\t")
            if len(entry.strip("* ")) < 2:
                raise Refusal(f"{at}: {path}: '{line}' is too short an entry")
            entries.append((category.strip() or "own", entry.strip()))
    if not entries:
        raise Refusal(f"{at}: {path}: holds no entries")
    return entries


def own() -> list[tuple[str, str]]:
    """The English list that comes along."""
    return read(Path(__file__).with_name("toxic_en.txt"), "toxicity")


def _plain(token: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", token.casefold()) if not unicodedata.combining(c))
    return bare.replace("'", "").replace("’", "").strip("!|")


def _forms(token: str) -> list[str]:
    """The spellings a token may stand for: itself, without signs for letters, without drawn-out letters."""
    plain = _plain(token) if len(token) <= 60 else ""
    out = [plain]
    letters = sum(c.isalpha() for c in plain)
    if letters and letters < len(plain):
        out.append(plain.translate(_LEET))
    if re.search(r"(\w)\1\1", plain):
        out += [re.sub(r"(\w)\1{2,}", r"\1", plain), re.sub(r"(\w)\1{2,}", r"\1\1", plain)]
    return list(dict.fromkeys(out))
