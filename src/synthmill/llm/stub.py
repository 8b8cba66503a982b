"""An engine without a model: deterministic answers at once, for unit tests and for trying out a spec."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from synthmill.frame import digest, rng_of

from .engine import Payload
from .question import Answer

Speaker = Callable[[Sequence[Mapping[str, Any]], Mapping[str, Any], int, int], Any]
"""(messages, parameters, seed, index) -> the answer's text, or a whole Answer."""


class Stub:
    """Answers with what `speak` says; without it, with words that follow from the question, or with JSON that fits the
    schema it asks for. A word counts as a token."""

    def __init__(self, speak: Speaker | None = None) -> None:
        self._speak = speak or plausible

    async def complete(self, payload: Payload) -> Answer:
        own = ("model", "messages", "prompt", "seed", "index")
        parameters = {k: v for k, v in payload.items() if k not in own}
        messages = payload.get("messages") or ({"role": "user", "content": payload.get("prompt", "")},)
        said = self._speak(messages, parameters, payload["seed"], payload.get("index", 0))
        if inspect.isawaitable(said):
            said = await said
        if isinstance(said, Answer):
            return said
        words = sum(len(str(m.get("content", "")).split()) for m in messages)
        return Answer(str(said), "stop", words, len(str(said).split()))

    async def close(self) -> None:
        return


def plausible(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], seed: int, index: int) -> str:
    """Text that depends on question, seed and index alone; valid JSON where a schema is asked for."""
    import json

    rng = rng_of("stub", [m.get("content") for m in messages], seed, index)
    wanted = (parameters.get("response_format") or {}).get("json_schema", {}).get("schema")
    if wanted is not None:
        return json.dumps(_instance(wanted, rng), ensure_ascii=False)
    last = str(messages[-1].get("content", "")).split() if messages else []
    return f"Stub answer {digest(last, seed, index)[:8]} to: {' '.join(last[:12])}"


def _instance(schema: Mapping[str, Any], rng: Any) -> Any:
    """A value of a JSON schema's commonest parts: enum, const, anyOf, object, array, string, number, boolean."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][int(rng.integers(len(schema["enum"])))]
    for either in ("anyOf", "oneOf"):
        if either in schema:
            return _instance(schema[either][0], rng)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {k: _instance(v, rng) for k, v in schema.get("properties", {}).items()}
    if kind == "array":
        least = int(schema.get("minItems", 1))
        return [_instance(schema.get("items", {"type": "string"}), rng) for _ in range(least)]
    low, high = schema.get("minimum", 0), schema.get("maximum", 10)
    plain: dict[str, Callable[[], Any]] = {
        "integer": lambda: int(rng.integers(low, high + 1)),
        "number": lambda: round(float(rng.uniform(low, high)), 3),
        "boolean": lambda: bool(rng.integers(2)),
        "null": lambda: None,
    }
    return plain[kind]() if kind in plain else f"some words of a stub {int(rng.integers(1 << 31)):08x}"
