"""The whole line: prepare, fill, blend, evaluate, release, report. Every stage can start again from the run directory."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from synthmill import __version__
from synthmill.accounts import opener
from synthmill.blending import Blend, blend, save
from synthmill.candidates import Made
from synthmill.cells import Cell, written
from synthmill.evaluation import Evaluation, evaluate
from synthmill.fitting import Overlong
from synthmill.frame import Status, payload
from synthmill.job import Job, Watch
from synthmill.line import Filling, fill
from synthmill.llm.model import named
from synthmill.plugins import relative_to
from synthmill.prepare import Prepared, Say, prepared_from
from synthmill.real import Real, real_ids
from synthmill.refusal import Refusal
from synthmill.release import BarResult, judge
from synthmill.run import Run
from synthmill.spec import Spec

DRAWS = 2
"""Further draws of the generator under other seeds; with the run itself three seeds stand behind every interval."""
DRAW_ROWS = 20_000


@dataclass
class Result:
    """What a run came to. short: (cell, records missing) of every cell that stayed short."""

    run: Run
    accepted: int
    short: list[tuple[str, int]]
    stopped: str
    blend: Blend | None = None
    evaluation: Evaluation | None = None
    bars: list[BarResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def released(self) -> bool:
        return all(b.held for b in self.bars)

    @property
    def data(self) -> pl.DataFrame:
        return self.run.data()


@dataclass
class Observer:
    """Who watches a run: `say` gets a sentence per stage, `watch` the filling's progress."""

    say: Say = lambda _: None
    watch: Watch | None = None


def make(
    spec: str | Path | Spec,
    out: str | Path | None = None,
    real: Any = None,
    observer: Observer | None = None,
    fresh: bool = False,
) -> Result:
    """Runs the whole line and returns what came of it. The same call continues a run that was stopped.

    out: the run directory (default `runs/<name>`). real: the real data as a polars, pandas or Arrow table, instead of the
    spec's file; a run that was made so needs it again to be extended. fresh: start anew even if a run is there.
    Raises Refusal for bad input (code 2) and when a generator or a check failed on everything (code 1).
    """
    observer = observer or Observer()
    prepared = prepared_from(spec, real)
    root = Path(out) if out is not None else Path("runs") / prepared.spec.name
    if fresh and (root / "manifest.json").is_file():
        discard(root)
    run = Run.start(root, identity(prepared))
    try:
        return _run(prepared, run, observer)
    finally:
        run.close()


def discard(root: Path) -> None:
    """Only under the run's lock: another process may be working on it."""
    held = Run.start(root, {"digest": Run.open(root).manifest["digest"]})
    try:
        shutil.rmtree(root)
    finally:
        held.close()


def identity(prepared: Prepared) -> dict[str, Any]:
    """What the manifest says from the start; nothing in it names a single real record."""
    spec, real, job = prepared.spec, prepared.real, prepared.job
    return {
        "name": spec.name,
        "digest": prepared.digest,
        "spec": spec.model_dump(mode="json", exclude={"base"}),
        "checks": job.names,
        "cells": _written(job.cells),
        "versions": {"synthmill": __version__, "python": platform.python_version(), "polars": pl.__version__},
        "real": about_real(real, spec.real.licence if spec.real else None) if real else None,
    }


def _written(cells: list[Cell]) -> list[dict[str, Any]]:
    return [{"label": c.label, "quota": c.quota, "levels": written(c.levels)} for c in cells]


def about_real(real: Real, licence: str | None) -> dict[str, Any]:
    """The anchor as the manifest tells it: counts, digest and schema, and nothing of a single record."""
    return {
        "source": Path(real.source).name,
        "digest": real.digest,
        "train": real.train.height,
        "holdout": real.holdout.height,
        "depth": real.depth,
        "target": real.target,
        "entity": real.entity,
        "schema": real.schema.published(),
        "licence": licence,
        "notes": list(real.notes),
    }


