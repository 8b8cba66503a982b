"""A worker: receives the work once, then items, over an inherited socket. It ends when its parent does."""

from __future__ import annotations

import pickle
import sys
from multiprocessing.connection import Connection
from typing import Any

from synthmill.plugins import FAILURES, sentence

from . import Failure, attempt


def serve(descriptor: int) -> None:
    connection = Connection(descriptor)
    try:
        work, timeout = _load(connection)
        while True:
            item = pickle.loads(connection.recv_bytes())
            connection.send_bytes(_packed(attempt(work, item, timeout)))
    except (EOFError, OSError):
        return


def _load(connection: Connection) -> Any:
    """The work and its deadline. Answers "" when it is ready, else why it cannot be."""
    blob = connection.recv_bytes()
    try:
        loaded = pickle.loads(blob)
    except FAILURES as e:
        connection.send(f"a plugin cannot be loaded in a worker: {sentence(e)}")
        raise EOFError from e
    connection.send("")
    return loaded


def _packed(answer: Any) -> bytes:
    try:
        return pickle.dumps(answer)
    except FAILURES as e:
        return pickle.dumps(Failure(f"its answer cannot be sent from a worker: {sentence(e)}"))


if __name__ == "__main__":
    serve(int(sys.argv[1]))
