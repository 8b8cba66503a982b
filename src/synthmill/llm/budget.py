"""What may be spent and what was: tokens and money, per model and stage. An unknown price is an unknown cost, never 0."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from synthmill.refusal import Halt, Refusal

from .question import Answer

MILLION = 1e6
BYTES_PER_TOKEN = 2.0
"""Of a prompt whose tokens nobody has counted yet: half of what is usual, so that a reservation is rather too large."""


@dataclass(frozen=True)
class Prices:
    """Per million tokens, in whatever currency the caps are in. version: of the table they came from."""

    input: float
    output: float
    version: str = ""


def prices_of(path: Path, model: str) -> Prices | None:
    """A model's prices in a table: YAML with a `version` and, under `models`, `name: {input: ..., output: ...}`.

    None for a model it does not name: its cost is not known. Raises Refusal for what is no such table.
    """
    import yaml

    try:
        table = yaml.safe_load(path.read_text("utf-8"))
    except OSError as e:
        raise Refusal(f"prices: {path}: {(e.strerror or str(e)).lower()}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise Refusal(f"prices: {path}: not YAML: {str(e).splitlines()[0]}") from None
    if not isinstance(table, dict) or not table.get("version") or not isinstance(table.get("models"), dict):
        raise Refusal(
            f"prices: {path}: expected 'version', such as a date, and 'models: {{name: {{input: ..., output: ...}}}}'"
        )
    entry = table["models"].get(model)
    if entry is None:
        return None
    known = entry.keys() == {"input", "output"} if isinstance(entry, dict) else False
    if not known or any(isinstance(v, bool) or not isinstance(v, int | float) or v < 0 for v in entry.values()):
        raise Refusal(
            f"prices: {path}: models.{model}: expected {{input: ..., output: ...}}, both numbers per million tokens"
        )
    return Prices(float(entry["input"]), float(entry["output"]), f"{path.name} {table['version']}")


@dataclass(frozen=True)
class Cost:
    """The most a question can cost. prices: None where nobody knows them."""

    prompt_tokens: int
    completion_tokens: int
    prices: Prices | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def money(self) -> float | None:
        return self._priced(self.prompt_tokens, self.completion_tokens)

    def counted(self, answer: Answer) -> Answer:
        """With tokens, where a server does not count them: the prompt's estimate, and one for every two bytes of text."""
        if answer.prompt_tokens or answer.completion_tokens or not answer.text:
            return answer
        own = min(self.completion_tokens, len(answer.text.encode("utf-8", "replace")) // 2 + 1)
        return replace(answer, prompt_tokens=self.prompt_tokens, completion_tokens=own)

    def of(self, answer: Answer) -> float | None:
        """What the answer did cost."""
        return self._priced(answer.prompt_tokens, answer.completion_tokens)

    def _priced(self, into: int, out: int) -> float | None:
        return None if self.prices is None else (into * self.prices.input + out * self.prices.output) / MILLION


@dataclass
class Line:
    """What one model was asked for at one stage. money: None when its price is not known.

    asked: questions that left; remembered: answered without asking (from the journal, or asked by another thread at that
    moment); repeats: tries beyond the first.
    """

    asked: int = 0
    remembered: int = 0
    repeats: int = 0
    errors: int = 0
    refusals: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float | None = 0.0


class Spending:
    """Per (model, stage). Thread-safe."""

    def __init__(self, lines: Mapping[tuple[str, str], Line] | None = None) -> None:
        self.lines: dict[tuple[str, str], Line] = dict(lines or {})
        self._lock = threading.Lock()

    def paid(self, model: str, stage: str, answer: Answer, money: float | None, tries: int) -> None:
        with self._lock:
            line = self.lines.setdefault((model, stage), Line())
            line.asked += 1
            line.repeats += tries - 1
            line.errors += bool(answer.error) and not answer.refused
            line.refusals += answer.refused
            line.prompt_tokens += answer.prompt_tokens
            line.completion_tokens += answer.completion_tokens
            line.money = None if money is None or line.money is None else line.money + money

    def remembered(self, model: str, stage: str) -> None:
        with self._lock:
            self.lines.setdefault((model, stage), Line()).remembered += 1

    @property
    def tokens(self) -> int:
        with self._lock:
            return sum(s.prompt_tokens + s.completion_tokens for s in self.lines.values())

    @property
    def money(self) -> float | None:
        """None as soon as any of it is not known."""
        with self._lock:
            parts = [s.money for s in self.lines.values() if s.asked]
        return None if any(p is None for p in parts) else sum(p for p in parts if p is not None)

    def to_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{"model": m, "stage": s, **asdict(line)} for (m, s), line in sorted(self.lines.items())]


@dataclass
class Budget:
    """Hard caps, None: none. A question leaves only if all that is out and itself, at their dearest, stay below them.

    Nobody but the server counts a prompt's tokens, so its size is estimated from its bytes, and the estimate is raised to
    the worst that was seen. Under a cap the first question goes alone, so that there is something to go by.

    until: on `time.monotonic`, when nothing may leave any more.
    """

    tokens: int | None = None
    money: float | None = None
    until: float | None = None
    _holds: dict[str, tuple[int, float]] = field(default_factory=dict)
    _tokens_out: int = 0
    _money_out: float = 0.0
    _worse: float = 0.0

    def reserve(self, address: str, cost: Cost, spent: Spending) -> bool | Halt:
        """True: go. False: wait until more is known of what is out. Halt: never."""
        if self.until is not None and time.monotonic() > self.until:
            return Halt("the budget of time is spent", 1)
        if self.tokens is None and self.money is None:
            return True
        if self._holds and not self._worse:
            return False
        dearest = replace(cost, prompt_tokens=math.ceil(cost.prompt_tokens * max(1.0, self._worse)))
        if self.tokens is not None and spent.tokens + self._tokens_out + dearest.tokens > self.tokens:
            return False if self._holds else Halt(f"the budget of {self.tokens:,} tokens is spent", 1)
        if self.money is not None:
            total = spent.money
            if dearest.money is None or total is None:
                return Halt("budget.money: a model's price is not known; give its 'prices: {input: ..., output: ...}'")
            if total + self._money_out + dearest.money > self.money:
                return False if self._holds else Halt(f"the budget of {self.money:g} (money) is spent", 1)
        self._holds[address] = dearest.tokens, dearest.money or 0.0
        self._tokens_out += dearest.tokens
        self._money_out += dearest.money or 0.0
        return True

    def release(self, address: str, cost: Cost, answer: Answer | None) -> None:
        """answer: None where there was none."""
        tokens, money = self._holds.pop(address, (0, 0.0))
        self._tokens_out -= tokens
        self._money_out = self._money_out - money if self._holds else 0.0
        if answer is not None:
            self._worse = max(self._worse, 1e-9, answer.prompt_tokens / max(1, cost.prompt_tokens))
