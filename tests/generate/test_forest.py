import itertools
from datetime import date

import numpy as np
import polars as pl
import pytest
from tabletop import ask, mixed, schema_of

import synthmill
from synthmill.cells import Bin, Cell
from synthmill.generate.tabular.forest import Forest
from synthmill.origins import Tally
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.tables.boost import classify
from synthmill.tables.infer import infer


def fitted(frame, kinds=None, **options):
    g = Forest(**options)
    g.fit(frame, infer(frame, kinds) if kinds else schema_of(frame))
    return g


def request(n, seed=1, **where):
    return Request(0, Cell(0, tuple(where.items()), n), 0, n, seed)


def auc(a, b):
    """Of a boosted classifier that is to tell rows of a from rows of b, on halves it has not seen."""
    n = min(a.height, b.height)
    rng = np.random.default_rng(0)
    both = pl.concat([a.sample(n, seed=1), b.sample(n, seed=1)])
    levels = [s.dtype in (pl.String, pl.Boolean) for s in both]
    x = np.column_stack(
        [
            (s.rank("dense") if k else s.to_physical()).cast(float).fill_null(-99)
            for s, k in zip(both, levels, strict=True)
        ]
    )
    y = np.repeat([0, 1], n)
    order = rng.permutation(2 * n)
    fit, judge = order[:n], order[n:]
    score = classify(x[fit], y[fit], levels, x[judge], [1])[:, 0]
    rank = np.argsort(np.argsort(score)) + 1
    ones = y[judge] == 1
    k = ones.sum()
    return (rank[ones].sum() - k * (k + 1) / 2) / (k * (n - k))


@pytest.fixture(scope="module")
def real():
    return mixed(6000)


@pytest.fixture(scope="module")
def forest(real):
    """With a leaf of its own: what is tested here must not hang on how far the default is cut back."""
    return fitted(real, leaf=5, shrink=1.0)


def test_columns_keep_their_distribution(real, forest):
    made = ask(forest, 20_000)
    assert made.schema == real.schema
    for name in ("age", "pay", "since", "seen"):
        a, b = (np.sort(f[name].drop_nulls().to_physical().to_numpy()) for f in (real, made))
        grid = np.unique(a)
        gap = np.searchsorted(a, grid, "right") / len(a) - np.searchsorted(b, grid, "right") / len(b)
        assert np.abs(gap).max() < 0.025, name
    for name in ("job", "note", "flag", "label"):
        a, b = (f[name].value_counts(normalize=True) for f in (real, made))
        both = a.join(b, on=name, how="full", nulls_equal=True).fill_null(0)
        assert (both["proportion"] - both["proportion_right"]).abs().max() < 0.02, name


def test_missing_values_keep_their_pattern(real, forest):
    made = ask(forest, 20_000)
    for part in (pl.col("age") < 35, pl.col("age") >= 35):
        a, b = (f.filter(part)["pay"].null_count() / f.filter(part).height for f in (real, made))
        assert abs(a - b) < 0.04
    for joint in (
        pl.col("note").is_null() & pl.col("flag").is_null(),
        pl.col("note").is_null() != pl.col("flag").is_null(),
    ):
        a, b = (f.select(joint.mean()).item() for f in (real, made))
        assert abs(a - b) < 0.02


