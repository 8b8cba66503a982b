from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from lines import bytes_of, job, run_job
from synthmill.frame import Status


def test_every_cell_gets_its_quota_and_no_more(tmp_path: Path) -> None:
    _, run = run_job(job(quota=137), tmp_path / "run")
    data = run.data()
    assert dict(data.group_by("colour").len().iter_rows()) == {"red": 137, "blue": 137}
    assert data["_id"].n_unique() == 274
    assert data["_id"].str.starts_with(run.id).all()
    assert set(data["_origin"]) == {"synthetic"}
    assert set(data["_depth"]) == {1}


def test_a_generator_that_cannot_condition_is_credited_by_what_it_made(tmp_path: Path) -> None:
    coin = {"use": "toys:Coin", "able": False, "bias": 0.2}
    filling, run = run_job(job(coin, quota=100, max_attempts=20), tmp_path / "run")
    assert dict(run.data().group_by("colour").len().iter_rows()) == {"red": 100, "blue": 100}
    surplus = run.rejected().filter(pl.col("_status") == Status.SURPLUS)
    assert surplus.height > 50
    assert (surplus["colour"] == "blue").mean() > 0.9
    assert set(surplus["_reason"]) == {"cell full"}
    assert filling.ledger.judged.sum() < 1200


def test_an_unreachable_cell_ends_short(tmp_path: Path) -> None:
    axes = {"colour": ["red", "green"]}
    coin = {"use": "toys:Coin", "able": False}
    filling, run = run_job(job(coin, quota=50, axes=axes, max_attempts=3), tmp_path / "run")
    assert filling.ledger.room().tolist() == [0, 50]
    assert filling.ledger.asked.sum() <= 3 * 100
    outside = run.rejected().filter(pl.col("colour") == "blue")
    assert set(outside["_reason"]) == {"outside every cell of the cover"}


def test_rejected_rows_are_made_again_and_keep_their_reason(tmp_path: Path) -> None:
    filling, run = run_job(job(quota=100, verify=["toys:Odd"], filters=["toys:Fresh"]), tmp_path / "run")
    assert run.data().height == 200
    assert (run.data()["x"] % 2 == 0).all()
    odd = run.rejected().filter(pl.col("_reason") == "odd")
    assert (odd["x"] % 2 == 1).all()
    assert (odd["_score"] == odd["x"].cast(pl.Float32)).all()
    assert run.rows()["_score"].to_list() == run.data()["x"].cast(pl.Float32).to_list()
    made = filling.tally.sum()
    assert made == run.data().height + run.rejected().height + run.private_rejected().height


def test_what_filters_remember_is_only_what_was_accepted(tmp_path: Path) -> None:
    coin = {"use": "toys:Coin", "values": 60}
    filling, run = run_job(job(coin, quota=20, filters=["toys:Fresh"], max_attempts=50), tmp_path / "run")
    assert run.data()["x"].n_unique() == 40
    assert filling.ledger.room().sum() == 0


def test_rejects_of_a_private_check_lie_under_private(tmp_path: Path) -> None:
    coin = {"use": "toys:Coin", "values": 1000}
    _, run = run_job(job(coin, quota=100, filters=["toys:Hush"]), tmp_path / "run")
    assert (run.private_rejected()["x"] < 100).all()
    assert run.private_rejected().height > 0
    assert "too near" not in run.rejected()["_reason"].to_list()


def test_a_monitor_warns_and_a_stopping_one_stops(tmp_path: Path) -> None:
    filling, _ = run_job(job(quota=100, monitors=["toys:Bell"]), tmp_path / "warned")
    assert filling.warnings == ["toys:Bell: the bell rang"]
    assert filling.ledger.room().sum() == 0
    filling, run = run_job(job(quota=100, monitors=[{"use": "toys:Bell", "stop": True}]), tmp_path / "stopped")
    assert filling.stopped == "toys:Bell: the bell rang"
    before = run.data().height
    assert before < 200
    again, run = run_job(job(quota=100, monitors=[{"use": "toys:Bell", "stop": True}]), tmp_path / "stopped")
    assert again.stopped == "toys:Bell: the bell rang"
    assert run.data().height == before


def test_a_spent_budget_is_a_shortfall(tmp_path: Path) -> None:
    filling, run = run_job(job(quota=5000, fill={"size": 10, "window": 2}, budget={"seconds": 0.05}), tmp_path / "run")
    assert "budget of 0.05 s" in filling.stopped
    assert 0 < run.data().height < 10_000
    assert not run.manifest["filled"]


@pytest.mark.parametrize("kind", ["serial", "thread", "process"])
def test_the_engine_changes_no_bytes(tmp_path: Path, kind: str) -> None:
    base = job(quota=300, verify=["toys:Odd"], filters=["toys:Fresh"])
    run_job(base, tmp_path / "base")
    other = job(
        quota=300, verify=["toys:Odd"], filters=["toys:Fresh"], engine={"kind": kind, "workers": 2, "checkpoint": 0}
    )
    run_job(other, tmp_path / "other")
    assert bytes_of(tmp_path / "base") == bytes_of(tmp_path / "other")


def test_the_engine_changes_no_bytes_of_generators_that_wait(tmp_path: Path) -> None:
    coin = {"use": "toys:Coin", "kind": "io"}
    for workers in (1, 8):
        made = job(
            coin,
            quota=150,
            verify=["toys:Odd"],
            fill={"size": 5, "window": 20, "group": 7},
            engine={"workers": workers},
        )
        run_job(made, tmp_path / str(workers))
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "8")


def test_a_mix_shares_the_requests(tmp_path: Path) -> None:
    mixed = [{"mix": [{"use": "toys:Coin", "values": 10, "share": 3}, {"use": "toys:Coin", "share": 1}]}]
    _, run = run_job(job(mixed, quota=2000, axes={}, fill={"size": 20}), tmp_path / "run")
    small = (run.data()["x"] < 10).mean()
    assert small == pytest.approx(0.75, abs=0.03)
    assert set(run.requests()["member"]) == {0, 1}


def test_parts_are_cut_by_rows_and_cover_everything(tmp_path: Path) -> None:
    made = job(quota=500, fill={"size": 50, "part_rows": 300})
    _, run = run_job(made, tmp_path / "run")
    assert run.manifest["parts"] >= 3
    assert run.data().height == 1000
    assert run.rows().height == 1000
    assert run.requests()["n"].sum() >= 1000


def test_a_run_that_admits_nothing_says_so_before_its_attempts_are_spent(tmp_path: Path) -> None:
    coin = {"use": "toys:Coin", "values": 100}
    filling, _ = run_job(job(coin, quota=300, filters=["toys:Hush"], max_attempts=10), tmp_path / "run")
    assert filling.warnings == ["none of the first 2,000 candidates passed; toys:Hush rejects most of them"]
    assert filling.ledger.asked.sum() == 6000
