"""One event loop for all threads of the process, and a queue per endpoint: who may leave, who tries again, who gives up."""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from synthmill.refusal import Halt

from .engine import Broken, Busy, Engine, Payload
from .limits import Limit, pause
from .question import Answer

_LOCK = threading.Lock()
_LOOP: list[asyncio.AbstractEventLoop] = []
_CHANNELS: dict[object, Channel] = {}


def loop() -> asyncio.AbstractEventLoop:
    """The process's event loop, on a daemon thread of its own, started when it is first needed."""
    with _LOCK:
        if not _LOOP:
            made = asyncio.new_event_loop()
            threading.Thread(target=made.run_forever, name="synthmill-llm", daemon=True).start()
            _LOOP.append(made)
            atexit.register(close)
        return _LOOP[0]


def close() -> None:
    """Closes every engine. Questions that are still out are given up."""
    with _LOCK:
        channels = list(_CHANNELS.values())
        _CHANNELS.clear()
        running = _LOOP[0] if _LOOP else None
    for channel in channels if running is not None else ():
        done = asyncio.run_coroutine_threadsafe(channel.engine.close(), running)  # type: ignore[arg-type]
        try:
            done.result(5)
        except Exception:  # the process ends; nobody is left to hear of it
            continue


def channel_to(key: object, make: Callable[[], Engine], cap: int | None) -> Channel:
    """The one channel to an endpoint, whoever asks. The smallest cap that anybody gives holds for all."""
    with _LOCK:
        if key not in _CHANNELS:
            _CHANNELS[key] = Channel(make(), cap)
        found = _CHANNELS[key]
    if cap is not None and (found.limit.cap is None or cap < found.limit.cap):
        found.limit.cap = cap
        found.limit.allowed = cap
    return found


@dataclass(eq=False)
class Errand:
    """A question on its way, or several samples of one. allow and done are called on the event loop.

    allow() -> True (leave), False (wait for those that are out), or the reason why it never may. done gets a list where the payload
    asked for `n` samples: as many as came.
    """

    address: str
    payload: Payload
    deadline: float
    retries: int
    allow: Callable[[Errand], bool | Halt]
    done: Callable[[Errand, Answer | list[Answer] | Halt], None]
    tries: int = 0
    begun: float = 0.0
    paused: float = 0.0
    note: Any = field(default=None, repr=False)


class Channel:
    """All questions to one endpoint. Only `send` may be called from other threads."""

    def __init__(self, engine: Engine, cap: int | None = None) -> None:
        self.engine = engine
        own = getattr(engine, "limit", None)
        self.limit = Limit(min(cap, own) if cap and own else cap or own)
        self.alive = False
        self.out = 0
        self._queue: deque[Errand] = deque()
        self._timer: asyncio.TimerHandle | None = None
        if hasattr(engine, "notice"):
            engine.notice = lambda remaining, reset: self.limit.told(time.monotonic(), remaining, reset)

    def send(self, errands: list[Errand]) -> None:
        loop().call_soon_threadsafe(self._put, errands)

    def pump(self) -> None:
        """Lets leave whatever may; called whenever something changed."""
        while self._queue and self.out < max(1, int(self.limit.allowed)):
            wait = self.limit.wait(time.monotonic())
            if wait > 0:
                self._later(wait)
                return
            errand = self._queue[0]
            may = errand.allow(errand)
            if may is False:
                return
            self._queue.popleft()
            if isinstance(may, Halt):
                errand.done(errand, may)
                continue
            self.limit.left(time.monotonic())
            self.out += 1
            asyncio.get_running_loop().create_task(self._try(errand))

    def _put(self, errands: list[Errand]) -> None:
        self._queue.extend(errands)
        self.pump()

    def _later(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._again)

    def _again(self) -> None:
        self._timer = None
        self.pump()

    async def _try(self, errand: Errand) -> None:
        start = time.monotonic()
        errand.begun = errand.begun or start
        errand.tries += 1
        left = errand.deadline - (start - errand.begun - errand.paused)
        try:
            async with asyncio.timeout(max(0.001, left)):
                answer: Answer | list[Answer] | Halt | None = await self.engine.complete(errand.payload)
            now = time.monotonic()
            self.alive = True
            self.limit.served(now, now - start, bool(self._queue))
        except Busy as e:
            answer = self._complained(errand, e)
        except Broken as e:
            answer = self._failed(errand, e)
        except TimeoutError:
            answer = Answer.failed(f"no answer within {errand.deadline:g} s")
        except Halt as e:
            answer = e
        except Exception as e:  # an engine's own mistake is this question's error, and nobody may wait for ever
            answer = Answer.failed(f"{type(e).__name__}: {e}".split("\n")[0])
        self.out -= 1
        if answer is not None:
            errand.done(errand, answer)
        self.pump()

    def _complained(self, errand: Errand, e: Busy) -> Answer | None:
        """Goes to the front of the queue again; the whole channel waits. What a server asks to wait is not held against
        the question, but one that only ever complains is given up."""
        now = time.monotonic()
        self.limit.complained(now, e.after)
        if errand.tries > 4 * (errand.retries + 1):
            return Answer.failed(f"{e} ({errand.tries} tries)")
        errand.paused += max(0.0, self.limit.paused_until - now)
        self._queue.appendleft(errand)
        return None

    def _failed(self, errand: Errand, e: Broken) -> Answer | Halt | None:
        """Waits and tries again, as often as allowed. Nothing answering at all is no fault of the question."""
        most = errand.retries if self.alive or not e.unreachable else min(2, errand.retries)
        if errand.tries > most:
            if e.unreachable:
                return Halt(str(e), 1)
            return Answer.failed(f"{e} ({errand.tries} {'tries' if errand.tries > 1 else 'try'})")
        wait = pause(errand.address, errand.tries)
        errand.paused += wait
        asyncio.get_running_loop().call_later(wait, self._put, [errand])
        return None
