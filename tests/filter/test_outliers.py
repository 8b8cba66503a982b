import polars as pl
import pytest

from synthmill.filter.outliers import Outliers
from synthmill.frame import rng_of
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema

SCHEMA = Schema((Column("x", "decimal", "Float64"), Column("c", "categorical", "String")))


def draw(n: int, name: str) -> pl.DataFrame:
    rng = rng_of("outliers test", name)
    return pl.DataFrame({"x": rng.normal(size=n), "c": rng.choice(["a", "b"], n)})


def test_fresh_rows_are_rejected_at_the_quantile_and_far_rows_always():
    check = Outliers(quantile=0.02)
    check.fit(draw(5000, "train"), SCHEMA)
    verdicts = check.judge(draw(5000, "fresh"))
    assert 0.01 < verdicts.status.mean() < 0.035
    far = pl.DataFrame({"x": [60.0, 0.0, 0.0], "c": ["a", "new", "a"]})
    verdicts = check.judge(far)
    assert verdicts.status.to_list() == [1, 1, 0]
    assert verdicts.score is None  # a distance to single real records would point at them
    assert verdicts.reason == "farther from real records than real records are"


def test_small_train_and_none():
    check = Outliers()
    check.fit(draw(1, "one"), SCHEMA)
    assert check.judge(draw(5, "few")).status.sum() == 0
    with pytest.raises(Refusal, match="no real data"):
        Outliers().judge(draw(5, "few"))
