"""Evidence: a quotation stands in its source, word for word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal, choices
from synthmill.texts.columns import named, verdicts
from synthmill.texts.evidence import locate
from synthmill.texts.units import words


@dataclass
class Evidence:
    """The evidence a record gives must be found in its source; blanks, quotation marks, dashes and case make no difference.

    evidence: a column with one quotation, or a list of them, all of which must be found. source: the column it is taken
    from; of a list of texts one that holds it is enough, but one quotation is never pieced together from two.
    documents: a file or folder of documents: `source` then holds the name of one of these instead of its text.
    offset: a column with the place (in characters of the source) the evidence begins at, which must be right.
    words: fewer prove nothing. share: of the source's words, the most that evidence may be: the whole is no evidence.
    A record whose source is missing, or names no document, is an error; missing evidence fails.
    """

    evidence: str = "evidence"
    source: str = "source"
    documents: str | None = None
    offset: str | None = None
    words: Annotated[int, Field(ge=1)] = 3
    share: Annotated[float, Field(gt=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        self._documents: dict[str, str] | None = None
        if self.documents is not None:
            from synthmill.texts.documents import documents

            self._documents = {d.id: d.text for d in documents(beside(Path(self.documents)))}

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where one named here is not there."""
        named([self.evidence], columns, "evidence: evidence")
        named([self.source], columns, "evidence: source")
        if self.offset is not None:
            if self.offset not in columns:
                raise Refusal(f"evidence: offset: no column '{self.offset}'; {choices(self.offset, columns)}")
            if not columns[self.offset].is_integer():
                raise Refusal(f"evidence: offset: column '{self.offset}' is {columns[self.offset]}, not whole numbers")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        quotations, sources = frame[self.evidence].to_list(), frame[self.source].to_list()
        places = frame[self.offset].to_list() if self.offset is not None else [None] * frame.height
        faults: list[str | None] = []
        undecided: list[str | None] = []
        for quotation, source, place in zip(quotations, sources, places, strict=True):
            held, unknown = self._texts(source)
            undecided.append(unknown)
            faults.append(None if unknown else self._fault(quotation, held, place))
        return verdicts(faults, undecided)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        source = "The mill was built in 1790. It stands by the river."
        bad = ["The mill was built in 1970", "It stands by the river. The mill was built", "mill", ""]
        good = pl.DataFrame({"evidence": ["the mill was\nbuilt in 1790", "“It stands by the river”"], "source": source})
        return good, pl.DataFrame({"evidence": bad, "source": source})

    def _texts(self, source: Any) -> tuple[list[str], str | None]:
        """The texts to look in, or why there are none."""
        given = [s for s in (source if isinstance(source, list) else [source]) if s is not None and s.strip()]
        if not given:
            return [], f"{self.source}: there is no source"
        if self._documents is None:
            return given, None
        lacking = next((g for g in given if g not in self._documents), None)
        if lacking is not None:
            return [], f"{self.source}: no document is called '{lacking}'"
        return [self._documents[g] for g in given], None

    def _fault(self, evidence: Any, sources: list[str], place: int | None) -> str | None:
        quotations = evidence if isinstance(evidence, list) else [evidence]
        if not any(q is not None and q.strip() for q in quotations):
            return "there is no evidence"
        for quotation in quotations:
            held = len(words(quotation or ""))
            if held < self.words:
                return f"{held} words are too few for evidence: {(quotation or '')[:80]!r}"
            found = [(s, at) for s in sources if (at := locate(quotation, s)) is not None]
            if not found:
                return f"not in the source: {quotation[:80]!r}"
            if not any(held <= self.share * len(words(s)) for s, _ in found):
                return f"{held} words are more than {self.share:.0%} of the source"
            if self.offset is not None and (place is None or not any(_begins(quotation, s, place) for s, _ in found)):
                return f"{self.offset}: the evidence begins at {found[0][1][0]}, not {place}"
        return None


def _begins(quotation: str, source: str, place: int) -> bool:
    """Whether the quotation stands at this very place: it may stand at several."""
    if (
        not 0 <= place < len(source)
        or source[place].isspace()
        or (place and source[place - 1].isalnum() and source[place].isalnum())
    ):
        return False
    found = locate(quotation, source[place : place + 4 * len(quotation) + 200])
    return found is not None and found[0] <= 1  # the quotation mark before it may count or not
