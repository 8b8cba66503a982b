"""A killed run, started again by the same command, ends with the bytes of one that was never disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from filling import start
from lines import bytes_of, check_succeeded, hard, run_job
from synthmill.run import Run


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reference") / "run"
    filling, run = run_job(hard(), root)
    check_succeeded(filling, run)
    assert run.manifest["parts"] >= 3
    assert run.private_rejected().height > 10
    assert run.rejected().filter(run.rejected()["_reason"] == "seen").height > 10
    assert filling.warnings == ["toys:Bell: the bell rang"]
    return root


def check_same(root: Path, reference: Path) -> None:
    assert bytes_of(root) == bytes_of(reference)
    state, other = Run.open(root).manifest["state"], Run.open(reference).manifest["state"]
    assert state == other
    assert not list((root / "wip").iterdir())
    assert not list(root.rglob("*.tmp"))


class Gone(BaseException):
    """Stands for the end of the process: from here on the disk is not touched any more."""


def _dies_at(patch: pytest.MonkeyPatch, at: int) -> list[int]:
    """os.replace, os.fsync and Path.unlink end everything from their n-th call on, clean-up included."""
    calls = [0]
    for holder, name, real in (
        (os, "replace", os.replace),
        (os, "fsync", lambda _: None),
        (Path, "unlink", Path.unlink),
    ):

        def counted(*args: Any, real: Any = real, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] >= at:
                raise Gone
            return real(*args, **options)

        patch.setattr(holder, name, counted)
    return calls


@pytest.fixture(scope="module")
def small_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small") / "run"
    check_succeeded(*run_job(hard(24, 30), root))
    return root


def test_a_kill_at_every_touch_of_the_disk(tmp_path: Path, small_reference: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        calls = _dies_at(patch, 10**9)
        run_job(hard(24, 30), tmp_path / "counted")
    assert calls[0] > 60
    assert Run.open(tmp_path / "counted").manifest["parts"] >= 2
    for at in range(1, calls[0] + 1):
        root = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            _dies_at(patch, at)
            with pytest.raises(Gone):
                run_job(hard(24, 30), root)
        check_succeeded(*run_job(hard(24, 30), root))
        check_same(root, small_reference)


@pytest.mark.parametrize("at", [1, 9, 40])
def test_a_process_that_is_gone_inside_a_checkpoint(tmp_path: Path, reference: Path, at: int) -> None:
    root = tmp_path / "run"
    child = start(root, exit_at=at)
    assert child.wait(60) == 9
    check_succeeded(*run_job(hard(), root))
    check_same(root, reference)


def _kill_often(root: Path, seed: int, tries: int, longest: float, **engine: Any) -> int:
    """Starts and kills until one gets through or the tries are used up, then lets it finish. Returns the kills that hit."""
    rng = np.random.default_rng(seed)
    kills = 0
    for _ in range(tries):
        child = start(root, engine=engine)
        time.sleep(rng.uniform(0, longest))
        child.send_signal(signal.SIGKILL)
        code = child.wait(60)
        assert code in (0, -signal.SIGKILL), child.stderr and child.stderr.read()
        if code == 0:
            break
        kills += 1
    check_succeeded(*run_job(hard(**engine), root))
    return kills


def test_sigkill_at_random_moments(tmp_path: Path, reference: Path) -> None:
    kills = _kill_often(tmp_path / "run", seed=1, tries=12, longest=0.12)
    assert kills >= 3
    check_same(tmp_path / "run", reference)


def test_sigkill_with_worker_processes(tmp_path: Path, reference: Path) -> None:
    kills = _kill_often(tmp_path / "run", seed=2, tries=2, longest=2.5, kind="process", workers=2)
    assert kills >= 1
    check_same(tmp_path / "run", reference)


@pytest.mark.heavy
@pytest.mark.skipif(not os.environ.get("SYNTHMILL_HEAVY"), reason="long; set SYNTHMILL_HEAVY=1")
@pytest.mark.parametrize("seed", range(10, 20))
def test_sigkill_at_many_random_moments(tmp_path: Path, reference: Path, seed: int) -> None:
    _kill_often(tmp_path / "run", seed=seed, tries=25, longest=0.12)
    check_same(tmp_path / "run", reference)


def test_ctrl_c_keeps_what_was_admitted(tmp_path: Path, reference: Path) -> None:
    """No checkpoint is due for ages: only the interrupt itself can have made one."""
    root = tmp_path / "run"
    child = start(root, engine={"checkpoint": 1e9})
    assert child.stdout is not None
    for _ in range(4):
        assert child.stdout.readline() == "admitted\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 130
    manifest = Run.open(root).manifest
    assert manifest["wip"]
    assert Run.open(root).data().height > 0
    check_succeeded(*run_job(hard(), root))
    check_same(root, reference)


def test_ctrl_c_inside_an_admission_waits_until_it_is_whole(tmp_path: Path, reference: Path) -> None:
    """Half an admission, saved, would lose rows that were already counted."""
    made = hard(checkpoint=1e9)
    fresh = made.filters[1].plugin
    remember, calls = fresh.remember, iter(range(1000))

    def pressed(admitted: pl.DataFrame) -> None:
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        remember(admitted)

    fresh.remember = pressed
    with pytest.raises(KeyboardInterrupt):
        run_job(made, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.data().height == sum(run.manifest["state"]["ledger"]["accepted"]) > 0
    check_succeeded(*run_job(hard(), tmp_path / "run"))
    check_same(tmp_path / "run", reference)


SPEC = """
name: slow
cover: {total: 2000}
generate: {use: "toys:Slow", naps: [0.02], kind: cpu}
fill: {size: 10, window: 4}
engine: {kind: serial, checkpoint: 1000}
"""


def test_ctrl_c_at_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "synthmill.cli", "make", "spec.yaml", "-o", "run"]
    paths = os.pathsep.join([str(Path(__file__).parent), *(p for p in sys.path if p)])
    child = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "run/wip").exists() and child.poll() is None:
        time.sleep(0.01)
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    out, said = child.communicate(timeout=60)
    assert child.returncode == 130, out + said
    assert said.strip().splitlines()[-1] == "synthmill: stopped; the same command continues"
    assert "Traceback" not in said
    assert 0 < Run.open(tmp_path / "run").data().height < 2000
