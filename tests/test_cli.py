from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from synthmill import __all__, __version__
from synthmill.cli.console import duration
from synthmill.cli.main import main
from synthmill.plugins import FAMILIES, known

VERBS = (
    "init", "check", "preview", "make", "fit", "sample", "impute", "extend", "evaluate", "blend", "report", "trace", "list", "collapse", "blend-sweep",
)  # fmt: skip


def test_without_arguments_it_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n    {verb} " in shown or f"\n    {verb}\n" in shown
    assert "synthmill init your-data.csv" in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main([verb, "--help"])
    assert e.value.code == 0
    assert f"usage: synthmill {verb}" in capsys.readouterr().out


def test_the_labs_regimes_are_the_labs() -> None:
    from synthmill.cli import lab as experiments
    from synthmill.lab.regimes import REGIMES

    assert experiments.REGIMES == REGIMES


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"synthmill {__version__}\n"


def test_list_names_every_plugin_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for family in FAMILIES:
        for name in known(family):
            assert f"  {name}  " in shown
    assert "sampler='random'" in shown
    assert main(["list", "measure"]) == 0
    assert "tabular.copula" not in capsys.readouterr().out


def test_progress_is_plain_text_where_there_is_no_terminal(tmp_path: Path) -> None:
    spec = tmp_path / "s.yaml"
    spec.write_text("name: t\ngenerate: {use: 'toys:Coin'}\ncover: {quota: 50}\n")
    done = subprocess.run(
        [sys.executable, "-m", "synthmill.cli", "make", "s.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(Path(__file__).parent), "PATH": ""},
    )  # fmt: skip
    assert "filling 1 cell, 50 records asked" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    assert "50 of 50 records accepted in runs/t" in done.stdout
    assert "report: runs/t/report.html" in done.stdout


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = f"{sys.executable} -m synthmill.cli list | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "generate"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_interrupting_says_that_the_work_can_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synthmill.verbs.check.check", stop)
    assert main(["check", "s.yaml"]) == 130
    assert capsys.readouterr().err == "synthmill: stopped; the same command continues\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than a second"), (42, "42 s"), (600, "10 min"), (9000, "2.5 h"), (float("inf"), "unknown time")],
)
def test_durations_are_read_aloud(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_all_doors_open() -> None:
    import synthmill

    for name in __all__:
        assert getattr(synthmill, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'mak'"):
        _ = synthmill.mak
