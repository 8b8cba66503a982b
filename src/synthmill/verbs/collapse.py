"""The collapse experiment on a spec: its generator trained on its own output, generation after generation."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.documents.collapse import page
from synthmill.frame import digest
from synthmill.lab.book import Book
from synthmill.lab.chain import Mill
from synthmill.lab.collapse import Plan, Tick, arms, run, start
from synthmill.lab.regimes import REGIMES, Regime
from synthmill.lab.summary import summary, tidy
from synthmill.lab.vitals import Subject, one_thread, vitals
from synthmill.plugins import relative_to
from synthmill.prepare import Prepared, prepare, prepared_from
from synthmill.refusal import Refusal, choices
from synthmill.run import sentences, write_parquet
from synthmill.spec import Cover, Spec

SHARES = (0.0, 0.1, 0.3, 0.5)
ROWS = 2_000


@dataclass(frozen=True)
class Collapse:
    """root: the folder with report and data. table: one row per measure of a generation. summary: over repeats."""

    root: Path
    table: pl.DataFrame
    summary: dict[str, Any]


@dataclass(frozen=True)
class Price:
    """tables: generations to be made and judged; seconds: all of them, from one that was."""

    tables: int
    seconds: float


def collapse(
    spec: str | Path | Spec,
    generations: int = 10,
    *,
    out: str | Path | None = None,
    real: Any = None,
    repeats: int = 5,
    rows: int | None = None,
    regimes: Sequence[str] = REGIMES,
    shares: Sequence[float] = SHARES,
    verified: bool | None = None,
    fresh: bool = False,
    tick: Tick = lambda _: None,
) -> Collapse:
    """Runs every regime x real share x verified or not, `repeats` times, and writes report.html, generations.parquet and
    .csv, and collapse.json. The same call continues an experiment that was stopped.

    out: the folder (default `runs/<name>-collapse`). real: the real data as a table, instead of the spec's file. rows: of
    the real table that chains start from and of every generation (default: train's, at most 2,000). verified: True or
    False for one of the two alone; None for both, or for unverified alone where the spec has no checks.
    Raises Refusal for bad input.
    """
    prepared, plan = _planned(spec, real, generations, repeats, rows, regimes, shares, verified)
    mill, subject = mill_of(prepared), subject_of(prepared)
    root = Path(out) if out is not None else Path("runs") / f"{prepared.spec.name}-collapse"
    about = _about(prepared, plan)
    book = Book(root, about, fresh)
    try:
        with relative_to(prepared.base), one_thread():
            run(mill, subject, plan, book, tick)
        table = tidy(book, plan)
        found = summary(book, plan, about)
        write_parquet(table, root / "generations.parquet")
        with sentences(root):
            book.write("generations.csv", table.write_csv())
        book.write("collapse.json", json.dumps(found, indent=1))
        book.write("report.html", page(found))
    finally:
        book.close()
    return Collapse(root, table, found)


def price(
    spec: str | Path | Spec,
    generations: int = 10,
    *,
    real: Any = None,
    repeats: int = 5,
    rows: int | None = None,
    regimes: Sequence[str] = REGIMES,
    shares: Sequence[float] = SHARES,
    verified: bool | None = None,
) -> Price:
    """What the experiment would cost: one generation is made, measured and timed, and nothing is kept."""
    prepared, plan = _planned(spec, real, generations, repeats, rows, regimes, shares, verified)
    mill, subject = mill_of(prepared), subject_of(prepared)
    with relative_to(prepared.base), one_thread():
        table = start(mill, subject, plan.rows, 0)
        first = _timed(mill, table, plan)
        twice = _timed(mill, pl.concat([table, table]), plan)
        before = time.monotonic()
        vitals(table, subject)
        judging = time.monotonic() - before
    growth = min(max(twice / max(first, 1e-9) / 2, 0.5), 2.0)  # 1: linear in the rows learned from, 2: quadratic
    seconds = plan.repeats * judging
    for arm in plan.arms:
        for t in range(2, plan.generations + 1):
            times = t if arm.regime == "accumulate" else 1
            seconds += plan.repeats * (judging + first * times * growth ** max(0, times.bit_length() - 1))
    seconds += plan.repeats * len({a.verified for a in plan.arms}) * (first + judging)
    return Price(plan.steps, seconds)


def _timed(mill: Mill, table: pl.DataFrame, plan: Plan) -> float:
    """Seconds of fitting, and of drawing one generation the dearer way."""
    before = time.monotonic()
    mill.draw(mill.fitted(table), plan.rows, any(a.verified for a in plan.arms), "price")
    return time.monotonic() - before


def _planned(
    spec: str | Path | Spec,
    real: Any,
    generations: int,
    repeats: int,
    rows: int | None,
    regimes: Sequence[str],
    shares: Sequence[float],
    verified: bool | None,
) -> tuple[Prepared, Plan]:
    for name, value in (("--generations", generations), ("--repeats", repeats), ("--rows", rows)):
        if value is not None and value < 1:
            raise Refusal(f"{name}: {value} is not a positive number")
    prepared = narrowed(spec, real)
    anchor = prepared.real
    assert anchor is not None
    checks = bool(prepared.job.stations)
    if verified and not checks:
        raise Refusal(f"{prepared.source}: has neither 'verify' nor 'filter', so nothing can be verified")
    both = [False, *([True] if checks else [])] if verified is None else [verified]
    size = min(anchor.train.height, rows or ROWS)
    return prepared, Plan(arms(known_regimes(regimes), known_shares(shares), both), generations, repeats, size)


def narrowed(spec: str | Path | Spec, real: Any = None) -> Prepared:
    """The spec with its real data's modelled columns alone, one cell, and checks fitted: what an experiment needs.

    Raises Refusal for a spec without real data, or whose generators learn nothing.
    """
    given = prepared_from(spec, real)
    anchor = given.real
    if anchor is None:
        raise Refusal(f"{given.source}: real: is needed; the lab compares with real data")
    if not any(hasattr(s.plugin, "fit") for s in given.job.maker.firsts):
        use = given.job.maker.firsts[0].use
        raise Refusal(f"{given.source}: generate: {use} learns nothing from data, so it cannot be trained on itself")
    keep = [c for c in anchor.train.columns if c in anchor.schema.modelled or c == anchor.entity]
    narrow = replace(
        anchor,
        train=anchor.train.select(keep),
        holdout=anchor.holdout.select(keep),
        schema=anchor.schema.select(anchor.schema.modelled),
    )
    plain = given.spec.model_copy(
        update={"cover": Cover(), "blend": None, "evaluate": [], "release": {}, "monitor": []}
    )
    prepared = prepare(plain, given.source, given.base, narrow)
    prepared.fit_checks()
    return prepared


def known_regimes(regimes: Sequence[str]) -> list[Regime]:
    for name in regimes:
        if name not in REGIMES:
            raise Refusal(f"--regimes: '{name}' is no regime; {choices(name, REGIMES)}")
    return [r for r in REGIMES if r in regimes]


def known_shares(shares: Sequence[float]) -> list[float]:
    for share in shares:
        if not 0 <= share < 1:
            raise Refusal(f"--shares: {share} is not a share from 0 up to, not including, 1")
    return sorted(set(shares))


def mill_of(prepared: Prepared) -> Mill:
    """A narrowed spec's generators and checks."""
    real, job = prepared.real, prepared.job
    assert real is not None
    return Mill(
        prepared.spec.generate,
        real.schema,
        real.target,
        prepared.spec.seed,
        [s.plugin for s in job.early],
        [s.plugin for s in job.late],
        prepared.spec.cover.max_attempts,
        job.size,
        prepared.source,
    )


def subject_of(prepared: Prepared) -> Subject:
    """What its tables are judged against."""
    real = prepared.real
    assert real is not None
    return Subject(real.train, real.holdout, real.schema, real.target, real.entity, prepared.spec.seed)


def _about(prepared: Prepared, plan: Plan) -> dict[str, Any]:
    """What is asked, and its digest: spec, data, plugins' code and options."""
    real, spec = prepared.real, prepared.spec
    assert real is not None
    asked = {
        "generations": plan.generations,
        "repeats": plan.repeats,
        "rows": plan.rows,
        "arms": [a.label for a in plan.arms],
    }
    return {
        "name": spec.name,
        "digest": digest("collapse", prepared.digest, asked),
        "generate": prepared.job.maker.declared(),
        "checks": [s.use for s in prepared.job.stations],
        "real_table": {"source": Path(real.source).name, "train": real.train.height, "holdout": real.holdout.height},
        "target": real.target,
        **{k: v for k, v in asked.items() if k != "arms"},
    }
