import json

import numpy as np
import polars as pl
import pytest

from synthmill.frame import rng_of
from synthmill.monitor.tails import Tails
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema

SCHEMA = Schema(
    (
        Column("age", "integer", "Int64"),
        Column("job", "categorical", "String"),
        Column("income", "categorical", "String"),
    )
)


def people(n: int, *names: object, rare: float = 0.03, rich: float = 0.2, oldest: float = 200.0) -> pl.DataFrame:
    """Nobles are rare, and all but rich; the oldest can be cut off."""
    rng = rng_of("tails", *names)
    income = rng.random(n) < rich
    job = np.where(rng.random(n) < np.where(income, 5 * rare, 0.0) * 0.9, "noble", "clerk")
    age = np.minimum(rng.normal(40, 12, n), oldest)
    return pl.DataFrame({"age": age.astype(np.int64), "job": job, "income": np.where(income, ">50K", "<=50K")})


def watching(n: int = 5000, *names: object, **options) -> Tails:
    monitor = Tails(**options)
    monitor.fit(people(n, "known", *names), SCHEMA)
    return monitor


def test_the_rate_of_false_alarms_stays_below_alpha():
    """Fresh real rows, 100 runs of 20 looks, nothing conceded (keep 1): at alpha 0.05 eleven alarms have a chance of 1%."""
    alarms = 0
    for i in range(100):
        monitor = watching(2000, i, keep=1.0, alpha=0.05, every=200)
        alarms += monitor.observe(people(4000, "fresh", i)) is not None
    assert alarms < 11


def test_a_lost_level_is_named_in_its_first_round():
    alarm = watching().observe(people(1000, "made", rare=0.0))
    assert alarm is not None
    assert alarm.message.startswith("job noble: after 1,000 rows, 0 of last 1,000 hold it where train's share makes ")
    assert not alarm.stop


def test_a_lost_extreme_is_named_and_may_stop_the_run():
    alarm = watching(action="stop").observe(people(3000, "made", oldest=60.0))
    assert alarm is not None
    assert "age, highest 1%" in alarm.message
    assert "age, lowest 1%" not in alarm.message
    assert alarm.stop


def test_what_keeps_more_than_half_is_no_alarm():
    assert watching(20_000).observe(people(20_000, "made", rare=0.018)) is None
    assert watching(20_000, keep=0.95).observe(people(20_000, "made", rare=0.018)) is not None


def test_planned_shares_are_no_drift_and_hide_none():
    """With few of the rich there are few nobles: expected where income is planned, and else not."""
    few = people(10_000, "made", rich=0.05)
    assert watching(within=["income"]).observe(few) is None
    assert watching().observe(few) is not None
    many = people(
        3000, "made", rich=0.9, rare=0.008
    )  # more nobles than in train, and yet a quarter of what was planned
    assert watching().observe(many) is None
    assert watching(within=["income"]).observe(many) is not None


def test_a_slow_loss_shows_in_the_whole_run_and_only_once():
    monitor = watching(20_000, every=100)
    alarms = [a for i in range(40) if (a := monitor.observe(people(100, "made", i, rare=0.006)))]
    assert len([a for a in alarms if "noble" in a.message]) == 1
    assert "of all" in alarms[0].message


def test_how_rows_come_in_batches_and_a_restart_change_nothing():
    rows = people(4000, "made", rare=0.004)
    whole, parts = watching(), watching()
    alarm = whole.observe(rows)
    first = parts.observe(rows[:999])
    resumed = watching()
    resumed.load(json.loads(json.dumps(parts.state())))
    said = [a.message for a in (first, *(resumed.observe(rows[i : i + 500]) for i in range(999, 4000, 500))) if a]
    assert alarm is not None
    assert "; ".join(said) == alarm.message


def test_what_cannot_be_watched_is_refused():
    with pytest.raises(Refusal, match="within: no column 'job2'"):
        watching(within=["job2"])
    with pytest.raises(Refusal, match="no real data"):
        Tails().observe(people(10))
