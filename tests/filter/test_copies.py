from itertools import chain

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmill.data import adult
from synthmill.filter.copies import Copies, _lower
from synthmill.frame import rng_of
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.tables.infer import infer
from synthmill.tables.space import Space

SCHEMA = Schema(
    (
        Column("wage", "decimal", "Float64"),
        Column("rent", "decimal", "Float64"),
        Column("age", "integer", "Int64"),
        Column("sex", "categorical", "String"),
        Column("town", "categorical", "String"),
        Column("id", "identifier", "String"),
    )
)


def people(n: int, name: object) -> pl.DataFrame:
    rng = rng_of("copies test", name)
    return pl.DataFrame(
        {
            "wage": np.exp(rng.normal(3, 1, n)),
            "rent": rng.gamma(3, 300, n),
            "age": rng.integers(17, 90, n),
            "sex": rng.choice(["F", "M"], n),
            "town": rng.choice(list("abcdefgh"), n, p=np.r_[0.3, np.full(7, 0.1)]),
        }
    ).with_columns(wage=pl.when(pl.col("age") % 10 == 0).then(None).otherwise("wage"), id=pl.lit("x"))


def coarse(n: int, name: object) -> pl.DataFrame:
    rng = rng_of("coarse", name)
    return pl.DataFrame({c: np.minimum(rng.geometric(0.25, n), 12).astype(str) for c in "abc"})


COARSE = Schema(tuple(Column(c, "categorical", "String") for c in "abc"))


def fitted(train: pl.DataFrame, schema: Schema = SCHEMA, **options) -> Copies:
    check = Copies(**options)
    check.fit(train, schema)
    return check


def rejected(check: Copies, frame: pl.DataFrame) -> float:
    return check.judge(frame).status.mean()


TRAIN = people(4000, "train")


@pytest.mark.parametrize("quantile", [0.01, 0.05])
def test_fresh_real_rows_are_rejected_at_the_quantile(quantile):
    rate = rejected(fitted(TRAIN, quantile=quantile), people(8000, "fresh"))
    assert 0.5 * quantile < rate < 1.7 * quantile


def test_on_real_people_copies_go_and_strangers_stay():
    real = adult()
    schema = infer(real)
    order = rng_of("adult split").permutation(real.height)
    train, fresh = real[order[2000:]], real[order[:2000]]
    check = fitted(train, schema)
    assert rejected(check, train.sample(4000, with_replacement=True, seed=0)) > 0.99
    assert rejected(check, fresh) < 0.02
    shuffled = train.select(pl.col(c).shuffle(seed=i) for i, c in enumerate(train.columns))
    assert rejected(check, shuffled) < 0.01


def test_every_copy_of_a_single_real_row_is_rejected_and_says_so():
    verdicts = fitted(TRAIN).judge(TRAIN.sample(5000, with_replacement=True, seed=1))
    assert verdicts.status.to_list() == [1] * 5000
    assert set(verdicts.reason) == {"equals a real record"}
    assert verdicts.score.to_list() == [0.0] * 5000


@pytest.mark.parametrize(("noise", "least"), [(1e-4, 0.97), (1e-3, 0.8), (4e-3, 0.5)])
def test_slightly_changed_copies_are_rejected(noise, least):
    low, high = TRAIN["wage"].quantile(0.005), TRAIN["wage"].quantile(0.995)
    step = noise * (high - low) * rng_of("noise").normal(size=TRAIN.height)
    verdicts = fitted(TRAIN).judge(TRAIN.with_columns(wage=pl.col("wage") + pl.Series(step)))
    assert verdicts.status.mean() > least
    assert "nearer to a real record than real records are to each other" in verdicts.reason


def test_one_changed_category_makes_another_person():
    assert rejected(fitted(TRAIN), TRAIN.with_columns(town=pl.lit("z"))) == 0
    swapped = TRAIN.with_columns(sex=pl.when(pl.col("sex") == "F").then(pl.lit("M")).otherwise(pl.lit("F")))
    assert rejected(fitted(TRAIN), swapped) < 0.05


def test_lonely_records_have_larger_balls_than_crowded_ones():
    crowd = rng_of("crowd").random(400)
    check = fitted(pl.DataFrame({"x": [*crowd, 3.0]}), Schema((Column("x", "decimal", "Float64"),)))
    assert rejected(check, pl.DataFrame({"x": crowd + 0.005})) < 0.05
    assert rejected(check, pl.DataFrame({"x": [3.0 - 0.005]})) == 1


def test_a_record_two_people_share_is_nobodys():
    check = fitted(pl.concat([TRAIN, TRAIN[:10]]))
    assert check.judge(TRAIN).status.to_list() == [0] * 10 + [1] * 3990


def test_a_memorised_fine_record_never_passes_for_a_coincidence_among_coarse_ones():
    def mixed(name: str) -> pl.DataFrame:
        blank = people(1500, (name, "blank")).with_columns(wage=pl.lit(None, pl.Float64), rent=pl.lit(None, pl.Float64))
        return pl.concat([people(1500, name), blank]).sample(fraction=1, shuffle=True, seed=3)

    train = mixed("train too")
    check = fitted(train)
    assert check.coincidence > 0.01
    fine = train.filter(pl.col("rent").is_not_null())
    assert check.judge(pl.concat([mixed("others"), fine])).status[3000:].to_list() == [1] * 1500
    assert rejected(check, mixed("more")) < 0.03


