"""A chain: one generator trained on what it made itself, generation after generation."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from synthmill.candidates import Work, apply
from synthmill.cells import ANY, Cell
from synthmill.compose import Maker, maker
from synthmill.frame import Status, rng_of, seed_of
from synthmill.plugins import FAILURES, Request, sentence
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.spec import Use
from synthmill.tables.infer import observed

from .regimes import Regime, batch, corpus

MIXED = 32
"""Requests into which a table is cut where several generators share them."""


@dataclass(frozen=True)
class Arm:
    """One way of going on. share: of each generation's batch that is real; verified: only what passes the checks enters."""

    regime: Regime
    share: float = 0.0
    verified: bool = False

    @property
    def key(self) -> str:
        """A file name; shares to the per mille."""
        return f"{self.regime}-real{round(1000 * self.share):03d}-{'verified' if self.verified else 'unverified'}"

    @property
    def label(self) -> str:
        return f"{self.regime}, {self.share:.0%} real, {'verified' if self.verified else 'not verified'}"


class Extinct(Exception):
    """No further generation can be made; the reason is an outcome of the experiment, not a failure of it."""


@dataclass(frozen=True)
class Drawn:
    """frame: what was accepted, with the columns that were learned. judged: candidates that were made for it."""

    frame: pl.DataFrame
    judged: int

    @property
    def acceptance(self) -> float:
        return self.frame.height / max(1, self.judged)


@dataclass(frozen=True)
class Generation:
    """t counts from 1. corpus: rows it was trained on, of which the share `real` is real; maker: as it was fitted."""

    t: int
    corpus: int
    real: float
    drawn: Drawn
    maker: Maker


@dataclass(frozen=True)
class Mill:
    """A spec's generators and checks, as an experiment needs them: fitted anew to every corpus, asked for anything.

    schema: of the columns that are learned. early, late: checks fitted on the real data, without and with a memory; a
    late one forgets between tables. attempts: candidates per row wanted before a verified table stays short.
    """

    uses: Sequence[Use]
    schema: Schema
    target: str | None = None
    seed: int = 0
    early: Sequence[Any] = ()
    late: Sequence[Any] = ()
    attempts: int = 20
    size: int = 20_000
    source: str = "spec"

    def fitted(self, train: pl.DataFrame) -> Maker:
        """Levels and bounds are those of the corpus: what it no longer shows cannot be known."""
        made = maker(self.uses, self.source)
        frame = train.select(self.schema.names)
        made.fit(frame, observed(self.schema, frame), self.target)
        return made

    def draw(self, made: Maker, rows: int, verified: bool, *names: object) -> Drawn:
        """`rows` accepted rows, or fewer where attempts are spent. names: of the stream; equal names, equal rows."""
        work = Work(made, list(self.early) if verified else [], made.schema(), bare=False)
        late = [copy.deepcopy(c) for c in self.late] if verified else []
        size = self.size if len(made.firsts) == 1 else max(1, rows // MIXED)
        parts: list[pl.DataFrame] = []
        have = judged = k = 0
        while have < rows and judged < self.attempts * rows:
            n = min(size, rows - have)
            request = Request(k, Cell(ANY, (), 0), k, n, seed_of(self.seed, "lab", *names, k))
            frame = work.judge([(request, work.make(request))])
            for place, check in enumerate(late, len(work.checks) + 1):
                frame = apply(frame, check, place, list(work.schema))
            good = frame.filter(pl.col("_status") == Status.PASS).select(list(work.schema))
            for check in late:
                check.remember(good)
            parts.append(good)
            have, judged, k = have + good.height, judged + max(n, frame.height), k + 1
        whole = pl.concat(parts)
        missing = [c for c in self.schema.names if c not in whole.columns]
        if missing:
            raise Refusal(f"{self.source}: generate: makes no column '{missing[0]}', so it cannot be trained on itself")
        return Drawn(whole.select(self.schema.names), judged)


def generations(
    mill: Mill, real: pl.DataFrame, arm: Arm, last: int, repeat: int = 0, kept: Sequence[Drawn] = ()
) -> Iterator[Generation | None]:
    """Generations 1 to `last` of an arm, each of as many rows as `real` has; None for those that `kept` holds already.

    Streams are named after repeat and generation alone, so that arms differ by what they learn from and by nothing else
    (common random numbers), and the first generation of a repeat is the same in all of them. Raises Extinct when a later
    generation cannot be fitted to what is left, or makes nothing; Refusal when the first one cannot.
    """
    real = real.select(mill.schema.names).with_columns(pl.lit(0, pl.UInt16).alias("_depth"))
    batches: list[pl.DataFrame] = []
    for t in range(1, last + 1):
        if t <= len(kept):
            drawn, answer = kept[t - 1], None
        else:
            ground = corpus(arm.regime, real, batches, rng_of(mill.seed, "lab", "corpus", repeat, t))
            made = _fitted(mill, ground, t)
            drawn = mill.draw(made, real.height, arm.verified, repeat, t)
            share = int((ground["_depth"] == 0).sum()) / ground.height
            answer = Generation(t, ground.height, share, drawn, made)
        if not drawn.frame.height:
            raise Extinct(f"generation {t}: none of {drawn.judged:,} candidates could be used")
        stamped = drawn.frame.with_columns(pl.lit(t, pl.UInt16).alias("_depth")).cast(real.schema)
        batches.append(batch(real, stamped, arm.share, real.height, rng_of(mill.seed, "lab", "batch", repeat, t)))
        if arm.regime == "replace":
            del batches[:-1]
        yield answer


def _fitted(mill: Mill, ground: pl.DataFrame, t: int) -> Maker:
    try:
        return mill.fitted(ground)
    except Refusal as e:
        if t == 1:
            raise
        raise Extinct(f"generation {t}: {e}") from None
    except FAILURES as e:
        raise Extinct(f"generation {t}: {sentence(e)}") from None
