"""A worker: receives the work once, then items, over an inherited socket. It ends when its parent does."""

from __future__ import annotations

import pickle
import signal
import sys
from multiprocessing.connection import Connection


def serve(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    connection = Connection(descriptor)
    work = pickle.loads(connection.recv_bytes())
    while True:
        try:
            item = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            answer = (True, work(item))
        except Exception as e:
            answer = (False, f"{type(e).__name__}: {e}")
        connection.send(answer)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