def _run(prepared: Prepared, run: Run, observer: Observer) -> Result:
    _keep_spec(prepared, run)
    run.manifest["spec"] = prepared.spec.model_dump(mode="json", exclude={"base"})
    try:
        with _timed(run, "fit"):
            prepared.fit(observer.say, run)
    except Refusal as e:
        worth = isinstance(e, Overlong) and run.manifest.get("models")  # with more time the same run goes on from them
        if not worth and not run.manifest["parts"] and not run.manifest["wip"]:
            shutil.rmtree(run.root)  # nothing was made: the corrected spec shall not find another's run in its place
        raise
    job = prepared.job
    job.cells = extended(job.cells, run)
    observer.say(
        f"filling {len(job.cells)} cell{'s' * (len(job.cells) > 1)}, {sum(c.quota for c in job.cells):,} records asked"
    )
    filling = fill(job, run, observer.watch)
    result = _outcome(filling, run)
    if not result.accepted and (filling.stopped or _only_errors(filling)):
        why = filling.stopped or "every candidate failed"
        raise Refusal(f"{run.root}: {why}; {_first_reason(run)}", 1)
    finish(prepared, result, observer)
    return result


def finish(prepared: Prepared, result: Result, observer: Observer) -> None:
    """Everything after filling. Blend, bars and report may change on a finished run."""
    from synthmill.documents import write_documents
    from synthmill.profile import profile

    run, spec, real = result.run, prepared.spec, prepared.real
    if real is not None and (spec.blend or spec.evaluate) and result.accepted:
        with _timed(run, "blend"):
            result.blend = _blend(prepared, run, observer) if spec.blend else None
        with _timed(run, "evaluate"), relative_to(prepared.base), named(spec.models):
            result.evaluation = _evaluate(prepared, result, observer) if spec.evaluate else None
    _drop_what_is_no_longer_asked(run, result)
    if result.evaluation is not None:
        result.bars = judge(result.evaluation, spec.release)
    elif spec.release:
        result.bars = judge(Evaluation((), {}), spec.release)
    record_bars(run, result.bars, spec)
    with _timed(run, "report"):
        observer.say("writing report.html, README.md and croissant.json")
        train, schema, entity = (real.train, real.schema, real.entity) if real else (None, None, None)
        run.write("profile.json", json.dumps(profile(train, run.data(), schema, prepared.job.cells, entity)))
        write_documents(run)
    if run.manifest.pop("extending", None):
        run.commit()


def record_bars(run: Run, bars: list[BarResult], spec: Spec) -> None:
    """released: None where the need sets no bar."""
    run.manifest["released"] = all(b.held for b in bars) if spec.release else None
    run.manifest["bars"] = [{"name": b.name, "bar": str(b.bar), "held": b.held, "sentence": b.sentence} for b in bars]
    run.commit()


def _drop_what_is_no_longer_asked(run: Run, result: Result) -> None:
    """An evaluation or blend of an earlier spec would be taken for this one's."""
    if result.evaluation is None:
        (run.root / "evaluation.json").unlink(missing_ok=True)
    if result.blend is None:
        for folder in ("blend", "private/blend"):
            shutil.rmtree(run.root / folder, ignore_errors=True)


def extended(cells: list[Cell], run: Run) -> list[Cell]:
    """The cells with what `extend` added to their quotas."""
    added = run.manifest.get("extended") or {}
    return [Cell(c.index, c.levels, c.quota + int(added.get(str(c.index), 0))) for c in cells]