def test_an_interaction_of_three_columns_is_kept():
    """No pair tells anything: what a copula cannot see."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 8000))
    real = pl.DataFrame({"a": a, "b": b, "c": a ^ b, "d": rng.integers(0, 50, 8000)})
    made = ask(fitted(real, dict.fromkeys("abc", "categorical")), 10_000)
    wrong = (made["a"] ^ made["b"] != made["c"]).mean()
    assert wrong < 0.02
    table = made.group_by("a", "b").len()["len"].to_numpy() / 10_000
    assert np.abs(table - 0.25).max() < 0.03


def test_a_conditional_distribution_is_that_of_the_truth():
    """y given x is normal around x squared, twice as wide where k is 'b'; deciles of the rest, per part."""
    rng = np.random.default_rng(1)
    x, k = np.round(rng.uniform(-3, 3, 20_000), 2), rng.choice(["a", "b"], 20_000)
    noise = rng.normal(size=20_000) * np.where(k == "b", 1.0, 0.5)
    made = ask(fitted(pl.DataFrame({"x": x, "k": k, "y": np.round(x**2 + noise, 2)}), leaf=5, shrink=0), 20_000)
    for level, spread in (("a", 0.5), ("b", 1.0)):
        part = made.filter(k=level)
        rest = (part["y"] - part["x"] ** 2).to_numpy()
        assert np.abs(np.quantile(rest, [0.1, 0.5, 0.9]) / spread - [-1.28, 0, 1.28]).max() < 0.4
        assert (
            abs(np.corrcoef(part["x"].to_numpy() ** 2, part["y"].to_numpy())[0, 1] - np.sqrt(7.2 / (7.2 + spread**2)))
            < 0.02
        )


def test_spikes_and_determined_columns_are_kept():
    rng = np.random.default_rng(2)
    city = rng.choice([f"c{i}" for i in range(60)], 10_000)
    state = np.array([f"s{int(c[1:]) % 9}" for c in city])
    gain = np.where(
        rng.random(10_000) < 0.9, 0, np.where(rng.random(10_000) < 0.5, 7688, rng.integers(100, 50_000, 10_000))
    )
    made = ask(fitted(pl.DataFrame({"city": city, "state": state, "gain": gain}), {"gain": "integer"}), 10_000)
    right = made.select(
        (pl.format("s{}", pl.col("city").str.slice(1).cast(pl.Int64) % 9) == pl.col("state")).mean()
    ).item()
    assert right > 0.97
    for spike, share in ((0, 0.9), (7688, 0.05)):
        assert abs((made["gain"] == spike).mean() - share) < 0.015


def test_missing_can_be_asked_for(forest):
    made = ask(forest, 200, pay=None, note=None, job="clerk")
    assert made["pay"].null_count() == made["note"].null_count() == 200
    assert (made["job"] == "clerk").all()


@pytest.mark.parametrize("lead", [None, ("label", "job")])
@pytest.mark.parametrize(
    "where",
    [
        {"label": "rare"},
        {"job": "temp", "label": "rare"},
        {"age": Bin(60, 70), "pay": Bin(None, 1000), "flag": True},
        {"since": Bin(date(2020, 6, 1), date(2020, 9, 1)), "note": "a"},
        {"age": 44},
        {"pay": Bin(812.5, 813.5)},
    ],
)
def test_cells_are_met_exactly(real, forest, where, lead):
    g = forest if lead is None else fitted(real.head(2000), lead=lead)
    made = ask(g, 500, **where)
    assert made.height == 500
    assert made.filter(Cell(0, tuple(where.items()), 1).holds()).height == 500


def test_the_rest_follows_the_cell(real, forest):
    where = {"label": "rare", "job": "lead"}
    made = ask(forest, 5000, **where)
    held = real.filter(Cell(0, tuple(where.items()), 1).holds())
    assert abs(made["age"].mean() - held["age"].mean()) < 1.0
    assert abs(made["pay"].median() / held["pay"].median() - 1) < 0.06


def test_a_cell_no_real_row_has_is_answered_if_its_levels_exist():
    real = pl.DataFrame({"x": ["a", "b"] * 200, "y": ["p", "q"] * 200, "v": list(range(400))})
    g = fitted(real)
    assert ask(g, 50, x="a", y="q").filter(pl.col("x") == "a", pl.col("y") == "q").height == 50
    assert ask(g, 50, x="c").height == 0
    assert ask(g, 50, v=Bin(900, 1000)).height == 0
    assert ask(g, 50, v="a").height == 0
    assert ask(g, 50, x=None).height == 0
    assert ask(g, 50, x="c").schema == real.schema


def test_a_rare_level_is_drawn_when_it_is_asked_for():
    rng = np.random.default_rng(0)
    job = np.where(np.arange(4000) < 3, "astronaut", rng.choice(["clerk", "cook"], 4000))
    g = fitted(pl.DataFrame({"job": job, "age": rng.integers(20, 60, 4000), "pay": rng.normal(0, 1, 4000)}))
    made = ask(g, 300, job="astronaut")
    assert (made["job"] == "astronaut").sum() == 300
    assert made["age"].n_unique() > 20


def test_requests_answer_alike_whatever_was_asked_before(real):
    one, other = fitted(real.head(1500)), fitted(real.head(1500))
    asked = [request(300, 5), request(70, 6, label="rare"), request(40, 7, age=Bin(30, 40))]
    first = [one.generate(r) for r in asked]
    last = [other.generate(r) for r in reversed(asked)][::-1]
    assert all(a.equals(b) for a, b in zip(first, last, strict=True))
    assert not one.generate(request(300, 8)).equals(first[0])


def test_save_and_load(real, tmp_path):
    g = fitted(real.head(1500))
    ask(g, 20, job="temp", age=Bin(30, 40))
    g.save(tmp_path)
    again = Forest()
    again.load(tmp_path)
    for where in ({}, {"label": "rare"}, {"age": Bin(30, 40), "job": "temp"}):
        assert ask(again, **where).equals(ask(g, **where))
    gaps = real.head(50).with_columns(job=None).cast(real.schema)
    assert again.impute(gaps).equals(g.impute(gaps))
    assert again.origins(request(40)).rows.equals(g.origins(request(40)).rows)
    assert again.notes == g.notes
    assert {p.suffix for p in tmp_path.iterdir()} == {".npz", ".json"}
    g.remove(range(50))
    again.remove(range(50))
    assert ask(again).equals(ask(g))


def test_donors_gave_the_values(real, forest):
    asked = request(2000)
    found = forest.origins(asked)
    made, donors = forest.generate(asked), found.rows
    assert found.made.equals(made)
    assert donors.columns == made.columns
    for name in ("job", "note", "flag", "label"):
        assert made[name].equals(real[name].gather(donors[name]), null_equal=True)
    apart = (made["age"] - real["age"].gather(donors["age"])).abs()
    assert apart.mean() < 0.1
    assert apart.max() <= 10  # where few people are that old, they are one block
    order = [forest._columns[j].name for j in forest._order]
    for a, b in itertools.pairwise(order):
        assert not (donors[a] == donors[b]).any()


def test_contributions_are_even_and_small(forest):
    found = forest.origins(request(20_000))
    tally = Tally(np.arange(6000))
    for half in (np.arange(8000), np.arange(8000, 20_000)):
        tally.add(found, half, found.made.columns)
    share, most = tally.shares()
    learned = share[forest._learned]
    assert abs(learned.sum() - 1) < 1e-9
    assert learned.max() < 4 / len(learned)
    assert (learned > 0).mean() > 0.99
    assert most.max() <= 2 / 9 + 1e-9  # 9 columns, 5 folds


def test_where_values_come_from(forest):
    """World, fold, node and donors are those of the model itself."""
    found = forest.origins(request(500, age=Bin(30, 40)))
    w, order = forest._model, [c.name for c in forest._columns]
    rank = {int(row): i for i, row in enumerate(forest._learned)}
    for i in range(0, 500, 50):
        world = found.record["world"][i]
        folds = [int(found.values[c]["fold"][i]) for c in order]
        assert folds == [w.fold[world, rank[found.rows[c][i]]] for c in order]
    drawn = [c for c in order if c != "age"]
    assert all(set(found.values[c]["donors"] >= 1) == {True} for c in drawn)
    assert found.values["label"]["leaf"].n_unique() > 3
    empty = forest.origins(request(5, job="pilot"))
    assert empty.made.height == empty.rows.height == empty.record.height == empty.values["age"].height == 0


@pytest.mark.parametrize("crowd", [5, 10])
def test_single_numbers_are_not_copied(crowd):
    """Amounts that few records hold are met as often as other amounts of the same range, no oftener."""
    rng = np.random.default_rng(3)
    pay = np.round(rng.lognormal(8, 1, 5000), 2)
    pay[:9] = [0.01, 9e6, 1234.57, 1234.57, 1234.57, 4321.09, 4321.09, 777.77, 777.77]
    real = pl.DataFrame(
        {"pay": pay, "k": rng.choice(["a", "b", "c"], 5000), "n": np.round(pay / 7 + rng.normal(0, 1, 5000), 2)}
    )
    made = ask(fitted(real, crowd=crowd), 40_000)
    assert made["pay"].min() > 0.01
    assert made["pay"].max() < 9e6
    fresh = pl.Series(np.round(rng.lognormal(8, 1, 5000), 2)).unique()
    copied, chance = (made["pay"].is_in(s.unique().to_list()).mean() for s in (real["pay"], fresh))
    assert copied < chance * 1.1 + 0.002
    for value in (1234.57, 4321.09, 777.77):
        assert (made["pay"] == value).sum() < 20  # 24, 16 and 16 of 40,000 if they were copied


def test_levels_of_one_person_are_neither_kept_nor_made(tmp_path):
    rng = np.random.default_rng(4)
    job = rng.choice(["clerk", "cook", "vet"], 3000).astype(object)
    job[:20] = [f"Zorblax{i} Quuxington" for i in range(20)]
    real = pl.DataFrame(
        {"job": job.astype(str), "own": [f"{i} Elm" for i in range(3000)], "age": rng.integers(20, 60, 3000)}
    )
    g = fitted(real, {"job": "categorical", "own": "categorical"})
    made = ask(g, 20_000)
    assert set(made["job"]) == {"clerk", "cook", "vet"}
    assert made["own"].null_count() == made.height
    assert ask(g, 10, job="Zorblax7 Quuxington").height == 0
    g.save(tmp_path)
    text = (tmp_path / "forest.json").read_text("utf-8")
    assert "cook" in text
    assert "Quuxington" not in text
    assert "Elm" not in text
    assert set(ask(fitted(real.with_columns(job=pl.when(pl.col("age") > 20).then(pl.lit("clerk")).otherwise("job")), rare=400), 500)["job"]) == {"clerk"}  # fmt: skip


def test_how_far_out_one_record_lies_decides_nothing():
    pay = np.round(np.random.default_rng(3).normal(3000, 500, 3000), 2)
    made = []
    for low in (-5e4, -1e6, -1e7):
        pay[0] = low
        made.append(ask(fitted(pl.DataFrame({"pay": pay, "k": ["a", "b", "c"] * 1000})), 5000)["pay"].min())
    assert made[0] == made[1] == made[2] > 500


def test_removed_rows_give_nothing_and_the_rest_as_if_they_had_never_been(real):
    """Removed: a group anyone can see. A classifier tells the sample after removal from a refit's no better than it tells
    two refits' apart; the sample before removal it does."""
    group = real.select(((pl.col("label") == "rare") & (pl.col("age") > 50)) | (pl.col("job") == "lead")).to_series()
    gone, left = np.flatnonzero(group.to_numpy()), real.filter(~group)
    assert len(gone) > 800
    options = {"leaf": 10, "shrink": 1.0}
    g, refit, second = fitted(real, **options), fitted(left, **options), fitted(left, seed=5, **options)
    before, fresh = ask(g, 8000), ask(refit, 8000, seed=9)
    g.remove(gone)
    after = ask(g, 8000)
    assert not np.isin(g.origins(request(8000)).rows.to_numpy(), gone).any()
    assert (after["job"] == "lead").sum() == 0
    assert ask(g, 10, job="lead").height == 0
    noise = auc(ask(second, 8000), fresh)
    assert abs(auc(after, fresh) - noise) < 0.03
    assert auc(before, fresh) > noise + 0.05
    with pytest.raises(Refusal, match="no record would be left"):
        g.remove(range(real.height))


