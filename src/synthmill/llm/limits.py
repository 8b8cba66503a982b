"""How many questions may be out at once, how fast they may leave, and how long to wait before another try."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from statistics import median

FIRST, MOST = 8, 256
"""Questions out at once when nothing is known of a server, and when it never complains."""


@dataclass
class Limit:
    """The concurrency that a server bears, found out: it doubles while throughput follows, then grows by steps and gives
    way as soon as answers take twice as long or the server complains. Chiu & Jain (1989) for the rule (AIMD); slow start
    as in Jacobson (1988). Times are seconds of any steady clock, given by the caller, so that this can be tested.

    After a complaint (429) the pace is held too: requests leave at the rate that was just served, growing by a hundredth a
    second; each further complaint halves that growth. A server that counts requests per second is found so within one or
    two of its windows, whatever the latency.

    cap: the user's own number, which ends all finding out.
    """

    cap: int | None = None
    allowed: float = FIRST
    paused_until: float = 0.0
    rate: float | None = None
    _growth: float = 0.01
    _next: float = 0.0
    _touched: float = 0.0
    _served: deque[float] = field(default_factory=deque)
    _starting: bool = True
    _window: list[float] = field(default_factory=list)
    _since: float = -1.0
    _before: float = 0.0
    _usual: float = 0.0
    _eased: float = -1.0

    def __post_init__(self) -> None:
        if self.cap is not None:
            self.allowed = self.cap

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave; 0: at once."""
        if now < self.paused_until:
            return self.paused_until - now
        if self.rate is None:
            return 0.0
        self.rate *= (1 + self._growth) ** max(0.0, now - self._touched)
        self._touched = now
        return max(0.0, self._next - now)

    def left(self, now: float) -> None:
        """A request leaves. What pace allowed but was not used is lost, but for a tenth of a second's worth."""
        if self.rate is not None:
            self._next = max(self._next, now - 0.1) + 1 / self.rate

    def served(self, now: float, seconds: float, full: bool) -> None:
        """A request was answered. full: all that are allowed were out, so that the limit is what was measured."""
        self._served.append(now)
        while self._served and self._served[0] < now - 1:
            self._served.popleft()
        if self.cap is not None or not full:
            self._window, self._since = [], now
            return
        if self._since < 0:
            self._since = now - seconds
        self._window.append(seconds)
        if len(self._window) >= max(8, int(self.allowed)):
            self._adapt(now)

    def _adapt(self, now: float) -> None:
        throughput = len(self._window) / max(1e-9, now - self._since)
        usual = median(self._window)
        self._window, self._since = [], now
        if self._starting:
            if throughput > 1.1 * self._before:
                self._before, self._usual = throughput, usual
                self.allowed = min(MOST, self.allowed * 2)
                self._starting = self.allowed < MOST
            else:
                self._starting, self.allowed = False, max(1.0, self.allowed / 2)
        elif usual > 2 * self._usual:
            self.allowed = max(1.0, self.allowed * 0.8)
        else:
            self._usual = min(self._usual * 1.02, usual) if self._usual else usual
            self.allowed = min(MOST, self.allowed + 1)

    def complained(self, now: float, after: float | None) -> None:
        """The server asked to slow down. Complaints about requests that left before the last one was heard count once."""
        self.paused_until = max(self.paused_until, now + (1.0 if after is None else after))
        if now < self._eased:
            return
        recent = sum(1 for t in self._served if t >= now - 1)
        self._growth = self._growth / 2 if self.rate is not None else self._growth
        self.rate = max(1.0, 0.95 * (recent if self.rate is None else min(self.rate, max(recent, 0.7 * self.rate))))
        self._touched = self._next = self.paused_until
        self._starting = False
        if self.cap is None:
            self.allowed = max(1.0, self.allowed / 2)
        self._eased = self.paused_until + 0.2

    def told(self, now: float, remaining: int, reset: float) -> None:
        """From rate-limit headers: so many requests are left until so many seconds from now."""
        if remaining <= 0 < reset:
            self.paused_until = max(self.paused_until, now + min(reset, 60.0))


def pause(address: str, attempt: int, base: float = 0.25, most: float = 20.0) -> float:
    """Seconds before try number `attempt` (1: the first repetition): full jitter (Brooker, 2015), from the question's own
    stream, so that questions which failed together do not come back together."""
    return random.Random(f"{address}/{attempt}").uniform(0.2, 1.0) * min(most, base * 2**attempt)
