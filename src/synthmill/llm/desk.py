"""Where all questions of a run pass: the journal is looked at, the budget asked, and what was spent written down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from synthmill.refusal import Halt

from .budget import Budget, Cost, Prices, Spending
from .channel import Channel, Errand, loop
from .engine import Payload
from .question import Answer


class Store(Protocol):
    """What the desk needs of a journal."""

    def find(self, addresses: Sequence[str]) -> dict[str, Answer]: ...

    def store(self, entries: Sequence[Entry]) -> Mapping[str, Answer]: ...

    def book(self, lines: Mapping[tuple[str, str], tuple[int, int]]) -> None: ...


@dataclass(eq=False)
class Entry:
    """A question with all that is written down of it. question: canonical JSON of what decides the answer; fixed: its
    temperature is 0, so that asking again cannot help. group: entries of one call with the same number are samples of one
    prompt, which may be asked for at once."""

    address: str
    question: bytes
    payload: Payload
    model: str
    stage: str
    cost: Cost
    fixed: bool = False
    answer: Answer | None = None
    tries: int = 1
    group: int | None = None

    @property
    def free(self) -> Cost:
        """Of a further sample, whose prompt is paid for."""
        return replace(self.cost, prompt_tokens=0)


class _Batch:
    """The questions of one call of `ask`, and the thread that waits for them."""

    def __init__(self, n: int) -> None:
        self.answers: list[Answer | None] = [None] * n
        self.left = n
        self.halt: Halt | None = None
        self.ready = threading.Event()


class Desk:
    """Shared by all models of a run and all their threads. Without a journal every question is asked; without a budget
    nothing is capped. Equal questions that are out at the same time are asked once.

    again: by model, how many questions at temperature 0 were repeated: they were not asked, since the answer is known.
    """

    def __init__(
        self,
        journal: Store | None = None,
        budget: Budget | None = None,
        spending: Spending | None = None,
        offline: bool = False,
        tasting: bool = False,
    ) -> None:
        """offline: what the journal does not know is not asked: it stops the run. tasting: answers are kept in `answers`
        with what each cost, or would have cost without the journal."""
        self._offline, self._tasting = offline, tasting
        self.answers: list[tuple[Answer, float | None]] = []
        self.journal, self.budget = journal, budget or Budget()
        self.spending = spending or Spending()
        self._lock = threading.Lock()
        self._out: dict[str, list[tuple[_Batch, int]]] = {}
        self._arrived: list[Entry] = []
        self._waiting: set[Channel] = set()
        self._closed = False
        self._halt: Halt | None = None
        self._fixed: set[bytes] = set()
        self._booked = {k: (s.asked, s.remembered) for k, s in self.spending.lines.items()}
        self._prices: dict[str, Prices] = {}
        self.again: dict[str, int] = {}

    def ask(self, way: Callable[[], Channel], entries: Sequence[Entry], deadline: float, retries: int) -> list[Answer]:
        """Answers in the order of the questions; way: opens the channel, if any has to be asked. Blocks. Raises Halt when the run cannot go on."""
        batch = _Batch(len(entries))
        if not entries:
            return []
        mine = self._claim(batch, entries)
        known = self.journal.find([e.address for e in mine]) if self.journal and mine else {}
        for e in mine:
            if e.address in known:
                self.spending.remembered(e.model, e.stage)
                self._settle(e.address, replace(known[e.address], address=e.address, cached=True))
        new = [e for e in mine if e.address not in known]
        for e in new if self._offline else ():
            self._settle(e.address, Halt("SYNTHMILL_OFFLINE is set, and a question is not in the journal", 1))
        if new and not self._offline:
            self._send(way(), new, deadline, retries)
        while not batch.ready.wait(1.0):  # in pieces, so that Ctrl-C is heard
            continue
        if batch.halt is not None:
            raise Halt(str(batch.halt), batch.halt.code)
        answers = [a for a in batch.answers if a is not None]
        if self._tasting:
            self.answers += [(a, e.cost.of(a)) for a, e in zip(answers, entries, strict=True)]
        return answers

    def _send(self, channel: Channel, entries: Sequence[Entry], deadline: float, retries: int) -> None:
        allow, done = self._allow(channel), self._done(channel)
        several = getattr(channel.engine, "several", False)
        groups = _together(entries) if several else [[e] for e in entries]
        channel.send([Errand(g[0].address, _payload(g), deadline, retries, allow, done, note=g) for g in groups])

    def account(self) -> list[dict[str, Any]]:
        """What was spent, per model and stage, as JSON-able data; the journal's hit rate is brought up to date."""
        told = self.spending.to_json()
        if self.journal is not None:
            now = {(t["model"], t["stage"]): (t["asked"], t["remembered"]) for t in told}
            old = {k: self._booked.get(k, (0, 0)) for k in now}
            self.journal.book({k: (a - old[k][0], r - old[k][1]) for k, (a, r) in now.items()})
            self._booked = now
        return told

    @property
    def prices(self) -> dict[str, dict[str, Any]]:
        """By model, as far as they are known: what its answers are counted at from now on."""
        return {m: asdict(p) for m, p in sorted(self._prices.items())}

    def priced(self, model: str, prices: Prices | None) -> None:
        if prices is not None:
            self._prices[model] = prices

    def close(self) -> None:
        """What has not left yet never will; answers that are still to come are kept in the journal."""
        self._closed = True

    def reopen(self) -> None:
        """For what asks after the filling: its caps hold on, its time does not."""
        self._closed, self._halt = False, None
        self.budget.until = None

    def _claim(self, batch: _Batch, entries: Sequence[Entry]) -> list[Entry]:
        """Those of the questions that nobody else is asking already. They are claimed before the journal is looked at and
        released after it was written, so that none is asked twice."""
        mine = []
        with self._lock:
            for place, e in enumerate(entries):
                self._notice(e)
                waiting = self._out.get(e.address)
                if waiting is None:
                    self._out[e.address] = [(batch, place)]
                    mine.append(e)
                else:
                    waiting.append((batch, place))
                    self.spending.remembered(e.model, e.stage)
        return mine

    def _notice(self, e: Entry) -> None:
        if not e.fixed:
            return
        short = bytes.fromhex(e.address[:32])
        if short in self._fixed:
            self.again[e.model] = self.again.get(e.model, 0) + 1
        self._fixed.add(short)

    def _settle(self, address: str, answer: Answer | Halt) -> None:
        with self._lock:
            for batch, place in self._out.pop(address, ()):
                if isinstance(answer, Halt):
                    batch.halt = batch.halt or answer
                else:
                    batch.answers[place] = answer
                batch.left -= 1
                if not batch.left:
                    batch.ready.set()

    def _allow(self, channel: Channel) -> Any:
        def allow(errand: Errand) -> bool | Halt:
            if self._closed:
                return Halt("the run has ended", 1)
            if self._halt is not None:
                return self._halt
            if errand.tries:  # it holds its reservation until it is answered
                return True
            may = self.budget.reserve(errand.address, _cost(errand.note), self.spending)
            if may is False:
                self._waiting.add(channel)
            return may

        return allow

    def _done(self, channel: Channel) -> Any:
        def done(errand: Errand, came: Answer | list[Answer] | Halt) -> None:
            entries: list[Entry] = errand.note
            if isinstance(came, Halt):
                self._halt = self._halt or came
                for entry in entries:
                    self._settle(entry.address, came)
            answers = [] if isinstance(came, Halt) else came if isinstance(came, list) else [came] * len(entries)
            answers = _counted(entries, answers)
            for entry, answer in zip(entries, answers, strict=False):
                self._keep(entry, answer, errand.tries if entry is entries[0] else 1)
            self.budget.release(errand.address, _cost(entries), answers[0] if answers else None)
            if isinstance(came, list) and len(came) < len(entries):
                for entry in entries[len(came) :]:
                    entry.group = None
                self._send(channel, entries[len(came) :], errand.deadline, errand.retries)
            waiting, self._waiting = self._waiting, set()
            for other in waiting - {channel}:
                other.pump()

        return done

    def _keep(self, entry: Entry, answer: Answer, tries: int) -> None:
        answer = replace(answer, address=entry.address)
        entry.answer, entry.tries = answer, tries
        self.spending.paid(entry.model, entry.stage, answer, entry.cost.of(answer), tries)
        if not self._arrived:
            loop().call_soon(self._flush)
        self._arrived.append(entry)

    def _flush(self) -> None:
        """Everything that arrived in one turn of the loop is one transaction; nobody hears of an answer before it is kept."""
        arrived, self._arrived = self._arrived, []
        first: Mapping[str, Answer] = {}
        if self.journal is not None:
            try:
                first = self.journal.store(arrived)
            except Exception as e:
                for entry in arrived:
                    self._settle(entry.address, Halt(f"the journal cannot be written: {e}", 1))
                return
        for entry in arrived:
            if entry.answer is not None:
                self._settle(entry.address, first.get(entry.address, entry.answer))


MOST = 16
"""Samples that are asked for at once; servers that give any give so many."""


def _together(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Neighbours of one group, at most `MOST`; the others alone."""
    groups: list[list[Entry]] = []
    for e in entries:
        last = groups[-1] if groups else []
        if e.group is not None and last and last[0].group == e.group and len(last) < MOST:
            last.append(e)
        else:
            groups.append([e])
    return groups


def _payload(group: Sequence[Entry]) -> Payload:
    """For several samples without a seed: some servers give every sample the same, and then they are one answer n times."""
    payload = group[0].payload
    return payload if len(group) == 1 else {k: v for k, v in payload.items() if k != "seed"} | {"n": len(group)}


def _cost(group: Sequence[Entry]) -> Cost:
    cost = group[0].cost
    return replace(cost, completion_tokens=sum(e.cost.completion_tokens for e in group)) if len(group) > 1 else cost


def _counted(entries: Sequence[Entry], answers: Sequence[Answer]) -> list[Answer]:
    """With tokens, where the server counted none."""
    if any(a.prompt_tokens or a.completion_tokens for a in answers):
        return list(answers)
    pairs = zip(entries, answers, strict=False)
    return [(e.free if i else e.cost).counted(a) for i, (e, a) in enumerate(pairs)]
