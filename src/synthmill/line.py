"""The closed loop: ask, generate, verify, admit, until every cell's quota of accepted records is met or cannot be."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from .candidates import apply, failed, veil
from .cells import ANY, Assign
from .engine import Engine, Failure, overdue
from .engine.signals import Overdue, deadline, undisturbed
from .frame import Status, payload, synthetic_ids
from .guards import TURNED, turned
from .job import Job, Progress, Watch
from .lineage import REQUESTS, shown, unshown
from .plugins import FAILURES, Alarm, Request, sentence
from .refusal import Halt, Refusal
from .run import Run, encode


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
        self.halted = False  # by a monitor: what it found does not go away by asking again
        self.buffer: list[dict[str, pl.DataFrame]] = []
        self.kept = 0
        self.held = np.zeros(2, np.int64)  # accepted and rejected rows in the buffer
        self.weighed, self.density = 0, 0.0
        self.started = self.saved = time.monotonic()
        self.seconds_before = 0.0
        self.failures = {e["k"]: Failure(e["message"], e["at"]) for e in run.journaled()}

    def state(self) -> dict[str, Any]:
        return {
            "ledger": self.ledger.state(),
            "tally": self.tally.tolist(),
            "by_cell": self.by_cell.tolist(),
            "outside": self.outside,
            "warnings": self.warnings,
            "stopped": self.stopped,
            "halted": self.halted,
            "weighed": [self.weighed, self.density],
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
        self.outside, self.warnings = state["outside"], list(state["warnings"])
        self.halted = state["halted"]
        ended = "filled" in self.run.manifest and not self.halted  # else it was killed before it could end
        self.stopped = "" if ended else state["stopped"]
        for station, saved in zip(self.job.monitors, state["monitors"], strict=True):
            if saved is not None:
                station.plugin.load(saved)
        self.weighed, self.density = state["weighed"]
        self.buffer = self.run.recover()
        self.kept = len(self.buffer)
        self.held = sum((_rows_of(b) for b in self.buffer), self.held)
        if self.job.late and not self.run.manifest.get("filled"):
            self._remember(self.run.data(self.columns))

    def fill(self) -> None:
        """Runs until every quota is met, attempts or budget are spent, or a monitor stops it."""
        need = self.job.engine
        kind = ("thread" if self.job.kind == "io" else "serial") if need.kind == "auto" else need.kind
        workers = need.workers or (self.job.threads if kind == "thread" else None)
        engine = Engine(self.work, kind, workers, self.job.timeout)
        if self.job.desk is not None and self.job.budget.seconds:
            self.job.desk.budget.until = self.started + self.job.budget.seconds - self.seconds_before
        self.run.manifest.pop("filled", None)
        try:
            while not self.stopped and self._rounds(engine, adaptive=need.kind == "auto"):
                pass
            self.warnings = [w for w in self.warnings if TURNED not in w] + turned(self.job.stations, self.tally)
            self.warnings += [n for n in self.job.notes if n not in self.warnings]
            with undisturbed():
                self._save(last=True)
        except KeyboardInterrupt:
            self._save(force=True)
            raise
        finally:
            engine.close()
            if self.job.desk is not None:
                self.job.desk.close()

    def _rounds(self, engine: Engine[Request], adaptive: bool) -> bool:
        """Asks and admits until there is nothing to ask; True if anything was done."""
        group: list[tuple[Request, Any]] = []
        done = False
        for request, answer in engine.map(self._requests(), self.job.window, lambda r: self.failures.get(r.k)):
            done = True
            if isinstance(answer, Failure) and answer.halt:
                self.stopped = answer.message
                break
            group.append((request, answer))
            if len(group) < self.job.group and not self.stopped:
                continue
            self._settle(group)
            group = []
            if self.stopped:
                return True
            if adaptive and self._remaining() > SPAWN_WORTH:
                engine.speed_up()
        if group:
            self._settle(group)
        return done

    def _settle(self, group: Sequence[tuple[Request, Any]]) -> None:
        """What a halt (a spent budget, a refused key) leaves unjudged stays planned: the same run makes it again."""
        try:
            frame = self._judged(group)
        except Halt as e:
            self.stopped = str(e)
            return
        with undisturbed():
            self._admit(group, frame)
            self._save()

    def _requests(self) -> Iterator[Request | None]:
        """Planned but unadmitted requests of a killed run first, then whatever the ledger asks."""
        for k, (cell, ordinal, n) in sorted(self.ledger.pending.items()):
            yield self.job.request(k, cell, ordinal, n)
        while True:
            planned = None if self._spent() else self.ledger.plan()
            yield self.job.request(*planned) if planned else None

    def _spent(self) -> bool:
        budget = self.job.budget
        if not self.ledger.room().any():
            return False
        if budget.seconds and self.seconds() > budget.seconds:
            self.stopped = f"the budget of {budget.seconds:g} s is spent"
        if budget.megabytes and self._size() > budget.megabytes * 1e6:
            self.stopped = f"the budget of {budget.megabytes:g} MB is spent"
        return bool(self.stopped)

    def _size(self) -> float:
        """Bytes of accepted data: parts as they lie on disk, and what is held at the bytes a row was found to take."""
        parts = (self.run.path("data", p).stat().st_size for p in range(self.run.manifest["parts"]))
        return sum(parts) + float(self.held[0]) * self.density

    def _weigh(self) -> None:
        """Encodes what is held to see what a row takes on disk, whenever the rows held have doubled."""
        if self.job.budget.megabytes and self.held[0] >= 2 * self.weighed:
            file = io.BytesIO()
            encode(_pack(self.buffer)["data"], file)
            self.weighed = int(self.held[0])
            self.density = len(file.getvalue()) / max(1, self.weighed)

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _remaining(self) -> float:
        """Seconds that filling would still take at the pace so far."""
        accepted = int(self.ledger.accepted.sum())
        pace = (time.monotonic() - self.started) / max(1, accepted)
        return pace * float(self.ledger.room().sum())

    def _judged(self, group: Sequence[tuple[Request, Any]]) -> pl.DataFrame:
        """Every verdict on a group's candidates. A check that hangs here takes the whole group with it."""
        for request, answer in group:
            if isinstance(answer, Failure):
                self._journal(request, answer)
        try:
            with deadline(self.job.timeout):
                frame = self._candidates(group)
                for place, station in enumerate(self.job.late, len(self.job.early) + 1):
                    frame = apply(frame, station.plugin, place, self.columns)
                return veil(frame, self.job.stations, self.columns)
        except Overdue as e:
            for request, _ in group:
                self._journal(request, Failure(overdue(self.job.timeout), e.at))
        return veil(self._candidates(group), self.job.stations, self.columns)

    def _journal(self, request: Request, failure: Failure) -> None:
        """What the outside world decided (a deadline, a dead worker) is written down, so that it stays decided."""
        if request.k not in self.failures:
            self.run.journal({"k": request.k, "message": failure.message, "at": failure.at})
            self.failures[request.k] = failure

    def _candidates(self, group: Sequence[tuple[Request, Any]]) -> pl.DataFrame:
        """Candidates of a group in request order, judged by what needs no memory; error rows for requests that failed."""
        frames: list[pl.DataFrame] = []
        bare: list[tuple[Request, Any]] = []
        for request, answer in group:
            failure = self.failures.get(request.k)
            if self.work.bare and failure is None:
                bare.append((request, answer))
                continue
            frames += [self.work.judge(bare)] if bare else []
            bare = []
            frames.append(answer if failure is None else failed(request, failure, self.work))
        frames += [self.work.judge(bare)] if bare else []
        return frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=True)

    def _admit(self, group: Sequence[tuple[Request, Any]], frame: pl.DataFrame) -> None:
        """Cells are measured, quotas trim, and only what is accepted is remembered."""
        cell = self.assign(frame)
        frame = self._outside(frame, cell).with_columns(pl.Series("_cell", cell))
        frame, accepted = self._trim(frame)
        good = frame.filter(pl.Series(accepted))
        self._remember(good.select(self.columns))
        self.ledger.settle([r.k for r, _ in group])
        self._count(frame)
        self._store(group, frame, good)
        self._weigh()
        self._watch(good)

    def _remember(self, admitted: pl.DataFrame) -> None:
        for station in self.job.late:
            try:
                station.plugin.remember(admitted)
            except FAILURES as e:
                raise Refusal(
                    f"{self.run.root}: {station.use} could not remember what was admitted: {sentence(e)}", 1
                ) from e

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
        if judged >= DOUBTFUL and not self.ledger.good.any() and not self.warnings:
            worst = self.job.names[int(self.tally[:, Status.FAIL].argmax())]
            self.warnings.append(f"none of the first {judged:,} candidates passed; {worst} rejects most of them")

    def _store(self, group: Sequence[tuple[Request, Any]], frame: pl.DataFrame, good: pl.DataFrame) -> None:
        job, prefix = self.job, self.run.id
        bad = frame.filter(frame["_status"] != Status.PASS).select(
            synthetic_ids(prefix),
            *self.columns,
            *("_k", "_i", "_cell", "_status", "_check", "_score", "_reason", "_raw", "_hidden"),
            *shown(self.work.traced),
        )
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
                "rows": good.select("_k", "_i", "_cell", "_score", *shown(self.work.traced)),
                "parents": unshown(frame),
                "requests": pl.DataFrame(requests, schema=REQUESTS, orient="row"),
                "rejected": bad.filter(~pl.col("_hidden")).drop("_hidden"),
                "private": bad.filter("_hidden").drop("_hidden"),
            }
        )
        self.held += _rows_of(self.buffer[-1])

    def _save(self, last: bool = False, force: bool = False) -> None:
        """Parts are cut by the rows held alone, so the final bytes do not depend on when checkpoints happened.

        Rejected rows count too: where most candidates leave, they are what fills the memory.
        """
        now = time.monotonic()
        new = self.buffer[self.kept :]
        self.run.manifest |= self.job.account()
        self.run.manifest["times"] = {**self.run.manifest.get("times", {}), "fill": round(self.seconds(), 2)}
        full = self.held.max() >= self.job.fill.part_rows
        if full or (last and (self.buffer or not self.run.manifest["parts"])):
            self.run.add_part(_pack(self.buffer or [self._nothing()]), self.state())
            self.buffer, self.kept, self.saved = [], 0, now
            self.held[:] = 0
        elif new and (force or now - self.saved > self.job.engine.checkpoint):
            segment = _pack(new)
            self.run.checkpoint(segment, self.state())
            self.buffer[self.kept :] = [segment]
            self.kept += 1
            self.saved = now

    def _nothing(self) -> dict[str, pl.DataFrame]:
        empty = failed(self.job.request(0, ANY, 0, 0), Failure(""), self.work).with_columns(
            pl.lit(0, pl.Int32).alias("_cell"), pl.lit(False).alias("_hidden")
        )
        self._store([], empty.clear(), empty.clear())
        return self.buffer.pop()

    def _watch(self, good: pl.DataFrame) -> None:
        for station in self.job.monitors:
            try:
                alarm = station.plugin.observe(good.select(payload(good)))
            except FAILURES as e:
                alarm = Alarm(f"could not observe: {sentence(e)}")
            if alarm is not None:
                message = f"{station.use}: {alarm.message}"
                self.warnings += [message] if message not in self.warnings else []
                self.stopped, self.halted = (message, True) if alarm.stop else (self.stopped, self.halted)
        if self.watch is not None:
            self.watch(self.progress())

    def progress(self) -> Progress:
        asked, made = int(self.ledger.judged.sum()), int(self.tally.sum())
        names, cells, accepted = self.job.names, self.job.cells, self.ledger.accepted
        return Progress(names, cells, accepted, asked, made, self.tally, self.seconds(), self.warnings)


SPAWN_WORTH = 15.0
"""Seconds of serial work left above which starting worker processes (0.6 s each) and moving rows to them pays."""
HOPELESS = 20
DOUBTFUL = 2000
"""Candidates after which a run that has admitted nothing says so, though it goes on."""


def _rows_of(frames: dict[str, pl.DataFrame]) -> Any:
    return np.array([frames["data"].height, frames["rejected"].height + frames["private"].height])


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
