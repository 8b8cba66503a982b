"""Local workers. One function matters: an ordered, windowed, lazily fed map. The only place that knows about workers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from synthmill.plugins import FAILURES, sentence
from synthmill.refusal import Halt, Refusal

from .signals import LONGEST, Overdue, deadline

Item = TypeVar("Item")


@dataclass(frozen=True)
class Failure:
    """A piece of work that gave no answer. at: the step of the work it was in, as far as that is known; late: it was
    the deadline that ended it; halt: no other piece of work would have been answered either."""

    message: str
    at: int = 0
    late: bool = field(default=False, compare=False)
    halt: bool = False


class Engine(Generic[Item]):
    """kind: serial (this thread), thread (for work that waits), process (fresh interpreters).

    The kind and the number of workers never change what is computed, so `speed_up` may change them while running.
    Whatever the work raises is a Failure, and so is what takes longer than `timeout` seconds. A worker process computes
    on one thread, since there are as many as cores; with `wide` it takes every core, for work that is alone.
    """

    def __init__(
        self,
        work: Callable[[Item], Any],
        kind: str,
        workers: int | None = None,
        timeout: float = 600.0,
        wide: bool = False,
    ) -> None:
        self.work, self.kind, self.timeout, self.wide = work, kind, min(timeout, LONGEST), wide
        self.workers = workers or max(
            1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        self._pool: Any = None

    def map(
        self, items: Iterator[Item | None], window: int, known: Callable[[Item], Any] = lambda _: None
    ) -> Iterator[tuple[Item, Any]]:
        """Yields (item, answer or Failure) in item order. `items` is pulled only when there is room in the window;
        None means that there is nothing to ask before the next answer was dealt with.
        known: the answer to an item that needs no work, else None."""
        waiting: deque[tuple[Item, Callable[[], Any]]] = deque()
        while True:
            while len(waiting) < window:
                item = next(items, None)
                if item is None:
                    break
                waiting.append((item, self._submit(item, known(item))))
            if not waiting:
                return
            item, answer = waiting.popleft()
            yield item, answer()

    def speed_up(self) -> bool:
        """From now on in worker processes, where that can help and the work can be sent to them."""
        if self.kind != "serial" or self.workers < 2:
            return False
        try:
            self._pool = self._processes()
        except Refusal:
            self.workers = 1
            return False
        self.kind = "process"
        return True

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _submit(self, item: Item, known: Any) -> Callable[[], Any]:
        if known is not None:
            return lambda: known
        if self.kind == "serial":
            return lambda: attempt(self.work, item, self.timeout)
        if self._pool is None:
            self._pool = self._threads() if self.kind == "thread" else self._processes()
        answer: Callable[[], Any] = self._pool.submit(item)
        return answer

    def _threads(self) -> Any:
        from .threads import Threads

        return Threads(self.work, self.workers, self.timeout)

    def _processes(self) -> Any:
        from .processes import Processes

        return Processes(self.work, self.workers, self.timeout, self.wide)


def attempt(work: Callable[[Item], Any], item: Item, seconds: float) -> Any:
    """The work's answer, or the Failure it came to. What hangs inside a C library needs `engine: {kind: process}`."""
    try:
        with deadline(seconds):
            return work(item)
    except Overdue as e:
        return Failure(overdue(seconds), e.at, late=True)
    except Halt as e:
        return Failure(str(e), halt=True)
    except FAILURES as e:
        return Failure(sentence(e))


def overdue(seconds: float) -> str:
    return f"no answer within {seconds:g} s"
