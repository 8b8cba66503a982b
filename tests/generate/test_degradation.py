import numpy as np
import polars as pl
import pytest

from synthmill.cells import Bin, Cell
from synthmill.generate.simulate.degradation import Degradation
from synthmill.plugins import Request, build
from synthmill.refusal import Refusal


def ask(generator, rows=300, seed=1, **where):
    return generator.generate(Request(0, Cell(0, tuple(where.items()), rows), 0, rows, seed))


def flat(made):
    return made.with_row_index("row").explode("readings").unnest("readings")


def test_schema_determinism_and_sizes():
    g = Degradation()
    made = ask(g)
    assert dict(made.schema) == g.schema()
    assert made.equals(ask(Degradation()))
    assert not made.equals(ask(g, seed=2))
    assert ask(g, 0).height == 0
    assert ask(g, 1).height == 1


def test_readings_run_from_zero_to_the_end_of_life():
    made = ask(Degradation())
    times = made.select(pl.col("readings").list.eval(pl.element().struct.field("t")).alias("t"), "life").with_columns(
        (pl.col("t").list.first() == 0).alias("starts"),
        (pl.col("t").list.last() == pl.col("life")).alias("ends"),
        (pl.col("t").list.diff().list.slice(1).list.min() > 0).alias("rises"),
    )
    assert times["starts"].all()
    assert times["ends"].all()
    assert times["rises"].all()


def test_damage_never_falls_and_cracks_follow_the_paris_law():
    rows = flat(ask(Degradation())).with_columns((pl.col("crack") ** -0.5).alias("x"))
    rises = rows.select(pl.col("wear", "crack").diff().over("row").fill_null(0))
    assert rises.min_horizontal().min() >= -1e-12
    slope = rows.filter(pl.col("t") > 0).select("row", ((0.1**-0.5 - pl.col("x")) / pl.col("t")).alias("slope"))
    spread = slope.group_by("row").agg((pl.col("slope").max() / pl.col("slope").min()).alias("ratio"))
    assert spread["ratio"].max() < 1 + 1e-6


def test_the_failure_mode_is_the_damage_that_reached_one():
    made = ask(Degradation())
    end = made.select(
        "censored",
        "failure_mode",
        "life",
        pl.col("readings").list.last().struct.field("wear"),
        pl.col("readings").list.last().struct.field("crack"),
        pl.col("inspections").list.last().struct.field("action"),
        pl.col("inspections").list.last().struct.field("t").alias("visited"),
    )
    failed = end.filter(~pl.col("censored"))
    wore = pl.col("failure_mode").is_in(["seal_wear", "belt_wear", "valve_wear", "oil_breakdown"])
    assert failed.filter(wore).select((pl.col("wear") == 1) & (pl.col("crack") < 1)).to_series().all()
    assert failed.filter(~wore).select((pl.col("crack") == 1) & (pl.col("wear") < 1)).to_series().all()
    assert failed["failure_mode"].n_unique() > 4
    stopped = end.filter(pl.col("censored"))
    assert set(stopped["failure_mode"]) == {"none"}
    assert stopped.select(pl.max_horizontal("wear", "crack") < 1).to_series().all()
    retired = (pl.col("action") == "retire") & (pl.col("visited") == pl.col("life"))
    assert stopped.select(retired | (pl.col("life") == 6000)).to_series().all()
    assert stopped.select(retired).to_series().any()


def test_heavier_load_shortens_life():
    light, heavy = (ask(Degradation(), load=Bin(a, a + 0.1))["life"].mean() for a in (0.6, 1.1))
    assert heavy < 0.6 * light


@pytest.mark.parametrize(
    "where",
    [
        {"machine": "fan", "environment": "hot"},
        {"load": Bin(1.1, 1.2, closed=True), "machine": "pump"},
        {"failure_mode": "shaft_crack"},
        {"failure_mode": "none", "censored": True},
    ],
)
def test_cells_are_met_exactly(where):
    g = Degradation()
    assert g.conditions(list(where))
    made = ask(g, 50, **where)
    assert made.height == 50
    assert made.filter(Cell(0, tuple(where.items()), 1).holds()).height == 50


def test_what_cannot_be_gives_no_rows():
    g = Degradation()
    assert not g.conditions(["life"])
    assert ask(g, machine="turbine").height == 0
    assert ask(g, machine="fan", failure_mode="seal_wear").height == 0
    assert ask(g, load=Bin(2, 3)).height == 0
    assert ask(g, 5, failure_mode="belt_wear", censored=True).height == 0


def test_short_intervals_are_cut_into_batches():
    made = ask(Degradation(interval=1.0), 200)
    assert made.height == 200
    assert np.isclose(made["readings"].list.len().max(), made["life"].ceil().max() + 1)


def test_wrong_configuration_is_one_sentence():
    with pytest.raises(Refusal, match="'clear'"):
        build("generate", {"use": "simulate.degradation", "environments": ["clear"]})
    with pytest.raises(Refusal, match="load"):
        build("generate", {"use": "simulate.degradation", "load": [1.2, 0.6]})
