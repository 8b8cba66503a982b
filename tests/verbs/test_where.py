"""`--where` reads values as the column's own type."""

import polars as pl

from synthmill.verbs.fit import parse_where


def test_truth_is_read_from_its_name():
    assert parse_where(["group by=true", "paid=False"], {"group by": pl.Boolean(), "paid": pl.Boolean()}) == {
        "group by": True,
        "paid": False,
    }
