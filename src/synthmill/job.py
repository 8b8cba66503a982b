"""What fills a run: fitted generators and checks, the cells, and how the work is cut into requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .candidates import Work
from .cells import ANY, Cell, Ledger
from .compose import Maker
from .lineage import request_seed
from .llm.desk import Desk
from .plugins import Request
from .spec import Budget, EngineNeed, Fill

LONGEST = 30 * 86_400.0


@dataclass
class Station:
    """A check with the name it is reported under. at: where in the spec it stands, such as `verify.1: rules`.

    tpr, fpr: the rates at which it passes right and wrong records, where the spec declares them.
    """

    use: str
    plugin: Any
    at: str = ""
    tpr: float | None = None
    fpr: float | None = None

    @property
    def remembers(self) -> bool:
        return hasattr(self.plugin, "remember")

    @property
    def private(self) -> bool:
        return bool(getattr(self.plugin, "private", False))


@dataclass
class Job:
    """Everything that fills a run: fitted generators and checks, cells, and how the work is cut."""

    seed: int
    maker: Maker
    cells: list[Cell]
    verify: list[Station]
    filters: list[Station]
    monitors: list[Station] = field(default_factory=list)
    depth: int = 1
    max_attempts: int = 20
    fill: Fill = field(default_factory=Fill)
    engine: EngineNeed = field(default_factory=EngineNeed)
    budget: Budget = field(default_factory=Budget)
    desk: Desk | None = None
    asking: bool = False

    @property
    def kind(self) -> str:
        """ "io" where anything waits on something outside: requests are then small, and many at once."""
        waits = any(getattr(s.plugin, "kind", "cpu") == "io" for s in self.stations)
        return "io" if waits or self.maker.kind == "io" else "cpu"

    @property
    def timeout(self) -> float:
        """Seconds for a request. Models answer each question within a deadline of its own, and slow ones let questions
        wait in line: only a limit that the user gave holds for them."""
        given = "timeout" in self.engine.model_fields_set or not self.asking
        return self.engine.timeout if given else LONGEST

    @property
    def early(self) -> list[Station]:
        """Checks that need no memory of what was admitted; they run in workers."""
        return [*self.verify, *(s for s in self.filters if not s.remembers)]

    @property
    def late(self) -> list[Station]:
        return [s for s in self.filters if s.remembers]

    @property
    def stations(self) -> list[Station]:
        return [*self.early, *self.late]

    @property
    def names(self) -> list[str]:
        """By `_check` number."""
        return ["generator", *(s.use for s in self.stations), "cover"]

    @property
    def axes(self) -> list[str]:
        return list(dict.fromkeys(a for c in self.cells for a, _ in c.levels))

    @property
    def window(self) -> int:
        """Requests under way. Models answer within a time that varies a hundredfold, and admission waits for the slowest:
        64 rows for each of 128 that are answered at once keep it from mattering."""
        rows = 8192 if self.asking else 2048
        return self.fill.window or (max(64, rows // self.size) if self.kind == "io" else 16)

    @property
    def threads(self) -> int:
        """For what waits. A thread waits for the slowest answer of its request; the models have limits of their own."""
        return min(64 if self.asking else 32, self.window)

    @property
    def group(self) -> int:
        return self.fill.group or (32 if self.kind == "io" else 1)

    @property
    def size(self) -> int:
        return self.fill.size or self.maker.size or (16 if self.kind == "io" else 20_000)

    def ledger(self) -> Ledger:
        return Ledger(self.cells, self.max_attempts, self.size, self.maker.conditions(self.axes))

    def work(self) -> Work:
        """Workers of what waits only generate, and many requests are judged in one pass; unless a check waits too."""
        plugins = [s.plugin for s in self.early]
        waiting = any(getattr(p, "kind", "cpu") == "io" for p in plugins)
        bare = self.maker.kind == "io" and not waiting
        return Work(self.maker, plugins, self.maker.schema(), bare, tells=self.maker.kind == "io")

    def account(self) -> dict[str, Any]:
        """For the manifest: what language models were asked and what they cost."""
        return {"spending": self.desk.account(), "prices": self.desk.prices} if self.desk else {}

    @property
    def notes(self) -> list[str]:
        """What the user should know of how models were asked."""
        return [
            f"{model} was asked {n:,} questions again at temperature 0: it would answer the same, so it was not asked; give it "
            "a temperature, or prompts that differ"
            for model, n in (self.desk.again if self.desk else {}).items()
        ]

    def request(self, k: int, cell: int, ordinal: int, n: int, *stream: object) -> Request:
        """The seed depends on names alone: spec seed, generators, cell, ordinal (and the stream of a further draw)."""
        asked = self.cells[cell] if cell != ANY else Cell(ANY, (), 0)
        uses = [s.use for s in self.maker.steps]
        return Request(k, asked, ordinal, n, request_seed(self.seed, uses, asked.label, ordinal, *stream))


@dataclass
class Progress:
    """How far the filling is, for whoever watches. tally: (checks, 4) candidates per check and status."""

    names: list[str]
    cells: list[Cell]
    accepted: Any
    asked: int
    candidates: int
    tally: Any
    seconds: float
    warnings: list[str]


Watch = Callable[[Progress], None]
