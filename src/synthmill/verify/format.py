"""Format: length, patterns, JSON, and no placeholders left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from synthmill.plugins import Verdicts
from synthmill.refusal import MissingExtra, Refusal
from synthmill.schema import Schema
from synthmill.texts.columns import TABULAR, Chosen, answers, verdicts
from synthmill.texts.instructions import parse
from synthmill.texts.placeholders import placeholder
from synthmill.texts.units import bullets, paragraphs, sentences, words

_Span = tuple[int | None, int | None]
_UNITS = {
    "characters": len,
    "words": lambda t: len(words(t)),
    "sentences": lambda t: len(sentences(t)),
    "paragraphs": lambda t: len(paragraphs(t)),
    "bullets": bullets,
}


@dataclass
class Format:
    """What a text must look like; the reason names the first demand it misses, with the number.

    columns: which (default: every column of text); of messages the last. A text that is missing or blank fails.
    characters, words, sentences, paragraphs, bullets: [least, most], null for an open end.
    must, must_not: regular expressions, all of which, and none of which, are found; Rust's, which run in linear time and
    know no look-around. json: the whole text is JSON (RFC 8259: no NaN, no name twice). json_schema: that it meets (JSON
    Schema 2020-12; no reference to elsewhere is followed).
    placeholders: whether what a template or a model leaves behind may stay: `[insert name]`, `{{name}}`, `<your text>`,
    `Lorem ipsum`, `As an AI language model`.
    """

    columns: list[str] | None = None
    characters: _Span | None = None
    words: _Span | None = None
    sentences: _Span | None = None
    paragraphs: _Span | None = None
    bullets: _Span | None = None
    must: list[str] = field(default_factory=list)
    must_not: list[str] = field(default_factory=list)
    json: bool = False
    json_schema: dict[str, Any] | None = None
    placeholders: bool = False

    def __post_init__(self) -> None:
        self._columns = Chosen(self.columns, "format", TABULAR)
        self._spans = {u: s for u in _UNITS if (s := getattr(self, u)) is not None}
        for unit, (least, most) in self._spans.items():
            if least is not None and most is not None and least > most:
                raise Refusal(f"format: {unit}: [{least}, {most}]: the least is above the most")
        for key in ("must", "must_not"):
            for pattern in getattr(self, key):
                try:
                    pl.Series([""]).str.contains(pattern)
                except pl.exceptions.PolarsError as e:
                    said = re.sub(r"\s+", " ", str(e))
                    raise Refusal(
                        f"format: {key}: {pattern!r} is no regular expression it can run: {said[:160]}"
                    ) from None
        self._schema = _validator(self.json_schema) if self.json_schema is not None else None

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where `columns` names another."""
        self._columns.expect(columns)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns.fit(schema)

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        names = self._columns.of(frame.schema)
        reasons: list[str | None] = [None] * frame.height
        for name in names:
            for i, fault in enumerate(self._faults(answers(frame[name]))):
                if reasons[i] is None and fault is not None:
                    reasons[i] = f"{name}: {fault}" if len(names) > 1 else fault
        return verdicts(reasons)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return pl.DataFrame({"text": ["Dear Ann, all is well."]}), pl.DataFrame(
            {"text": ["Dear [insert name], hi", "", None]}
        )

    example_config = {"columns": ["text"]}

    def _faults(self, texts: list[str | None]) -> list[str | None]:
        column = pl.Series(texts, dtype=pl.String)
        faults = [self._fault(t) for t in texts]
        for key, wanted in (("must", True), ("must_not", False)):
            for pattern in getattr(self, key):
                found = column.str.contains(pattern)
                for i, hit in enumerate(found):
                    if faults[i] is None and hit is not wanted:
                        faults[i] = f"{key}: {pattern!r} is {'not ' if wanted else ''}there"
        return faults

    def _fault(self, text: str | None) -> str | None:
        if text is None or not text.strip():
            return "there is no text"
        for unit, (least, most) in self._spans.items():
            number = _UNITS[unit](text)
            if least is not None and number < least:
                return f"{unit}: {number}, at least {least} wanted"
            if most is not None and number > most:
                return f"{unit}: {number}, at most {most} wanted"
        if not self.placeholders and (left := placeholder(text)) is not None:
            return f"a placeholder: {left!r}"
        if self.json or self._schema is not None:
            return self._json_fault(text)
        return None

    def _json_fault(self, text: str) -> str | None:
        value, wrong = parse(text)
        if wrong is not None or self._schema is None:
            return wrong
        try:
            errors = sorted(self._schema.iter_errors(value), key=lambda e: (list(map(str, e.absolute_path)), e.message))
        except RecursionError:
            return "json_schema: nested too deeply"
        if not errors:
            return None
        where = ".".join(map(str, errors[0].absolute_path))
        return f"json_schema: {where + ': ' if where else ''}{errors[0].message[:200]}"


def _validator(schema: dict[str, Any]) -> Any:
    try:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing import Registry
    except ImportError:
        raise MissingExtra("format: json_schema", "jsonschema", "text") from None
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as e:
        raise Refusal(f"format: json_schema: is no JSON Schema: {e.message[:200]}") from None
    if (away := _elsewhere(schema)) is not None:
        raise Refusal(
            f"format: json_schema: $ref: '{away}' lies elsewhere; only references within the schema are followed"
        )
    return Draft202012Validator(schema, registry=Registry())


def _elsewhere(node: Any) -> str | None:
    """A reference that leaves the schema."""
    if isinstance(node, Mapping):
        away = [str(v) for k, v in node.items() if k in ("$ref", "$dynamicRef") and not str(v).startswith("#")]
        return next(iter(away), None) or next((a for v in node.values() if (a := _elsewhere(v)) is not None), None)
    return next((a for v in node if (a := _elsewhere(v)) is not None), None) if isinstance(node, list) else None
