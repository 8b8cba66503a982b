"""Fitting under a deadline: a plugin that never comes back ends in a sentence instead of holding the run for ever."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import polars as pl

from .engine import Engine, Failure
from .plugins import FAILURES, relative_to, sentence
from .refusal import Refusal
from .schema import Schema

_Table = tuple[pl.DataFrame, Schema]


class Overlong(Refusal):
    """Fitting ran into its deadline. More time may be all it takes, so what was fitted before it is worth keeping."""


@dataclass(frozen=True)
class Fitting:
    """Fits a plugin within `seconds` (None: however long it takes), whatever it hangs in.

    kind: of the engine, and with it what can be interrupted. `process`: a child process that is killed, its answer
    the fitted plugin as pickled there. Else this process: in the main thread a signal interrupts Python code, and a C
    library only where it comes back to Python; in another thread the fit gets a thread of its own, which is left behind.
    key: what to raise for more time, as the user writes it; base: the folder that a plugin's `file.py:name` starts from.
    """

    seconds: float | None
    kind: str = "auto"
    key: str = "engine: {{fit_timeout: {}}}"
    base: Path = Path(".")

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise Refusal(f"timeout: {self.seconds:g} s is no time to fit in; give more than 0, or none for no end")

    def __call__(self, plugin: Any, train: pl.DataFrame, schema: Schema) -> Any:
        """The fitted plugin, which need not be the one given. Raises what `fit` raised, and Overlong at the deadline."""
        if self.seconds is None:
            plugin.fit(train, schema)
            return plugin
        kind = self.kind if self.kind == "process" else "serial" if _main() else "thread"
        work = _Fit(plugin, self.base, sent=kind == "process")
        engine: Engine[_Table] = Engine(work, kind, 1, self.seconds, wide=True)
        try:
            _, answer = next(engine.map(iter([(train, schema)]), 1))
        finally:
            engine.close()
        if isinstance(answer, Failure):
            raise self._overlong() if answer.late else Refusal(answer.message, 1)
        if isinstance(answer, BaseException):
            raise answer
        return cloudpickle.loads(answer) if kind == "process" else answer

    def _overlong(self) -> Overlong:
        more = self.key.format(f"{2 * (self.seconds or 0):g}")
        return Overlong(
            f"fitting did not end within {self.seconds:g} s; if it only needs longer, give it more time, such as {more}, "
            f"or less real data",
            1,
        )


@dataclass(frozen=True)
class _Fit:
    """sent: the answer leaves this process, so the plugin is pickled and an exception becomes a Refusal of one line."""

    plugin: Any
    base: Path
    sent: bool

    def __call__(self, table: _Table) -> Any:
        try:
            with relative_to(self.base):
                self.plugin.fit(*table)
        except Refusal as e:
            return Refusal(str(e), e.code) if self.sent else e
        except FAILURES as e:
            return Refusal(sentence(e), 1) if self.sent else e
        return self._packed() if self.sent else self.plugin

    def _packed(self) -> Any:
        try:
            return cloudpickle.dumps(self.plugin)
        except FAILURES as e:
            return Refusal(
                f"what it fitted cannot be sent from a worker ({sentence(e)}); use engine: {{kind: serial}}", 1
            )


def _main() -> bool:
    return threading.current_thread() is threading.main_thread()
