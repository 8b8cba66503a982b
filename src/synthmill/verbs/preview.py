"""A taste before the run: ten candidates, what every check says of each, and what the whole would cost. Nothing is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from synthmill.accounts import open_desk
from synthmill.candidates import verdict_of
from synthmill.cells import ANY
from synthmill.frame import Status
from synthmill.job import Job
from synthmill.prepare import Prepared, Say, prepared_from
from synthmill.refusal import Refusal
from synthmill.spec import Spec
from synthmill.tables.boost import classify
from synthmill.tables.encode import encode

from .expense import Expense, expense

PROBE = 400
"""Candidates behind the estimates."""
TRIAL = 10_000
"""Real rows on which one classifier is timed."""
CLASSIFIERS, FAMILIES_OF_MEASURES = 75, 5
"""What all five metrics cost together, in such classifiers (`bench/line.py` measures the ratio)."""


@dataclass(frozen=True)
class Preview:
    """candidates: payload; verdicts: one column per check, "pass" or status and reason.

    yield_: share of the probe that passed everything; seconds, megabytes: of the whole run, from the probe's own cost.
    expense: what its language models would be asked, None without any. errors: why candidates beside those shown could not
    be made.
    """

    candidates: pl.DataFrame
    verdicts: pl.DataFrame
    yield_: float
    probe: int
    seconds: float
    megabytes: float
    asked: int
    expense: Expense | None = None
    errors: tuple[str, ...] = ()


def preview(spec: str | Path | Spec, n: int = 10, say: Say = lambda _: None) -> Preview:
    """n candidates with every verdict, and the estimates. Raises Refusal for whatever would stop the run before it starts."""
    if n < 1:
        raise Refusal(f"-n: {n} is not a positive number")
    prepared = prepared_from(spec)
    start = time.monotonic()
    open_desk(prepared.job)
    prepared.fit(say)
    fitting = time.monotonic() - start
    job = prepared.job
    start = time.monotonic()
    probe = _candidates(job, max(n, PROBE if job.kind == "cpu" else n))
    usable = probe.filter(pl.col("_status") == Status.PASS).select(list(job.maker.schema()))
    passed = pl.Series([True] * usable.height, dtype=pl.Boolean)
    columns = {}
    for station in job.stations:
        verdicts = verdict_of(station.plugin, usable)
        passed = passed & (verdicts.status == Status.PASS)
        columns[station.use] = _words(verdicts.status, verdicts.reason)
    columns = columns or {"generator": pl.repeat("pass", usable.height, dtype=pl.String, eager=True)}
    spent = time.monotonic() - start
    answers = job.desk.answers if job.desk else []
    judging = _evaluation_seconds(prepared) if prepared.spec.evaluate else 0.0
    asked = sum(c.quota for c in job.cells)
    share = int(passed.sum()) / max(1, probe.height)
    per_row = usable.estimated_size() / max(1, usable.height)
    errors = probe.filter(pl.col("_status") != Status.PASS)
    reasons = tuple(errors["_reason"].fill_null("an error without a reason")) if usable.height else ()
    errors = errors.head(n)
    spread = np.unique(np.linspace(0, max(0, usable.height - 1), n).round().astype(np.int64))
    shown = usable[spread] if usable.height else errors.select(usable.columns)
    table = pl.DataFrame(columns)[spread] if usable.height else errors.select(pl.col("_reason").alias("generator"))
    return Preview(
        shown,
        table,
        share,
        probe.height,
        fitting + judging + spent / max(1, probe.height) * asked / max(share, 1 / max(1, probe.height)),
        per_row * asked * 0.3 / 1e6,
        asked,
        expense(answers, probe.height, int(passed.sum()), asked, job.max_attempts),
        reasons,
    )


def _evaluation_seconds(prepared: Prepared) -> float:
    """From the time of one classifier on real training rows: an evaluation trains many, and the rest grows with them."""
    real = prepared.real
    if real is None or not real.schema.modelled or real.train.height < 2:
        return 0.0
    import sklearn.ensemble  # noqa: F401  before the limit: only libraries that are loaded can be limited
    from threadpoolctl import threadpool_limits

    rows = real.train.head(TRIAL)
    columns = encode([rows], real.schema)[0]
    x = np.column_stack([columns[c] for c in real.schema.modelled]).astype(np.float64)
    start = time.monotonic()
    with threadpool_limits(1):
        classify(x, np.arange(rows.height) % 2, [False] * x.shape[1], x[:1], [0, 1])
    one = (time.monotonic() - start) * real.train.height / rows.height
    return CLASSIFIERS * one * len(prepared.spec.evaluate) / FAMILIES_OF_MEASURES


def _candidates(job: Job, n: int) -> pl.DataFrame:
    """Generated but unverified rows, spread over the cells."""
    work = job.work()
    work.checks = []
    cells = [c.index for c in job.cells] if job.maker.conditions(job.axes) else [ANY]
    cells = cells[: max(1, n)]
    frames = []
    for j, cell in enumerate(cells):
        share = n // len(cells) + (j < n % len(cells))
        request = job.request(j, cell, 0, max(1, share), "preview")
        frames.append(work.judge([(request, work.make(request))]))
    return pl.concat(frames)


def _words(status: pl.Series, reason: pl.Series | str | None) -> pl.Series:
    why = reason if isinstance(reason, pl.Series) else pl.repeat(reason, len(status), dtype=pl.String, eager=True)
    names = {int(s): s.name.lower() for s in Status}
    return pl.Series(
        [names[s] if s == Status.PASS else f"{names[s]}: {w}" for s, w in zip(status, why, strict=True)],
        dtype=pl.String,
    )
