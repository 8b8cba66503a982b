"""What answers questions: an endpoint, a model in a child process, or a stub. One method, and three ways to fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .question import Answer

Payload = dict[str, Any]
"""As in OpenAI's API: `model`, `messages` (or `prompt`), `seed`, `max_tokens`, `temperature`, ...

`seed` has 31 bits, since servers take no more (a stub gets the question's own); `index`, which sample it is, is ours and
not sent. `n`: so many samples are wanted of one prompt; there is no seed then."""


class Engine(Protocol):
    """`complete` answers one payload. What is wrong with the question (too long, refused, garbage) is an Answer with
    `error`; it raises Busy when asked to slow down, Broken when another try may help, Halt when nothing ever will.
    It runs on the one event loop of `channel.py`, where it may not block.

    Optional: `several = True`: it takes payloads with `n` and answers these with a list; what it leaves out is asked for one
    by one. `limit: int`: questions that it can work on at once (absent: found out, see `limits.py`); `notice`: set to
    a function (remaining, seconds until reset) to call when a server tells its rate limit.
    """

    async def complete(self, payload: Payload) -> Answer | list[Answer]: ...

    async def close(self) -> None: ...


def answers_in(said: Mapping[str, Any]) -> list[Answer]:
    """The choices of a response in OpenAI's form, in order.

    Tokens are counted for all of them together: the prompt's are booked on the first, the others in proportion to texts.
    Some servers count those of one choice alone, and are found out by fewer tokens than words; then the longest text is
    taken for the one they counted, which books too little rather than nothing where it was another.
    Raises KeyError, TypeError, ValueError or AttributeError for what has not that form.
    """
    usage = said.get("usage") or {}
    choices = sorted(said["choices"], key=lambda c: int(c.get("index") or 0))
    messages = [c.get("message") or {"content": c.get("text")} for c in choices]
    texts = [_plain(m.get("content")) for m in messages]
    into, out = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    found, size, before = [], max(1, sum(map(len, texts))), 0
    if len(texts) > 1 and 0 < out < sum(len(t.split()) for t in texts):
        out = max(out * size // max(1, max(map(len, texts))), sum(len(t.split()) for t in texts))
    for i, (choice, message, text) in enumerate(zip(choices, messages, texts, strict=True)):
        after = before + len(text)
        mine = out * after // size - out * before // size if i < len(texts) - 1 else out - out * before // size
        found.append(_answer(choice, message, text, (0 if i else into, mine)))
        before = after
    return found


def _answer(choice: Mapping[str, Any], message: Mapping[str, Any], text: str, counted: tuple[int, int]) -> Answer:
    finish, tools = str(choice.get("finish_reason") or ""), tuple(message.get("tool_calls") or ())
    withheld = "the answer was withheld by a content filter" if finish == "content_filter" else ""
    refusal = message.get("refusal") or withheld
    error = f"refused: {refusal}" if refusal else ""
    if not error and not text and not tools:
        error = "the answer is empty" + (": max_tokens was too small for one" if finish == "length" else "")
    return Answer(text, finish, *counted, error, bool(refusal), choice.get("logprobs"), tools)


def _plain(content: Any) -> str:
    """The text of a message: a string, or the text parts of a list."""
    if isinstance(content, list):
        return "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return "" if content is None else str(content)


class Busy(Exception):
    """The server asks for fewer requests (429, 503). after: seconds it asks to wait, None where it does not say."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Broken(Exception):
    """This try failed (a dropped connection, 500, garbage); the next may not. unreachable: nobody answers there at all,
    which is no fault of the question."""

    def __init__(self, message: str, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = unreachable
