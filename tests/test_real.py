"""The anchor: a split that stays, a schema from train alone, and synthetic rows that never pass for real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmill.data import adult, adult_path
from synthmill.frame import row_keys
from synthmill.real import Real, from_frame, load, real_ids
from synthmill.refusal import Refusal
from synthmill.spec import RealNeed

ROWS = pl.DataFrame({"a": [*range(50), *range(50)], "b": ["x", "y"] * 50})


def _load(folder: Path, frame: pl.DataFrame, **need: object) -> Real:
    frame.write_parquet(folder / "t.parquet")
    return load(RealNeed.model_validate({"path": "t.parquet", **need}), folder, 7)


def test_the_shipped_sample_makes_an_anchor() -> None:
    real = load(RealNeed(path=adult_path().name, target="income"), adult_path().parent, 7)
    assert real.train.height + real.holdout.height == 8_000
    assert real.holdout.height / 8_000 == pytest.approx(0.2, abs=0.02)
    assert real.train.columns == real.schema.names == adult().columns
    assert (real.source, real.depth, real.target) == ("adult.csv.gz", 0, "income")
    assert any("'?'" in n for n in real.notes)


def test_rows_added_later_move_none() -> None:
    frame = adult().unique(maintain_order=True)
    before = from_frame(frame.head(4_000), seed=1)
    after = from_frame(frame.sample(fraction=1.0, shuffle=True, seed=2), seed=1)
    for side, other in (("train", "holdout"), ("holdout", "train")):
        kept = row_keys(getattr(before, side))
        assert not np.isin(kept, row_keys(getattr(after, other))).any()
        assert np.isin(kept, row_keys(getattr(after, side))).all()


def test_another_seed_splits_otherwise_and_the_file_format_does_not(tmp_path: Path) -> None:
    ROWS.write_csv(tmp_path / "t.csv")
    one = load(RealNeed(path="t.csv"), tmp_path, 7)
    assert one.holdout.equals(_load(tmp_path, ROWS).holdout)
    assert one.digest == _load(tmp_path, ROWS).digest
    other = from_frame(ROWS, seed=8)
    assert not other.holdout.equals(one.holdout)
    assert other.digest != one.digest


def test_equal_rows_may_fall_on_both_sides() -> None:
    real = from_frame(pl.DataFrame({"a": [1] * 500, "b": [2, 2] * 250}))
    assert real.holdout.height == pytest.approx(100, abs=40)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_an_entity_is_never_split(seed: int) -> None:
    frame = pl.DataFrame({"who": [i // 5 for i in range(200)], "x": range(200)})
    real = from_frame(frame, entity="who", seed=seed)
    assert not set(real.train["who"]) & set(real.holdout["who"])
    assert real.schema["who"].kind == "identifier"


def test_rows_without_an_entity_are_their_own() -> None:
    real = from_frame(pl.DataFrame({"who": [None] * 200 + [1] * 5, "x": range(205)}), entity="who")
    assert real.train["who"].null_count()
    assert real.holdout["who"].null_count()


def test_the_users_own_holdout_and_its_types(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("b,a,day\n7,1.5,31/01/2024\n7,2,01/02/2024\n")
    (tmp_path / "t.csv").write_text("a,b,day\n1,x,05/06/2024\n2,y,06/06/2024\n")
    real = load(RealNeed(path="t.csv", holdout="mine.csv"), tmp_path, 0)
    assert real.train.schema == real.holdout.schema == {"a": pl.Float64, "b": pl.String, "day": pl.Date}
    assert (real.train.height, real.holdout["b"].to_list()) == (2, ["7", "7"])
    assert real.holdout["day"].dt.month().to_list() == [1, 2]
    assert real.schema["b"].levels == ("x", "y")


def test_a_holdout_that_shares_rows_is_noted_and_one_with_other_columns_refused(tmp_path: Path) -> None:
    ROWS.head(10).write_parquet(tmp_path / "same.parquet")
    assert any("also in the real table" in n for n in _load(tmp_path, ROWS, holdout="same.parquet").notes)
    ROWS.rename({"a": "c"}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(Refusal, match="it lacks a and adds c"):
        _load(tmp_path, ROWS, holdout="other.parquet")


def test_synthetic_rows_are_refused_unless_meant() -> None:
    frame = ROWS.with_columns(_origin=pl.lit("synthetic"), _depth=pl.lit(2), _id=pl.lit("x"))
    mixed = pl.concat([ROWS.with_columns(_origin=pl.lit("real"), _depth=pl.lit(0), _id=pl.lit("y")), frame])
    with pytest.raises(Refusal, match=r"100 of 200 rows are synthetic.*accept_synthetic: true"):
        from_frame(mixed)
    real = from_frame(mixed, accept_synthetic=True)
    assert real.depth == 2
    assert real.train.columns == ["a", "b"]
    assert set(real.train_depth) == {0, 2}
    assert len(real.train_depth) == real.train.height
    undated = from_frame(ROWS.with_columns(_origin=pl.lit("synthetic")), accept_synthetic=True)
    assert undated.depth == 1
    with pytest.raises(Refusal, match=r"^the holdout: 100 of 100 rows are synthetic"):
        from_frame(ROWS, holdout=frame)


def test_the_file_with_synthetic_rows_is_the_one_named(tmp_path: Path) -> None:
    ROWS.with_columns(_origin=pl.lit("synthetic")).write_parquet(tmp_path / "made.parquet")
    with pytest.raises(Refusal, match=r"^made\.parquet: 100 of 100 rows"):
        _load(tmp_path, ROWS, holdout="made.parquet")
    real = _load(tmp_path, ROWS, holdout="made.parquet", accept_synthetic=True)
    assert (real.depth, real.train.height, real.holdout.height) == (0, 100, 100)


def test_the_schema_never_looks_at_the_holdout() -> None:
    real = from_frame(adult(), seed=3)
    assert real.schema["fnlwgt"].high == real.train["fnlwgt"].max()
    assert set(real.schema["native_country"].levels) == set(real.train["native_country"])


def test_all_rows_as_train() -> None:
    real = from_frame(ROWS, holdout=None)
    assert (real.train.height, real.holdout.height, real.holdout.columns) == (100, 0, ["a", "b"])


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (ROWS, {"target": "aa"}, "real.target: there is no column 'aa'.*did you mean 'a'"),
        (ROWS, {"entity": "bb"}, "real.entity: there is no column 'bb'.*did you mean 'b'"),
        (ROWS, {"columns": {"c": "integer"}}, "real.columns: there is no column 'c'"),
        (ROWS, {"holdout": 1.5}, "between 0 and 1"),
        (ROWS.head(1), {}, "1 rows are too few to hold out 20%"),
        (ROWS.with_columns(b=pl.lit("z")), {"entity": "b"}, "1 values of b are too few"),
        (ROWS.head(0), {}, "no rows"),
        (pl.DataFrame({"_id": ["x"]}), {}, "no columns of its own"),
        (ROWS.with_columns(_depth=pl.lit("deep")), {}, "'_depth'"),
        (ROWS.with_columns(t=pl.lit([1, 2])), {"target": "t"}, "is nested and cannot be predicted"),
    ],
)
def test_what_cannot_be_an_anchor_is_one_sentence(frame: pl.DataFrame, options: dict[str, object], said: str) -> None:
    with pytest.raises(Refusal, match=said) as caught:
        from_frame(frame, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_spec_without_a_path_and_one_with_a_wrong_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"real\.path"):
        load(RealNeed(), tmp_path, 0)
    with pytest.raises(Refusal, match="no such file"):
        load(RealNeed(path="none.csv"), tmp_path, 0)


def test_a_column_without_values_stays_so(tmp_path: Path) -> None:
    real = _load(tmp_path, ROWS.with_columns(gone=pl.lit(None)))
    assert real.schema["gone"].kind == "constant"
    assert any("gone" in n for n in real.notes)


def test_real_ids_differ_between_rows_and_keys_but_not_between_runs() -> None:
    frame = pl.concat([ROWS, ROWS])
    ids = real_ids(frame, None, "t", b"key")
    assert ids.n_unique() == 200
    assert ids.equals(real_ids(frame, None, "t", b"key"))
    assert not set(ids) & set(real_ids(frame, None, "t", b"other"))
    assert not set(ids) & set(real_ids(frame, None, "elsewhere", b"key"))
    assert real_ids(frame, "a", "t", b"key").n_unique() == 200
