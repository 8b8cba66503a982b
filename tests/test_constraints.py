"""Constraints: what they say, what null means in them, and that a run keeps them whoever generates."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.constraints import Combinations, Inequality, OneHot, Total, Unique, parse
from synthmill.plugins import build, find
from synthmill.real import from_frame
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.spec import Spec, parse_spec
from synthmill.verbs.fit import load

DECLARED: list[dict[str, Any]] = [
    {"inequality": ["ordered", "shipped"]},
    {"total": "gross", "plus": ["net", "tax"]},
    {"combinations": ["city", "state"]},
    {"one_hot": ["card", "cash"]},
    {"unique": ["shop", "number"]},
]


def orders(n: int = 600) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    day = [date(2024, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 200, n)]
    city, card = rng.integers(0, 9, n), rng.random(n) < 0.4
    net, tax = rng.integers(1, 900, n), rng.integers(0, 90, n)
    return pl.DataFrame(
        {
            "ordered": day,
            "shipped": [d + timedelta(days=int(k)) for d, k in zip(day, rng.integers(0, 9, n), strict=True)],
            "net": net,
            "tax": tax,
            "gross": net + tax,
            "city": [f"city {c}" for c in city],
            "state": [f"state {c // 3}" for c in city],
            "card": card.astype(int),
            "cash": 1 - card.astype(int),
            "shop": rng.choice(["north", "south"], n),
            "number": rng.permutation(n) % 400,
        }
    )


def held(of: Any, **columns: list[Any]) -> list[bool]:
    return of.holds(pl.DataFrame(columns)).to_list()  # type: ignore[no-any-return]


def test_an_inequality_skips_what_is_unknown() -> None:
    chain = Inequality(("a", "b", "c"))
    rows = {"a": [1, 1, 3, None, 3], "b": [1, None, None, 2, 2], "c": [1, 2, 2, 1, None]}
    assert held(chain, **rows) == [True, True, False, False, False]
    assert held(Inequality(("a", "b"), strict=True), a=[1, 1], b=[1, 2]) == [False, True]


def test_a_total_allows_for_rounding_alone() -> None:
    total = Total("t", ("a",), ("b",))
    assert held(total, t=[0.1, 0.11, None], a=[0.3, 0.3, 1.0], b=[0.2, 0.2, 5.0]) == [True, False, True]
    assert held(Total("t", ("a",), ("b",), 0.02), t=[0.11], a=[0.3], b=[0.2]) == [True]
    assert held(Total("t", ("a", "b")), t=[3e9 + 2.0], a=[3e9], b=[1.0]) == [True]  # one in 3e9 is beyond nine digits


def test_one_hot_and_unknown_flags() -> None:
    rows = {"a": [1, 0, 1, None, None, 2], "b": [0, 0, 1, 0, 1, None]}
    assert held(OneHot(("a", "b")), **rows) == [True, False, False, True, True, False]


def test_combinations_are_those_that_were_seen_null_included() -> None:
    seen = Combinations(("a", "b")).learned(pl.DataFrame({"a": ["x", "y", None], "b": [1, 2, 1]}))
    assert held(seen, a=["x", "y", None, None], b=[1, 1, 1, 2]) == [True, False, True, False]
    with pytest.raises(Refusal, match="no real data"):
        Combinations(("a",)).holds(pl.DataFrame({"a": [1]}))


def test_a_key_with_a_null_is_no_key() -> None:
    assert held(Unique(("a", "b")), a=[1, 1, 1, 1], b=[1, None, None, 1]) == [True, True, True, False]


def test_what_is_written_is_what_is_read() -> None:
    made = parse(DECLARED)
    assert [c.to_json() for c in made] == DECLARED
    whole = [
        {"inequality": ["a", "b"], "strict": True},
        {"total": "t", "plus": ["a"], "minus": ["b"], "tolerance": 0.5},
    ]
    assert [c.to_json() for c in parse(whole)] == whole


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"inequalty": ["a", "b"]}, "constraints.0: 'inequalty' is no constraint; did you mean 'inequality'?"),
        ({"inequality": ["a"]}, "at least 2 columns"),
        ({"inequality": ["a", "b"], "strict": 1}, "expected true or false"),
        ({"inequality": ["a", "b"], "tolerance": 1}, "unknown key 'tolerance'"),
        ({"total": "a", "plus": ["b"]}, "name two parts or more"),
        ({"total": "a"}, "'plus' is required"),
        ({"total": "a", "plus": ["a", "b"]}, "stands in it twice"),
        ({"total": "a", "plus": ["c", "b"], "tolerance": -1}, "a number from 0 up"),
        ({"one_hot": ["a", "b"], "unique": "a"}, "only one of one_hot, unique"),
        ({"combinations": "a"}, "at least 2"),
        ("a <= b", "expected a mapping"),
    ],
)
def test_what_is_wrong_is_one_sentence(given: Any, sentence: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_spec({"name": "x", "generate": "tabular.copula", "constraints": [given]}, "x.yaml")
    assert str(refused.value).startswith("x.yaml: constraints.0")
    assert sentence in str(refused.value)


def spec(folder: Path, generate: Any = "tabular.copula", **changes: Any) -> Spec:
    orders().write_parquet(folder / "orders.parquet")
    parts = {"name": "orders", "real": {"path": str(folder / "orders.parquet")}, "constraints": DECLARED}
    return Spec.model_validate({**parts, "cover": {"total": 500}, "generate": generate, **changes})


@pytest.mark.parametrize(
    ("constraint", "sentence"),
    [
        ({"inequality": ["ordered", "shiped"]}, "there is no column 'shiped'; did you mean 'shipped'"),
        ({"inequality": ["city", "state"]}, "numbers and dates have an order"),
        ({"inequality": ["ordered", "net"]}, "dates compare with their own type"),
        ({"one_hot": ["city", "card"]}, "flags are true and false"),
        ({"total": "gross", "plus": ["city", "net"]}, "only numbers have sums"),
        ({"total": "net", "plus": ["gross", "tax"]}, "contradicts the real data"),
        ({"combinations": ["net", "gross"]}, "would copy those rows"),
    ],
)
def test_what_does_not_fit_the_table_is_refused_before_any_work(tmp_path: Path, constraint: Any, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        synthmill.check(spec(tmp_path, constraints=[constraint]))


@pytest.mark.parametrize(
    "generate", ["tabular.copula", "tabular.independent", {"use": "tabular.smote", "target": "shop"}]
)
def test_every_generator_draws_what_holds(tmp_path: Path, generate: Any) -> None:
    result = synthmill.make(spec(tmp_path, generate), tmp_path / "run")
    rows, train = result.data, from_frame(orders(), holdout=None).train
    assert result.accepted == rows.height == 500
    for c in parse(DECLARED):
        kept = c.learned(train) if isinstance(c, Combinations) else c
        assert kept.holds(rows).all(), c.text
    assert failed(result) == 0  # by construction, not by rejection
    again = load(tmp_path / "run").draw(50, seed=4)
    assert Total("gross", ("net", "tax")).holds(again).all()


def failed(result: Any) -> int:
    manifest = result.run.manifest
    return int(manifest["state"]["tally"][manifest["checks"].index("constraints")][1])


def test_a_generator_may_draw_them_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find("generate", "tabular.independent"), "constrains", True, raising=False)
    two = DECLARED[:1] + DECLARED[3:4]
    result = synthmill.make(spec(tmp_path, "tabular.independent", constraints=two), tmp_path / "run")
    assert failed(result) > 100  # it does not know how to: the check finds out
    assert all(c.holds(result.data).all() for c in parse(two))


def test_kept_axes_are_asked_for_and_others_found(tmp_path: Path) -> None:
    cover = {"axes": {"state": ["state 0", "state 2"]}, "quota": 60}
    rows = synthmill.make(spec(tmp_path, cover=cover), tmp_path / "run").data
    assert rows["state"].value_counts().sort("state").rows() == [("state 0", 60), ("state 2", 60)]


def test_axes_inside_a_joint_category_are_asked_for_at_trains_shares(tmp_path: Path) -> None:
    frame = orders(3_000).with_columns(  # neither column decides the other now
        state=pl.when(pl.int_range(3_000) % 3 == 0).then(pl.lit("abroad")).otherwise("state")
    )
    frame.write_parquet(tmp_path / "two.parquet")
    declared = [{"combinations": ["city", "state"]}]
    parts = {"constraints": declared, "real": {"path": str(tmp_path / "two.parquet")}, "fill": {"size": 100}}
    cover = {"axes": {"state": ["abroad"], "shop": ["north", "south"]}, "quota": 400}
    result = synthmill.make(spec(tmp_path, cover=cover, **parts), tmp_path / "run")
    assert result.run.manifest["state"]["ledger"]["asked"] == [400, 400]  # nothing is asked for in vain
    rows, real = result.data, frame.filter(state="abroad")
    assert rows["state"].unique().to_list() == ["abroad"]
    assert rows["city"].n_unique() == 9
    assert abs((rows["city"] == "city 3").mean() - (real["city"] == "city 3").mean()) < 0.05  # type: ignore[operator]


def test_a_model_without_a_spec_draws_what_holds(tmp_path: Path) -> None:
    model = synthmill.fit(orders(), constraints=DECLARED[:4])
    model.save(tmp_path / "model")
    for rows in (model.sample(300, seed=2), synthmill.load(tmp_path / "model").sample(300, seed=2)):
        for c in parse(DECLARED[:4]):
            kept = c.learned(orders()) if isinstance(c, Combinations) else c
            assert kept.holds(rows).all(), c.text
    with pytest.raises(Refusal, match="cannot be held while drawing"):
        synthmill.fit(orders(), constraints=DECLARED)
    with pytest.raises(Refusal, match="no column 'gros'"):
        synthmill.fit(orders(), constraints=[{"total": "gros", "plus": ["net", "tax"]}])


def test_the_check_judges_the_rows_of_any_generator() -> None:
    real = from_frame(orders(), holdout=None)
    check = build("verify", {"use": "constraints", "all": DECLARED[:4]})
    check.fit(real.train, real.schema)
    assert check.judge(real.train).status.sum() == 0
    wrong = real.train.head(1).with_columns(gross=pl.lit(-1, pl.Int64))
    verdict = check.judge(wrong)
    assert verdict.status.to_list() == [1]
    assert "breaks gross = net + tax (-1, " in verdict.reason[0]
    moved = real.train.head(1).with_columns(state=pl.lit("elsewhere"))
    assert "combinations of city, state" in check.judge(moved).reason[0]


def test_real_rows_that_break_one_are_told(tmp_path: Path) -> None:
    frame = orders()
    frame[0, "gross"] = -5
    frame.write_parquet(tmp_path / "orders.parquet")
    need = {"path": str(tmp_path / "orders.parquet")}
    prepared = synthmill.check(
        Spec.model_validate({"name": "x", "real": need, "constraints": DECLARED[1:2], "generate": "tabular.copula"})
    )
    assert any("0.2% of the real rows break it" in n for n in prepared.notes)


def test_keys_repeat_neither_within_a_batch_nor_across() -> None:
    unique = build("filter", {"use": "unique", "columns": ["a"]})
    frame = pl.DataFrame({"a": [1, 2, 1, None, None]})
    assert unique.judge(frame).status.to_list() == [0, 0, 1, 0, 0]
    unique.remember(frame.head(2))
    assert unique.judge(pl.DataFrame({"a": [2, 3, None]})).status.to_list() == [1, 0, 0]


def test_without_constraints_nothing_is_added_and_the_identity_stays(tmp_path: Path) -> None:
    plain = spec(tmp_path, constraints=[])
    assert [s.use for s in synthmill.check(plain).job.stations] == []
    assert plain.fill_digest("r", []) != spec(tmp_path).fill_digest("r", [])
    names = [s.use for s in synthmill.check(spec(tmp_path)).job.stations]
    assert names == ["constraints", "unique"]
    placed = synthmill.check(spec(tmp_path, verify=["constraints", "schema"]))
    assert [s.use for s in placed.job.stations] == ["constraints", "schema", "unique"]


def test_a_schema_keeps_what_its_columns_can_still_meet() -> None:
    schema = from_frame(orders(), holdout=None).schema
    declared = Schema(schema.columns, parse(DECLARED))
    assert [c.kind for c in declared.select(["net", "tax", "gross", "city"]).constraints] == ["total"]
