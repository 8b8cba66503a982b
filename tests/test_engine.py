from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthmill.engine import Engine, Failure
from synthmill.engine.processes import Processes
from synthmill.engine.signals import Overdue, deadline, undisturbed
from synthmill.refusal import Refusal

KINDS = ("serial", "thread", "process")


def double(x: Any) -> Any:
    """Work with every fault a plugin could have, by the item's name."""
    if x == "raise":
        raise ValueError("no\nway")
    if x == "exit":
        sys.exit(3)
    if x == "hang":
        time.sleep(60)
    if x == "spin":
        while True:
            try:
                time.sleep(60)
            except Exception:
                continue
    if x == "die":
        os._exit(1)
    if x == "lambda":
        return lambda: x
    return 2 * x


def answers(kind: str, items: list[Any], workers: int = 2, timeout: float = 30.0, window: int = 4) -> list[Any]:
    engine: Engine[Any] = Engine(double, kind, workers, timeout)
    try:
        return [a for _, a in engine.map(iter(items), window)]
    finally:
        engine.close()


@pytest.mark.parametrize("kind", KINDS)
def test_answers_come_in_order(kind: str) -> None:
    assert answers(kind, list(range(20))) == [2 * i for i in range(20)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_raises_or_exits_is_a_failure_of_that_item_alone(kind: str) -> None:
    said = [Failure("ValueError: no"), Failure("SystemExit: 3")]
    assert answers(kind, [1, "raise", "exit", 2]) == [2, *said, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_what_hangs_is_a_failure_of_that_item_alone(kind: str) -> None:
    late = Failure("no answer within 0.3 s")
    start = time.monotonic()
    assert answers(kind, [1, "hang", 2, "spin", 3, 4], timeout=0.3) == [2, late, 4, late, 6, 8]
    assert time.monotonic() - start < 30


def test_more_hanging_items_than_threads_keep_nobody_else_waiting() -> None:
    late = Failure("no answer within 0.2 s")
    items = ["hang", "hang", "hang", 1, "hang", 2, 3]
    assert answers("thread", items, workers=2, timeout=0.2, window=7) == [late, late, late, 2, late, 4, 6]


def test_the_deadline_of_a_thread_counts_from_when_it_begins() -> None:
    """One thread, ten naps of 0.1 s, all asked at once: the last begins 0.9 s after it was asked."""
    slow: Engine[int] = Engine(lambda x: time.sleep(0.1) or x, "thread", 1, 0.6)
    assert [a for _, a in slow.map(iter(range(10)), 10)] == list(range(10))
    slow.close()


def test_threads_left_hanging_do_not_keep_the_program_from_ending() -> None:
    script = (
        "import time\nfrom synthmill.engine import Engine\n"
        "e = Engine(lambda x: time.sleep(60), 'thread', 2, 0.1)\n"
        "print([a.message for _, a in e.map(iter([1, 2]), 2)])\ne.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=40, check=False)
    assert done.stdout.count("no answer within") == 2
    assert done.returncode == 0


def test_a_worker_that_dies_is_replaced_and_its_item_tried_once_more(tmp_path: Path) -> None:
    assert answers("process", [1, "die", 2], workers=1) == [2, Failure("its worker died 2 times"), 4]
    mark = tmp_path / "mark"

    def dies_once(x: int) -> int:
        if not mark.exists():
            mark.touch()
            os._exit(1)
        return x

    engine: Engine[int] = Engine(dies_once, "process", 1)
    assert [a for _, a in engine.map(iter([7]), 1)] == [7]
    engine.close()


def test_an_answer_that_cannot_be_sent_is_a_failure() -> None:
    one, answer, two = answers("process", [1, "lambda", 2], workers=1)
    assert (one, two) == (2, 4)
    assert "its answer cannot be sent from a worker" in answer.message


def test_work_that_cannot_be_sent() -> None:
    lock = threading.Lock()

    def locked(x: int) -> int:
        with lock:
            return x

    with pytest.raises(Refusal, match="engine: kind: process: a plugin cannot be sent to a worker"):
        Processes(locked, 2, 1.0)
    engine: Engine[int] = Engine(locked, "serial", 2)
    assert not engine.speed_up()
    assert [a for _, a in engine.map(iter([1, 2]), 2)] == [1, 2]


class Unloadable:
    def __reduce__(self) -> Any:
        return (__import__, ("no_such_module",))

    def __call__(self, x: int) -> int:
        return x


def test_work_that_cannot_be_loaded_there() -> None:
    engine: Engine[int] = Engine(Unloadable(), "process", 1)
    [(_, answer)] = engine.map(iter([1]), 1)
    engine.close()
    assert (
        "a plugin cannot be loaded in a worker: ModuleNotFoundError: No module named 'no_such_module'" in answer.message
    )


def test_closing_does_not_wait_for_what_hangs() -> None:
    engine: Engine[Any] = Engine(double, "process", 2)
    stream = engine.map(iter([1, "hang", "hang", "hang"]), 4)
    next(stream)
    start = time.monotonic()
    engine.close()
    assert time.monotonic() - start < 5


def test_what_is_known_is_not_worked_out_again() -> None:
    engine: Engine[Any] = Engine(double, "serial", timeout=0.2)
    known = {"hang": Failure("known")}
    assert [a for _, a in engine.map(iter([1, "hang"]), 2, known.get)] == [2, Failure("known")]


def test_items_are_pulled_only_when_there_is_room() -> None:
    pulled: list[int] = []

    def items() -> Iterator[int | None]:
        for i in range(6):
            pulled.append(i)
            yield i
            if i == 2:
                yield None  # nothing more before the next answer

    seen = []
    for item, _ in Engine(double, "serial").map(items(), 3):
        seen.append((item, len(pulled)))
    assert seen == [(0, 3), (1, 3), (2, 5), (3, 6), (4, 6), (5, 6)]


def test_a_slow_answer_keeps_nobody_idle_while_the_window_has_room() -> None:
    """The first item waits for the tenth: in a window of 10 that ends; in a smaller one it would miss its deadline."""
    tenth = threading.Event()

    def work(i: int) -> Any:
        if i == 9:
            tenth.set()
        return i if i or tenth.wait(20) else "the tenth was never begun"

    engine: Engine[int] = Engine(work, "thread", 2, 30)
    assert [a for _, a in engine.map(iter(range(12)), 10)] == list(range(12))
    engine.close()


def test_as_many_wait_at_once_as_there_are_workers() -> None:
    together = threading.Barrier(4)
    engine: Engine[int] = Engine(lambda i: together.wait(20) >= 0, "thread", 4, 30)
    assert all(a is True for _, a in engine.map(iter(range(8)), 8))
    engine.close()


def test_a_deadline_passes_through_a_plugins_own_except() -> None:
    def stubborn() -> None:
        try:
            time.sleep(5)
        except Exception:
            pytest.fail("swallowed")

    with pytest.raises(Overdue), deadline(0.05):
        stubborn()
    with deadline(0.05):
        pass
    time.sleep(0.1)  # the alarm was taken back


def test_ctrl_c_waits_until_an_admission_is_whole() -> None:
    done = []

    def press(after: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done.append(after)

    with pytest.raises(KeyboardInterrupt), undisturbed():
        press("whole")
    with pytest.raises(KeyboardInterrupt):
        press("never")
    assert done == ["whole"]
