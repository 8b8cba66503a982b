"""Where a quotation stands in its source, and how much of a text is in another."""

from __future__ import annotations

import re
import unicodedata

_SAME = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "–": "-", "—": "-",
                       "‐": "-", "‑": "-", "−": "-", "…": "…"})  # fmt: skip


def locate(quotation: str, source: str) -> tuple[int, int] | None:
    """(start, end) in `source` of a quotation, None if it is not there word for word.

    Blanks, line breaks, the forms of quotation marks and dashes, case, and quotation marks or an ellipsis around it
    make no difference; a single other letter does.
    """
    wanted, _ = _canonical(quotation.strip().strip("\"'“”‘’").strip("… .") or quotation)
    if not wanted:
        return None
    held, places = _canonical(source)
    at = held.find(wanted)
    while at >= 0:
        inside = (at == 0 or not (held[at - 1].isalnum() and wanted[0].isalnum())) and (
            at + len(wanted) == len(held) or not (held[at + len(wanted)].isalnum() and wanted[-1].isalnum())
        )
        if inside:
            return places[at], places[at + len(wanted) - 1] + 1
        at = held.find(wanted, at + 1)
    return None


def _canonical(text: str) -> tuple[str, list[int]]:
    """The text in one spelling, and the place of each of its characters in the original."""
    out: list[str] = []
    places: list[int] = []
    blank = True
    for i, c in enumerate(text):
        if c.isspace():
            if not blank:
                out.append(" ")
                places.append(i)
            blank = True
            continue
        blank = False
        for d in unicodedata.normalize("NFKC", c.translate(_SAME)).casefold():
            out.append(d)
            places.append(i)
    while out and out[-1] == " ":
        out.pop()
        places.pop()
    return "".join(out), places


def spoken(text: str) -> str:
    """The words of a text alone, in one case: equal for texts that differ in punctuation only."""
    return " ".join(re.findall(r"\w+", text.casefold()))


_COMMON = {
    "about", "also", "because", "been", "could", "does", "from", "have", "into", "more", "most", "only", "other", "some", "such",
    "than", "that", "their", "them", "then", "there", "these", "they", "this", "those", "were", "what", "when", "which", "will",
    "with", "would",
}  # fmt: skip


def overlap(answer: str, source: str) -> float:
    """Share of the answer's numbers, and of its words of four letters or more by their first five, that the source has; 1
    where it has none. Words that every English text has do not count."""
    words = _content(answer)
    return len(words & _content(source)) / len(words) if words else 1.0


def _content(text: str) -> set[str]:
    found = re.findall(r"\d+(?:[.,]\d+)*|\w+", text.casefold())
    return {
        w if w[0].isdigit() else w[:5]
        for w in found
        if w[0].isdigit() or not w.isascii() or (len(w) > 3 and w not in _COMMON)
    }


def kept(original: str, text: str, run: int = 5) -> float:
    """Share of a text's runs of `run` words that the original has too; for a shorter text, whether it is the original."""
    before, after = _runs(original, run), _runs(text, run)
    return len(before & after) / len(after)


def repeats(text: str, of: str, besides: str = "", run: int = 6) -> bool:
    """Whether a text has a run of `run` words of another that is not also in `besides`."""
    if len(spoken(text).split()) < run:
        return False
    return bool(_runs(text, run) & (_runs(of, run) - _runs(besides, run)))


def _runs(text: str, run: int) -> set[tuple[str, ...]]:
    words = spoken(text).split()
    return {tuple(words[i : i + run]) for i in range(max(1, len(words) - run + 1))}
