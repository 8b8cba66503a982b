"""A language model as a plugin's field: its configuration, and `ask`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from synthmill.frame import seed_of
from synthmill.plugins import beside
from synthmill.refusal import Refusal, choices

from .budget import BYTES_PER_TOKEN, Cost, Prices, prices_of
from .channel import Channel, channel_to
from .desk import Desk, Entry
from .engine import Engine, Payload
from .known import named_by_content
from .question import Answer, Question, asked, canonical

SAMPLING = {"top_k": 40, "top_p": 0.95, "min_p": 0.05}
"""llama.cpp's own defaults, said aloud."""
_NAMED: ContextVar[Mapping[str, Any] | None] = ContextVar("the spec's `models:`", default=None)


@contextmanager
def named(models: Mapping[str, Any]) -> Iterator[None]:
    """Within it, `model: teacher` means the entry `teacher` of these."""
    token = _NAMED.set(models)
    try:
        yield
    finally:
        _NAMED.reset(token)


@dataclass
class Model:
    """A language model and how it is asked.

    model: its name, at an endpoint or among the known open ones, or the path of a GGUF file; `stub`: none at all.
    base_url: an OpenAI-compatible endpoint; None: llama.cpp in a child process. key: the NAME of the environment variable
    that holds the key. temperature, top_p, max_tokens: as the API knows them. concurrency: questions out at once (None:
    found out). deadline: seconds for a question, tries included, waiting in line excluded. retries: further tries of one
    that failed. prices: per million tokens, `{input: ..., output: ...}`, or a table of yours (`budget.prices_of`); None: not known. together:
    ask several samples of one prompt at once, which pays for the prompt once. completion: a model without a
    chat format; it continues the messages' text. extra: further parameters, passed on as they are. slots, context: of
    the embedded model, answers at once and tokens of each. engine: a function in place of a model, for tests.
    """

    model: str = "smollm2-135m"
    base_url: str | None = None
    key: str | None = None
    temperature: float = 0.7
    top_p: float | None = None
    max_tokens: int = 512
    concurrency: int | None = None
    deadline: float = 120.0
    retries: int = 5
    prices: Prices | None = None
    together: bool = True
    completion: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    slots: int = 8
    context: int = 4096
    engine: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._desk: Desk | None = None
        self._stage = ""
        self._way: Channel | None = None
        self._file: str | None = None
        if self.key is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", self.key):
            raise Refusal("model: key: expected the name of an environment variable that holds the key, such as "
                          "OPENAI_API_KEY; what is given is no such name (and is not repeated here)")  # fmt: skip
        if self.base_url is not None and re.search(r"[@?]", self.base_url):
            raise Refusal("model: base_url: an address without user, password or '?'; a secret belongs in the environment "
                          "variable that 'key' names (what is given is not repeated here)")  # fmt: skip
        if self.base_url is not None and not re.match(r"https?://[^/]", self.base_url):
            raise ValueError(f"base_url: {self.base_url!r} is no address such as http://127.0.0.1:8000/v1")
        least = {"max_tokens": 1, "deadline": 1e-3, "retries": 0, "temperature": 0, "slots": 1, "context": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}: {getattr(self, name)!r} is less than {low:g}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency: {self.concurrency!r} is less than 1")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Read from a mapping, a name, or the name of one of the spec's `models:`."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(cls._read, handler(source))

    @classmethod
    def _read(cls, given: Any) -> Any:
        models = _NAMED.get() or {}
        if isinstance(given, str):
            given = {"model": given}
        if not isinstance(given, Mapping):
            return given
        entry = models.get(str(given.get("model")))
        if entry is not None:
            given = {**entry, **{k: v for k, v in given.items() if k != "model"}}
        known = [f.name for f in fields(cls) if f.name != "engine"]
        for key in given:
            if key not in known:
                raise ValueError(f"unknown key '{key}' of a model; {choices(key, known)}")
        given = dict(given)
        if isinstance(given.get("prices"), str):
            given["prices"] = prices_of(beside(Path(given["prices"])), str(given.get("model", cls.model)))
        return given

    def check(self, at: str) -> None:
        """Raises Refusal where asking could only fail: the key's variable is not set, the model's file or a library is not
        here. Asks nothing."""
        try:
            if self.base_url is not None:
                self._channel()
            elif not self._is_stub:
                from .embedded import file_of

                file_of(self.model)
        except Refusal as e:
            raise Refusal(f"{at}: {e}", e.code) from None

    def open(self, desk: Desk, stage: str) -> None:
        """From now on through this desk; what is spent is booked under `stage`."""
        self._desk, self._stage = desk, stage
        desk.priced(self.model, self.prices)

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answers in the order of the questions; what went wrong with one is in its `error`. Blocks; thread-safe.

        Raises Halt when no question can be answered: a key that is not accepted, an endpoint that is not there, a
        budget that is spent.
        """
        if self._desk is None:
            self._desk = Desk()
        entries = [self._entry(q) for q in questions]
        if self.together:
            for before, e, (p, q) in zip(entries, entries[1:], pairwise(questions), strict=False):
                if not e.fixed and _sampled_again(p, q):
                    e.group = before.group = id(before) if before.group is None else before.group
        return self._desk.ask(self._channel, entries, self.deadline, self.retries)

    @property
    def parameters(self) -> dict[str, Any]:
        """What is sent with every question, and decides its answer. With a model on this machine nothing is left to its engine's
        own defaults, which are no part of an address and may change."""
        given = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        own = SAMPLING if self._is_embedded else {}
        return own | {k: v for k, v in given.items() if v is not None} | self.extra

    @property
    def identity(self) -> str:
        """What its answers are kept under: its name, or the content of its file where a name may be anything."""
        if not self._is_embedded:
            return self.model
        if self._file is None:
            self._file = named_by_content(self.model)
        return self._file

    def _entry(self, q: Question) -> Entry:
        import hashlib

        parameters = {**self.parameters, **q.parameters}
        decides = asked(
            self.identity, parameters | ({"completion": True} if self.completion else {}), q.messages, q.seed, q.index
        )
        text = canonical(decides)
        payload: Payload = {"model": self.model, **parameters, "index": q.index}
        payload["seed"] = q.seed if self._is_stub else seed_of(decides["seed"], decides["index"]) & 0x7FFFFFFF
        if self.completion:
            payload["prompt"] = "\n\n".join(str(m.get("content", "")) for m in q.messages)
        else:
            payload["messages"] = list(q.messages)
        cost = Cost(
            round(len(text) / BYTES_PER_TOKEN), int(parameters.get("max_tokens") or self.max_tokens), self.prices
        )
        fixed = parameters.get("temperature") == 0
        return Entry(hashlib.sha256(text).hexdigest(), text, payload, self.model, self._stage, cost, fixed)

    @property
    def _is_embedded(self) -> bool:
        return self.base_url is None and not self._is_stub

    @property
    def _is_stub(self) -> bool:
        return self.engine is not None or (self.model == "stub" and self.base_url is None)

    def _channel(self) -> Channel:
        if self._way is None:
            self._way = self._open_channel()
        return self._way

    def _open_channel(self) -> Channel:
        """An endpoint where there is a URL, a stub where one is asked for, else a model in a child process."""
        if self._is_stub:
            from .stub import Stub

            return Channel(
                self.engine if hasattr(self.engine, "complete") else Stub(self.engine), self.concurrency or 64
            )
        if self.base_url is not None:
            from .endpoint import Endpoint

            base, secret = self.base_url, self._secret()
            return channel_to((base, self.key), lambda: Endpoint(base, secret, self.key), self.concurrency)
        from .embedded import Embedded

        def start() -> Engine:
            return Embedded(self.model, slots=self.slots, context=self.context)

        return channel_to(("embedded", self.model, self.slots, self.context), start, self.concurrency)

    def _secret(self) -> str | None:
        if self.key is None:
            return None
        secret = os.environ.get(self.key)
        if not secret:
            raise Refusal(
                f"model: key: the environment variable {self.key} is not set; it should hold the key for {self.base_url}"
            )
        return secret

    def __getstate__(self) -> dict[str, Any]:
        """Only the configuration travels to another process; a desk belongs to one."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()


def _sampled_again(one: Question, other: Question) -> bool:
    """Does the second differ from the first only in being the next sample?"""
    return (
        other.index == one.index + 1
        and other.seed == one.seed
        and other.messages == one.messages
        and other.parameters == one.parameters
    )
