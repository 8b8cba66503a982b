"""The limit that is found out, against servers that are simulated on a clock of their own."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest

from synthmill.llm.limits import FIRST, MOST, Limit, pause


def simulate(limit: Limit, serve: Callable[[float, int], float | None], questions: int) -> tuple[float, int, int]:
    """serve(now, out) -> seconds that an answer takes, or None: 429 with Retry-After 1. (seconds, complaints, most out)"""
    now, done, out, complaints, most = 0.0, 0, 0, 0, 0
    events: list[tuple[float, int, float]] = []
    waiting, n = questions, 0
    while done < questions:
        wait = limit.wait(now)
        if waiting and out < int(limit.allowed) and wait <= 0:
            limit.left(now)
            took = serve(now, out)
            n += 1
            heapq.heappush(events, (now + (0.005 if took is None else took), n, -1.0 if took is None else took))
            waiting, out = waiting - 1, out + 1
            most = max(most, out)
            continue
        nearest = events[0][0] if events else float("inf")
        if waiting and out < int(limit.allowed) and now + wait < nearest:
            now += wait
            continue
        now, _, took = heapq.heappop(events)
        out -= 1
        if took < 0:
            limit.complained(now, 1.0)
            complaints, waiting = complaints + 1, waiting + 1
        else:
            limit.served(now, took, waiting > 0)
            done += 1
    return now, complaints, most


def test_a_server_that_never_tires_is_asked_ever_more_at_once() -> None:
    limit = Limit()
    assert limit.allowed == FIRST
    simulate(limit, lambda now, out: 0.05, 5000)
    assert limit.allowed == MOST


def test_a_server_that_answers_sixteen_at_once_is_not_swamped() -> None:
    """Beyond 16 at once answers only take longer. What is allowed stays at a few times 16."""
    limit = Limit()
    seconds, complaints, _ = simulate(limit, lambda now, out: 0.05 * max(1, (out + 1) / 16), 8000)
    assert complaints == 0
    assert 16 <= limit.allowed <= 64
    assert seconds < 1.1 * 8000 * 0.05 / 16


def test_a_cap_on_requests_per_second_is_found() -> None:
    """A hundred in each second of the clock: within a fifth of the ideal time, with less than 3% complaints."""
    window = [0, 0]

    def serve(now: float, out: int) -> float | None:
        if window[0] != int(now):
            window[:] = [int(now), 0]
        window[1] += 1
        return 0.05 if window[1] <= 100 else None

    seconds, complaints, _ = simulate(Limit(), serve, 2000)
    assert seconds <= 1.2 * 20
    assert complaints < 0.03 * 2000


def test_a_cap_of_the_users_is_never_passed() -> None:
    limit = Limit(cap=5)
    _, _, most = simulate(limit, lambda now, out: 0.05, 500)
    assert most == 5
    assert limit.allowed == 5


def test_after_a_complaint_nothing_leaves_until_it_may() -> None:
    limit = Limit()
    limit.complained(10.0, 3.0)
    assert limit.wait(10.0) == 3.0
    assert limit.wait(13.0) == 0.0


def test_what_the_headers_tell_is_heeded() -> None:
    limit = Limit()
    limit.told(10.0, 5, 2.0)
    assert limit.wait(10.0) == 0.0
    limit.told(10.0, 0, 2.0)
    assert limit.wait(10.0) == 2.0


@pytest.mark.parametrize("attempt", [1, 2, 3, 8])
def test_waits_grow_and_differ_between_questions(attempt: int) -> None:
    waits = [pause(f"{i}", attempt) for i in range(200)]
    most = min(20.0, 0.25 * 2**attempt)
    assert len(set(waits)) == 200
    assert 0.15 * most < min(waits) < max(waits) <= most
    assert waits[0] == pause("0", attempt)
