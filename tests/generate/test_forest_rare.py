"""A rare class that cells ask for is learned, not drowned by the common ones around it."""

import numpy as np
import polars as pl

from synthmill.cells import Cell
from synthmill.generate.tabular.forest import Forest
from synthmill.plugins import Request
from synthmill.tables.infer import infer, observed


def _table() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rare = np.arange(3_000) < 60
    return pl.DataFrame(
        {
            "kind": np.where(rare, "rare", "common"),
            "x": np.round(rng.normal(np.where(rare, 2.0, 0.0), 1.0), 2),
            "y": np.round(rng.normal(np.where(rare, -2.0, 0.0), 1.0), 2),
            "z": rng.choice(["a", "b", "c"], 3_000),
        }
    )


def _made(lead: tuple[str, ...] | None) -> pl.DataFrame:
    table = _table()
    forest = Forest(lead=lead, leaf=60, shrink=3.0)  # as many rows as there are rare ones
    forest.fit(table, observed(infer(table), table))
    return forest.generate(Request(0, Cell(0, (("kind", "rare"),), 1_000), 0, 1_000, 1))


def test_a_rare_class_is_told_from_the_common_one_where_cells_ask_for_it():
    rare = _made(("kind",))
    assert rare["kind"].unique().to_list() == ["rare"]
    assert abs(rare["x"].mean() - 2.0) < 0.5
    assert abs(rare["y"].mean() + 2.0) < 0.5


def test_without_weights_it_is_not():
    assert _made(None)["x"].mean() < 1.5


def test_weights_are_saved(tmp_path):
    table = _table()
    forest = Forest(lead=("kind",))
    forest.fit(table, observed(infer(table), table))
    forest.save(tmp_path)
    loaded = Forest(lead=("kind",))
    loaded.load(tmp_path)
    request = Request(0, Cell(0, (("z", "a"),), 50), 0, 50, 1)  # grows trees that were not saved
    assert loaded.generate(request).equals(forest.generate(request))
