import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from synthmill.frame import rng_of
from synthmill.monitor.statistics import Statistics
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema

SCHEMA = Schema(
    (
        Column("age", "integer", "Int64"),
        Column("job", "categorical", "String"),
        Column("income", "categorical", "String"),
        Column("id", "identifier", "String"),
    )
)


def people(n: int, *names: object, rich: float = 0.2, older: float = 0.0, jobless: float = 0.1) -> pl.DataFrame:
    """Income decides age and job, so rebalancing income moves them both."""
    rng = rng_of("people", *names)
    income = rng.random(n) < rich
    age = np.where(income, rng.normal(50, 8, n), rng.normal(35, 10, n)) + older
    job = np.where(rng.random(n) < jobless, None, np.where(income ^ (rng.random(n) < 0.2), "boss", "clerk"))
    return pl.DataFrame(
        {"age": age.astype(np.int64), "job": job.tolist(), "income": np.where(income, ">50K", "<=50K"), "id": "x"},
        schema_overrides={"job": pl.String},
    )


def watching(n: int = 5000, *names: object, **options) -> Statistics:
    monitor = Statistics(**options)
    monitor.fit(people(n, "train", *names), SCHEMA)
    return monitor


def test_the_rate_of_false_alarms_stays_below_alpha():
    """Fresh real rows, 60 runs of 25 looks; at alpha 0.05 even ten alarms would have a chance of 1 in 1000."""
    alarms = 0
    for i in range(60):
        monitor = watching(2000, i, tolerance=1e-6, alpha=0.05, every=200)
        alarms += monitor.observe(people(5000, "fresh", i)) is not None
    assert alarms < 10


def test_a_difference_within_the_tolerance_is_no_drift():
    assert watching(20_000).observe(people(30_000, "like", jobless=0.12)) is None


def test_a_shifted_generator_is_named_with_what_was_seen():
    alarm = watching().observe(people(10_000, "old", older=8))
    assert alarm is not None
    assert not alarm.stop
    assert alarm.message.startswith("age: after ")
    assert "in total variation (tolerance 0.05" in alarm.message
    assert "income" not in alarm.message
    assert watching(action="stop").observe(people(10_000, "old", older=8)).stop


def test_missing_values_and_new_levels_are_differences():
    assert "job" in watching().observe(people(10_000, "gone", jobless=0.4)).message
    robots = people(10_000, "robots").with_columns(job=pl.lit("robot"))
    assert "job" in watching().observe(robots).message


def test_a_late_drift_is_found_soon_although_the_whole_run_hides_it():
    monitor = watching()
    assert monitor.observe(people(100_000, "good")) is None
    alarm = monitor.observe(people(6000, "late", older=15))
    assert alarm is not None
    rows = int(alarm.message.split("after ")[1].split(" rows")[0].replace(",", ""))
    assert 100_000 < rows <= 105_000


def test_each_column_alarms_once():
    monitor = watching()
    assert monitor.observe(people(20_000, "old", older=10)) is not None
    assert monitor.observe(people(20_000, "older", older=10)) is None


def test_rebalancing_is_no_drift_within_the_axes_but_is_without():
    half = people(20_000, "half", rich=0.5)
    assert watching().observe(half) is not None
    assert watching(within=["income"]).observe(half) is None
    shifted = people(20_000, "half", rich=0.5, older=8)
    assert "age" in watching(within=["income"]).observe(shifted).message


def test_batches_do_not_matter():
    rows = pl.concat([people(4321, "a"), people(9876, "b", older=6)])
    whole = watching().observe(rows)
    monitor = watching()
    cuts = [0, 1, 999, 1001, 5000, 5000, 9000, rows.height]
    found = [monitor.observe(rows[a:b]) for a, b in pairwise(cuts)]
    assert "; ".join(a.message for a in found if a) == whole.message


def test_a_resumed_run_continues_from_json():
    rows = pl.concat([people(4321, "a"), people(9876, "b", older=6)])
    whole, before, after = watching(), watching(), watching()
    assert before.observe(rows[:4567]) is None
    after.load(json.loads(json.dumps(before.state())))
    assert after.observe(rows[4567:]) == whole.observe(rows)
    assert after.state() == whole.state()
    assert after.observe(rows[:5000]) is None  # it still knows who alarmed


def test_a_small_train_explains_larger_differences():
    assert watching(100, "small").observe(people(20_000, "fresh")) is None


def test_wrong_options_are_refused():
    with pytest.raises(Refusal, match="did you mean 'income'"):
        watching(within=["incme"])
    with pytest.raises(Refusal, match="no rows"):
        watching(0)
    with pytest.raises(Refusal, match="no real data"):
        Statistics().observe(people(10))
    with pytest.raises(Refusal, match="tolerance"):
        build("monitor", {"use": "statistics", "tolerance": 0})
