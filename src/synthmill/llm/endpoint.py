"""Any server that speaks OpenAI's API: chat and completion, structured output, logprobs and tool calls passed through."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from synthmill.refusal import Halt, MissingExtra

from .engine import Broken, Busy, Payload, answers_in
from .question import Answer

_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size|limit|exceed)|too (long|many tokens)|maximum.{0,12}tokens", re.I
)
_DECLINED = re.compile(r"content_filter|content_policy|moderation|safety", re.I)
_SEVERAL = re.compile(r"(?<![\w-])n(?![\w-])|multiple (choices|completions)|candidates", re.I)
_SPENT = re.compile(r"insufficient_quota|billing|credit", re.I)
_SECRET = re.compile(r"\b(sk-|pk-|key-|Bearer )[\w*.-]{4,}")


class Endpoint:
    """One server. key: the variable the secret came from, for sentences; the secret itself is only ever sent.

    several: whether the server answers with several samples, as far as it has shown.
    """

    def __init__(self, base: str, secret: str | None = None, key: str | None = None) -> None:
        try:
            import aiohttp
        except ImportError:
            raise MissingExtra("an endpoint", "aiohttp", "llm") from None
        self._http = aiohttp
        self._base, self._secret, self._key = base.rstrip("/"), secret, key
        self._session: Any = None
        self.several = True
        self.notice: Callable[[int, float], None] = lambda remaining, reset: None

    async def complete(self, payload: Payload) -> Answer | list[Answer]:
        body = {k: v for k, v in payload.items() if k != "index"}
        path = "/completions" if "prompt" in body else "/chat/completions"
        status, headers, raw = await self._post(path, json.dumps(body, default=str).encode())
        remaining = headers.get("x-ratelimit-remaining-requests")
        if remaining is not None and remaining.isdigit():
            self.notice(int(remaining), seconds(headers.get("x-ratelimit-reset-requests", "0")) or 0.0)
        wanted = body.get("n")
        if status == 200:
            found = self._read(raw)
            self.several = self.several and len(found) >= (wanted or 1)
            return found[:wanted] if wanted else found[0]
        if wanted and status in (400, 422) and _SEVERAL.search(_complaint(raw)[0]):
            self.several = False
            return []
        return self._problem(status, headers, raw, str(body.get("model")))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            self._session = self._open()
        try:
            async with self._session.post(self._base + path, data=body) as r:
                return r.status, r.headers, await r.read()
        except self._http.ClientConnectorError as e:
            said = os.strerror(e.os_error.errno) if e.os_error.errno and e.os_error.errno > 0 else str(e.os_error)
            raise Broken(
                f"nothing answers at {self._base} ({said}); is the server running?", unreachable=True
            ) from None
        except (self._http.ClientError, ConnectionError) as e:
            raise Broken(f"{self._base}: the connection broke ({type(e).__name__})") from None

    def _open(self) -> Any:
        """A proxy is looked up only where the environment names one: it costs a tenth of a request's time."""
        headers = {"Content-Type": "application/json"}
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret}"
        proxied = any(os.environ.get(n) for v in ("http_proxy", "https_proxy", "all_proxy") for n in (v, v.upper()))
        return self._http.ClientSession(
            connector=self._http.TCPConnector(limit=0, keepalive_timeout=60),
            timeout=self._http.ClientTimeout(total=None),
            headers=headers,
            trust_env=proxied,
            cookie_jar=self._http.DummyCookieJar(),
        )

    def _read(self, raw: bytes) -> list[Answer]:
        """At least one. Whatever is no answer is worth another try: gateways send pages of their own."""
        with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):
            if found := answers_in(json.loads(raw)):
                return found
        raise Broken(f"{self._base} answered what is no answer: {self._clean(raw[:80].decode('utf-8', 'replace'))!r}")

    def _problem(self, status: int, headers: Mapping[str, str], raw: bytes, model: str) -> Answer:
        """What a status means: the question's own error is an Answer, everything else is raised."""
        message, code = _complaint(raw)
        said = f"{self._base}: HTTP {status}: {self._clean(message)}"
        if status in (400, 403, 413, 422, 451) and _DECLINED.search(f"{code} {message}"):
            return Answer.failed(f"refused: {self._clean(message)}", refused=True)
        if status in (401, 403):
            named = (
                f"the key in {self._key} is not accepted"
                if self._key
                else "a key is wanted (name its environment variable as 'key')"
            )
            raise Halt(f"{self._base}: {named} (HTTP {status}: {self._clean(message)})")
        if status == 402 or (status == 429 and _SPENT.search(f"{code} {message}")):
            raise Halt(f"{self._base}: the account has no credit left (HTTP {status}: {self._clean(message)})", 1)
        if status == 404:
            raise Halt(
                f"{self._base}: there is no model '{model}', or no such address (HTTP 404: {self._clean(message)})"
            )
        if status in (429, 503, 529):
            raise Busy(said, _after(headers))
        if status in (408, 409, 425) or status >= 500:
            raise Broken(said)
        if _TOO_LONG.search(f"{code} {message}"):
            return Answer.failed(f"the question is too long for the model's context: {self._clean(message)}")
        return Answer.failed(said)

    def _clean(self, text: str) -> str:
        """A server may repeat the key in its complaint; we do not. One line, no more than 300 characters."""
        text = " ".join(text.split())
        if self._secret:
            text = text.replace(self._secret, "***")
        return _SECRET.sub(r"\1***", text)[:300]


def _complaint(raw: bytes) -> tuple[str, str]:
    """(message, code) of an error body, in any of the shapes that servers give it."""
    text = raw[:2000].decode("utf-8", "replace")
    try:
        said = json.loads(raw)
    except ValueError:
        return text or "no reason given", ""
    error = said.get("error", said) if isinstance(said, dict) else said
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or text
        return str(message), f"{error.get('code', '')} {error.get('type', '')}"
    return str(error), ""


def _after(headers: Mapping[str, str]) -> float | None:
    if (ms := headers.get("retry-after-ms")) and ms.isdigit():
        return int(ms) / 1000
    return seconds(headers.get("retry-after", "")) if "retry-after" in headers else None


def seconds(written: str) -> float | None:
    """`2`, `1.5s`, `6m0s`, `20ms`, or a date: seconds from now; None where it is none of these."""
    written = written.strip()
    parts = re.findall(r"([\d.]+)(ms|s|m|h|d)?", written)
    if parts and re.fullmatch(r"(?:[\d.]+(?:ms|s|m|h|d)?)+", written):
        units = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
        try:
            return sum(float(n) * units[u] for n, u in parts)
        except ValueError:
            return None
    try:
        from datetime import UTC, datetime

        return max(0.0, (parsedate_to_datetime(written) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
