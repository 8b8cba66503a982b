"""Fairness: gaps that were planted are measured, none are found where there are none, and quotas close them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.data import adult
from synthmill.frame import rng_of
from synthmill.measure.fairness import Fairness
from synthmill.plugins import Evidence, Measure
from synthmill.prepare import prepare
from synthmill.real import from_frame
from synthmill.refusal import Refusal
from synthmill.spec import Spec


def people(seed: int, n: int = 4_000, women: float = 0.3, gap: float = 0.3) -> pl.DataFrame:
    """Women have the outcome `gap` less often; a measured score tells most of it."""
    rng = rng_of("people", seed)
    female = rng.random(n) < women
    yes = rng.random(n) < np.where(female, 0.6 - gap, 0.6)
    return pl.DataFrame(
        {
            "sex": np.where(female, "F", "M"),
            "race": rng.choice(["a", "b", "c"], n, p=[0.598, 0.4, 0.002]),
            "age": rng.integers(18, 90, n),
            "score": np.round(yes + rng.normal(0, 0.7, n), 2),
            "hired": np.where(yes, "yes", "no"),
        }
    )


def measure(
    synthetic: pl.DataFrame, train: pl.DataFrame, holdout: pl.DataFrame, *sensitive: Any, **options: Any
) -> dict[str, Measure]:
    schema = from_frame(pl.concat([train, holdout]), holdout=None).schema
    target, positive = options.pop("target", "hired"), options.pop("positive", None)
    evidence = Evidence(synthetic, train, holdout, schema, 1, target, **options)
    return {m.name: m for m in Fairness(list(sensitive) or ["sex"], positive).measure(evidence)}


def test_planted_gaps_are_measured_and_intervals_hold_them() -> None:
    found = measure(people(1, women=0.1, gap=0.5), people(2), people(3))
    truth = {
        "representation": 0.2, "least_represented": 1 / 3, "balance_real": 0.6, "balance_synthetic": 0.2,
        "parity_real": 0.3, "parity_synthetic": 0.5, "impact_real": 0.5, "impact_synthetic": 1 / 6,
    }  # fmt: skip
    for name, value in truth.items():
        m = found[name]
        assert m.low <= value <= m.high, (name, m)
        assert m.high - m.low < 0.2, name
    assert found["parity_synthetic"].detail["rate"]["sex=F"] == pytest.approx(0.1, abs=0.05)


def test_equal_groups_have_no_gap_beyond_chance() -> None:
    found = measure(people(1, women=0.5, gap=0.0), people(2, women=0.5, gap=0.0), people(3, women=0.5, gap=0.0))
    for name in ("parity_synthetic", "odds_synthetic", "accuracy_gap_synthetic", "auc_gap_synthetic"):
        assert found[name].low <= 0.02, name
        assert found[name].value < 0.06, name
    assert found["balance_synthetic"].value > 0.95


def test_a_model_that_learned_nothing_of_a_group_serves_it_worse() -> None:
    wrong = people(1).with_columns(score=pl.when(sex="F").then(1 - pl.col("score")).otherwise("score"))
    found = measure(wrong, people(2), people(3))
    assert found["accuracy_gap_synthetic"].low > found["accuracy_gap_real"].high
    assert found["auc_gap_synthetic"].low > found["auc_gap_real"].high
    assert found["odds_synthetic"].low > found["odds_real"].high
    assert found["auc_gap_synthetic"].detail["auc"]["sex=F"] < 0.5


def test_intersections_attributes_alone_and_small_groups() -> None:
    holdout = people(3)
    assert 0 < holdout.filter(race="c", sex="F").height < 10
    found = measure(people(1), people(2), holdout, "sex", "race")["parity_synthetic"]
    assert "2 groups with fewer than 10 held-out rows are joined as one" in found.note or "left out" in found.note
    assert set(found.detail["by"]) == {"sex", "race"}
    assert found.detail["by"]["sex"] == pytest.approx(0.3, abs=0.06)
    assert not any("race=c" in label for label in found.detail["rate"])
    assert "sex=F & race=a" in found.detail["rate"]


def test_numbers_need_edges_and_a_numeric_target_an_outcome() -> None:
    rows = [people(i).with_columns(pay=pl.col("age") * 1000.0) for i in range(3)]
    found = measure(*rows, {"age": [40, 60]}, target="pay", positive=">= 50000")
    assert set(found["balance_real"].detail["share"]) == {"age <40", "age [40, 60)", "age >=60"}
    assert found["parity_real"].value == 1.0
    with pytest.raises(Refusal, match="give the edges"):
        measure(*rows, "age")
    with pytest.raises(Refusal, match="did you mean 'sex'"):
        measure(*rows, "sexe")
    with pytest.raises(Refusal, match="is no value of 'hired'"):
        measure(*rows, "sex", positive="perhaps")
    unknown = measure(*rows, "sex", target="pay")
    assert np.isnan(unknown["parity_real"].value)
    assert "name the favourable outcome" in unknown["parity_real"].note
    assert np.isfinite(unknown["representation"].value)
    assert np.isnan(measure(*rows, "sex", target=None)["odds_real"].value)


def test_entities_widen_the_intervals_and_a_blend_is_judged() -> None:
    train, holdout = (pl.concat([people(i, 600).with_columns(id=pl.int_range(600))] * 6) for i in (2, 3))
    apart = measure(train, train.drop("id"), holdout.drop("id"), blend=people(1, 800, gap=0.0))
    together = measure(train, train, holdout, entity="id")
    for name in ("balance_real", "parity_real", "odds_real"):
        wide, narrow = (m[name].high - m[name].low for m in (together, apart))
        assert wide > 1.5 * narrow, name
    assert apart["parity_blend"].value < 0.1 < apart["parity_real"].value
    assert "parity_blend" not in together


def test_quotas_on_sex_and_income_rebalance_representation_and_outcome(tmp_path: Any) -> None:
    """The example of docs/fairness.md on the whole sample."""
    adult().write_csv(tmp_path / "adult.csv")
    data = {
        "name": "balanced",
        "real": {"path": str(tmp_path / "adult.csv"), "target": "income"},
        "cover": {"axes": {"sex": ["Female", "Male"], "income": ["<=50K", ">50K"]}, "quota": 1000},
        "generate": "tabular.copula",
        "blend": {"real": 0.5},
        "evaluate": [{"use": "fairness", "sensitive": ["sex"]}],
        "release": {"fairness.parity_synthetic": "<= 0.08", "fairness.balance_synthetic": ">= 0.9"},
    }
    made = synthmill.make(Spec.model_validate(data), tmp_path / "run")
    assert made.evaluation is not None
    found = {m.name.removeprefix("fairness."): m for m in made.evaluation.measures}
    assert made.released
    assert found["parity_real"].low > 0.12
    assert found["parity_synthetic"].value == 0
    assert found["impact_synthetic"].value == 1
    assert found["balance_real"].high < 0.8
    assert found["balance_synthetic"].value == 1
    assert found["parity_blend"].value < found["parity_real"].value
    assert found["parity_synthetic"].ceiling == pytest.approx(found["parity_real"].value, abs=0.06)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sensitive": ["sexx"]}, "there is no column 'sexx'"),
        ({"sensitive": ["fnlwgt"]}, "give the edges"),
        ({"sensitive": ["sex"], "positive": "50K"}, "'50K' is no value of 'income'"),
    ],
)
def test_what_it_could_not_measure_is_refused_before_anything_is_made(options: dict[str, Any], said: str) -> None:
    need = {"name": "f", "real": {"target": "income"}, "generate": "tabular.copula"}
    spec = Spec.model_validate({**need, "evaluate": [{"use": "fairness", **options}]})
    with pytest.raises(Refusal, match="fairness: ") as e:
        prepare(spec, given=adult().head(500))
    assert said in str(e.value)
