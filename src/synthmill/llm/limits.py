"""How many questions may be out at once, how fast they may leave, and how long to wait before another try."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from statistics import median

FIRST, MOST = 8, 256
"""Questions out at once when nothing is known of a server, and when it never complains."""
_ROUNDS = 32
"""Rounds of answers between two comparisons with half as many at once."""
_GAIN = 1.25
"""Times the throughput that twice as many at once must bring to be worth it."""
_GROWTH, _HASTE = 0.0025, 1.1
"""Of the pace, per second after a complaint, and by how much that grows with every further second."""


@dataclass
class Limit:
    """The concurrency that a server bears, found out: it doubles while throughput follows (slow start, Jacobson 1988), then
    grows by one a round and gives way when answers suddenly take twice as long or the server complains (AIMD, Chiu & Jain
    1989). A server that queues never complains, so every 32 rounds one is made with half as many at once: where that
    is hardly slower, half as many it stays. Times are seconds of any steady clock, given by the caller.

    A complaint (429) also sets a pace, a twentieth below what the server took in that second. It grows again, slowly at
    first. A server that counts requests per second is found so within one or two of its windows, whatever the latency.

    cap: the user's own number, which ends all finding out but the pace.
    """

    cap: int | None = None
    allowed: float = FIRST
    paused_until: float = 0.0
    rate: float | None = None
    _next: float = 0.0
    _touched: float = 0.0
    _complained: float = 0.0
    _deaf_until: float = -1.0
    _taken: int = 0
    _weighing: bool = False
    _served: deque[float] = field(default_factory=deque)
    _starting: bool = True
    _round: list[float] = field(default_factory=list)
    _since: float = -1.0
    _rounds: int = 0
    _best: float = 0.0
    _usual: float = 0.0
    _whole: float = 0.0
    _late: int = 0

    def __post_init__(self) -> None:
        if self.cap is not None:
            self.allowed = self.cap

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave; 0: at once."""
        if now < self.paused_until:
            return self.paused_until - now
        if self._weighing:
            self._set_pace(now)
        if self.rate is None:
            return 0.0
        growth = _GROWTH * _HASTE ** min(60.0, now - self._complained)
        self.rate *= (1 + growth) ** max(0.0, now - self._touched)
        self._touched = now
        return max(0.0, self._next - now)

    def left(self, now: float) -> None:
        """A request leaves. What the pace allowed but nobody used is lost, but for a tenth of a second's worth."""
        if self.rate is not None:
            self._next = max(self._next, now - 0.1) + 1 / self.rate

    def served(self, now: float, seconds: float, more: bool) -> None:
        """A request was answered. more: others wait to leave, so that it is the limit what is measured."""
        self._served.append(now)
        self._taken += self._weighing
        while self._served[0] < now - 1:
            self._served.popleft()
        if self.cap is not None or not more:
            self._round, self._since = [], now
            return
        if self._since < 0:
            self._since = now - seconds
        self._round.append(seconds)
        if len(self._round) >= max(8, int(self.allowed)):
            throughput, usual = len(self._round) / max(1e-9, now - self._since), median(self._round)
            self._round, self._since = [], now
            self._adapt(throughput, usual)

    def _adapt(self, throughput: float, usual: float) -> None:
        """After a round: as many answers as may be out at once. usual: the median of their seconds."""
        self._rounds += 1
        if self._starting:
            if throughput > 1.1 * self._best:
                self._best, self._usual = throughput, usual
                self.allowed = min(MOST, self.allowed * 2)
                self._starting = self.allowed < MOST
            else:
                self._starting, self.allowed = False, max(1.0, self.allowed / 2)
        elif self._whole and self._late:
            self._late -= 1
        elif self._whole:
            if 2 * usual / self._usual > _GAIN:
                self.allowed = self._whole  # half as many at once are answered no faster: the server bears them all
            self._whole = 0.0
        elif usual > 2 * self._usual:
            self._usual, self.allowed = usual, max(1.0, self.allowed * 0.8)
        elif self._rounds % _ROUNDS == 0 and self.allowed >= 2:
            self._usual, self._whole, self.allowed = usual, self.allowed, self.allowed / 2
            self._late = 2  # rounds whose answers were asked for while twice as many were out
        else:
            self._usual += 0.1 * (usual - self._usual)
            self.allowed = min(MOST, self.allowed + 1)

    def complained(self, now: float, after: float | None) -> None:
        """The server asked to slow down. Complaints about requests that left before the first was heard count once."""
        self.paused_until = max(self.paused_until, now + (1.0 if after is None else after))
        if now < self._deaf_until:
            return
        self._taken, self._weighing = sum(1 for t in self._served if t >= now - 1), True
        self._starting, self._whole = False, 0.0
        self._complained, self._deaf_until = now, self.paused_until + 0.2
        if self.cap is None:
            self.allowed = max(1.0, self.allowed / 2)

    def _set_pace(self, now: float) -> None:
        """What the server took in the second before it complained, with what was still under way then."""
        self._weighing = False
        self._touched = self._next = now
        if self._taken >= 5:  # fewer say nothing of a pace
            least = 0.5 * (self.rate or 0.0)
            self.rate = max(least, 0.95 * min(self._taken, self.rate or self._taken))

    def told(self, now: float, remaining: int, reset: float) -> None:
        """From rate-limit headers: so many requests are left until so many seconds from now."""
        if remaining <= 0 < reset:
            self.paused_until = max(self.paused_until, now + min(reset, 60.0))


def pause(address: str, attempt: int, base: float = 0.25, most: float = 20.0) -> float:
    """Seconds before try number `attempt` (1: the first repetition): full jitter (Brooker, 2015), from the question's own
    stream, so that questions which failed together do not come back together."""
    return random.Random(f"{address}/{attempt}").uniform(0.2, 1.0) * min(most, base * 2**attempt)
