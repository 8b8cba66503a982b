"""The child process of `embedded.py`: llama.cpp answering JSON lines. Run as a script; it imports nothing of synthmill.

In: first what to load, `{model, slots, context, threads, parent}`; then `{id, ask: payload}` and `{id, drop: true}`.
Out: `{ready: ...}` or `{failed: reason}`; then `{id, said: an OpenAI response}` or `{id, error: {message, type}}`.
It ends when its input ends, and when its parent is no longer there.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """What C code prints must not get between our lines, so they leave by a descriptor of their own."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    lock = threading.Lock()

    def say(line: dict[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        with lock:
            while data:  # a raw write to a pipe may take a part
                data = data[target.write(data) :]

    first = json.loads(source.readline() or b"{}")
    if first:
        threading.Thread(target=_watch, args=(first["parent"],), daemon=True).start()
        try:
            desk = Answering(load(first), say)
        except BaseException as e:
            say({"failed": f"{type(e).__name__}: {e}"})
            os._exit(1)
        say({"ready": True})
        for line in source:
            desk.hear(json.loads(line))
    os._exit(0)  # what the model holds is the system's to take back; its destructors would wait for open answers


def _watch(parent: int) -> None:
    """Ends this process when its parent is gone. The end of the input says so too, but a process that the parent forked
    may still hold the pipe's other end."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def load(what: Mapping[str, Any]) -> Any:
    """A llama.cpp server that nobody can reach from outside: its socket has no name any more once this returns."""
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = what["model"]
    p.n_parallel = what["slots"]
    p.n_ctx = what["slots"] * what["context"]
    for cpu in (p.cpuparams, p.cpuparams_batch):
        cpu.n_threads = what["threads"]
    # a seed means the same in any company only if a prompt is never continued from a kept one, and without flash
    # attention, whose CPU kernel changes with the number of tokens in a step (measured: docs/models.md)
    p.cache_prompt = False
    p.cache_ram_mib = 0
    kinds = {d["type"] for d in xllamacpp.get_device_info()}
    if kinds <= {xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU}:
        p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    p.warmup = False
    p.verbosity = 1
    p.offline = True
    with tempfile.TemporaryDirectory(prefix="synthmill-") as hidden:
        if sys.platform != "win32":
            p.hostnames = [os.path.join(hidden, "s.sock")]
        p.api_keys = [os.urandom(24).hex()]
        return xllamacpp.Server(p)


class Answering:
    """server: xllamacpp's. Each question is answered in a thread of its own, as a stream, so that it can be dropped."""

    def __init__(self, server: Any, say: Say) -> None:
        self._server, self._say = server, say
        self._dropped: set[int] = set()

    def hear(self, line: Mapping[str, Any]) -> None:
        if line.get("drop"):
            self._dropped.add(line["id"])
        else:
            threading.Thread(target=self._answer, args=(line["id"], line["ask"]), daemon=True).start()

    def _answer(self, number: int, payload: dict[str, Any]) -> None:
        """What the engine raises is about this question: a schema that is none, messages that fit no template."""
        whole = Whole()

        def take(chunk: Any) -> bool:
            with contextlib.suppress(KeyError, IndexError, TypeError, AttributeError):
                whole.add(chunk)
            return number in self._dropped

        try:
            ask = self._server.handle_completions if "prompt" in payload else self._server.handle_chat_completions
            ask(dict(payload, stream=True, stream_options={"include_usage": True}), take)
        except Exception as e:
            whole.error = {"message": str(e).split("\n")[0], "type": type(e).__name__}
        dropped = number in self._dropped
        self._dropped.discard(number)
        if not dropped:
            self._say({"id": number, "error": whole.error} if whole.error else {"id": number, "said": whole.said()})


class Whole:
    """The chunks of a stream put together as the response that would have come at once."""

    def __init__(self) -> None:
        self.error: dict[str, Any] = {}
        self._text: list[str] = []
        self._finish: str | None = None
        self._usage: dict[str, Any] = {}
        self._tools: dict[int, dict[str, Any]] = {}
        self._logprobs: list[Any] = []
        self._scored = False

    def add(self, chunk: Mapping[str, Any]) -> None:
        if "error" in chunk:
            self.error = dict(chunk["error"])
            return
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {"content": choice.get("text")}
            self._text.append(delta.get("content") or "")
            self._finish = choice.get("finish_reason") or self._finish
            for call in delta.get("tool_calls") or ():
                self._call(call)
            if choice.get("logprobs"):
                self._scored = True
                self._logprobs.extend(choice["logprobs"].get("content") or ())

    def _call(self, piece: Mapping[str, Any]) -> None:
        """A call's name comes once, its arguments in pieces."""
        call = self._tools.setdefault(
            piece.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = piece.get("id") or call["id"]
        for key, text in (piece.get("function") or {}).items():
            call["function"][key] += text or ""

    def said(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text)}
        if self._tools:
            message["tool_calls"] = [self._tools[i] for i in sorted(self._tools)]
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        if self._scored:
            choice["logprobs"] = {"content": self._logprobs}
        return {"choices": [choice], "usage": self._usage}


if __name__ == "__main__":
    main()
