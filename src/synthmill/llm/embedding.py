"""An embedding model at an OpenAI-compatible endpoint, asked through the same desk, journal and budget as any other."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .budget import BYTES_PER_TOKEN, Cost
from .channel import Channel, channel_to
from .desk import Desk, Entry
from .endpoint import Endpoint
from .engine import Broken, Payload
from .model import Model
from .question import Answer, canonical


class _Embeddings(Endpoint):
    """An answer's text is the vector: little-endian float32 in base64, so that the journal keeps it as any text."""

    async def complete(self, payload: Payload) -> Answer | list[Answer]:
        status, headers, raw = await self._post("/embeddings", json.dumps(payload).encode())
        if status != 200:
            return self._problem(status, headers, raw, str(payload.get("model")))
        import numpy as np

        try:
            said = json.loads(raw)
            vector = np.array(said["data"][0]["embedding"], "<f4")
            tokens = int((said.get("usage") or {}).get("prompt_tokens") or 0)
        except (ValueError, KeyError, IndexError, TypeError):
            raise Broken(f"{self._base} answered what is no embedding") from None
        if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
            raise Broken(f"{self._base} answered a vector that is empty or not finite")
        return Answer(base64.b64encode(vector.tobytes()).decode(), "stop", tokens, 0)


@dataclass
class Embedder(Model):
    """An embedding model: `model`, `base_url` and the rest as for a language model; what is about drawing words is unused.

    `embed` answers one vector a text. A text is asked for once: the journal knows it by model and text alone.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base_url is None:
            raise ValueError("base_url is required: the endpoint that embeds")

    def embed(self, texts: Sequence[str]) -> tuple[Any, list[str]]:
        """(n, d) float32 unit vectors, NaN for a text that failed, and (n,) why, "" where it did not.

        Raises Halt as `ask` does, and ValueError where the endpoint's vectors differ in length.
        """
        import numpy as np

        if self._desk is None:
            self._desk = Desk()
        answers = self._desk.ask(self._channel, [self._text(t) for t in texts], self.deadline, self.retries)
        made = [np.frombuffer(base64.b64decode(a.text), "<f4") if not a.error else None for a in answers]
        sizes = {len(m) for m in made if m is not None}
        if len(sizes) > 1:
            raise ValueError(f"{self.base_url}: vectors of different lengths: {sorted(sizes)}")
        out = np.full((len(texts), sizes.pop() if sizes else 1), np.float32(np.nan))
        for i, vector in enumerate(made):
            length = float(np.sqrt((vector.astype(np.float64) ** 2).sum())) if vector is not None else 0.0
            if vector is not None and length > 0:
                out[i] = vector / length
        return out, [a.error for a in answers]

    def _text(self, text: str) -> Entry:
        payload: Payload = {"model": self.model, "input": text, **self.extra}
        decides = canonical({"embedding": payload})
        cost = Cost(round(len(text.encode()) / BYTES_PER_TOKEN), 0, self.prices)
        return Entry(hashlib.sha256(decides).hexdigest(), decides, payload, self.model, self._stage, cost, True)

    def _open_channel(self) -> Channel:
        base, secret = str(self.base_url), self._secret()
        return channel_to(("embeddings", base, self.key), lambda: _Embeddings(base, secret, self.key), self.concurrency)
