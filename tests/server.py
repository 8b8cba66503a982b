"""A small OpenAI-compatible server on the loopback, in a thread of the test: it counts, and fails as it is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

Reply = tuple[int, dict[str, str], Any]


def said(text: str, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """The body of an answer. A word is a token."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": len(text.split())}}


def complaint(message: str, code: str = "") -> dict[str, Any]:
    return {"error": {"message": message, "code": code}}


class Server:
    """reply: (body of the request, how many came before) -> (status, headers, JSON or text), or a text that is said.

    asked: how often each question (messages and seed) came; most: how many were out at once.
    """

    def __init__(self, reply: Callable[[dict[str, Any], int], Any] | None = None, latency: float = 0.0) -> None:
        self.reply = reply or (lambda body, n: f"{body['messages'][-1]['content']} / {body['seed']}")
        self.latency = latency
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.out = self.most = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        n = len(self.bodies)
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.asked[json.dumps([body.get("messages"), body.get("prompt"), body.get("seed")])] += 1
        self.out += 1
        self.most = max(self.most, self.out)
        try:
            await asyncio.sleep(self.latency)
            reply = self.reply(body, n)
        finally:
            self.out -= 1
        if isinstance(reply, str):
            reply = (200, {}, said(reply))
        status, headers, content = reply
        text = content if isinstance(content, str) else json.dumps(content)
        return web.Response(status=status, headers=headers, text=text, content_type="application/json")

    def __enter__(self) -> Server:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_post("/v1/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None)

        async def start() -> None:
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            self._ready.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.create_task(start())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
