"""Worker processes: fresh interpreters on socket pairs, so no `__main__` guard is needed and a poison request costs only itself."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from synthmill.plugins import BY_FILE, sentence
from synthmill.refusal import Refusal

from . import Failure, overdue

_ONE_THREAD = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_TRIES = 2
_START = 120.0
"""Seconds a fresh interpreter may take to import the work; they do not count towards the deadline of an item."""
_GRACE = 1.0
"""Seconds beyond the deadline before the worker, which watches it too and can say where it was, is killed."""

_Worker = tuple[subprocess.Popen[bytes], Connection]


class Processes:
    """One feeding thread per worker. A dead or hanging worker is replaced; an item that killed two is a Failure.

    Raises Refusal when the work cannot be sent to another process. wide: a worker may compute on every core.
    """

    def __init__(self, work: Callable[[Any], Any], workers: int, timeout: float, wide: bool = False) -> None:
        for name in [m for m in sys.modules if m.startswith(BY_FILE)]:
            cloudpickle.register_pickle_by_value(sys.modules[name])
        try:
            self._blob: bytes = cloudpickle.dumps((work, timeout))
        except Exception as e:
            raise Refusal(
                f"engine: kind: process: a plugin cannot be sent to a worker ({sentence(e)}); use serial or thread"
            ) from None
        self._timeout, self._env = timeout, {} if wide else dict.fromkeys(_ONE_THREAD, "1")
        self._jobs: queue.SimpleQueue[tuple[Any, Future[Any]] | None] = queue.SimpleQueue()
        self._closing = False
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._threads = [threading.Thread(target=self._feed, daemon=True) for _ in range(workers)]
        for t in self._threads:
            t.start()

    def submit(self, item: Any) -> Callable[[], Any]:
        future: Future[Any] = Future()
        self._jobs.put((item, future))
        return future.result

    def close(self) -> None:
        """Ends the workers at once: what they are still doing is not wanted any more."""
        self._closing = True
        for _ in self._threads:
            self._jobs.put(None)
        for p in list(self._alive):
            p.kill()
        for t in self._threads:
            t.join(timeout=10)

    def _feed(self) -> None:
        worker: _Worker | None = None
        while (job := self._jobs.get()) is not None and not self._closing:
            item, future = job
            answer: Any = None
            for tried in range(1, _TRIES + 1):
                again = False
                try:
                    worker = worker or self._spawn()
                    answer = self._ask(worker[1], item)
                    break
                except TimeoutError:
                    answer = Failure(overdue(self._timeout), late=True)
                except (EOFError, OSError):
                    answer = Failure(f"its worker died {tried} times")
                    again = not self._closing
                except Exception as e:  # whatever it is, nobody must wait for this answer for ever
                    answer = Failure(sentence(e))
                self._end(worker)
                worker = None
                if not again:
                    break
            future.set_result(answer)
        self._end(worker)

    def _ask(self, connection: Connection, item: Any) -> Any:
        connection.send_bytes(cloudpickle.dumps(item))
        if not connection.poll(self._timeout + _GRACE):
            raise TimeoutError
        return connection.recv()

    def _spawn(self) -> _Worker:
        ours, theirs = socket.socketpair()
        env = os.environ | self._env | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        command = [sys.executable, "-m", "synthmill.engine.worker", str(theirs.fileno())]
        with theirs:  # its own process group: Ctrl-C at the terminal is the parent's to handle
            process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=env, stdin=subprocess.DEVNULL, process_group=0
            )
        self._alive.add(process)
        worker = process, Connection(ours.detach())
        try:
            if self._closing:
                raise EOFError
            worker[1].send_bytes(self._blob)
            if not worker[1].poll(_START):
                raise EOFError
            if problem := worker[1].recv():
                raise ImportError(problem)
        except BaseException:
            self._end(worker)
            raise
        return worker

    def _end(self, worker: _Worker | None) -> None:
        if worker is not None:
            process, connection = worker
            process.kill()
            process.wait()
            connection.close()
            self._alive.discard(process)
