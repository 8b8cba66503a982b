"""A model on this machine: llama.cpp in a child process. Its crash is a question's error, never ours."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthmill.refusal import Halt, MissingExtra

from . import llama
from .engine import Payload, answers_in
from .known import locate
from .question import Answer

MOST = 1 << 26
"""Bytes of one line: a long answer with the probabilities of twenty tokens at each place."""
PATIENCE = 3.0
"""Seconds for the child to leave by itself."""


class Embedded:
    """model: a known name or the path of a GGUF file. slots: questions answered at once; context: tokens of each, prompt
    and answer together. threads: None: as many as there are cores to run on. command: what is started instead, for tests.

    The child is started by the first question. If it dies, the questions that were out are asked once more, each alone,
    so that the one that kills it is found: that one is an error, the others are answered.
    """

    def __init__(
        self,
        model: str,
        slots: int = 8,
        context: int = 4096,
        threads: int | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        path = model if command else str(file_of(model))
        self.limit = slots
        self._context = context
        self._command = command or (sys.executable, "-P", str(Path(llama.__file__)))
        self._first = {"model": path, "slots": slots, "context": context, "threads": threads or cores()}
        self._numbers = itertools.count(1)
        self._starting: asyncio.Task[_Child] | None = None
        self._alone = asyncio.Lock()
        self._calm = asyncio.Event()
        self._calm.set()
        self._suspects = 0
        self._closed = False

    async def complete(self, payload: Payload) -> Answer:
        await self._calm.wait()
        try:
            return await self._once(payload)
        except _Died:
            self._suspects += 1
            self._calm.clear()
        try:
            async with self._alone:
                return await self._once(payload)
        except _Died as e:
            return Answer.failed(f"the engine died: {e}; restarted once, and it died again on this question alone")
        finally:
            self._suspects -= 1
            if not self._suspects:
                self._calm.set()

    async def close(self) -> None:
        self._closed = True
        starting, self._starting = self._starting, None
        if starting is None:
            return
        if starting.done() and not starting.cancelled() and starting.exception() is None:
            await starting.result().stop()
        else:
            starting.cancel()  # a child that is loading ends with the pipe
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await starting

    @property
    def pid(self) -> int | None:
        """Of the child that runs, None where none does."""
        task = self._starting
        ready = task is not None and task.done() and not task.cancelled() and task.exception() is None
        return task.result().pid if task is not None and ready else None

    async def _once(self, payload: Payload) -> Answer:
        child = await self._running()
        number = next(self._numbers)
        reply = child.ask(number, _body(payload))
        try:
            said = await reply
        except asyncio.CancelledError:
            child.drop(number)
            raise
        return self._read(said)

    async def _running(self) -> _Child:
        """The child, started when there is none that lives. Its start goes on if the question that waits for it gives up."""
        if self._closed:
            raise Halt("the engine is closed", 1)
        task = self._starting
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().dead)):
            task = self._starting = asyncio.create_task(_Child.start(self._command, self._first))
        return await asyncio.shield(task)

    def _read(self, said: Mapping[str, Any]) -> Answer:
        if "error" in said:
            message = str(said["error"].get("message", "no reason given"))
            if said["error"].get("type") == "exceed_context_size_error":
                asked = said["error"].get("n_prompt_tokens")
                return Answer.failed(
                    f"the question is too long for the model's context: {asked} tokens, 'context' is {self._context}"
                )
            return Answer.failed(f"the engine refused the question: {message[:300]}")
        return answers_in(said["said"])[0]


def file_of(model: str) -> Path:
    """Refuses, before anything is asked, what could never answer: the engine or the model's file is not here."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise MissingExtra("a model on this machine", "xllamacpp", "llm")
    return locate(model)


def cores() -> int:
    """That this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _body(payload: Payload) -> Payload:
    """Without what is ours. llama.cpp gives twenty alternatives to each token unless told otherwise; OpenAI's API none."""
    body = {k: v for k, v in payload.items() if k not in ("model", "index")}
    if body.get("logprobs") is True:
        body["top_logprobs"] = max(1, int(body.get("top_logprobs") or 0))
    return body


class _Died(Exception):
    """The child is gone, and with it the answer."""


class _Child:
    """A process that was started and said that it is ready."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._open: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._said: deque[str] = deque(maxlen=20)
        self._errors = asyncio.create_task(self._overhear())
        self._reader: asyncio.Task[None] | None = None
        self.dead = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, command: Sequence[str], first: Mapping[str, Any]) -> _Child:
        """Raises Halt where the model cannot be loaded: no question can be answered then."""
        # threads that spin while they wait for each other are three to ten times slower as soon as anything else runs
        env = {"OMP_WAIT_POLICY": "passive", **os.environ}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, limit=MOST
            )
        except OSError as e:
            raise Halt(f"model: the engine could not be started: {e}", 1) from None
        child = cls(process)
        try:
            child._send({**first, "parent": os.getpid()})
            line = await child._line()
            if "ready" not in line:
                why = await child._why() if not line else line.get("failed")
                raise Halt(f"model: {Path(str(first['model'])).name} could not be loaded: {why}{child._heard()}", 1)
        except BaseException:
            await child.stop()
            raise
        child._reader = asyncio.create_task(child._read())
        return child

    def ask(self, number: int, body: Payload) -> asyncio.Future[Mapping[str, Any]]:
        self._open[number] = reply = asyncio.get_running_loop().create_future()
        if self.dead:
            reply.set_exception(_Died("it was gone already"))
        else:
            self._send({"id": number, "ask": body})
        return reply

    def drop(self, number: int) -> None:
        """Nobody waits for this one any more; its slot is freed."""
        if self._open.pop(number, None) is not None and not self.dead:
            self._send({"id": number, "drop": True})

    async def stop(self) -> None:
        self.dead = True
        await self._end()

    async def _end(self) -> int:
        """Lets it go; its exit code, or minus the signal that ended it. Not by `Process.kill`, which may take the code away from whoever
        waits for it (and leave 255 instead)."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            return await asyncio.wait_for(self._process.wait(), PATIENCE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            return await self._process.wait()

    def _send(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):  # that it is gone is heard by the reader
            self._process.stdin.write(json.dumps(line, default=str).encode() + b"\n")

    async def _line(self) -> dict[str, Any]:
        """The next line; {} at the end, or where what comes is not ours."""
        assert self._process.stdout is not None
        try:
            found = json.loads(await self._process.stdout.readline() or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    async def _read(self) -> None:
        while line := await self._line():
            reply = self._open.pop(line.get("id", 0), None)
            if reply is not None and not reply.done():
                reply.set_result(line)
        self.dead = True
        why = await self._why() + self._heard()
        for reply in self._open.values():
            if not reply.done():
                reply.set_exception(_Died(why))
        self._open.clear()

    async def _overhear(self) -> None:
        """What it writes to its standard error: read, or it would stop when the pipe is full; the end of it is kept."""
        assert self._process.stderr is not None
        while block := await self._process.stderr.read(1 << 16):
            self._said.extend(filter(None, (t.strip() for t in block.decode("utf-8", "replace").splitlines())))

    async def _why(self) -> str:
        """One that closed its output without ending, or talks nonsense, is of no use either."""
        code = await self._end()
        await asyncio.wait([self._errors], timeout=1)  # its last words may still be in the pipe
        if code >= 0:
            return f"it ended with code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")

    def _heard(self) -> str:
        return f" ({self._said[-1][:200]})" if self._said else ""
