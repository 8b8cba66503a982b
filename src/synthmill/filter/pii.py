"""PII: text that holds somebody's number, address or key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field

from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.texts.columns import Chosen, first_fault
from synthmill.texts.identifiers import ENTITIES, Finding, find

_ASKED = [
    "PERSON", "PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "CRYPTO", "US_SSN", "US_ITIN",
    "US_PASSPORT", "US_DRIVER_LICENSE", "US_BANK_NUMBER", "UK_NHS", "MEDICAL_LICENSE",
]  # fmt: skip


@dataclass
class Pii:
    """Text with personal data: numbers and addresses that name a person or open an account.

    E-mail addresses, phone, card and account numbers, national identifiers, IP and MAC addresses, keys. A record is rejected,
    never masked; the reason says what stands where, not what it says.
    entities: which, by Presidio's names (default: all of the engine's).
    engine: `patterns` (regular expressions with check digits where the number has some, and words near it where its
    form is common) or `presidio` (the extra; names of people need `model`, an installed spaCy package).
    reserved: whether what is set aside for examples counts too (example.com, 555-0100, private IP addresses, test cards).
    least: how sure Presidio must be. columns: default every column of text; with real data, columns that are regenerated
    as identifiers or personal data are left out.
    Patterns find no names and no postal addresses. Rejects are kept under `private/`: a model may repeat real people's data.
    """

    columns: list[str] | None = None
    entities: Annotated[list[str], Field(min_length=1)] | None = None
    engine: Literal["patterns", "presidio"] = "patterns"
    model: str | None = None
    language: str = "en"
    least: Annotated[float, Field(ge=0, le=1)] = 0.4
    reserved: bool = False

    private = True

    def __post_init__(self) -> None:
        self._columns = Chosen(self.columns, "pii", ("identifier", "personal"))
        self._analyzer: Any = None
        if self.engine == "patterns":
            if self.model is not None:
                raise Refusal("pii: model: only engine: presidio takes one")
            self._check(ENTITIES)
        else:
            self._start()

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where `columns` names another."""
        self._columns.expect(columns)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return first_fault(frame, self._columns.of(frame.schema), self._fault)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = ["Write to help@example.com or call 555-0123.", "It cost 1234 5678 and took 2010-01-31.", None]
        bad = [
            "Mail me at j.doe@gmail.com",
            "Card 4539 1488 0343 6467",
            "IBAN GB29 NWBK 6016 1331 9268 19",
            "call +49 30 901820",
        ]
        return pl.DataFrame({"text": good}), pl.DataFrame({"text": bad})

    def __getstate__(self) -> dict[str, Any]:
        """Without Presidio, which a worker starts anew."""
        return {**self.__dict__, "_analyzer": None}

    def _start(self) -> None:
        from synthmill.texts.names import Analyzer

        self._analyzer = Analyzer(self.model, self.language)
        self._check(self._analyzer.entities())
        if "PERSON" in (self.entities or ()) and self.model is None:
            raise Refusal("pii: entities: PERSON needs model: the name of an installed spaCy model")

    def _check(self, known: list[str] | tuple[str, ...]) -> None:
        for entity in self.entities or ():
            if entity not in known:
                raise Refusal(f"pii: entities: '{entity}' is not known; {choices(entity, known)}")

    def _fault(self, text: str) -> str | None:
        found = self._find(text)
        if not found:
            return None
        told = ", ".join(f"{f.entity} at {f.start}-{f.end}" for f in found[:3])
        return told + (f" and {len(found) - 3} more" if len(found) > 3 else "")

    def _find(self, text: str) -> list[Finding]:
        if self.engine == "patterns":
            return find(text, self.entities or (), self.reserved)
        if self._analyzer is None:
            self._start()
        asked = self.entities or [e for e in _ASKED if self.model is not None or e != "PERSON"]
        found: list[Finding] = self._analyzer.find(text, asked, self.least)
        return found
