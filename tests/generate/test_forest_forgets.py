"""What taking rows out of a fitted forest leaves of them: no values, no names, and the distribution of a refit."""

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tabletop import ask, mixed, schema_of

import synthmill
from synthmill.cells import Cell
from synthmill.generate.tabular.forest import Forest
from synthmill.plugins import Request


def fitted(frame, **options):
    g = Forest(**options)
    g.fit(frame, schema_of(frame))
    return g


def written(folder: Path) -> bytes:
    """All bytes of a model, arrays as they are: `np.savez` does not compress."""
    return b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


def people(n: int = 2000) -> pl.DataFrame:
    """The first has a job and a street of their own with a friend; towns decide regions."""
    rng = np.random.default_rng(7)
    town = rng.choice(["Aachen", "Bonn", "Celle", "Dessau"], n).astype(object)
    job = rng.choice(["clerk", "cook", "vet"], n).astype(object)
    town[:3], job[:3] = "Quuxhausen", "Zorblaxer"
    region = np.array([{"Quuxhausen": "Farregion"}.get(t, t[0]) for t in town])
    return pl.DataFrame(
        {"job": job.astype(str), "town": town.astype(str), "region": region, "age": rng.integers(20, 60, n)}
    )


def test_names_that_nobody_left_holds_are_in_no_file(tmp_path: Path) -> None:
    names = (b"Quuxhausen", b"Zorblaxer", b"Farregion")
    model = synthmill.fit(people(), "tabular.forest", constraints=[{"combinations": ["town", "region"]}])
    model.save(tmp_path / "before")
    assert all(n in written(tmp_path / "before") for n in names)  # three records hold them
    model.remove([0, 1])  # one record is left of them: fewer than `rare`
    model.save(tmp_path / "after")
    after = written(tmp_path / "after")
    assert not any(n in after for n in names)
    assert all(n in after for n in (b"Aachen", b"clerk"))
    assert "Quuxhausen" not in repr(model.schema)
    for m in (model, synthmill.load(tmp_path / "after")):
        made = m.sample(4000)
        assert set(made["job"]) == {"clerk", "cook", "vet"}
        assert made.filter(pl.col("town").str.slice(0, 1) != pl.col("region")).is_empty()
        with pytest.raises(synthmill.Refusal, match="no such rows"):
            m.sample(5, where={"job": "Zorblaxer"})


def test_a_name_that_enough_others_hold_stays(tmp_path: Path) -> None:
    model = synthmill.fit(people(), "tabular.forest")
    model.remove([0])
    model.save(tmp_path / "m")
    assert b"Zorblaxer" in written(tmp_path / "m")
    assert set(model.sample(30, where={"job": "Zorblaxer"})["job"]) == {"Zorblaxer"}


def test_a_column_of_which_no_level_is_left_is_missing(tmp_path: Path) -> None:
    table = pl.DataFrame({"k": ["a"] * 60 + [f"b{i}" for i in range(40)], "x": list(range(100))})
    g = fitted(table)
    assert "a" in set(ask(g, 200)["k"])
    assert g.remove(range(60)) == {"k": [None]}
    g.save(tmp_path)
    assert ask(g, 200)["k"].null_count() == 200
    again = Forest()
    again.load(tmp_path)
    assert ask(again, 200).equals(ask(g, 200))
    assert ask(g, 5, k="a").height == 0


def _shares(frame: pl.DataFrame, edges: dict[str, np.ndarray], pair: tuple[str, str]) -> pl.DataFrame:
    parts = [
        pl.Series(c, np.searchsorted(edges[c], frame[c].to_physical().fill_null(-(10**9)).to_numpy())).cast(pl.String)
        if c in edges
        else frame[c].cast(pl.String).fill_null("-")
        for c in pair
    ]
    return pl.DataFrame(parts).group_by(pair).agg(share=pl.len() / frame.height)


def _apart(a: pl.DataFrame, b: pl.DataFrame, edges: dict[str, np.ndarray]) -> dict[tuple[str, str], float]:
    """Total variation distance of every pair of columns, numbers in fifths."""
    found = {}
    for pair in itertools.combinations(a.columns, 2):
        both = _shares(a, edges, pair).join(_shares(b, edges, pair), on=pair, how="full", coalesce=True).fill_null(0)
        found[pair] = float((both["share"] - both["share_right"]).abs().sum() / 2)
    return found


@pytest.mark.parametrize("group", ["seen", "scattered"])
def test_every_pair_of_columns_is_as_a_refit_has_it(group: str) -> None:
    """Removed: a visible group, or rows here and there. The sample after removal is no farther from a refit's than
    another refit's is; before, it was, where the group can be seen."""
    real = mixed(3900)
    gone = (
        real.select(((pl.col("label") == "rare") | (pl.col("age") > 55)) & (pl.col("job") != "temp")).to_series()
        if group == "seen"
        else pl.Series(np.random.default_rng(3).random(3900) < 0.4)
    )
    left = real.filter(~gone)
    assert 500 < gone.sum() < 2000
    options = {"leaf": 10, "shrink": 1.0, "worlds": 8}
    g = fitted(real, **options)
    fresh = ask(fitted(left, **options), 20_000, seed=9)
    others = [ask(fitted(left, seed=s, **options), 20_000, seed=9 + s) for s in (1, 2)]
    before = ask(g, 20_000)
    g.remove(gone.arg_true().to_list())
    after = ask(g, 20_000)
    numbers = ("age", "pay", "since", "seen")
    edges = {c: np.quantile(left[c].drop_nulls().to_physical(), [0.2, 0.4, 0.6, 0.8]) for c in numbers}
    now, was = _apart(after, fresh, edges), _apart(before, fresh, edges)
    noise = [_apart(o, fresh, edges) for o in others]
    mean = np.mean(list(now.values()))
    assert mean < 1.2 * max(np.mean(list(n.values())) for n in noise) + 0.002
    for pair, value in now.items():
        assert value < 1.5 * max(n[pair] for n in noise) + 0.015, pair
    assert group == "scattered" or np.mean(list(was.values())) > 2 * mean


def test_the_same_whether_loaded_first_or_not(tmp_path: Path) -> None:
    g = fitted(people())
    g.save(tmp_path)
    again = Forest()
    again.load(tmp_path)
    assert g.remove([0, 1, 7]) == again.remove([0, 1, 7])
    asked = Request(0, Cell(0, (("town", "Bonn"),), 300), 0, 300, 3)
    assert g.generate(asked).equals(again.generate(asked))
