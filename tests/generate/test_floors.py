"""bootstrap and independent: what the tests of privacy and of fidelity must catch."""

import polars as pl
import pytest
from tabletop import ask, mixed, schema_of

from synthmill.cells import Bin, Cell
from synthmill.generate.tabular.bootstrap import Bootstrap
from synthmill.generate.tabular.independent import Independent

REAL = mixed(800)


def fitted(cls, frame=REAL):
    g = cls()
    g.fit(frame, schema_of(frame))
    return g


@pytest.mark.parametrize("cls", [Bootstrap, Independent])
def test_contract(cls, tmp_path):
    g = fitted(cls)
    assert g.private_model
    made = ask(g)
    assert made.schema == REAL.schema
    assert made.equals(ask(g))
    assert not made.equals(ask(g, seed=2))
    assert [ask(g, n).height for n in (0, 1)] == [0, 1]
    where = {"label": "rare", "age": Bin(50, 70), "pay": Bin(0, 1e9)}
    assert g.conditions(list(where))
    assert not g.conditions(["nowhere"])
    held = ask(g, 100, **where)
    assert held.filter(Cell(0, tuple(where.items()), 1).holds()).height == 100
    assert ask(g, label="never").height == 0
    assert ask(g, label="never").schema == REAL.schema
    g.save(tmp_path)
    again = cls()
    again.load(tmp_path)
    assert ask(again).equals(made)
    assert {p.suffix for p in tmp_path.iterdir()} == {".npz", ".json"}


def test_bootstrap_rows_are_real():
    made = ask(fitted(Bootstrap))
    assert made.join(REAL, on=REAL.columns, how="semi", nulls_equal=True).height == made.height


def test_independent_keeps_columns_and_breaks_their_dependence():
    made = ask(fitted(Independent), 5000)
    assert abs(made["age"].mean() - REAL["age"].mean()) < 1
    assert abs(made["pay"].null_count() / 5000 - REAL["pay"].null_count() / REAL.height) < 0.03
    assert abs(REAL.drop_nulls("pay").select(pl.corr("age", "pay")).item()) > 0.3
    assert abs(made.drop_nulls("pay").select(pl.corr("age", "pay")).item()) < 0.06


def test_independent_answers_a_cell_no_real_row_has():
    real = pl.DataFrame({"x": ["a", "b"], "y": ["p", "q"]})
    assert ask(fitted(Independent, real), 10, x="a", y="q").height == 10
    assert ask(fitted(Bootstrap, real), 10, x="a", y="q").height == 0
