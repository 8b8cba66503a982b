"""Stands in for llama.cpp in the child process: the real child's code with a server that does as the question says.

A question `die` ends the process; `die once PATH` only while PATH is not there; `wait N` streams for N seconds;
`raise` is refused; `nonsense` writes what is no answer; `dropped` tells what was given up. All else is echoed with its seed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from synthmill.llm import llama

DROPPED: list[str] = []


class Server:
    def handle_chat_completions(self, payload: dict[str, Any], take: Any) -> None:
        text = payload["messages"][-1]["content"]
        word, _, rest = text.partition(" ")
        if word == "die" and not (rest.startswith("once") and Path(rest[5:]).exists()):
            if rest.startswith("once"):
                Path(rest[5:]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "raise":
            raise ValueError("no such schema\nand a long story")
        if word == "nonsense":
            os.write(SPOKEN, b"llama: 42\n")
        if word == "wait":
            end = time.monotonic() + float(rest)
            while time.monotonic() < end:
                time.sleep(0.01)
                if take({"choices": [{"index": 0, "delta": {"content": "."}}]}):
                    DROPPED.append(text)
                    return
        said = {"dropped": repr(DROPPED), "keys": repr(sorted(payload))}.get(word, f"{text} / {payload['seed']}")
        for piece in said.split():
            take({"choices": [{"index": 0, "delta": {"content": f"{piece} "}}]})
        take({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        take({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": len(said.split())}})


def load(what: Any) -> Server:
    print("what a library prints is no line of ours", flush=True)
    if what["model"] == "broken":
        raise RuntimeError("no tensors")
    if what["model"] == "killed":
        print("loading model: out of breath", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return Server()


if __name__ == "__main__":
    SPOKEN = os.dup(1)
    llama.load = load
    llama.main()
