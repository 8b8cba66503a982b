"""Deadlines and Ctrl-C, in the main thread, where Python delivers signals; elsewhere both are without effect."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 2e6
"""Seconds (23 days) that a deadline may be away: the operating system counts milliseconds in 31 bits."""


class Overdue(BaseException):
    """Raised inside work at its deadline; not an Exception, so that a plugin's own `except` lets it pass.

    at: the step it interrupted, set by the work on the way out.
    """

    at: int = 0


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises Overdue in what runs inside it for longer. Only Python code is interrupted, not a C library's."""
    if not _main():
        yield
        return

    def ring(*_: object) -> None:
        raise Overdue

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C waits until what is inside is done: half an admission must never be saved."""
    if not _main():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _main() -> bool:
    return threading.current_thread() is threading.main_thread()
