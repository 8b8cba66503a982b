"""Fills a run in a process of its own, so that tests can kill it, starve it or bind its threads.

python filling.py ROOT '{"quota": 600, "engine": {}, "exit_at": 7, "file_limit": 4096}'
exit_at: the process is gone before the n-th rename. file_limit: bytes that one file may hold: a full disk.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__)


def start(root: Path, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """The child, once it has imported everything and is about to fill."""
    paths = os.pathsep.join([str(HERE.parent), *(p for p in sys.path if p)])
    child = subprocess.Popen(
        [sys.executable, str(HERE), str(root), json.dumps(options)],
        env=os.environ | {"PYTHONPATH": paths} | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def main(root: str, options: dict[str, Any]) -> int:
    from lines import hard, run_job
    from synthmill.refusal import Refusal

    if "exit_at" in options:
        _exit_before_rename(options["exit_at"])
    if "file_limit" in options:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["file_limit"], resource.RLIM_INFINITY))
    made = hard(options.get("quota", 600), **options.get("engine", {}))
    print("ready", flush=True)
    try:
        run_job(made, Path(root), watch=lambda _: print("admitted", flush=True))
    except Refusal as e:
        print(e, file=sys.stderr)
        return e.code
    except KeyboardInterrupt:
        return 130
    return 0


def _exit_before_rename(at: int) -> None:
    replace, count = os.replace, 0

    def counted(*names: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            os._exit(9)
        replace(*names)

    os.replace = counted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
