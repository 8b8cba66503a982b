"""A loopback server that speaks OpenAI's chat API: fixed or log-normal latency, faults, a cap on requests per second, counts.

Run: `python bench/llm_server.py PORT [--latency 0.05] [--sigma 0] [--fail-every N] [--limit R]`. GET /counts, GET /reset.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import time
from typing import Any

from aiohttp import web

BODY = json.dumps(
    {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a constant answer"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 20},
    }
).encode()


class Mock:
    """sigma: of the log-normal latency, whose median is `latency`; the draw follows from the question alone, so that every
    client meets the same latencies. limit: requests in each second of the clock."""

    def __init__(self, latency: float, sigma: float, fail_every: int, limit: int) -> None:
        self.latency, self.sigma, self.fail_every, self.limit = latency, sigma, fail_every, limit
        self.reset()

    def reset(self) -> None:
        self.counts = {"total": 0, "failed": 0, "refused": 0, "most": 0}
        self.out, self.window = 0, [0, 0]
        self.first = self.last = 0.0

    def _wait(self, body: dict[str, Any]) -> float:
        if not self.sigma:
            return self.latency
        asked = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()
        return self.latency * random.Random(asked).lognormvariate(0, self.sigma)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.counts["total"] += 1
        now = time.time()
        self.first = self.first or now
        if self.limit:
            if self.window[0] != int(now):
                self.window = [int(now), 0]
            self.window[1] += 1
            if self.window[1] > self.limit:
                self.counts["refused"] += 1
                return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "1"})
        self.out += 1
        self.counts["most"] = max(self.counts["most"], self.out)
        failing = self.fail_every and self.counts["total"] % self.fail_every == 0
        try:
            await asyncio.sleep(self._wait(body))
        finally:
            self.out -= 1
        self.last = time.time()
        if failing:
            self.counts["failed"] += 1
            return web.json_response({"error": {"message": "boom"}}, status=500)
        return web.Response(body=BODY, content_type="application/json")

    async def told(self, request: web.Request) -> web.Response:
        return web.json_response({**self.counts, "seconds": self.last - self.first})

    async def forget(self, request: web.Request) -> web.Response:
        self.reset()
        return web.json_response({})


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("port", type=int)
    p.add_argument("--latency", type=float, default=0.05)
    p.add_argument("--sigma", type=float, default=0.0)
    p.add_argument("--fail-every", type=int, default=0)
    p.add_argument("--limit", type=int, default=0)
    a = p.parse_args()
    mock = Mock(a.latency, a.sigma, a.fail_every, a.limit)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", mock.answer)
    app.router.add_get("/counts", mock.told)
    app.router.add_get("/reset", mock.forget)
    web.run_app(app, host="127.0.0.1", port=a.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
