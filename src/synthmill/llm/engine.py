"""What answers questions: an endpoint, a model in a child process, or a stub. One method, and three ways to fail."""

from __future__ import annotations

from typing import Any, Protocol

from .question import Answer

Payload = dict[str, Any]
"""As in OpenAI's API: `model`, `messages` (or `prompt`), `seed`, `max_tokens`, `temperature`, ...

`seed` has 31 bits, since servers take no more (a stub gets the question's own); `index`, which sample it is, is ours and
not sent."""


class Engine(Protocol):
    """`complete` answers one payload. What is wrong with the question (too long, refused, garbage) is an Answer with
    `error`; it raises Busy when asked to slow down, Broken when another try may help, Halt when nothing ever will.
    It runs on the one event loop of `channel.py`, where it may not block.

    Optional: `limit: int`: questions that it can work on at once (absent: found out, see `limits.py`); `notice`: set to
    a function (remaining, seconds until reset) to call when a server tells its rate limit.
    """

    async def complete(self, payload: Payload) -> Answer: ...

    async def close(self) -> None: ...


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
