"""What asking language models costs. Run: `python bench/llm.py` (all) or `python bench/llm.py speed faults limit latency`.

Every client runs in a process of its own against a loopback server (`llm_server.py`) in another, and through the whole
line: spec, journal, verification, admission, parts, report. Beside it, in turn with it, the ceiling: a bare loop on aiohttp
that keeps nothing. The ratio is what travels between machines. Results: bench/results/llm.md. `--server FILE` takes
another server for `speed`, started as `python FILE --port PORT`.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
CONCURRENCY = 128
ROUNDS = 3
SIGMA = math.log(30) / 2.3263
"""Of a log-normal whose 99th percentile is thirty times its median."""
PEERS = "openai SDK, bare loop 602; httpx, bare loop 91 to 499; curator 0.1.31 311; Data Designer 0.9.7 296; distilabel 1.5.3 122"
"""Rows/s on a busy two-core machine, 2,000 prompts, 50 ms, where the bare aiohttp loop made 2,204; measured apart."""


@dataclass
class Writer:
    """A text a row, each from a question of its own."""

    model: Any
    kind = "io"

    def schema(self) -> dict[str, Any]:
        import polars as pl

        return {"text": pl.String()}

    def generate(self, request: Any) -> Any:
        import polars as pl

        from synthmill.llm.question import Question

        asks = [
            Question(({"role": "user", "content": f"Write item {request.ordinal}-{i}."},), request.seed, i)
            for i in range(request.n)
        ]
        answers = self.model.ask(asks)
        return pl.DataFrame(
            {
                "text": [f"{a.text} {request.ordinal}-{i}" for i, a in enumerate(answers)],
                "_error": [a.error or None for a in answers],
                "_asked": [a.address for a in answers],
            },
            schema_overrides={"_error": pl.String},
        )


def through_the_line(url: str, n: int, concurrency: int | None) -> dict[str, Any]:
    from synthmill.llm.model import Model

    sys.modules["llm"] = sys.modules["__main__"]  # where the spec finds Writer
    Writer.__annotations__["model"] = Model
    import synthmill
    from synthmill.spec import parse_spec

    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = {"model": "mock", "base_url": url, "concurrency": concurrency}
    spec = {
        "name": "bench",
        "cover": {"total": n},
        "generate": {"use": "llm:Writer", "model": model},
        "verify": ["schema"],
    }
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = synthmill.make(parse_spec(spec), Path(folder) / "run")
        seconds = time.perf_counter() - start
        fill = result.run.manifest["times"]["fill"]
    return {"rows": result.accepted, "seconds": fill, "whole": seconds, "idle_mb": idle / 1024}


def bare(url: str, n: int, concurrency: int) -> dict[str, Any]:
    import aiohttp

    async def main() -> float:
        numbers = iter(range(n))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

            async def work() -> None:
                for i in numbers:
                    body = {
                        "model": "mock",
                        "messages": [{"role": "user", "content": f"Write item {i // 16}-{i % 16}."}],
                    }
                    async with session.post(f"{url}/chat/completions", json=body) as r:
                        (await r.json())["choices"][0]["message"]["content"]

            start = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(concurrency)))
            return time.perf_counter() - start

    return {"rows": n, "seconds": asyncio.run(main())}


def child(kind: str, url: str, n: int, concurrency: int | None) -> None:
    made = through_the_line(url, n, concurrency) if kind == "line" else bare(url, n, concurrency or CONCURRENCY)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**made, "mb": used.ru_maxrss / 1024, "cpu": used.ru_utime + used.ru_stime}))


def measure(kind: str, url: str, n: int, concurrency: int | None = CONCURRENCY) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), "child", kind, url, str(n), str(concurrency or 0)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@contextmanager
def server(*options: str, file: Path | None = None) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = [str(file), "--port", str(port)] if file else [str(HERE / "llm_server.py"), str(port), *options]
    process = subprocess.Popen([sys.executable, *place])
    try:
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def told(url: str, path: str = "counts") -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/{path}") as r:
        return dict(json.loads(r.read()))


def speed(n: int, file: Path | None) -> list[str]:
    ours: list[dict[str, Any]] = []
    ceiling: list[dict[str, Any]] = []
    with server(file=file) as url:
        for _ in range(ROUNDS):
            ceiling.append(measure("bare", f"{url}/v1", n))
            ours.append(measure("line", f"{url}/v1", n))
    rates = [x["rows"] / x["seconds"] for x in ours]
    bare_rates = [x["rows"] / x["seconds"] for x in ceiling]
    ratio = median(a / b for a, b in zip(rates, bare_rates, strict=True))
    best, most = max(rates), max(x["mb"] for x in ours)
    cpu = median(1000 * x["cpu"] / x["rows"] for x in ours)
    bare_cpu = median(1000 * x["cpu"] / x["rows"] for x in ceiling)
    shown = f"{median(rates):,.0f} rows/s, best of {ROUNDS} {best:,.0f} (processor: {cpu:.2f} ms a row)"
    yard = f"bare aiohttp {median(bare_rates):,.0f} rows/s, best {max(bare_rates):,.0f} ({bare_cpu:.2f} ms a row)"
    idle = median(x["idle_mb"] for x in ours)
    return [
        row(f"{n:,} rows, 50 ms, {CONCURRENCY} at once, through the whole line", shown, yard, f"{ratio:.2f}", ">= 0.7 of bare", ratio >= 0.7),
        row("the same, rows/s", f"{best:,.0f}", yard, "", ">= 1,500 rows/s", best >= 1500),
        row("the same, memory of the whole process at its peak", f"{most:.0f} MB, of which {idle:.0f} after the imports", f"bare loop {max(x['mb'] for x in ceiling):.0f} MB", "", "< 150 MB", most < 150),
    ]  # fmt: skip


def faults(n: int) -> list[str]:
    with server("--fail-every", "10") as url:
        made = measure("line", f"{url}/v1", n)
        counts = told(url)
    extra = counts["total"] - n
    ratio = extra / max(1, counts["failed"])
    shown = f"{made['rows']:,} rows, {counts['failed']:,} failures, {extra:,} extra requests"
    return [row(f"every 10th answer a 500, {n:,} rows", shown, "one request more for each failure", f"{ratio:.2f}", "all rows, <= 1.3 x the failures", made["rows"] == n and ratio <= 1.3)]  # fmt: skip


def limit(n: int) -> list[str]:
    with server("--limit", "100") as url:
        made = measure("line", f"{url}/v1", n, None)
        counts = told(url)
    ratio, share = made["seconds"] / (n / 100), counts["refused"] / n
    shown = f"{made['seconds']:.1f} s, {counts['refused']} answers 429 ({share:.1%})"
    ok = ratio <= 1.2 and share < 0.03
    return [row(f"100 requests/s allowed, {n:,} rows, concurrency found out", shown, f"ideal {n / 100:.0f} s", f"{ratio:.2f}", "<= 1.2 x ideal, < 3% 429", ok)]  # fmt: skip


def latency(n: int, scale: float) -> list[str]:
    with server("--latency", str(scale), "--sigma", str(SIGMA)) as url:
        unordered = measure("bare", f"{url}/v1", n)
        told(url, "reset")
        made = measure("line", f"{url}/v1", n)
    ratio = unordered["seconds"] / made["seconds"]
    name = f"log-normal latency, median {1000 * scale:.0f} ms, p99 {30 * scale:.1f} s (1 s and 30 s, scaled by {scale:g}), {n:,} rows, {CONCURRENCY} at once"
    return [row(name, f"{made['seconds']:.1f} s", f"unordered bare loop {unordered['seconds']:.1f} s", f"{ratio:.2f}", ">= 0.7 of unordered", ratio >= 0.7)]  # fmt: skip


def row(name: str, shown: str, yard: str, ratio: str, target: str, met: bool) -> str:
    line = f"| {name} | {shown} | {yard} | {ratio} | {target} | {'yes' if met else 'no'} |"
    print(line, flush=True)
    return line


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]) or None)
        return
    given = sys.argv[1:]
    file = Path(given[given.index("--server") + 1]) if "--server" in given else None
    asked = [g for g in given if g in ("speed", "faults", "limit", "latency")] or [
        "speed",
        "faults",
        "limit",
        "latency",
    ]
    parts = {"speed": lambda: speed(16_000, file), "faults": lambda: faults(4000), "limit": lambda: limit(2000),
             "latency": lambda: latency(20_000, 0.1)}  # fmt: skip
    for name in asked:
        parts[name]()
    load = os.getloadavg()
    print(f"load average at the end: {load[0]:.1f}, {load[1]:.1f}, {load[2]:.1f} on {os.cpu_count()} cores")
    print(f"peers, rows/s: {PEERS}")


if __name__ == "__main__":
    main()