def test_a_level_that_one_record_is_left_of_is_not_made_any_more():
    rng = np.random.default_rng(5)
    job = np.where(np.arange(2000) < 30, "vet", rng.choice(["clerk", "cook"], 2000))
    g = fitted(pl.DataFrame({"job": job, "age": rng.integers(20, 60, 2000)}))
    assert ask(g, 20, job="vet").height == 20
    g.remove(range(29))
    assert (ask(g, 20_000)["job"] == "vet").sum() == 0
    assert ask(g, 20, job="vet").height == 0


def test_a_model_forgets_rows_and_is_kept_without_them(tmp_path):
    table = pl.DataFrame({"k": ["a", "b", "c"] * 100, "x": list(range(0, 900, 3))}).with_columns(x=pl.col("x") // 7)
    model = synthmill.fit(table, "tabular.forest", columns={"x": "integer"})
    model.remove(np.flatnonzero(table["k"] == "b"))
    model.save(tmp_path / "m")
    for m in (model, synthmill.load(tmp_path / "m")):
        assert set(m.sample(500)["k"]) == {"a", "c"}
    with pytest.raises(Refusal, match="cannot forget single records"):
        synthmill.fit(table, "tabular.copula").remove([1])


def test_impute_fills_what_is_missing_and_leaves_the_rest(real):
    g = fitted(real.head(3000))
    test = real.tail(1500)
    rng = np.random.default_rng(0)
    holed = test.with_columns(
        pl.when(pl.Series(rng.random(1500) < 0.3)).then(None).otherwise(pl.col(c)).alias(c) for c in test.columns
    ).with_columns(pl.when(pl.int_range(pl.len()) < 20).then(None).otherwise(pl.col(c)).alias(c) for c in test.columns)
    made = g.impute(holed)
    assert made.schema == holed.schema
    assert made.null_count().transpose().to_series().sum() == 0
    for name in holed.columns:
        known = holed[name].is_not_null()
        assert made[name].filter(known).equals(test[name].filter(known))
    assert g.impute(holed).equals(made)
    assert not g.impute(holed, 1).equals(made)
    shuffled = holed.select(reversed(holed.columns))
    assert g.impute(shuffled).equals(made.select(shuffled.columns))
    assert g.impute(holed.clear()).equals(holed.clear())


def test_imputed_values_follow_what_is_known(real):
    g = fitted(real.head(3000))
    test = real.tail(3000)
    made = g.impute(test.with_columns(pl.lit(None, pl.String).alias("job"), pl.lit(None, pl.Int64).alias("age")))
    mixed_up = test["job"].shuffle(1)
    assert (made["job"] == test["job"]).mean() > (mixed_up == test["job"]).mean() + 0.3
    error, blind = ((s - test["age"]).abs().mean() for s in (made["age"], test["age"].shuffle(1)))
    assert error < 0.55 * blind
    shares = dict(made["job"].value_counts(normalize=True).iter_rows())
    assert all(abs(shares[k] - v) < 0.03 for k, v in test["job"].value_counts(normalize=True).iter_rows())


def test_impute_meets_levels_it_has_never_seen(real):
    g = fitted(real.head(2000))
    odd = real.tail(50).with_columns(job=pl.lit("pirate"), pay=pl.lit(None, pl.Float64))
    made = g.impute(odd)
    assert (made["job"] == "pirate").all()
    assert made["pay"].null_count() == 0
    assert g.impute(real.tail(9).with_columns(pay=pl.lit(float("nan"))))["pay"].is_finite().all()


def test_a_column_without_values_stays_without():
    real = pl.DataFrame({"a": list(range(200)), "n": [None] * 200, "x": pl.Series([None] * 200, dtype=pl.Float64)})
    g = fitted(real.with_columns(pl.col("n").cast(pl.String)))
    made = g.impute(real.with_columns(pl.col("n").cast(pl.String), pl.when(pl.col("a") > 9).then("a").alias("a")))
    assert made["a"].null_count() == 0
    assert made["n"].null_count() == made["x"].null_count() == 200


def test_the_fit_says_what_an_attack_finds(real):
    assert fitted(real.head(500)).notes == ["500 rows are too few to attack: what it gives away was not measured"]
    assert "membership inference on rows kept aside reaches an AUC of 0." in fitted(real).notes[0]
    assert "at its coarsest" not in fitted(real, leaf=3).notes[0]
    note = fitted(real, rows=1000).notes[0]
    assert note == "trees learn 1,000 of 6,000 rows, drawn at random"


def test_wrong_options_are_refused(real):
    with pytest.raises(Refusal, match="no column 'jib'"):
        fitted(real.head(100), lead=("jib",))
    with pytest.raises(Refusal, match="not fitted"):
        ask(Forest())


@pytest.mark.parametrize("n", [11, 50])
def test_small_tables(n):
    real = mixed(n)
    made = ask(fitted(real), 100)
    assert made.height == 100
    assert made.schema == real.schema
    assert synthmill.fit(real, "tabular.forest").sample(30).height == 30


@pytest.mark.parametrize(
    "table",
    [
        {"a": [1, 2, 3, 4] * 10},
        {"b": ["x", "y"] * 20},
        {"c": [0.25 * i for i in range(40)]},
        {"a": [1] * 40, "b": ["x"] * 40, "n": pl.Series([None] * 40, dtype=pl.String)},
        {"a": [1.0, float("inf"), float("nan"), -float("inf")] * 10, "b": [True, None] * 20},
        {"t": pl.datetime_range(date(2024, 1, 1), date(2024, 1, 2), "1h", time_zone="Europe/Berlin", eager=True)},
    ],
    ids=["one number", "one category", "one decimal", "constants", "infinities", "zones"],
)
def test_odd_tables(table):
    real = pl.DataFrame(table)
    g = Forest()
    g.fit(real, infer(real))
    made = ask(g, 200)
    assert made.schema == real.schema
    assert made.height == 200
    if "t" in table:
        assert made["t"].is_between(real["t"].min(), real["t"].max()).all()
    for s in made:
        if s.dtype.is_float():
            assert s.drop_nulls().is_finite().all()


def test_thousands_of_levels_lead_and_follow():
    """Each level has five records; which shelf an article stands on, and what it costs, follows its level."""
    rng = np.random.default_rng(6)
    of = rng.permutation(np.repeat(np.arange(4000), 5))
    real = pl.DataFrame(
        {"article": [f"A{i}" for i in of], "shelf": of // 200, "price": np.round(of % 40 + rng.normal(size=20_000), 1)}
    )
    g = fitted(real, {"article": "categorical", "shelf": "integer"}, worlds=2)
    made = ask(g, 20_000)
    of = made["article"].str.slice(1).cast(pl.Int64)
    assert of.n_unique() > 3000
    assert np.corrcoef(of // 200, made["shelf"])[0, 1] > 0.9
    assert (ask(g, 200, article="A2001")["article"] == "A2001").all()


def test_a_wide_table_has_fewer_worlds():
    table = pl.DataFrame({f"c{i}": np.arange(40) // (i % 5 + 1) for i in range(450)})
    assert fitted(table)._model.worlds == 3
    assert fitted(table.select("c0", "c1"))._model.worlds >= 6
    assert fitted(table.select("c0", "c1"), worlds=2)._model.worlds == 2


def test_a_wide_table_is_grown_on_the_columns_that_tell_most():
    rng = np.random.default_rng(7)
    hidden = rng.normal(size=(1500, 4))
    wide = {f"c{i}": np.round(hidden[:, i % 4] + rng.normal(size=1500) * 0.4, 1) for i in range(60)}
    g = fitted(pl.DataFrame(wide), predictors=5, worlds=2, leaf=5, shrink=0)
    assert max(len(key[3]) for key in g._model.grown) == 5
    made = ask(g, 4000)
    real = np.corrcoef(np.stack(list(wide.values())))
    assert np.abs(real - np.corrcoef(made.to_numpy().T))[real > 0.5].mean() < 0.1
