import math

import numpy as np
import polars as pl
import pytest

from synthmill.conformance import check_metric
from synthmill.evaluation import reference
from synthmill.frame import rng_of
from synthmill.measure.utility._arms import class_for_class
from synthmill.measure.utility.text import TextUtility
from synthmill.plugins import Evidence, build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.tables import scores

SCHEMA = Schema((Column("text", "text", "String"), Column("label", "categorical", "String")))
OWN = {"spam": ["prize", "win", "claim", "cash", "urgent"], "ham": ["lunch", "home", "later", "love", "sorry"]}
SHARED = ["you", "the", "now", "call", "me", "and", "to", "today"]


def letters(n: int, *names: object, rare: float = 0.3) -> pl.DataFrame:
    """Texts of which one word in five tells their label."""
    rng = rng_of("letters", *names)
    labels = np.where(rng.random(n) < rare, "spam", "ham").tolist()
    texts = [
        " ".join(rng.choice(OWN[y]) if rng.random() < 0.2 else rng.choice(SHARED) for _ in range(8)) for y in labels
    ]
    return pl.DataFrame({"text": texts, "label": labels})


TRAIN, HOLDOUT, FRESH = letters(300, "train"), letters(300, "holdout"), letters(300, "fresh")


def given(synthetic: pl.DataFrame = FRESH, **changes: object) -> Evidence:
    known = {"train": TRAIN, "holdout": HOLDOUT, "schema": SCHEMA, "seed": 1, "target": "label", **changes}
    return Evidence(synthetic, **known)  # type: ignore[arg-type]


def measure(evidence: Evidence, score: str = "f1", **options: object) -> dict:
    return {m.name: m for m in TextUtility(score=score, **options).measure(evidence)}  # type: ignore[arg-type]


@pytest.mark.parametrize("score", ["f1", "auc"])
def test_fresh_texts_teach_what_real_ones_do_and_shuffled_labels_nothing(score: str) -> None:
    m, floor = measure(given(), score=score), measure(reference("independent", given()), score=score)
    assert set(m) == set(TextUtility.measures)
    assert m["synthetic"].value > 0.75
    assert m["gap"].low <= 0 <= m["gap"].high
    assert m["gap"].value == pytest.approx(m["real"].value - m["synthetic"].value)
    assert m["synthetic"].low > floor["synthetic"].high
    assert floor["synthetic"].value < 0.65
    assert floor["gap"].value > 0.2


def test_wrong_labels_do_harm() -> None:
    wrong = FRESH.with_columns(label=pl.when(pl.col("label") == "spam").then(pl.lit("ham")).otherwise(pl.lit("spam")))
    m = measure(given(wrong))
    assert m["gap"].low > 0.3
    assert m["blend_gain"].high < 0


def test_texts_pay_where_real_ones_are_few() -> None:
    m = measure(given(train=TRAIN[:12]))
    assert m["blend_gain"].low > 0


def test_more_of_a_class_alone_is_no_gain() -> None:
    """The rare class's own texts once more: repeating real ones class for class is the same training set."""
    spam = TRAIN.filter(pl.col("label") == "spam")
    m = measure(given(spam))
    assert m["oversampled"].value == m["blend"].value
    assert m["blend_gain"].value <= 0


def test_class_for_class_counts() -> None:
    train, mix = np.array([1, 1, 1, 2]), np.array([2] * 5 + [1] * 2 + [3])
    at = class_for_class(train, mix, rng_of("classes"))
    assert np.bincount(train[at]).tolist() == [0, 2, 5]


def test_macro_f1_by_hand() -> None:
    truth, guess = np.array([1, 1, 2, 2, 2]), np.array([1, 2, 2, 2, 1])
    w = np.array([[1.0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [2, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
    found = scores.macro_f1(truth, guess, w)
    assert found[:3].tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, 4 / 5, 1.0])
    assert math.isnan(found[3])


def test_the_majority_is_told() -> None:
    m = measure(given(), score="auc")["real"]
    assert m.detail == {"score": "AUC", "majority": 0.5}
    spam = (HOLDOUT["label"] == "spam").sum()
    ham = 300 - spam
    assert measure(given())["real"].detail["majority"] == pytest.approx(2 * ham / (2 * ham + spam) / 2)


def test_a_table_without_a_class_says_the_other() -> None:
    m = measure(given(FRESH.filter(pl.col("label") == "ham")))["synthetic"]
    assert m.value == pytest.approx(m.detail["majority"])


def test_rows_without_text_or_label_are_left_out() -> None:
    holed = FRESH.with_columns(
        text=pl.when(pl.int_range(300) % 3 == 0).then(pl.lit(" ")).otherwise("text"),
        label=pl.when(pl.int_range(300) % 3 == 1).then(None).otherwise("label"),
    )
    whole = FRESH.filter(pl.int_range(300) % 3 == 2)
    assert measure(given(holed))["synthetic"].value == measure(given(whole))["synthetic"].value


def test_three_classes_and_several_columns() -> None:
    def three(n: int, name: str) -> pl.DataFrame:
        y = [("a", "b", "c")[i % 3] for i in range(n)]
        rng = rng_of("three", name)
        return pl.DataFrame({"head": [f"{v}{v}{v} one" for v in y], "text": rng.choice(SHARED, n), "label": y})

    schema = Schema((Column("head", "text", "String"), *SCHEMA))
    e = given(three(60, "made"), train=three(90, "train"), holdout=three(90, "held"), schema=schema)
    assert measure(e)["synthetic"].value == 1.0
    assert measure(e, score="auc")["synthetic"].value == 1.0
    assert measure(e, columns=["text"])["synthetic"].value < 0.7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": None}, "no target is declared"),
        ({"schema": Schema((Column("text", "text", "String"), Column("label", "decimal", "Float64")))}, "no column of labels"),
        ({"schema": SCHEMA.select(["label"]), "train": TRAIN.select("label")}, "no column of text"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_early_and_unknown_late(changes: dict, said: str) -> None:
    e = given(**changes)
    m = measure(e)
    assert all(math.isnan(v.value) and said in v.note for v in m.values())
    with pytest.raises(Refusal, match=said):
        TextUtility().suits(e.train, e.schema, e.target)


def test_few_held_out_texts_and_one_label_are_unknown() -> None:
    assert "fewer than 20" in measure(given(holdout=HOLDOUT[:15]))["gap"].note
    assert "fewer than two" in measure(given(holdout=HOLDOUT.filter(pl.col("label") == "ham")))["gap"].note


def test_bad_configuration_names_the_choices() -> None:
    with pytest.raises(Refusal, match="score"):
        build("measure", {"use": "utility.text", "score": "accuracy"})
    with pytest.raises(Refusal, match="no column 'txet'"):
        TextUtility(columns=["txet"]).suits(TRAIN, SCHEMA, "label")


def test_the_contract_of_metrics_with_draws() -> None:
    e = given(draws=(letters(200, "d1"), letters(200, "d2")))
    check_metric(lambda: TextUtility(), e)
    assert len(measure(e)["synthetic"].detail["seeds"]) == 3
