"""Where a quotation stands in its source."""

from __future__ import annotations

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
