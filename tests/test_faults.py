"""Generators, checks, filters and monitors that misbehave: data or a sentence, never a traceback, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lines import bytes_of, check_accounted, check_succeeded, job, run_job
from synthmill.frame import Status
from synthmill.refusal import Refusal

ALWAYS = {
    "raise": "ValueError: no coins left",
    "exit": "SystemExit: bye",
    "panic": "PanicException: polars fell over",
    "none": "the generator answered NoneType, not a polars.DataFrame",
    "lazy": "the generator answered LazyFrame, not a polars.DataFrame",
    "function": "the generator answered function, not a polars.DataFrame",
    "columns": "the generator's answer lacks x and has unknown y",
}


def trouble(how: str, every: int = 1) -> dict[str, Any]:
    return {"use": "toys:Trouble", "how": how, "every": every}


@pytest.mark.parametrize("kind", ["serial", "thread", "process"])
@pytest.mark.parametrize("how", ["raise", "function"])
def test_always_wrong_in_every_engine(tmp_path: Path, how: str, kind: str) -> None:
    filling, run = run_job(job(trouble(how), quota=400, axes={}, engine={"kind": kind, "workers": 2}), tmp_path / "run")
    assert filling.stopped == "generator failed on every one of 120 candidates"
    assert set(run.rejected()["_reason"]) == {ALWAYS[how]}


@pytest.mark.parametrize("how", ALWAYS)
def test_a_generator_that_is_always_wrong_stops_the_run_early(tmp_path: Path, how: str) -> None:
    filling, run = run_job(job(trouble(how), quota=5000, axes={}), tmp_path / "run")
    assert filling.stopped == "generator failed on every one of 120 candidates"
    assert not run.manifest["filled"]
    assert run.data().height == 0
    assert set(run.rejected()["_reason"]) == {ALWAYS[how]}
    assert set(run.rejected()["_status"]) == {Status.ERROR}
    check_accounted(filling, run)


@pytest.mark.parametrize("how", ALWAYS)
def test_a_generator_that_is_sometimes_wrong_is_asked_again(tmp_path: Path, how: str) -> None:
    filling, run = run_job(job(trouble(how, 3), quota=200, axes={}), tmp_path / "run")
    check_succeeded(filling, run)
    assert run.data().height == 200
    assert set(run.rejected().filter(pl.col("_status") == Status.ERROR)["_reason"]) == {ALWAYS[how]}


def test_rows_that_a_generator_gives_up_are_errors_with_its_message(tmp_path: Path) -> None:
    for how, said in (("some", "lost it"), ("numbered", "7")):
        filling, run = run_job(job(trouble(how), quota=200, axes={}), tmp_path / how)
        check_succeeded(filling, run)
        errors = run.rejected().filter(pl.col("_status") == Status.ERROR)
        assert set(errors["_reason"]) == {said}
        assert errors["_raw"].str.contains(said).all()
        assert set(errors["_i"]) == {0, 1}


def test_values_of_the_wrong_type_cost_their_own_rows_only(tmp_path: Path) -> None:
    filling, run = run_job(job(trouble("types"), quota=200, axes={}), tmp_path / "run")
    check_succeeded(filling, run)
    errors = run.rejected().filter(pl.col("_status") == Status.ERROR)
    assert set(errors["_reason"]) == {"x: String does not become Int64"}
    assert errors["_raw"].str.contains('"x": "many"').all()
    assert errors["x"].null_count() == errors.height
    assert (run.rows()["_i"] % 2 == 1).all()


def test_halves_are_not_cut_to_whole_numbers(tmp_path: Path) -> None:
    filling, run = run_job(job(trouble("floats", 2), quota=200, axes={}), tmp_path / "run")
    check_succeeded(filling, run)
    assert set(run.rows()["_k"] % 2) == {1}
    assert "x: Float64 does not become Int64" in set(run.rejected()["_reason"])


def test_too_many_rows_are_errors_beyond_what_was_asked(tmp_path: Path) -> None:
    filling, run = run_job(job(trouble("rows"), quota=200, axes={}), tmp_path / "run")
    check_succeeded(filling, run)
    errors = run.rejected().filter(pl.col("_status") == Status.ERROR)
    assert errors.height == 200
    assert set(errors["_reason"]) == {"80 rows were made where 40 were asked"}
    assert errors["_i"].min() == 40


def test_a_generator_that_makes_nothing_ends_short(tmp_path: Path) -> None:
    filling, run = run_job(job(trouble("empty"), quota=50, max_attempts=4), tmp_path / "run")
    assert not filling.stopped
    assert filling.ledger.room().tolist() == [50, 50]
    assert filling.ledger.asked.tolist() == [400]
    assert run.data().columns[:2] == ["colour", "x"]
    assert run.data().height == 0
    assert run.requests()["n"].sum() == 400
    check_accounted(filling, run)


@pytest.mark.parametrize("kind", ["serial", "thread", "process"])
def test_a_generator_that_hangs_now_and_then(tmp_path: Path, kind: str) -> None:
    made = job(trouble("hang", 4), quota=200, axes={}, engine={"kind": kind, "workers": 2, "timeout": 0.3})
    filling, run = run_job(made, tmp_path / "run")
    check_succeeded(filling, run)
    assert set(run.rejected().filter(pl.col("_status") == Status.ERROR)["_reason"]) == {"no answer within 0.3 s"}
    assert {e["k"] % 4 for e in run.journaled()} == {0}


def test_a_generator_that_always_hangs_stops_the_run(tmp_path: Path) -> None:
    filling, run = run_job(job(trouble("hang"), quota=400, axes={}, engine={"timeout": 0.05}), tmp_path / "run")
    assert filling.stopped == "generator failed on every one of 120 candidates"
    check_accounted(filling, run)


def test_a_generator_that_takes_its_process_down(tmp_path: Path) -> None:
    made = job(trouble("die", 4), quota=200, axes={}, engine={"kind": "process", "workers": 2})
    filling, run = run_job(made, tmp_path / "run")
    check_succeeded(filling, run)
    assert "its worker died 2 times" in set(run.rejected()["_reason"])


def test_a_deadline_that_was_missed_stays_missed(tmp_path: Path) -> None:
    """The request hangs, is journaled, and the run is stopped; cured, it would answer, but it is not asked again."""

    def made() -> Any:
        flaky = {"use": "toys:Flaky", "cured": str(tmp_path / "cured")}
        return job(flaky, quota=100, axes={}, engine={"timeout": 0.3, "checkpoint": 1e9})

    run_job(made(), tmp_path / "whole")

    def stop(_: Any) -> None:
        if (tmp_path / "run/journal.jsonl").exists():
            raise MemoryError  # nothing of this admission is kept

    with pytest.raises(MemoryError):
        run_job(made(), tmp_path / "run", stop)
    (tmp_path / "cured").touch()
    filling, run = run_job(made(), tmp_path / "run")
    check_succeeded(filling, run)
    assert [(e["k"], e["message"]) for e in run.journaled()] == [(1, "no answer within 0.3 s")]
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")


CHECKS = {
    "raise": "RuntimeError: the judge is out",
    "exit": "SystemExit: 3",
    "panic": "PanicException: polars fell over",
    "short": "answered 1 verdicts for 40 rows",
    "none": "answered NoneType, not Verdicts",
    "list": "AttributeError: 'list' object has no attribute 'cast'",
    "words": "InvalidOperationError: ",
    "seven": "answered a status that is none of 0 (pass), 1 (fail) and 2 (error)",
    "null": "answered a status that is none of 0 (pass), 1 (fail) and 2 (error)",
    "score": "InvalidOperationError: ",
    "scores": "answered 41 verdicts for 40 rows",
    "reasons": "answered 41 verdicts for 40 rows",
}


@pytest.mark.parametrize("how", CHECKS)
@pytest.mark.parametrize("place", ["verify", "filters"])
def test_a_check_that_is_always_wrong_stops_the_run(tmp_path: Path, how: str, place: str) -> None:
    use = "toys:Moody" if place == "verify" else "toys:MoodyFilter"
    made = job(quota=4000, axes={}, **{place: [{"use": use, "how": how}]})
    filling, run = run_job(made, tmp_path / "run")
    assert filling.stopped == f"{use} failed on every one of 120 candidates"
    assert all(r.startswith(CHECKS[how]) for r in run.rejected()["_reason"])
    assert run.rejected()["x"].null_count() == 0
    assert set(run.rejected()["_check"]) == {1}
    check_accounted(filling, run)


@pytest.mark.parametrize("kind", ["serial", "process"])
def test_a_check_that_hangs_is_the_one_that_is_named(tmp_path: Path, kind: str) -> None:
    made = job(
        quota=400, axes={}, verify=["toys:Odd", {"use": "toys:Moody", "how": "hang"}],
        engine={"timeout": 0.2, "kind": kind, "workers": 1},
    )  # fmt: skip
    filling, run = run_job(made, tmp_path / "run")
    assert filling.stopped == "toys:Moody failed on every one of 120 candidates"
    assert set(run.rejected()["_reason"]) == {"no answer within 0.2 s"}
    check_accounted(filling, run)


@pytest.mark.parametrize("coin", [{"use": "toys:Coin"}, {"use": "toys:Coin", "kind": "io"}])
@pytest.mark.parametrize("station", ["verify", "filters"])
def test_a_check_that_hangs_at_admission_takes_its_group_and_is_named(tmp_path: Path, coin: Any, station: str) -> None:
    use = "toys:Moody" if station == "verify" else "toys:MoodyFilter"
    options: dict[str, Any] = {station: [{"use": use, "how": "hang"}]}
    made = job(coin, quota=400, axes={}, engine={"timeout": 0.2}, fill={"size": 40, "window": 8, "group": 2}, **options)
    filling, run = run_job(made, tmp_path / "run")
    assert filling.stopped == f"{use} failed on every one of 160 candidates"
    assert [e["at"] for e in run.journaled()] == [1] * 4
    check_accounted(filling, run)


def test_a_filter_that_cannot_remember_ends_with_a_sentence(tmp_path: Path) -> None:
    made = job(filters=[{"use": "toys:MoodyFilter", "how": "remember"}])
    with pytest.raises(Refusal, match="toys:MoodyFilter could not remember what was admitted: RuntimeError") as caught:
        run_job(made, tmp_path / "run")
    assert caught.value.code == 1


def test_a_monitor_that_raises_is_a_warning_once(tmp_path: Path) -> None:
    made = job(quota=100, monitors=["toys:Bell"])
    made.monitors[0].plugin.count = "three"
    filling, run = run_job(made, tmp_path / "run")
    assert len(filling.warnings) == 1
    assert filling.warnings[0].startswith("toys:Bell: could not observe: TypeError")
    check_succeeded(filling, run)


def test_a_check_that_fails_everything_is_a_shortfall_not_a_fault(tmp_path: Path) -> None:
    coin = {"use": "toys:Coin", "values": 50}
    filling, run = run_job(job(coin, quota=30, axes={}, max_attempts=5, filters=["toys:Hush"]), tmp_path / "run")
    assert not filling.stopped
    assert filling.ledger.room().tolist() == [30]
    assert run.private_rejected().height == 150
    check_accounted(filling, run)


def test_a_stop_survives_a_kill_before_the_run_could_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the checkpoint at which the bell rang and the last part: it must not go on as if it had not rung."""

    def made() -> Any:
        return job(quota=500, monitors=[{"use": "toys:Bell", "stop": True}], engine={"checkpoint": 0})

    run_job(made(), tmp_path / "whole")
    from synthmill.line import Filling

    save = Filling._save

    def save_or_die(self: Filling, last: bool = False, force: bool = False) -> None:
        if last:
            raise MemoryError
        save(self, last, force)

    with monkeypatch.context() as patch:
        patch.setattr(Filling, "_save", save_or_die)
        with pytest.raises(MemoryError):
            run_job(made(), tmp_path / "run")
    filling, _ = run_job(made(), tmp_path / "run")
    assert filling.stopped == "toys:Bell: the bell rang"
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")