def _keep_spec(prepared: Prepared, run: Run) -> None:
    """The spec as it was understood; `base` leads from the run back to the folder that its paths start from."""
    import yaml

    base = Path(os.path.relpath(prepared.base, run.root)).as_posix()
    data = prepared.spec.model_copy(update={"base": base}).model_dump(mode="json", exclude_defaults=True)
    run.write("spec.yaml", yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def _outcome(filling: Filling, run: Run) -> Result:
    ledger = filling.ledger
    short = [(c.label, int(n)) for c, n in zip(filling.job.cells, ledger.room(), strict=True) if n]
    accepted = int(ledger.accepted.sum())
    run.manifest["cells"] = [
        {**asked, "accepted": int(a), "short": max(0, asked["quota"] - int(a))}
        for asked, a in zip(_written(filling.job.cells), ledger.accepted, strict=True)
    ]
    run.commit()
    return Result(run, accepted, short, filling.stopped, warnings=list(filling.warnings))


def _only_errors(filling: Filling) -> bool:
    return bool(filling.tally.sum()) and int(filling.tally[:, Status.ERROR].sum()) == int(filling.tally.sum())


def _first_reason(run: Run) -> str:
    rejected = run.rejected()
    reasons = rejected.filter(pl.col("_status") == Status.ERROR)["_reason"].drop_nulls()
    return f"the first said: {reasons[0]}" if len(reasons) else "nothing was made"


def _blend(prepared: Prepared, run: Run, observer: Observer) -> Blend:
    real, need = prepared.real, prepared.spec.blend
    if real is None or need is None:
        raise Refusal(f"{prepared.source}: blend: needs real data and a 'blend' section")
    observer.say(f"blending: {need.real:.0%} real")
    made = blend(run.data(), blend_inputs(real, run), need, prepared.spec.seed, prepared.job.cells)
    save(made, run.root)
    return made


def blend_inputs(real: Real, run: Run) -> pl.DataFrame:
    """Real training rows as a blend takes them: with keyed ids and their own depth. The holdout is not among them."""
    ids = real_ids(real.train, real.entity, real.source, _id_key(run))
    return real.train.with_columns(ids, real.train_depth.cast(pl.UInt8).alias("_depth"))


def _id_key(run: Run) -> bytes:
    """The key of real records' ids. It stays under `private/`: with it, who is in the data could be tested."""
    path = run.root / "private" / "id.key"
    if not path.is_file():
        path.write_bytes(os.urandom(32))
        path.chmod(0o600)
    return path.read_bytes()


def _evaluate(prepared: Prepared, result: Result, observer: Observer) -> Evaluation:
    real, run, job = prepared.real, result.run, prepared.job
    if real is None:
        raise Refusal(f"{prepared.source}: evaluate: there is no real data to compare with")
    observer.say("evaluating on held-out real data")
    data = run.data()
    columns = payload(data)
    seeds = range(1, DRAWS + 1) if job.maker.kind == "cpu" else ()  # what waits on something outside costs too much
    copies = [place for place, s in enumerate(job.stations, 1) if s.private]
    hidden = (
        run.private_rejected().filter(pl.col("_check").is_in(copies), pl.col("_status") == Status.FAIL).select(columns)
    )
    made = evaluate(
        data.select(columns),
        real,
        prepared.spec.evaluate,
        seed=prepared.spec.seed,
        draws=tuple(further_draw(job, d, min(data.height, DRAW_ROWS)) for d in seeds),
        unfiltered=pl.concat([data.select(columns), hidden]) if hidden.height else None,
        blend=result.blend.frame.select(payload(result.blend.frame)) if result.blend else None,
        anchored=result.blend.real if result.blend else None,
        cells=job.cells,
        progress=lambda what: observer.say(f"measuring {what}"),
        opened=opener(job, run),
    )
    run.manifest |= job.account()
    run.write("evaluation.json", json.dumps(made.to_json(), indent=1))
    return made


def further_draw(job: Job, stream: int, rows: int) -> pl.DataFrame:
    """What the generator makes under another seed, with the run's cells in the run's shares, verified but without quotas."""
    work = job.work()
    conditional = job.maker.conditions(job.axes)
    total = sum(c.quota for c in job.cells)
    made: list[pl.DataFrame] = []
    k = 0
    for index, share in [(c.index, c.quota / total) for c in job.cells] if conditional else [(-1, 1.0)]:
        left = round(rows * share)
        ordinal = 0
        while left > 0:
            n = min(left, job.size)
            request = job.request(k, index, ordinal, n, "draw", stream)
            answer: Made = work.make(request)
            made.append(work.judge([(request, answer)]))
            left, ordinal, k = left - n, ordinal + 1, k + 1
    frame = pl.concat(made) if made else pl.DataFrame(schema=work.schema)
    return frame.filter(pl.col("_status") == Status.PASS).select(list(work.schema)) if made else frame


@contextmanager
def _timed(run: Run, stage: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    times = run.manifest.setdefault("times", {})
    times[stage] = round(time.monotonic() - start, 2)
    run.commit()
