"""Local workers. One function matters: an ordered, windowed, lazily fed map. The only place that knows about workers."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Failure:
    """A piece of work that gave no answer: it outlasted the deadline, or took its worker down."""

    message: str


class Overdue(BaseException):
    """Raised inside serial work at its deadline; not an Exception, so that a plugin's own `except` lets it pass."""


class Engine(Generic[Item]):
    """kind: serial (this thread), thread (for work that waits), process (fresh interpreters).

    The kind and the number of workers never change what is computed, so `speed_up` may change them while running.
    """

    def __init__(
        self, work: Callable[[Item], Any], kind: str, workers: int | None = None, timeout: float = 600.0
    ) -> None:
        self.work, self.kind, self.timeout = work, kind, timeout
        self.workers = workers or max(
            1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        self._threads: ThreadPoolExecutor | None = None
        self._processes: Any = None

    def map(self, items: Iterator[Item | None], window: int) -> Iterator[tuple[Item, Any]]:
        """Yields (item, answer or Failure) in item order. `items` is pulled only when there is room in the window;
        None means that there is nothing to ask before the next answer was dealt with."""
        waiting: deque[tuple[Item, Callable[[], Any]]] = deque()
        while True:
            while len(waiting) < window:
                item = next(items, None)
                if item is None:
                    break
                waiting.append((item, self._submit(item)))
            if not waiting:
                return
            item, answer = waiting.popleft()
            yield item, answer()

    def speed_up(self) -> bool:
        """From now on in worker processes, where that can help."""
        if self.kind != "serial" or self.workers < 2:
            return False
        self.kind = "process"
        return True

    def close(self) -> None:
        if self._processes is not None:
            self._processes.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, item: Item) -> Callable[[], Any]:
        if self.kind == "serial":
            return lambda: self._here(item)
        if self.kind == "thread":
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="synthmill")
            return self._patient(self._threads.submit(self.work, item))
        if self._processes is None:
            from .processes import Processes

            self._processes = Processes(self.work, self.workers, self.timeout)
        future: Future[Any] = self._processes.submit(item)
        return future.result

    def _patient(self, future: Future[Any]) -> Callable[[], Any]:
        def wait() -> Any:
            try:
                return future.result(self.timeout)
            except FutureTimeout:
                return Failure(overdue(self.timeout))

        return wait

    def _here(self, item: Item) -> Any:
        """An alarm interrupts Python code that hangs; what hangs inside a C library needs `engine: {kind: process}`."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            return self.work(item)

        def ring(*_: object) -> None:
            raise Overdue

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, self.timeout)
        try:
            return self.work(item)
        except Overdue:
            return Failure(overdue(self.timeout))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def overdue(seconds: float) -> str:
    return f"no answer within {seconds:g} s"