def test_a_budget_spent_when_all_is_done_stops_nothing(tmp_path: Path) -> None:
    """The generator sleeps beyond the budget, but the one request it answers is all that was needed."""
    slow = {"use": "toys:Slow", "naps": [0.3], "kind": "cpu"}
    filling, run = run_job(job(slow, quota=40, axes={}, budget={"seconds": 0.2}), tmp_path / "run")
    assert filling.seconds() > 0.2
    check_succeeded(filling, run)


def test_a_budget_of_megabytes_counts_what_no_part_holds_yet(tmp_path: Path) -> None:
    made = job(quota=50_000, axes={}, fill={"size": 1000, "window": 2}, budget={"megabytes": 0.05})
    filling, run = run_job(made, tmp_path / "run")
    assert filling.stopped == "the budget of 0.05 MB is spent"
    size = run.path("data", 0).stat().st_size
    assert 40_000 < size < 75_000


def test_rejects_fill_parts_too(tmp_path: Path) -> None:
    """Where most candidates leave, parts are cut by what is rejected, or the memory would hold it all."""
    coin = {"use": "toys:Coin", "values": 100_000}
    made = job(coin, quota=20, axes={}, filters=["toys:Few"], fill={"size": 100, "part_rows": 500}, max_attempts=500)
    filling, run = run_job(made, tmp_path / "run")
    check_succeeded(filling, run)
    assert run.rejected().height > 1000
    assert run.manifest["parts"] >= 3
    biggest = max(
        pl.scan_parquet(run.path("rejected", p)).select(pl.len()).collect().item() for p in range(run.manifest["parts"])
    )
    assert biggest < 700


def test_what_cannot_be_sent_to_a_process(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be sent to a worker"):
        run_job(job("toys:Stuck", axes={}, engine={"kind": "process"}), tmp_path / "process")
    check_succeeded(*run_job(job("toys:Stuck", axes={}), tmp_path / "auto"))
