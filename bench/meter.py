"""What a piece of work costs: CPU seconds and memory of this process and all below it. Standard library only."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_EVERY = 0.2


@contextmanager
def metered() -> Iterator[dict[str, Any]]:
    """Afterwards the dictionary holds cpu_s, wall_s, and peak_mb of the process so far."""
    cost: dict[str, Any] = {}
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(_EVERY):
            most[0] = max(most[0], sum(_resident(p) for p in _tree()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    cpu, start = _cpu(), time.perf_counter()
    yield cost
    cost.update(cpu_s=_cpu() - cpu, wall_s=time.perf_counter() - start)
    done.set()
    watcher.join()
    # the kernel knows the peak of one process; the sum sampled over the tree is for those with workers
    cost["peak_mb"] = max(_peak(), most[0])


def _cpu() -> float:
    """Seconds of this process, of ended children, and of those that still live."""
    seconds = sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return seconds + sum(_ticks(p) for p in _tree()[1:]) / os.sysconf("SC_CLK_TCK")


def _tree() -> list[int]:
    """This process and those below it that live."""
    found, todo = [], [os.getpid()]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            todo.extend(int(p) for p in _read(task).split())
    return found


def _resident(pid: int) -> float:
    """Megabytes."""
    parts = _read(Path(f"/proc/{pid}/statm")).split()
    return int(parts[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if parts else 0.0


def _peak() -> float:
    """Megabytes of this process at most. `ru_maxrss` would begin with what the process that started it held."""
    line = next(li for li in _read(Path("/proc/self/status")).splitlines() if li.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _ticks(pid: int) -> int:
    parts = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(parts[11]) + int(parts[12]) if parts else 0


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:  # the process ended meanwhile
        return ""
