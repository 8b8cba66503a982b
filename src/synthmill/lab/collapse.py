"""Every arm of the experiment, generation by generation; what is finished is not made again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from synthmill.frame import rng_of
from synthmill.plugins import Measure

from .book import Book
from .chain import Arm, Drawn, Extinct, Generation, Mill, generations
from .regimes import Regime
from .vitals import Subject, vitals


@dataclass(frozen=True)
class Plan:
    """What is asked. rows: of the real table that every chain starts from, and of every generation."""

    arms: tuple[Arm, ...]
    generations: int
    repeats: int
    rows: int

    @property
    def steps(self) -> int:
        """Tables that will be made: the first generation of a repeat is common to all arms that verify alike."""
        first = len({a.verified for a in self.arms})
        return self.repeats * (first + len(self.arms) * (self.generations - 1))


def arms(regimes: Sequence[Regime], shares: Sequence[float], verified: Sequence[bool]) -> tuple[Arm, ...]:
    return tuple(Arm(r, s, v) for v in verified for r in regimes for s in shares)


@dataclass(frozen=True)
class Step:
    """How far the experiment is. left: seconds still to go at the pace so far, weighed by the rows to learn from."""

    done: int
    total: int
    text: str
    left: float


Tick = Callable[[Step], None]


class Clock:
    """Counts tables and the rows they were learned from: where generations accumulate the last ones cost the most."""

    def __init__(self, plan: Plan, tick: Tick) -> None:
        self.plan, self.tick = plan, tick
        self.total = sum(_weight(a, t) for a in plan.arms for t in range(2, plan.generations + 1))
        self.total = plan.repeats * (self.total + len({a.verified for a in plan.arms}))
        self.done = self.spent = self.skipped = 0
        self.started = time.monotonic()

    def step(self, text: str, weight: int, made: bool) -> None:
        self.done += 1
        self.spent += weight if made else 0
        self.skipped += 0 if made else weight
        pace = (time.monotonic() - self.started) / self.spent if self.spent else math.nan
        self.tick(Step(self.done, self.plan.steps, text, pace * (self.total - self.spent - self.skipped)))

    def skip(self, arm: Arm, start: int) -> None:
        """Generations that will never be made."""
        self.done += self.plan.generations - start + 1
        self.skipped += sum(_weight(arm, t) for t in range(start, self.plan.generations + 1))


def _weight(arm: Arm, t: int) -> int:
    return t + 2 if arm.regime == "accumulate" else 3


def run(mill: Mill, subject: Subject, plan: Plan, book: Book, tick: Tick = lambda _: None) -> None:
    """Fills the book. Generation 0 of every repeat is the real table itself: fresh real rows are the yardstick."""
    clock = Clock(plan, tick)
    for repeat in range(plan.repeats):
        real = start(mill, subject, plan.rows, repeat)
        _yardstick(real, subject, repeat, book)
        for verified in dict.fromkeys(a.verified for a in plan.arms):
            first = _first(mill, subject, plan, real, repeat, verified, book, clock)
            for arm in (a for a in plan.arms if a.verified == verified):
                _chain(mill, subject, plan, real, repeat, arm, first, book, clock)
    for path in (book.root / "private" / "wip").glob("*.parquet"):
        path.unlink()


def start(mill: Mill, subject: Subject, rows: int, repeat: int) -> pl.DataFrame:
    """The real table that a repeat starts from: `rows` train rows, others each time where there are more."""
    train = subject.train.select(mill.schema.names)
    if rows >= train.height:
        return train
    order = rng_of(mill.seed, "lab", "real", repeat).permutation(train.height)[:rows]
    return train[sorted(order.tolist())]


def _yardstick(real: pl.DataFrame, subject: Subject, repeat: int, book: Book) -> None:
    key = f"real-r{repeat}"
    if not book.chain(key)["whole"]:
        told: dict[str, Any] = {"t": 0, "corpus": 0, "real": 1.0, "rows": real.height, "judged": real.height}
        told["measures"] = _told(vitals(real, subject))
        book.enter(key, {"generations": [told], "ended": None, "whole": True})


def _first(
    mill: Mill, subject: Subject, plan: Plan, real: pl.DataFrame, repeat: int, verified: bool, book: Book, clock: Clock
) -> tuple[dict[str, Any], Drawn]:
    """The first generation, which learns from real rows alone whatever the regime."""
    arm = Arm("replace", 0.0, verified)
    key = f"first-{'verified' if verified else 'unverified'}-r{repeat}"
    chain = book.chain(key)
    made = not chain["whole"]
    if made:
        found = next(generations(mill, real, arm, 1, repeat))
        assert found is not None
        chain = {"generations": [_about(found, subject)], "ended": None, "whole": True}
        drawn = found.drawn
        book.enter(key, chain, drawn)
    elif any(not book.chain(_key(a, repeat))["whole"] for a in plan.arms if a.verified == verified):
        drawn = book.tables(key, chain["generations"])[0]
    else:
        drawn = Drawn(real.clear(), 0)  # nobody will go on from it
    clock.step(f"repeat {repeat + 1} of {plan.repeats}, first generation", 1, made)
    return chain["generations"][0], drawn


def _key(arm: Arm, repeat: int) -> str:
    return f"{arm.key}-r{repeat}"


def _chain(
    mill: Mill,
    subject: Subject,
    plan: Plan,
    real: pl.DataFrame,
    repeat: int,
    arm: Arm,
    first: tuple[dict[str, Any], Drawn],
    book: Book,
    clock: Clock,
) -> None:
    key = _key(arm, repeat)
    chain = book.chain(key)
    rows: list[dict[str, Any]] = chain["generations"] or [first[0]]

    def tell(t: int, made: bool) -> None:
        text = f"{arm.label}: repeat {repeat + 1} of {plan.repeats}, generation {t} of {plan.generations}"
        clock.step(text, _weight(arm, t), made)

    for t in range(2, len(rows) + 1):
        tell(t, False)
    if not chain["whole"]:
        kept = [first[1], *book.tables(key, rows[1:])]
        ended = None
        try:
            for found in _fresh(generations(mill, real, arm, plan.generations, repeat, kept)):
                rows.append(_about(found, subject))
                book.enter(key, {"generations": rows, "ended": None, "whole": False}, found.drawn)
                tell(found.t, True)
        except Extinct as e:
            ended = str(e)
        chain = {"generations": rows, "ended": ended, "whole": True}
        book.enter(key, chain)
        book.forget(key)
    if chain["ended"]:
        clock.skip(arm, len(rows) + 1)


def _fresh(chain: Iterator[Generation | None]) -> Iterator[Generation]:
    return (g for g in chain if g is not None)


def _about(found: Generation, subject: Subject) -> dict[str, Any]:
    frame = found.drawn.frame
    measures = _told(vitals(frame, subject)) if frame.height else {}
    return {
        "t": found.t,
        "corpus": found.corpus,
        "real": found.real,
        "rows": frame.height,
        "judged": found.drawn.judged,
        "measures": measures,
    }


def _told(measures: dict[str, Measure]) -> dict[str, list[float | None]]:
    """name -> value, low, high; null where unknown."""
    return {
        n: [x if math.isfinite(x) else None for x in map(float, (m.value, m.low, m.high))] for n, m in measures.items()
    }
