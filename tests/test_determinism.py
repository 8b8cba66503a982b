"""The same bytes whoever does the work, and however many of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from filling import start
from lines import bytes_of, check_succeeded, hard, job, run_job
from synthmill import line
from synthmill.engine import Engine
from synthmill.job import Progress
from synthmill.run import Run


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reference") / "run"
    check_succeeded(*run_job(hard(), root))
    return root


@pytest.mark.parametrize(
    ("kind", "workers"), [("serial", 1), ("thread", 1), ("thread", 2), ("process", 1), ("process", 2)]
)
def test_engines_and_workers(tmp_path: Path, reference: Path, kind: str, workers: int) -> None:
    check_succeeded(*run_job(hard(kind=kind, workers=workers), tmp_path / "run"))
    assert bytes_of(tmp_path / "run") == bytes_of(reference)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_polars_threads(tmp_path: Path, reference: Path, threads: int) -> None:
    child = start(tmp_path / "run", {"POLARS_MAX_THREADS": str(threads)}, engine={"checkpoint": 1e9})
    assert child.wait(60) == 0
    assert Run.open(tmp_path / "run").manifest["filled"]
    assert bytes_of(tmp_path / "run") == bytes_of(reference)


def test_the_engine_may_change_midway(tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    speed_up = Engine.speed_up

    def third_time(engine: Engine[Any]) -> bool:
        asked.append(len(asked) >= 2 and speed_up(engine))
        return asked[-1]

    monkeypatch.setattr(line, "SPAWN_WORTH", -1.0)
    monkeypatch.setattr(Engine, "speed_up", third_time)
    check_succeeded(*run_job(hard(kind="auto", workers=2), tmp_path / "run"))
    assert asked[:3] == [False, False, True]
    assert bytes_of(tmp_path / "run") == bytes_of(reference)


def test_groups_do_not_depend_on_how_often_a_run_is_stopped(tmp_path: Path) -> None:
    """A window of odd size and groups that do not divide it, interrupted at every second admission."""

    def made() -> Any:
        coin = {"use": "toys:Coin", "kind": "io", "values": 3000}
        fill = {"size": 7, "window": 11, "group": 4, "part_rows": 50}
        return job(coin, quota=200, filters=["toys:Fresh"], fill=fill, engine={"checkpoint": 0, "workers": 3})

    check_succeeded(*run_job(made(), tmp_path / "whole"))
    stops = [0]

    def stop_at_the_second(progress: Progress) -> None:
        stops[0] += 1
        if stops[0] % 2 == 0:
            raise KeyboardInterrupt

    while not (root := tmp_path / "often").exists() or not Run.open(root).manifest.get("filled"):
        with suppress(KeyboardInterrupt):
            run_job(made(), root, stop_at_the_second)
    assert stops[0] > 8
    assert bytes_of(tmp_path / "whole") == bytes_of(root)


def test_another_seed_gives_other_rows(tmp_path: Path) -> None:
    _, one = run_job(job(seed=1), tmp_path / "1")
    _, two = run_job(job(seed=2), tmp_path / "2")
    assert not set(one.data()["x"]) & set(two.data()["x"])
