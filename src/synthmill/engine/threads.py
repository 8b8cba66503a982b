"""Threads for work that waits on something outside."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from . import Failure, attempt, overdue


@dataclass
class _Task:
    item: Any
    answer: Future[Any] = field(default_factory=Future)
    begun: threading.Event = field(default_factory=threading.Event)
    start: float = 0.0
    given_up: bool = False


class Threads:
    """A thread cannot be ended, so one that outlasts the deadline is left behind and replaced.

    The deadline counts from when a thread takes the item up, not from when it was asked. Daemon threads, unlike
    those of `ThreadPoolExecutor`: one that hangs must not keep the program from ending.
    """

    def __init__(self, work: Callable[[Any], Any], workers: int, timeout: float) -> None:
        self._work, self._workers, self._timeout = work, workers, timeout
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._started = 0

    def submit(self, item: Any) -> Callable[[], Any]:
        task = _Task(item)
        self._tasks.put(task)
        if self._started < self._workers:
            self._start()
        return lambda: self._answer(task)

    def close(self) -> None:
        while not self._tasks.empty():
            self._tasks.get_nowait()
        for _ in range(self._started):
            self._tasks.put(None)

    def _answer(self, task: _Task) -> Any:
        """Items are taken up in the order they are waited for, so `begun` is set once whatever came before is settled."""
        task.begun.wait()
        left = max(0.0, task.start + self._timeout - time.monotonic())
        if not wait([task.answer], left).done:
            task.given_up = True
            self._start()
            return Failure(overdue(self._timeout), late=True)
        return task.answer.result()

    def _start(self) -> None:
        self._started += 1
        threading.Thread(target=self._run, name="synthmill", daemon=True).start()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.start = time.monotonic()
            task.begun.set()
            task.answer.set_result(attempt(self._work, task.item, self._timeout))
            if task.given_up:
                return
