"""`--where` reads values as the column's own type."""

import datetime

import polars as pl
import pytest

import synthmill
from synthmill.refusal import Refusal
from synthmill.verbs.fit import parse_where


def test_truth_is_read_from_its_name():
    assert parse_where(["group by=true", "paid=False"], {"group by": pl.Boolean(), "paid": pl.Boolean()}) == {
        "group by": True,
        "paid": False,
    }


def test_a_moment_is_no_level():
    days = [datetime.date(2021, 1, 1) + datetime.timedelta(days=i) for i in range(100)]
    model = synthmill.fit(pl.DataFrame({"since": days, "x": [i % 7 for i in range(100)]}))
    where = parse_where(["since=2021-01-05"], {"since": pl.Date()})
    with pytest.raises(Refusal, match="asked for as ranges, such as 'since>=2021-01-05', not with '='"):
        model.sample(3, where)
