"""What is measured of a generation, beside the metrics it is taken from."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from synthmill.data import adult
from synthmill.lab.chain import Arm
from synthmill.lab.vitals import SHOWN, Subject, one_thread, vitals
from synthmill.measure.detection import Detection
from synthmill.measure.utility import Utility
from synthmill.plugins import Evidence
from synthmill.real import from_frame

COLUMNS = ["age", "education", "hours_per_week", "sex", "income"]


@pytest.fixture(scope="module")
def subject() -> Subject:
    real = from_frame(adult().select(COLUMNS).head(600), target="income", holdout=0.4)
    return Subject(real.train, real.holdout, real.schema, real.target, real.entity, 3)


def test_the_labs_numbers_are_those_of_the_metrics(subject: Subject) -> None:
    table = subject.train.head(200)
    evidence = Evidence(table, subject.train, subject.holdout, subject.schema, 3, "income")
    with one_thread():
        found = vitals(table, subject)
        whole = {f"utility.{m.name}": m for m in Utility().measure(evidence)}
        whole |= {f"detection.{m.name}": m for m in Detection().measure(evidence)}
    assert tuple(found) == SHOWN
    for name in ("utility.synthetic", "detection.c2st"):
        assert (found[name].value, found[name].low, found[name].high) == (
            whole[name].value,
            whole[name].low,
            whole[name].high,
        )
    assert set(whole) == {f"utility.{n}" for n in Utility.measures} | {"detection.c2st", "detection.mmd"}


def test_levels_and_spread(subject: Subject) -> None:
    with one_thread():
        own = vitals(subject.train, subject)
        lost = vitals(subject.train.with_columns(sex=pl.lit("Male"), education=pl.lit("HS-grad")), subject)
        narrow = vitals(subject.train.with_columns((40 + (pl.col("age") - 40) // 4).alias("age")), subject)
    assert own["lab.levels"].value == 1.0
    assert own["lab.spread"].value == pytest.approx(1.0)
    kinds = subject.train["education"].value_counts().filter(pl.col("count") >= 2).height
    assert lost["lab.levels"].value == pytest.approx(np.mean([0.5, 1 / kinds, 1.0]))
    halves = [subject.train["age"].std(), subject.train["hours_per_week"].std()]
    assert all(h is not None for h in halves)
    assert narrow["lab.spread"].value == pytest.approx((0.25 + 1) / 2, abs=0.01)


def test_arms_have_names_for_files_and_for_people() -> None:
    arm = Arm("accumulate-subsample", 0.3, True)
    assert arm.key == "accumulate-subsample-real300-verified"
    assert arm.label == "accumulate-subsample, 30% real, verified"
