import numpy as np
import polars as pl
import pytest
from tabletop import ask, mixed, schema_of

from synthmill.cells import Bin
from synthmill.generate.tabular.smote import Smote
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema


def fitted(frame, schema=None, **options):
    g = Smote(target="label", **options)
    g.fit(frame, schema or schema_of(frame))
    return g


def numbers(n=200, rare=20):
    rng = np.random.default_rng(0)
    label = np.where(np.arange(n) < rare, 1, 0)
    return pl.DataFrame({"a": rng.normal(size=n).round(2) + 2 * label, "b": rng.integers(0, 9, n), "label": label})


def test_rows_of_the_class_in_the_table_s_own_types():
    real = mixed()
    g = fitted(real)
    assert g.conditions(["label"])
    assert not g.conditions(["label", "job"])
    made = ask(g, 300, label="rare")
    assert made.schema == real.schema
    assert set(made["label"]) == {"rare"}
    held = real.filter(label="rare")
    for name in ("age", "pay", "since", "seen"):
        assert made[name].drop_nulls().is_between(held[name].min(), held[name].max()).all()
    for name in ("job", "note", "flag"):
        assert set(made[name]) <= set(held[name])


def test_missingness_is_what_most_neighbours_have():
    real = mixed()
    made = ask(fitted(real), 500, label="common")
    young = pl.col("age") < 33
    assert 0.2 < made.filter(young)["pay"].null_count() / made.filter(young).height < 0.9
    assert made.filter(pl.col("age") > 45)["pay"].null_count() / made.filter(pl.col("age") > 45).height < 0.1


def test_every_row_lies_between_two_real_ones():
    real = numbers()
    made = ask(fitted(real), 100, label=1).select("a", "b").to_numpy()
    held = real.filter(label=1).select("a", "b").to_numpy()
    ends = held[:, None], held[None]
    for row in made:
        along = ends[1] - ends[0]
        t = np.clip(((row - ends[0]) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
        gap = np.abs(ends[0] + t[..., None] * along - row).max(-1).min()
        assert gap <= 0.51  # b is rounded to whole numbers


def test_without_a_cell_classes_come_at_their_own_share():
    made = ask(fitted(numbers()), 1000)
    assert abs((made["label"] == 1).mean() - 0.1) < 0.03


def test_borderline_starts_near_the_other_class():
    rng = np.random.default_rng(1)
    a = np.concatenate([rng.normal(0, 1, 200), rng.normal(0, 1, 20), rng.normal(50, 0.1, 40)])
    real = pl.DataFrame({"a": a, "b": a, "label": [0] * 200 + [1] * 60})
    plain, border = (ask(fitted(real, kind=k), 200, label=1)["a"] for k in ("smote", "borderline"))
    assert (plain > 40).mean() > 0.4
    assert (border > 40).mean() < 0.1
    far = pl.DataFrame({"a": [*range(50), *range(1000, 1050)], "label": [0] * 50 + [1] * 50})
    assert ask(fitted(far, kind="borderline"), 10, label=1).height == 0


def test_small_classes():
    assert ask(fitted(numbers(rare=3)), 20, label=1).height == 20
    assert ask(fitted(numbers(rare=1)), 20, label=1).height == 0
    assert ask(fitted(numbers()), 20, label=7).height == 0
    assert ask(fitted(numbers()), 20, label=Bin(0, 1)).height == 0


def test_one_class_alone():
    real = numbers(rare=0)
    assert ask(fitted(real), 20).height == 20


def test_seeds_sizes_and_save(tmp_path):
    g = fitted(mixed())
    assert ask(g).equals(ask(g))
    assert not ask(g, seed=2).equals(ask(g))
    assert [ask(g, n).height for n in (0, 1)] == [0, 1]
    g.save(tmp_path)
    again = Smote(target="label")
    again.load(tmp_path)
    assert again.schema() == g.schema()
    assert ask(again, label="rare").equals(ask(g, label="rare"))
    assert again.private_model


@pytest.mark.parametrize(
    ("options", "frame", "sentence"),
    [
        ({}, numbers(), "'target' is required"),
        ({"target": "labl"}, numbers(), "did you mean 'label'"),
        ({"target": "a"}, numbers(), "a decimal, not a class"),
        ({"target": "label", "kind": "borderline"}, mixed(50), "only numbers"),
        ({"target": "label", "kind": "smotenc"}, numbers(), "needs a column of categories"),
        ({"target": "label"}, mixed(50).select("job", "label"), "no numeric column"),
    ],
)
def test_what_cannot_be_is_refused(options, frame, sentence):
    g = build("generate", {"use": "tabular.smote", **options})
    with pytest.raises(Refusal, match=sentence):
        g.fit(frame, schema_of(frame))


def test_a_constant_kind_is_carried():
    frame = numbers().with_columns(pl.lit(7).alias("same"))
    schema = Schema((*schema_of(numbers()), Column("same", "constant", "Int64")))
    frame = frame.select(schema.names)
    made = ask(fitted(frame, schema), 10, label=1)
    assert made.schema == frame.schema
    assert set(made["same"]) == {7}
