from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmill.blending import Blend, _add, _take, blend, load, save
from synthmill.cells import grid
from synthmill.real import from_frame
from synthmill.refusal import Refusal
from synthmill.run import Run
from synthmill.spec import BlendNeed
from synthmill.verbs.make import blend_inputs


def synthetic(n: int, depth: int = 1, **columns: Any) -> pl.DataFrame:
    made = {"kind": ["a", "b"] * (n // 2) + ["a"] * (n % 2), "x": list(range(n)), **columns}
    return pl.DataFrame(made, schema_overrides={"kind": pl.String(), "x": pl.Int64()}).with_columns(
        pl.Series("_id", [f"s{i}" for i in range(n)], dtype=pl.String),
        pl.lit("synthetic").alias("_origin"),
        pl.lit(depth, pl.UInt8).alias("_depth"),
    )


def real(n: int, **columns: Any) -> pl.DataFrame:
    made = {"x": [-i - 1 for i in range(n)], "kind": ["a"] * n, **columns}
    return pl.DataFrame(made, schema_overrides={"kind": pl.String(), "x": pl.Int64()}).with_columns(
        pl.Series("_id", [f"r{i}" for i in range(n)], dtype=pl.String), pl.lit(0, pl.UInt8).alias("_depth")
    )


def mixed(made: int, held: int, cells: Any = (), **need: Any) -> Blend:
    return blend(synthetic(made), real(held), BlendNeed(**{"regime": "replace", **need}), 1, cells)


def said(made: Blend) -> tuple[str, ...]:
    """Its notes but for the one on much synthetic data, which has a test of its own."""
    return tuple(n for n in made.notes if "of the blend is synthetic" not in n)


@given(
    made=st.integers(0, 5000),
    held=st.integers(0, 5000),
    percent=st.integers(0, 100),
    total=st.none() | st.integers(1, 9000),
)
def test_the_share_is_exact_to_rounding_and_nothing_more_could_be_taken(
    made: int, held: int, percent: int, total: int | None
) -> None:
    (s, r), note = _take(made, held, percent / 100, total)
    assert 0 <= s <= made
    assert 0 <= r <= held
    assert abs(r - (s + r) * percent / 100) <= 0.5 + 1e-9
    whole = s + r
    assert total is None or whole <= total
    if total is not None and whole < total:
        assert note
    # one more would ask for more than one side has, or for more than was wanted
    more = whole + 1
    wanted = total if total is not None else made * 100 / (100 - percent) if percent < 100 else held
    assert more > wanted or more * percent > held * 100 or more * (100 - percent) > made * 100


@pytest.mark.parametrize(("share", "taken"), [(0.7, (300, 700)), (0.0, (300, 0)), (1.0, (0, 2000)), (0.5, (300, 300))])
def test_all_synthetic_records_are_used_where_real_ones_suffice(share: float, taken: tuple[int, int]) -> None:
    made = mixed(300, 2000, real=share)
    assert (made.synthetic, made.real) == taken
    assert made.share == pytest.approx(share, abs=0.001)
    assert said(made) == ()


@given(
    made=st.integers(0, 5000),
    held=st.integers(0, 5000),
    percent=st.integers(1, 99),
    total=st.none() | st.integers(1, 9000),
)
def test_accumulating_keeps_every_real_record_and_at_least_the_share(
    made: int, held: int, percent: int, total: int | None
) -> None:
    (s, r), note = _add(made, held, percent / 100, total)
    assert 0 <= s <= made
    assert 0 <= r <= held
    assert r >= (s + r) * percent / 100 - 0.5 - 1e-9
    if total is None:
        assert r == held
        assert s == made or (s + 1) * percent > held * (100 - percent)  # one more would ask for more real ones
        assert bool(note) == (s < made)
    else:
        assert s + r <= total
        assert note or s + r == total


def test_blends_keep_every_real_record_and_warn_beyond_thirty_percent() -> None:
    usual = blend(synthetic(3000), real(1000), BlendNeed(), 1)
    assert (usual.synthetic, usual.real) == (428, 1000)
    assert usual.notes == ("1,000 real records allow 1,428 of 4,000 at 70% real; the blend shrank",)
    few = blend(synthetic(100), real(1000), BlendNeed(), 1)
    assert (few.synthetic, few.real, few.notes) == (100, 1000, ())
    much = blend(synthetic(3000), real(1000), BlendNeed(real=0.4), 1)
    assert much.notes[-1].startswith("60% of the blend is synthetic, more than the 30%")
    assert blend(synthetic(50), real(10), BlendNeed(real=0), 1).notes == ()  # no blend at all


def test_too_few_real_records_shrink_the_blend_and_say_so() -> None:
    made = mixed(1000, 70, real=0.7)
    assert (made.synthetic, made.real) == (30, 70)
    assert said(made) == ("70 real records allow 100 of 3,333 at 70% real; the blend shrank",)
    made = mixed(10, 1000, real=0.5, total=100)
    assert (made.synthetic, made.real) == (10, 10)
    assert "10 synthetic records allow 20 of 100" in made.notes[0]


def test_per_cell_the_share_holds_in_every_cell() -> None:
    cells = grid({"kind": ["a", "b"]}, 100)
    held = real(100).with_columns(kind=pl.when(pl.col("x") > -41).then(pl.lit("b")).otherwise(pl.lit("a")))
    made = blend(synthetic(200), held, BlendNeed(real=0.5, regime="replace", per_cell=True), 1, cells)
    counts = made.frame.group_by("kind", "_origin").len().sort("kind", "_origin")["len"].to_list()
    assert counts == [60, 60, 40, 40]
    assert [n.split(":")[0] for n in said(made)] == ["kind=a", "kind=b"]


def test_a_total_is_split_among_the_cells_as_their_quotas() -> None:
    cells = grid({"kind": ["a", "b"]}, {("a",): 30, ("b",): 10})
    made = mixed(200, 200, cells, real=0, per_cell=True, total=40)
    assert dict(made.frame["kind"].value_counts().iter_rows()) == {"a": 30, "b": 10}


def test_depth_is_capped_on_both_sides_and_said() -> None:
    old = pl.concat([synthetic(10), synthetic(10, depth=3).with_columns(_id=pl.col("_id") + "old")])
    held = real(20).with_columns(_depth=pl.when(pl.col("x") > -6).then(pl.lit(4, pl.UInt8)).otherwise("_depth"))
    made = blend(old, held, BlendNeed(real=0.5, regime="replace", max_depth=2), 1)
    assert made.frame["_depth"].max() == 1
    assert (made.synthetic, made.real) == (10, 10)
    assert said(made) == (
        "10 synthetic records are of a generation beyond max_depth 2",
        "5 real records are of a generation beyond max_depth 2",
    )


def test_weights_and_types_and_order_of_columns() -> None:
    made = blend(
        synthetic(10).with_columns(pl.col("x").cast(pl.Float64)),
        real(10),
        BlendNeed(real=0.5, weight_real=2, weight_synthetic=0.5),
        1,
    )
    assert made.frame.columns == ["x", "kind", "_id", "_origin", "_depth", "_weight"]
    assert made.frame.schema["x"] == pl.Int64
    assert set(made.frame.filter(_origin="real")["_weight"]) == {2.0}
    assert set(made.frame.filter(_origin="synthetic")["_weight"]) == {0.5}
    assert made.frame["_id"].n_unique() == made.frame.height


def test_columns_of_one_side_alone_are_left_out_and_named() -> None:
    made = blend(synthetic(1, extra=[1]), real(4, comment=["c"] * 4), BlendNeed(), 1)
    assert made.frame.columns[:2] == ["x", "kind"]
    assert said(made) == (
        "only the real records have comment: left out of the blend",
        "only the synthetic records have extra: left out of the blend",
    )


def test_sides_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(Refusal, match="no column is in both"):
        blend(synthetic(4).rename({"x": "y", "kind": "sort"}), real(4), BlendNeed(), 1)
    with pytest.raises(Refusal, match="column 'x' is String in the synthetic and Int64 in the real"):
        blend(synthetic(4).with_columns(x=pl.lit("many")), real(4), BlendNeed(), 1)
    with pytest.raises(Refusal, match="per_cell: 'colour' is not a column of both sides"):
        mixed(4, 4, grid({"colour": ["red"]}, 1), per_cell=True)


def test_the_same_seed_mixes_the_same(tmp_path: Path) -> None:
    one, again, other = (
        blend(synthetic(50), real(500), BlendNeed(real=0.5, regime="replace"), seed)
        .frame.filter(_origin="real")["_id"]
        .to_list()
        for seed in (1, 1, 2)
    )
    assert one == again != other


def test_real_rows_are_kept_private(tmp_path: Path) -> None:
    made = mixed(10, 10)
    save(made, tmp_path)
    assert load(tmp_path).equals(made.frame)
    public = [p for p in tmp_path.rglob("*") if p.is_file() and "private" not in p.parts]
    assert sorted(p.name for p in public) == ["blend.json", "synthetic.parquet"]
    assert all(b"r1" not in p.read_bytes() for p in public)
    (tmp_path / "blend" / "synthetic.parquet").unlink()
    with pytest.raises(Refusal, match="synthmill blend"):
        load(tmp_path)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(30, 120),
    seed=st.integers(0, 99),
    share=st.floats(0, 1),
    per_cell=st.booleans(),
    entity=st.booleans(),
    own=st.booleans(),
)
def test_no_holdout_row_ever_enters(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    seed: int,
    share: float,
    per_cell: bool,
    entity: bool,
    own: bool,
) -> None:
    """Every real row carries a mark of its own; whatever the split and the blend, marks of the holdout stay out."""
    table = pl.DataFrame(
        {"who": [f"p{i // 2:04d}" for i in range(rows)], "kind": ["a", "b", "a"] * (rows // 3) + ["b"] * (rows % 3)}
    ).with_columns(mark=pl.Series(range(1000, 1000 + rows)) * 7 + 3)
    held = table.tail(rows // 5) if own else 0.4
    anchor = from_frame(
        table.head(rows - rows // 5) if own else table,
        entity="who" if entity else None,
        holdout=held,
        seed=seed,
        columns={"mark": "integer", "kind": "categorical"},
    )
    root = tmp_path_factory.mktemp("run") / "run"
    run = Run.start(root, {"digest": "0" * 32})
    side = blend_inputs(anchor, run)
    run.close()
    made = synthetic(40).rename({"x": "mark"})
    need = BlendNeed(real=share, per_cell=per_cell, regime="accumulate" if seed % 2 else "replace")
    entered = blend(made, side, need, seed, grid({"kind": ["a", "b"]}, 1)).frame.filter(_origin="real")
    assert not set(entered["mark"]) & set(anchor.holdout["mark"])
    assert set(entered["mark"]) <= set(anchor.train["mark"])
    assert anchor.holdout.height > 0
