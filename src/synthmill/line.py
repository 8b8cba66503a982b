"""The closed loop: ask, generate, verify, admit, until every cell's quota of accepted records is met or cannot be."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from .candidates import apply, failed
from .cells import ANY, Assign
from .engine import Engine, Failure
from .frame import Status, payload, synthetic_ids
from .job import Job, Progress, Watch
from .lineage import REQUESTS
from .plugins import Request
from .run import Run


class Filling:
    """One run of the loop. All state that must survive a kill is in `state()`."""

    def __init__(self, job: Job, run: Run, watch: Watch | None = None) -> None:
        self.job, self.run, self.watch = job, run, watch
        self.work, self.ledger = job.work(), job.ledger()
        self.columns = list(self.work.schema)
        self.assign = Assign(job.cells)
        n = len(job.names)
        self.tally = np.zeros((n, 4), np.int64)
        self.by_cell = np.zeros((len(job.cells), n), np.int64)
        self.outside = 0
        self.warnings: list[str] = []
        self.stopped = ""
        self.buffer: list[dict[str, pl.DataFrame]] = []
        self.kept = 0
        self.held = 0
        self.started = self.saved = time.monotonic()
        self.seconds_before = 0.0
        self.journaled = {e["k"]: e["message"] for e in run.journaled()}

    def state(self) -> dict[str, Any]:
        return {
            "ledger": self.ledger.state(),
            "tally": self.tally.tolist(),
            "by_cell": self.by_cell.tolist(),
            "outside": self.outside,
            "warnings": self.warnings,
            "stopped": self.stopped,
            "monitors": [s.plugin.state() if hasattr(s.plugin, "state") else None for s in self.job.monitors],
        }

    def resume(self) -> None:
        """Continues after the last checkpoint: counters are loaded, what filters remember is replayed."""
        state = self.run.manifest["state"]
        self.seconds_before = float(self.run.manifest.get("times", {}).get("fill", 0.0))
        if not state:
            return
        self.ledger.load(state["ledger"])
        self.tally, self.by_cell = np.array(state["tally"], np.int64), np.array(state["by_cell"], np.int64)
        self.outside, self.warnings, self.stopped = state["outside"], list(state["warnings"]), ""
        for station, saved in zip(self.job.monitors, state["monitors"], strict=True):
            if saved is not None:
                station.plugin.load(saved)
        self.buffer = self.run.recover()
        self.kept = len(self.buffer)
        self.held = sum(b["data"].height for b in self.buffer)
        if self.job.late and self.run.manifest["parts"] + self.kept:
            admitted = self.run.data().select(self.columns)
            for station in self.job.late:
                station.plugin.remember(admitted)

    def fill(self) -> None:
        """Runs until every quota is met, attempts or budget are spent, or a monitor stops it."""
        need = self.job.engine
        io = self.job.maker.kind == "io"
        kind = ("thread" if io else "serial") if need.kind == "auto" else need.kind
        workers = need.workers or (min(32, self.job.window) if kind == "thread" else None)
        engine = Engine(self.work, kind, workers, need.timeout)
        try:
            while self._rounds(engine, adaptive=need.kind == "auto") and not self.stopped:
                pass
            self._save(last=True)
        except KeyboardInterrupt:
            self._save(last=False, force=True)
            raise
        finally:
            engine.close()

    def _rounds(self, engine: Engine[Request], adaptive: bool) -> bool:
        """Asks and admits until there is nothing to ask; True if anything was done."""
        group: list[tuple[Request, Any]] = []
        done = False
        for request, answer in engine.map(self._requests(), self.job.window):
            done = True
            group.append((request, answer))
            if len(group) < self.job.group:
                continue
            self._admit(group)
            group = []
            self._save()
            if adaptive and self._remaining() > SPAWN_WORTH:
                engine.speed_up()
            if self.stopped:
                return True
        if group:
            self._admit(group)
            self._save()
        return done

    def _requests(self) -> Iterator[Request | None]:
        """Planned but unadmitted requests of a killed run first, then whatever the ledger asks."""
        for k, (cell, ordinal, n) in sorted(self.ledger.pending.items()):
            yield self.job.request(k, cell, ordinal, n)
        while True:
            planned = None if self._spent() else self.ledger.plan()
            yield self.job.request(*planned) if planned else None

    def _spent(self) -> bool:
        budget = self.job.budget
        if budget.seconds and self.seconds() > budget.seconds:
            self.stopped = f"the budget of {budget.seconds:g} s is spent"
        if budget.megabytes and self.run.manifest["parts"]:
            size = sum(self.run.path("data", p).stat().st_size for p in range(self.run.manifest["parts"])) / 1e6
            if size > budget.megabytes:
                self.stopped = f"the budget of {budget.megabytes:g} MB is spent"
        return bool(self.stopped)

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _remaining(self) -> float:
        """Seconds that filling would still take at the pace so far."""
        accepted = int(self.ledger.accepted.sum())
        pace = (time.monotonic() - self.started) / max(1, accepted)
        return pace * float(self.ledger.room().sum())

    def _candidates(self, group: Sequence[tuple[Request, Any]]) -> pl.DataFrame:
        """Judged candidates of a group in request order; requests that gave no answer become error rows."""
        frames: list[pl.DataFrame] = []
        bare: list[tuple[Request, Any]] = []
        for request, answer in group:
            message = self.journaled.get(request.k) or (answer.message if isinstance(answer, Failure) else "")
            if message and request.k not in self.journaled:
                self.run.journal({"k": request.k, "message": message})
            if message:
                frames += [self.work.judge(bare)] if bare else []
                bare = []
                frames.append(failed(request, message, self.work))
            elif self.work.bare:
                bare.append((request, answer))
            else:
                frames.append(answer)
        frames += [self.work.judge(bare)] if bare else []
        return frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=True)

    def _admit(self, group: Sequence[tuple[Request, Any]]) -> None:
        """Filters with a memory judge, cells are measured, quotas trim, and only what is accepted is remembered."""
        frame = self._candidates(group)
        first_late = len(self.job.early) + 1
        for place, station in enumerate(self.job.late, first_late):
            frame = apply(frame, station.plugin, place, self.columns)
        cell = self.assign(frame)
        frame = self._outside(frame, cell).with_columns(pl.Series("_cell", cell))
        frame, accepted = self._trim(frame)
        good = frame.filter(pl.Series(accepted))
        for station in self.job.late:
            station.plugin.remember(good.select(self.columns))
        self.ledger.settle([r.k for r, _ in group])
        self._count(frame)
        self._store(group, frame, good)
        self._watch(good)

    def _outside(self, frame: pl.DataFrame, cell: Any) -> pl.DataFrame:
        """A good record that belongs to no cell is rejected by the cover itself."""
        lost = pl.Series((cell < 0) & (frame["_status"] == Status.PASS).to_numpy())
        if not lost.any():
            return frame
        self.outside += int(lost.sum())
        place = len(self.job.names) - 1
        return frame.with_columns(
            _status=pl.when(lost).then(pl.lit(int(Status.FAIL), pl.UInt8)).otherwise("_status"),
            _check=pl.when(lost).then(pl.lit(place, pl.UInt8)).otherwise("_check"),
            _reason=pl.when(lost).then(pl.lit("outside every cell of the cover")).otherwise("_reason"),
        )

    def _trim(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, Any]:
        """Books good rows and marks those whose cell is full as surplus."""
        live = (frame["_status"] == Status.PASS).to_numpy()
        cell = frame["_cell"].to_numpy()
        n = len(self.job.cells)
        good = np.bincount(cell[live], minlength=n)
        room = self.ledger.room()
        accepted = live.copy()
        for c in np.flatnonzero(good > room):
            mine = np.flatnonzero(live & (cell == c))
            accepted[mine[room[c] :]] = False
        self.ledger.credit(good, np.bincount(cell[accepted], minlength=n))
        full = pl.Series(live & ~accepted)
        if full.any():
            frame = frame.with_columns(
                _status=pl.when(full).then(pl.lit(int(Status.SURPLUS), pl.UInt8)).otherwise("_status"),
                _reason=pl.when(full).then(pl.lit("cell full")).otherwise("_reason"),
            )
        return frame, accepted

    def _count(self, frame: pl.DataFrame) -> None:
        status = frame["_status"].to_numpy()
        bad = status > 0
        place = frame["_check"].fill_null(len(self.job.names) - 1).to_numpy()
        np.add.at(self.tally, (place[bad], status[bad]), 1)
        self.tally[-1, Status.PASS] += int((~bad).sum())
        cell = frame["_cell"].to_numpy()
        failed_here = bad & (status != Status.SURPLUS) & (cell >= 0)
        np.add.at(self.by_cell, (cell[failed_here], place[failed_here]), 1)
        self._hopeless()

    def _hopeless(self) -> None:
        """A generator or check that only ever errs will not get better: say so instead of spending every attempt."""
        judged = self.tally.sum()
        for place, name in enumerate(self.job.names[:-1]):
            errors = int(self.tally[place, Status.ERROR])
            beyond = judged - self.tally[: place + 1].sum() if place else judged - errors
            enough = self.ledger.k - len(self.ledger.pending) >= 3 or not self.ledger.room().any()
            if errors and errors >= HOPELESS and not beyond and not self.tally[place, Status.FAIL] and enough:
                self.stopped = f"{name} failed on every one of {errors} candidates"

    def _store(self, group: Sequence[tuple[Request, Any]], frame: pl.DataFrame, good: pl.DataFrame) -> None:
        job, prefix = self.job, self.run.id
        bad = frame.filter(frame["_status"] != Status.PASS).select(
            synthetic_ids(prefix),
            *self.columns,
            *("_k", "_i", "_cell", "_status", "_check", "_score", "_reason", "_raw"),
        )
        secret = [j for j, s in enumerate(job.stations, 1) if s.private]
        hidden = bad["_check"].is_in(secret).fill_null(False) if secret else pl.repeat(False, bad.height, eager=True)
        requests = [(r.k, r.cell.index, r.ordinal, r.n, job.maker.member(r.ordinal, r.cell.index)) for r, _ in group]
        self.buffer.append(
            {
                "data": good.select(
                    *self.columns,
                    synthetic_ids(prefix),
                    pl.lit("synthetic").alias("_origin"),
                    pl.lit(prefix).alias("_run"),
                    pl.lit(job.depth, pl.UInt8).alias("_depth"),
                ),
                "rows": good.select("_k", "_i", "_cell", "_score"),
                "requests": pl.DataFrame(requests, schema=REQUESTS, orient="row"),
                "rejected": bad.filter(~hidden),
                "private": bad.filter(hidden),
            }
        )
        self.held += good.height

    def _save(self, last: bool = False, force: bool = False) -> None:
        """Parts are cut by accepted rows alone, so the final bytes do not depend on when checkpoints happened."""
        now = time.monotonic()
        new = self.buffer[self.kept :]
        if self.held >= self.job.fill.part_rows or (last and (self.buffer or not self.run.manifest["parts"])):
            self.run.manifest["times"] = {**self.run.manifest.get("times", {}), "fill": round(self.seconds(), 2)}
            self.run.add_part(_pack(self.buffer or [self._nothing()]), self.state())
            self.buffer, self.kept, self.held, self.saved = [], 0, 0, now
        elif new and (force or now - self.saved > self.job.engine.checkpoint):
            segment = _pack(new)
            self.run.manifest["times"] = {**self.run.manifest.get("times", {}), "fill": round(self.seconds(), 2)}
            self.run.checkpoint(segment, self.state())
            self.buffer[self.kept :] = [segment]
            self.kept += 1
            self.saved = now

    def _nothing(self) -> dict[str, pl.DataFrame]:
        empty = failed(self.job.request(0, ANY, 0, 0), "", self.work).with_columns(pl.lit(0, pl.Int32).alias("_cell"))
        self._store([], empty.clear(), empty.clear())
        return self.buffer.pop()

    def _watch(self, good: pl.DataFrame) -> None:
        for station in self.job.monitors:
            alarm = station.plugin.observe(good.select(payload(good)))
            if alarm is not None:
                self.warnings.append(f"{station.use}: {alarm.message}")
                if alarm.stop:
                    self.stopped = f"{station.use}: {alarm.message}"
        if self.watch is not None:
            self.watch(self.progress())

    def progress(self) -> Progress:
        ledger, job = self.ledger, self.job
        asked = int(ledger.judged.sum())
        return Progress(
            job.names,
            job.cells,
            ledger.accepted,
            asked,
            int(self.tally.sum()),
            self.tally,
            self.seconds(),
            self.warnings,
        )


SPAWN_WORTH = 15.0
"""Seconds of serial work left above which starting worker processes (0.6 s each) and moving rows to them pays."""
HOPELESS = 20


def _pack(buffer: Sequence[dict[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    return {kind: pl.concat([b[kind] for b in buffer], rechunk=True) for kind in buffer[0]}


def fill(job: Job, run: Run, watch: Watch | None = None) -> Filling:
    """Fills the run, or finds it filled. What could not be made is in `stopped` and in the ledger's `room()`."""
    filling = Filling(job, run, watch)
    filling.resume()
    if not run.manifest.get("filled"):
        filling.fill()
        run.manifest["filled"] = not filling.stopped
        run.commit()
    return filling
