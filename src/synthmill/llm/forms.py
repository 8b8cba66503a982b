"""What an answer has to look like: shown to the model, sent as a JSON schema, and read back strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]


class Unread(ValueError):
    """Why an answer could not be used, in words the model can be told."""


@dataclass(frozen=True)
class Text:
    """about: what belongs here, in the words the model is shown. least, most: characters."""

    about: str
    least: int = 1
    most: int = 20_000

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def shown(self) -> str:
        return json.dumps(f"<{self.about}>", ensure_ascii=False)

    def read(self, value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise Unread(f"'{name}' is not a text")
        text = value.strip()
        if len(text) < self.least:
            raise Unread(f"'{name}' is empty" if not text else f"'{name}' has {len(text)} characters, fewer than {self.least}")  # fmt: skip
        if len(text) > self.most:
            raise Unread(f"'{name}' has {len(text):,} characters, more than {self.most:,}")
        if re.fullmatch(r"<[^<>]*>|\.{3}|…", text) and len(text) > 1:
            raise Unread(f"'{name}' repeats the form instead of filling it in")
        return text


@dataclass(frozen=True)
class Choice:
    options: tuple[Any, ...]

    def schema(self) -> dict[str, Any]:
        texts = {"type": "string"} if all(isinstance(o, str) for o in self.options) else {}
        return {**texts, "enum": list(self.options)}

    def shown(self) -> str:
        return " or ".join(json.dumps(o, ensure_ascii=False) for o in self.options)

    def read(self, value: Any, name: str) -> Any:
        for option in self.options:
            if value == option or str(value).strip().casefold() == str(option).casefold():
                return option
        raise Unread(f"'{name}' is {value!r}, none of {', '.join(map(str, self.options))}")


@dataclass(frozen=True)
class Whole:
    """A whole number. unsure: it may be null, where whoever is asked cannot tell."""

    about: str
    low: int
    high: int
    unsure: bool = False

    def schema(self) -> dict[str, Any]:
        return {
            "type": ["integer", "null"] if self.unsure else "integer",
            "minimum": self.low,
            "maximum": self.high,
        }

    def shown(self) -> str:
        return f"<{self.about}, {self.low} to {self.high}{', or null' if self.unsure else ''}>"

    def read(self, value: Any, name: str) -> int | None:
        if value is None and self.unsure:
            return None
        number = int(value) if isinstance(value, str) and re.fullmatch(r"-?\d+", value.strip()) else value
        if isinstance(number, bool) or not isinstance(number, int) or not self.low <= number <= self.high:
            raise Unread(f"'{name}' is {value!r}, not a whole number from {self.low} to {self.high}")
        return number


@dataclass(frozen=True)
class Many:
    """A list of one kind of thing."""

    item: Text | Choice | Whole
    least: int = 1
    most: int = 10

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(), "minItems": self.least, "maxItems": self.most}

    def shown(self) -> str:
        return f"[{self.item.shown()}{', ...' if self.most > 1 else ''}]"

    def read(self, value: Any, name: str) -> list[Any]:
        if not isinstance(value, list):
            raise Unread(f"'{name}' is not a list")
        if not self.least <= len(value) <= self.most:
            raise Unread(f"'{name}' has {len(value)} entries, not {self.least} to {self.most}")
        return [self.item.read(v, name) for v in value]


Field = Text | Choice | Whole | Many


@dataclass(frozen=True)
class Form:
    """A JSON object with exactly these fields."""

    fields: Mapping[str, Field]

    def response_format(self) -> dict[str, Any]:
        schema = {
            "type": "object",
            "properties": {k: f.schema() for k, f in self.fields.items()},
            "required": list(self.fields),
            "additionalProperties": False,
        }
        return {"type": "json_schema", "json_schema": {"name": "record", "strict": True, "schema": schema}}

    def shown(self) -> str:
        inner = ", ".join(f"{json.dumps(k)}: {f.shown()}" for k, f in self.fields.items())
        return f"Answer with one JSON object and nothing else, in this form:\n{{{inner}}}"

    def read(self, text: str) -> Values:
        found = _object(text)
        lacking = [k for k in self.fields if k not in found]
        if lacking:
            raise Unread(f"the JSON object lacks {', '.join(repr(k) for k in lacking)}")
        return {k: f.read(found[k], k) for k, f in self.fields.items()}


@dataclass(frozen=True)
class Plain:
    """The whole answer is the text of one column. words: fewest and most."""

    name: str
    words: tuple[int, int] = (1, 10_000)

    def response_format(self) -> None:
        return None

    def shown(self) -> str:
        return ""

    def read(self, text: str) -> Values:
        text = unwrapped(text)
        n = len(text.split())
        if n < self.words[0]:
            raise Unread("the answer is empty" if not text else f"the answer has {n} words, fewer than {self.words[0]}")
        if n > self.words[1]:
            raise Unread(f"the answer has {n} words, more than {self.words[1]}")
        return {self.name: text}


@dataclass(frozen=True)
class Fitting:
    """A JSON object that fits somebody's own schema; kept as JSON in one column."""

    name: str
    schema: Mapping[str, Any]

    def response_format(self) -> dict[str, Any]:
        schema = {"type": "object", **self.schema}
        return {"type": "json_schema", "json_schema": {"name": self.name, "strict": True, "schema": schema}}

    def shown(self) -> str:
        return f"Answer with one JSON object and nothing else, that fits this schema:\n{json.dumps(dict(self.schema))}"

    def read(self, text: str) -> Values:
        import jsonschema

        found = _object(text)
        try:
            jsonschema.validate(found, dict(self.schema))
        except jsonschema.ValidationError as e:
            raise Unread(f"{self.name}: {e.message}") from None
        return {self.name: json.dumps(found, ensure_ascii=False)}


Shape = Form | Plain | Fitting
Accept = Callable[[Values], str]
"""What is wrong with values that have the right form, "" if nothing is."""

_LEAD_IN = re.compile(
    r"\A(?:(?:sure|certainly|of course|absolutely|okay|ok)\b[^\n:]{0,120}[:!.]\s*\n+)?(?:here(?:'s|’s| is| are)\b[^\n]{0,160}:\s*\n+)?",
    re.I,
)


def unwrapped(text: str) -> str:
    """Without what belongs to the talk and not to the text: a line such as "Sure, here is the text:", a fence or
    quotation marks around the whole."""
    text = text.strip()
    text = text[_LEAD_IN.match(text).end() :].strip()  # type: ignore[union-attr]
    fenced = re.fullmatch(r"```\w*\n(.*?)\n?```", text, re.S)
    if fenced and "```" not in fenced[1]:
        text = fenced[1].strip()
    if len(text) > 1 and text[0] == '"' == text[-1] and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def _object(text: str) -> dict[str, Any]:
    """The first JSON object in an answer, wherever it stands."""
    decoder = json.JSONDecoder(strict=False)
    found: Any = None
    for at in (m.start() for m in re.finditer(r"\{", text)):
        try:
            found, _ = decoder.raw_decode(text, at)
            break
        except json.JSONDecodeError:
            continue
    if not isinstance(found, dict):
        raise Unread("there is no complete JSON object in the answer" if "{" in text else "the answer is not JSON")
    return found
