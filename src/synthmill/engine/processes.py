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

from . import Failure, overdue

_ONE_THREAD = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Processes:
    """One feeding thread per worker. A dead or overdue worker is replaced; a request that killed two is a Failure."""

    def __init__(self, work: Callable[[Any], Any], workers: int, timeout: float, tries: int = 2) -> None:
        self._blob: bytes = cloudpickle.dumps(work)
        self._timeout, self._tries = timeout, tries
        self._jobs: queue.SimpleQueue[tuple[Any, Future[Any]] | None] = queue.SimpleQueue()
        self._closing = False
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._threads = [threading.Thread(target=self._feed, daemon=True) for _ in range(workers)]
        for t in self._threads:
            t.start()

    def submit(self, item: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._jobs.put((item, future))
        return future

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
        worker: tuple[subprocess.Popen[bytes], Connection] | None = None
        while (job := self._jobs.get()) is not None and not self._closing:
            item, future = job
            for attempt in range(self._tries):
                try:
                    worker = worker or self._spawn()
                    worker[1].send_bytes(cloudpickle.dumps(item))
                    if not worker[1].poll(self._timeout):
                        raise TimeoutError
                    ok, answer = worker[1].recv()
                    future.set_result(answer if ok else Failure(answer))
                    break
                except TimeoutError:
                    self._end(worker)
                    worker = None
                    future.set_result(Failure(overdue(self._timeout)))
                    break
                except (EOFError, OSError):
                    self._end(worker)
                    worker = None
                    if self._closing or attempt + 1 == self._tries:
                        future.set_result(Failure(f"its worker died {attempt + 1} times"))
                        break
        self._end(worker)

    def _spawn(self) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = socket.socketpair()
        env = os.environ | dict.fromkeys(_ONE_THREAD, "1") | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        command = [sys.executable, "-m", "synthmill.engine.worker", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=env, stdin=subprocess.DEVNULL)
        theirs.close()
        self._alive.add(process)
        connection = Connection(ours.detach())
        connection.send_bytes(self._blob)
        return process, connection

    def _end(self, worker: tuple[subprocess.Popen[bytes], Connection] | None) -> None:
        if worker is None:
            return
        process, connection = worker
        process.kill()
        process.wait()
        connection.close()
        self._alive.discard(process)