def test_in_a_coarse_table_exact_copies_pass_at_the_rate_of_chance_only():
    train = coarse(3000, "train")
    check = fitted(train, COARSE)
    chance = check.coincidence
    assert chance > 0.02
    assert rejected(check, coarse(6000, "fresh")) < 0.02
    single = train.filter(~train.is_duplicated())
    assert rejected(check, single) == 1
    half = pl.concat([coarse(2000, "more"), single.sample(2000, with_replacement=True, seed=0)]).sample(
        fraction=1, shuffle=True, seed=1
    )
    passed = half.filter(check.judge(half).status == 0)
    copies = passed.join(single, on=["a", "b", "c"], how="semi", nulls_equal=True).height
    assert copies <= chance * passed.height


def test_moments_seconds_apart_are_different_records():
    start = 1_600_000_000_000_000
    seen = pl.Series(start + rng_of("moments").permutation(10**6)[:500] * 10_000_000).cast(pl.Datetime("us"))
    train = pl.DataFrame({"seen": seen.append(pl.Series([start + 10**16]).cast(pl.Datetime("us")))})
    check = fitted(train, Schema((Column("seen", "datetime", "Datetime(time_unit='us', time_zone=None)"),)))
    assert rejected(check, train) == 1


def brute(train: pl.DataFrame, queries: pl.DataFrame, share: float) -> np.ndarray:
    """The definition, pair by pair, in the whole space."""
    space = Space.fit(train, SCHEMA)
    base, points = space.coordinates(train), space.coordinates(queries)
    apart = np.sqrt(((base[:, None] - base[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    reach = np.minimum(apart.min(axis=1), 0.999)
    gaps = np.sqrt(((points[:, None] - base[None]) ** 2).sum(axis=2))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(reach > 0, gaps / reach, np.inf).min(axis=1)
    return np.where(ratio < share, ratio, np.inf)


@given(st.integers(0, 10**6), st.sampled_from([5, 60, 150]), st.sampled_from([0.3, 0.5, 0.9]))
@settings(max_examples=25, deadline=None)
def test_pruning_loses_nothing(seed, n, share):
    train = people(n, seed)
    noise = pl.Series(rng_of("brute", seed).normal(size=n) * 0.3)
    queries = pl.concat([people(100, (seed, 2)), train.with_columns(wage=pl.col("wage") + noise)])
    check = fitted(train)
    found, _ = check._balls.ratios(*check._place(queries), share)
    np.testing.assert_allclose(found, brute(train, queries, share), rtol=1e-9)


def test_calibration_is_leave_one_out():
    train = pl.concat([people(120, "loo"), people(120, "loo")[:6]])
    ratios = np.array(
        [brute(train[[j for j in range(126) if j != i]], train[i : i + 1], 1.0)[0] for i in range(train.height)]
    )
    assert (ratios == 0).sum() == 12
    assert _lower(ratios, 0.3) == pytest.approx(fitted(train, quantile=0.3).share, rel=0.05)
    # not equal: each left-out row moves the scale of the space a little


def test_batches_of_any_size_reject_the_same_rows():
    check, rows = fitted(TRAIN), pl.concat([people(500, "mixed"), TRAIN[:100]])
    whole = check.judge(rows).status.to_list()
    parts = [check.judge(rows[i : i + 7]).status.to_list() for i in range(0, rows.height, 7)]
    assert whole == list(chain(*parts))
    assert check.judge(rows[:0]).status.len() == 0


def test_tiny_and_odd_tables():
    one = fitted(TRAIN[:1])
    assert one.judge(pl.concat([TRAIN[:1], TRAIN[1:2].with_columns(town=pl.lit("z"))])).status.to_list() == [1, 0]
    same = fitted(pl.concat([TRAIN[:1]] * 20))
    assert rejected(same, TRAIN[:1]) == 0
    empty = fitted(TRAIN.with_columns(wage=pl.lit(None, pl.Float64)))
    assert 0 < rejected(empty, TRAIN.with_columns(wage=pl.lit(None, pl.Float64))) <= 1


def test_without_real_data_or_columns_it_refuses():
    with pytest.raises(Refusal, match="no real data"):
        Copies().judge(TRAIN)
    with pytest.raises(Refusal, match="no column to compare"):
        fitted(TRAIN, SCHEMA.select(["id"]))
    with pytest.raises(Refusal, match="quantile"):
        build("filter", {"use": "copies", "quantile": 0})


@pytest.mark.parametrize("decimals", [2, 9])
def test_the_tree_and_the_products_give_the_same_verdicts(monkeypatch, decimals):
    """Which of the two answers is a question of speed alone: rows of two categories, one of them crowded."""
    rng = rng_of("crowded")
    columns = [f"x{i}" for i in range(8)]

    def rows(n):
        frame = pl.DataFrame((rng.random((n, 8)) ** 2).round(decimals), schema=columns)
        return frame.with_columns(sex=pl.Series(rng.choice(["F", "M"], n, p=[0.1, 0.9])))

    schema = Schema((*(Column(c, "decimal", "Float64") for c in columns), Column("sex", "categorical", "String")))
    train = pl.concat([rows(3000), rows(20)[[0, 0, 1]]])
    tests = pl.concat([rows(3000), train.sample(300, seed=1), train.head(500).with_columns(pl.col("x0") + 1e-7)])
    answers = []
    for crowded in (100, 2000, 10**9):
        monkeypatch.setattr("synthmill.filter.copies._CROWDED", crowded)
        monkeypatch.setattr("synthmill.filter.copies._AXES", 8)
        monkeypatch.setattr("synthmill.filter.copies._DIMENSION", 3.0)
        check = fitted(train, schema, quantile=0.1)
        assert len(check._balls.crowded) == {100: 2, 2000: 1}.get(crowded, 0)
        verdicts = check.judge(tests)
        answers.append((check.share, verdicts.status.to_list(), verdicts.score.to_list()))
    assert answers[0] == answers[1] == answers[2]
    assert 800 <= sum(answers[0][1]) < 1500
