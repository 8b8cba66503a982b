"""Plans: what is encoded comes back as it was, and whatever is drawn in that space meets the constraints."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from synthmill.constraints import Combinations, Constraint, Inequality, OneHot, Total, Unique
from synthmill.frame import rng_of
from synthmill.schema import Schema
from synthmill.tables.infer import infer
from synthmill.tables.plan import Plan
from synthmill.tables.steps import Gaps, Joint, Lookup, Rest

N = 400


def holes(s: pl.Series, rng: np.random.Generator, share: float = 0.15) -> pl.Series:
    return s.set(pl.Series(rng.random(len(s)) < share), None)


def table(seed: int, nulls: bool = True) -> pl.DataFrame:
    """Every kind of constraint holds in it."""
    rng = rng_of("plan", seed)
    low = np.round(rng.normal(0, 50, N), 2)
    day = pl.Series("ordered", [date(2024, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 300, N)])
    days = [pl.Series(rng.integers(0, 9, N)).cast(pl.Int32) for _ in range(2)]
    minute = datetime(2024, 1, 1)
    start = pl.Series("start", [minute + timedelta(minutes=int(m)) for m in rng.integers(0, 9_999, N)])
    city = rng.integers(0, 12, N)
    parts = rng.integers(0, 500, (3, N))
    flag = rng.integers(0, 3, N)
    frame = pl.DataFrame(
        {
            "low": low,
            "high": np.round(low + rng.exponential(5, N), 2),
            "ordered": day,
            "shipped": (day.to_physical() + days[0]).cast(pl.Date),
            "arrived": (day.to_physical() + days[0] + days[1]).cast(pl.Date),
            "start": start,
            "end": start + pl.Series(rng.integers(1, 500, N)) * timedelta(minutes=1),
            "city": pl.Series([f"city {c}" for c in city]),
            "state": pl.Series([f"state {c // 4}" for c in city]),
            "above": parts[0],
            "basement": parts[1],
            "attic": np.minimum(parts[2], parts[0]),
            "living": parts[0] + parts[1] + np.minimum(parts[2], parts[0]),
            "red": flag == 0,
            "green": flag == 1,
            "blue": flag == 2,
            "other": rng.choice(["x", "y"], N),
        }
    )
    if not nulls:
        return frame
    lacking = ("low", "high", "ordered", "shipped", "arrived", "start", "city", "state", "above", "living", "red")
    return frame.with_columns(holes(frame[n], rng) for n in lacking)


CONSTRAINTS: tuple[Constraint, ...] = (
    Inequality(("low", "high")),
    Inequality(("ordered", "shipped", "arrived")),
    Inequality(("start", "end"), strict=True),
    Combinations(("city", "state")),
    Total("living", ("above", "basement", "attic")),
    OneHot(("red", "green", "blue")),
)


def plan_of(frame: pl.DataFrame, constraints: tuple[Constraint, ...] = CONSTRAINTS, *keep: str) -> Plan:
    return Plan.of(constraints, frame, infer(frame), keep)


def shaken(frame: pl.DataFrame, schema: Schema, rng: np.random.Generator) -> pl.DataFrame:
    """What the worst generator would draw: columns apart from one another, numbers out of range, nulls anywhere."""
    out = []
    for s in frame.iter_columns():
        s = s.gather(rng.permutation(frame.height))
        if s.dtype.is_float():
            s = s + pl.Series(rng.normal(0, 3 * (s.std() or 1.0), frame.height))  # type: ignore[operator]
        elif s.dtype.is_integer():
            s = s + pl.Series(rng.integers(-9, 9, frame.height))
        out.append(holes(s, rng, 0.1))
    return pl.DataFrame(out).cast(dict(schema.dtypes()))  # type: ignore[arg-type]


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_encoded_comes_back(seed: int, nulls: bool) -> None:
    frame = table(seed, nulls)
    plan = plan_of(frame)
    assert not plan.left
    encoded = plan.encode(frame)
    assert encoded.columns == plan.schema.names
    assert dict(encoded.schema) == plan.schema.dtypes()
    assert plan.decode(encoded).equals(frame, null_equal=True)
    assert set(plan.kept) < set(frame.columns)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_drawn_meets_the_constraints(seed: int) -> None:
    frame = table(seed)
    plan = plan_of(frame)
    drawn = plan.decode(shaken(plan.encode(frame), plan.schema, rng_of("shaken", seed)))
    assert drawn.schema == frame.schema
    for c in CONSTRAINTS:
        if isinstance(
            c, Combinations | OneHot
        ):  # a category may be drawn that train lacks (null): the check rejects it
            known = drawn.filter(pl.col(c.columns[0]).is_not_null())
            seen = c.learned(frame) if isinstance(c, Combinations) else c
            assert seen.holds(known).all(), c.text
        else:
            assert c.holds(drawn).all(), c.text
    assert (drawn["high"].round(2) == drawn["high"]).all()


def test_the_pattern_of_missing_values_is_drawn_too() -> None:
    frame = table(1)
    gaps = next(s for s in plan_of(frame).steps if isinstance(s, Gaps) and len(s.grids) == 3)
    assert gaps.start
    encoded = plan_of(frame).encode(frame)
    known = frame["ordered"].is_null() & frame["shipped"].is_not_null()
    assert (encoded[gaps.start].filter(known) == "shipped").all()
    whole = table(1, nulls=False)
    assert not any(s.start for s in plan_of(whole).steps if isinstance(s, Gaps))


def test_a_category_that_decides_the_others_stays() -> None:
    frame = table(2, nulls=False)
    plan = plan_of(frame, (Combinations(("state", "city")),))
    assert isinstance(plan.steps[0], Lookup)
    assert plan.kept == [n for n in frame.columns if n != "state"]
    both = frame.with_columns(state=pl.when(pl.col("other") == "x").then("state").otherwise(pl.lit("abroad")))
    joint = plan_of(both, (Combinations(("state", "city")),))
    assert isinstance(joint.steps[0], Joint)
    assert joint.able(["city", "other"]) == ["other", joint.steps[0].made[0]]
    asked = joint.asked({"city": "city 3", "other": "x"})
    assert len(asked) == 2
    assert sum(share for _, share in asked) == pytest.approx(1)
    assert all(set(where) == {"other", joint.steps[0].made[0]} for where, _ in asked)
    assert joint.asked({"city": "nowhere"}) == []
    assert joint.able(["city", "low"]) == ["low", joint.steps[0].made[0]]
    assert joint.decode(joint.encode(both)).equals(both)


def test_kept_columns_stay_as_they_are() -> None:
    frame = table(3, nulls=False)
    constraints = (Inequality(("low", "high")), Total("living", ("above", "basement", "attic")))
    plan = plan_of(frame, constraints, "high", "living")
    largest = max(("above", "basement"), key=lambda n: frame[n].sum())
    assert {"high", "living", "attic"} <= set(plan.kept)
    assert not {"low", largest} & set(plan.kept)
    assert plan.decode(plan.encode(frame)).equals(frame)
    both = plan_of(frame, constraints, "low", "high")
    assert [c for c, _ in both.left] == [constraints[0]]


def test_overlaps_are_ordered_where_they_can_be_and_told_where_not() -> None:
    rng = rng_of("overlap")
    a, b, c = rng.integers(0, 9, (3, N))
    frame = pl.DataFrame({"a": a, "b": b, "c": c, "ab": a + b, "abc": a + b + c, "top": a + b + c + 1})
    chain = (
        Total("abc", ("ab", "c")),
        Total("ab", ("a", "b")),
        Inequality(("abc", "top"), True),
        Inequality(("a", "ab")),
    )
    plan = plan_of(frame, chain)
    assert [c.text for c, _ in plan.left] == ["a <= ab"]
    assert plan.decode(plan.encode(frame)).equals(frame)
    drawn = plan.decode(shaken(plan.encode(frame), plan.schema, rng))
    assert all(c.holds(drawn).all() for c in chain[:3])
    twice = (Total("ab", ("a", "b")), Total("ab", ("abc",), ("c",)))
    plan = plan_of(frame, twice)
    assert not plan.left
    assert sum(isinstance(s, Rest) for s in plan.steps) == 2
    drawn = plan.decode(shaken(plan.encode(frame), plan.schema, rng))
    assert all(c.holds(drawn).all() for c in twice)


def test_what_no_table_model_draws_is_left_to_the_check() -> None:
    frame = table(4).with_columns(key=pl.int_range(N))
    plan = plan_of(frame, (Unique(("key",)), Inequality(("key", "above"))))
    assert len(plan.left) == 2
    assert not plan.steps


def test_it_is_kept_without_pickle(tmp_path: Path) -> None:
    frame = table(5)
    plan = plan_of(frame)
    plan.save(tmp_path, tmp_path)
    again = Plan.load(tmp_path, tmp_path)
    encoded = plan.encode(frame)
    assert again.encode(frame).equals(encoded, null_equal=True)
    assert again.decode(encoded).equals(frame, null_equal=True)
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".npz"}


@pytest.mark.parametrize("up", [True, False])
def test_columns_of_different_grids(up: bool) -> None:
    """Whole numbers beside decimals, days beside minutes: each comes out on its own grid, on the right side."""
    rng = rng_of("grids")
    whole = rng.integers(0, 50, N)
    minute = pl.Series([datetime(2024, 1, 1) + timedelta(minutes=int(m)) for m in rng.integers(0, 99_999, N)])
    frame = pl.DataFrame(
        {"x": whole, "y": np.round(whole + rng.random(N), 1), "m": minute, "d": minute.dt.truncate("1d")}
    )
    constraints = (Inequality(("x", "y")), Inequality(("d", "m")))
    plan = plan_of(frame, constraints, *(() if up else ("y", "m")))
    assert plan.decode(plan.encode(frame)).equals(frame)
    drawn = plan.decode(shaken(plan.encode(frame), plan.schema, rng))
    assert all(c.holds(drawn).all() for c in constraints)
    assert (drawn["d"].dt.truncate("1d") == drawn["d"]).all()
    made = "y" if up else "x"  # the other is kept as it was drawn
    assert (drawn[made].round(1) == drawn[made]).all()
