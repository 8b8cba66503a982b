"""A question to a language model and its answer. Both are data: what went wrong is said in the answer, never raised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """messages: as in OpenAI's chat format. seed: of the request it belongs to; index: which of several samples.

    parameters: override the model's for this question (max_tokens, temperature, response_format, tools, logprobs, ...).
    """

    messages: tuple[Message, ...]
    seed: int
    index: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """finish: "stop", "length", "tool_calls", "content_filter", or "" where there was none.

    error: why there is no usable text ("" when there is); refused: the model or its provider declined. logprobs: as the
    endpoint gave them. address: where the journal keeps it; cached: it came from there and cost nothing now.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    error: str = ""
    refused: bool = False
    logprobs: Any = None
    tool_calls: tuple[Any, ...] = ()
    address: str = ""
    cached: bool = False

    @classmethod
    def failed(cls, error: str, refused: bool = False) -> Answer:
        return cls("", "", 0, 0, error, refused)


def canonical(value: Any) -> bytes:
    """One spelling of JSON for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode(
        "utf-8", "surrogatepass"
    )


def asked(
    model: str, parameters: Mapping[str, Any], messages: Sequence[Message], seed: int, index: int
) -> dict[str, Any]:
    """What decides an answer, and nothing of how it was fetched. At temperature 0 seed and index decide nothing: the same
    question has one answer however often it is asked."""
    plain = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in parameters.items()}
    if plain.get("temperature") == 0:
        seed = index = 0
    return {"model": model, "parameters": plain, "messages": list(messages), "seed": seed, "index": index}


def address(model: str, parameters: Mapping[str, Any], messages: Sequence[Message], seed: int, index: int) -> str:
    """64 hex digits (SHA-256) of what decides the answer: independent of endpoint, key, retries and deadline."""
    return hashlib.sha256(canonical(asked(model, parameters, messages, seed, index))).hexdigest()
