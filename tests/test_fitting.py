"""Fits that hang: one sentence, nothing half-written, and the same command goes on once there is more time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import synthmill
from lines import bytes_of
from synthmill.cli.main import main
from synthmill.fitting import Fitting, Overlong
from synthmill.refusal import Refusal
from synthmill.schema import Schema

PLUGINS = """
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from synthmill.plugins import Verdicts


@dataclass
class Learner:
    how: str = ""

    def fit(self, train, schema):
        with open("fitted", "a") as f:
            f.write(self.how + "\\n")
        if self.how == "library":  # a C library does not let signals in
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        if self.how == "spin":
            while True:
                try:
                    time.sleep(60)
                except Exception:
                    continue
        if self.how in ("hang", "library"):
            time.sleep(60)
        if self.how == "raise":
            raise ValueError("no\\nway")
        if self.how == "lock":
            self.lock = threading.Lock()
        self.top = int(train["x"].max())

    def schema(self):
        return {"x": pl.Int64()}

    def generate(self, request):
        return pl.DataFrame({"x": request.rng().integers(0, self.top + 1, request.n)})

    def save(self, folder):
        (folder / "top").write_text(str(self.top))

    def load(self, folder):
        self.top = int((folder / "top").read_text())


@dataclass
class Judge:
    hangs: bool = True

    def fit(self, train, schema):
        if self.hangs and not Path("cured").exists():
            time.sleep(60)
        self.top = train["x"].max()

    def judge(self, frame):
        return Verdicts.where(frame["x"] < self.top, "too high")
"""
KINDS = ("auto", "thread", "process")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.py").write_text(PLUGINS)
    pl.DataFrame({"x": [i % 50 for i in range(200)]}).write_csv(tmp_path / "real.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(how: str = "", kind: str = "auto", timeout: str = "0.3", more: str = "") -> str:
    Path("spec.yaml").write_text(
        "name: own\nreal: {path: real.csv, columns: {x: integer}}\ncover: {total: 60}\n"
        f"generate: {{use: 'own.py:Learner', how: '{how}'}}\n"
        f"engine: {{kind: {kind}, workers: 1, fit_timeout: {timeout}}}\n{more}"
    )
    return "spec.yaml"


LATE = (
    "spec.yaml: generate: own.py:Learner: fitting did not end within 0.3 s; if it only needs longer, give it more time, "
    "such as engine: {fit_timeout: 0.6}, or less real data"
)


@pytest.mark.parametrize(("how", "kind"), [*(("hang", k) for k in KINDS), ("spin", "auto"), ("library", "process")])
def test_a_generator_whose_fit_hangs_is_a_sentence(desk: Path, how: str, kind: str) -> None:
    with pytest.raises(Overlong) as caught:
        synthmill.make(spec(how, kind), "run")
    assert str(caught.value) == LATE
    assert caught.value.code == 1
    assert not Path("run").exists()
    assert Path("fitted").read_text() == how + "\n"


def test_the_command_line_says_it_and_ends_with_1(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make", spec("hang"), "-o", "run", "--quiet"]) == 1
    assert capsys.readouterr().err == f"synthmill: {LATE}\n"
    assert main(["fit", "real.csv", "--use", "own.py:Learner", "-o", "model", "--timeout", "30"]) == 0
    assert main(["fit", "real.csv", "--timeout", "-1"]) == 2
    assert (
        capsys.readouterr().err
        == "synthmill: timeout: -1 s is no time to fit in; give more than 0, or none for no end\n"
    )


def test_a_fit_is_watched_off_the_main_thread_too(desk: Path) -> None:
    said: list[Any] = []

    def run() -> None:
        try:
            synthmill.make(spec("hang"), "run")
        except BaseException as e:
            said.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert [str(e) for e in said] == [LATE]


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_whose_fit_hangs_keeps_the_models_and_the_same_run_goes_on(desk: Path, kind: str) -> None:
    check = "verify: {use: 'own.py:Judge'}\n"
    with pytest.raises(Overlong, match=r"^spec.yaml: verify.0: own.py:Judge: fitting did not end within 0.3 s; "):
        synthmill.make(spec(kind=kind, more=check), "run")
    assert (desk / "run/private/models/0-own.py:Learner/top").read_text() == "49"
    (desk / "cured").touch()
    result = synthmill.make(spec(kind=kind, timeout="30", more=check), "run")
    assert result.accepted == 60
    assert Path("fitted").read_text() == "\n", "fitted once"
    synthmill.make(spec(kind="serial", timeout="null", more=check), "whole")
    assert bytes_of(desk / "run") == bytes_of(desk / "whole")


@pytest.mark.parametrize("family", ["filter", "monitor"])
def test_every_plugin_that_fits_is_watched(desk: Path, family: str) -> None:
    more = f"{family}: {{use: 'own.py:Judge'}}\n"
    with pytest.raises(Overlong, match=rf"^spec.yaml: {family}.0: own.py:Judge: fitting did not end within 0.3 s; "):
        synthmill.make(spec(more=more), "run")
    with pytest.raises(Overlong, match=rf"^spec.yaml: {family}.0: "):
        synthmill.check(spec(more=more))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_fit_raises_is_said_alike_in_every_engine(desk: Path, kind: str) -> None:
    with pytest.raises(Refusal, match=r"^spec.yaml: generate: own.py:Learner: ValueError: no$") as caught:
        synthmill.make(spec("raise", kind, "30"), "run")
    assert caught.value.code == 1
    assert not Path("run").exists()


def test_a_model_that_cannot_come_back_from_a_child(desk: Path) -> None:
    with pytest.raises(Refusal, match=r"what it fitted cannot be sent from a worker .*; use engine: \{kind: serial\}"):
        synthmill.make(spec("lock", "process", "30"), "run")
    assert synthmill.make(spec("lock", "serial", "30"), "run").accepted == 60


def test_fit_without_a_spec_has_the_deadline_too(desk: Path) -> None:
    table = pl.DataFrame({"x": [i % 50 for i in range(200)]})
    with pytest.raises(Overlong, match=r"^fit: generate: own.py:Learner: .*such as timeout=0.2, "):
        synthmill.fit(table, {"use": "own.py:Learner", "how": "hang"}, timeout=0.1)
    assert synthmill.fit(table, "own.py:Learner", timeout=None).sample(5).height == 5


def test_a_fit_far_in_time_has_no_end(desk: Path) -> None:
    class Quick:
        fitted = False

        def fit(self, train: pl.DataFrame, schema: Schema) -> None:
            self.fitted = True

    for seconds in (None, 1e300, float("inf")):
        quick = Quick()
        assert Fitting(seconds)(quick, pl.DataFrame(), Schema(())) is quick
        assert quick.fitted
        assert Fitting(seconds, "process")(Quick(), pl.DataFrame(), Schema(())).fitted
    for seconds in (0, -1, float("nan")):
        with pytest.raises(Refusal, match="no time to fit in"):
            Fitting(seconds)
