import json

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings

from fake_run import SENTINEL_LEVEL, SENTINEL_NUMBER, people, with_sentinel
from synthmill.cells import grid
from synthmill.profile import COLUMNS, FEWEST, profile
from synthmill.tables.infer import infer


def column(made, name):
    return next(c for c in made["columns"] if c["name"] == name)


def test_a_single_record_leaves_no_trace():
    real = with_sentinel(people(400))
    text = json.dumps(profile(real, people(300, 1), infer(real)))
    assert SENTINEL_LEVEL not in text
    assert str(SENTINEL_NUMBER)[:5] not in text
    assert '"missing": {"real": null' in text


@settings(max_examples=60, deadline=None)
@example([0] * 15 + [1] * 12 + [2] * 3)
@example([*range(40)] * 2 + [500])
@given(st.lists(st.integers(-50, 50) | st.just(7) | st.sampled_from([10**6, -(10**9)]), min_size=1, max_size=200))
def test_every_share_of_real_rests_on_enough_records(values):
    frame = pl.DataFrame({"x": values, "y": [f"v{v % 23}" for v in values]})
    real = infer(frame).replace("x", kind="integer", low=None, high=None).replace("y", kind="categorical")
    made = profile(frame, frame, real)
    for c in made["columns"]:
        counts = [round(s * len(values)) for s in c["real"] or []]
        assert all(n == 0 or n >= FEWEST for n in counts)


def test_many_rows_of_one_person_are_still_one_person():
    base = pl.DataFrame({"who": list(range(60)) * 3, "x": [i % 50 for i in range(180)], "c": ["a", "b", "c"] * 60})
    one = pl.DataFrame({"who": [99] * 40, "x": [777_000 + 1000 * i for i in range(40)], "c": [SENTINEL_LEVEL] * 40})
    real = pl.concat([base, one])
    schema = infer(real).replace("x", kind="integer").replace("who", kind="identifier")
    assert SENTINEL_LEVEL in json.dumps(profile(real, base, schema))
    made = profile(real, base, schema, entity="who")
    assert SENTINEL_LEVEL not in json.dumps(made)
    assert column(made, "x")["edges"][-1] < 1000


def test_shares_are_of_all_known_values():
    real, synthetic = people(500), people(500, 1).with_columns(pl.when(pl.col("age") > 30).then("age").alias("age"))
    made = profile(real, synthetic, infer(real))
    for c in made["columns"]:
        assert sum(c["real"]) == pytest.approx(1, abs=1e-3)
        assert sum(c["synthetic"]) == pytest.approx(1, abs=1e-3)
    assert column(made, "age")["missing"]["synthetic"] == pytest.approx(synthetic["age"].null_count() / 500, abs=1e-4)


def test_distance_is_none_between_equals_and_all_between_strangers():
    real = pl.DataFrame({"x": np.arange(200) % 90, "c": ["a"] * 120 + ["b"] * 80})
    far = pl.DataFrame({"x": np.arange(200) + 1000, "c": ["z"] * 200})
    schema = infer(real)
    assert [c["distance"] for c in profile(real, real, schema)["columns"]] == [0, 0]
    near, apart = profile(real, far, schema)["columns"]
    assert near["distance"] >= 0.9  # the last bin is open: what lies beyond it falls there
    assert apart["distance"] == 1


def test_a_value_that_outweighs_all_others_is_set_apart():
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(1000) < 0.9, 0, rng.integers(100, 9000, 1000))
    frame = pl.DataFrame({"gain": gain})
    made = column(profile(frame, frame, infer(frame)), "gain")
    assert made["spike"] == 0
    assert made["real"][-1] == pytest.approx((gain == 0).mean(), abs=1e-4)
    assert made["edges"][0] >= 0


def test_dependence_of_copies_and_of_strangers():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, 3000)
    frame = pl.DataFrame({"a": a.astype(str), "twin": (a * 10).astype(float) + 0.5, "other": rng.random(3000)})
    schema = infer(frame).replace("twin", kind="decimal")
    pairs = profile(frame, frame, schema)["pairs"]
    v = np.array(pairs["real"])
    assert v[0, 1] > 0.95
    assert v[0, 2] < 0.05
    assert (v == v.T).all()


def test_without_real_data_synthetic_stands_alone():
    frame = people(300).with_columns(pl.Series("log", [[1, 2], [3]] * 150))
    made = profile(None, frame)
    assert made["rows"] == {"real": None, "synthetic": 300}
    assert column(made, "age")["real"] is None
    assert column(made, "log")["edges"] == [1, 2, 3]
    assert made["pairs"]["real"] is None


@pytest.mark.parametrize("rows", [0, 1, 15])
def test_few_rows_are_no_error_and_show_nothing_of_real(rows):
    frame = people(40)
    made = profile(frame[:rows], frame[:rows], infer(frame))
    assert all(c["real"] is None for c in made["columns"])


def test_missing_and_infinite_values():
    frame = pl.DataFrame({"x": [float("nan"), float("inf"), None] * 20, "n": [None] * 60, "y": [1.5, None, 2.5] * 20})
    made = profile(frame, frame, infer(frame))
    assert column(made, "y")["missing"]["real"] == pytest.approx(1 / 3, abs=1e-4)


def test_of_many_columns_the_most_different_are_kept():
    rng = np.random.default_rng(2)
    real = pl.DataFrame({f"c{i}": rng.choice(["a", "b"], 200) for i in range(COLUMNS + 9)})
    odd = real.with_columns(pl.lit("b").alias("c64"))
    made = profile(real, odd, infer(real))
    assert len(made["columns"]) == COLUMNS
    assert made["of"] == COLUMNS + 9
    assert "c64" in [c["name"] for c in made["columns"]]


def test_rebalanced_cells_count_at_real_shares():
    real = pl.DataFrame({"c": ["a"] * 900 + ["b"] * 100, "x": list(range(1000))})
    half = pl.concat([real[:100], real[900:]])
    cells = grid({"c": ["a", "b"]}, 100)
    assert column(profile(real, half, infer(real)), "c")["distance"] == pytest.approx(0.4)
    made = profile(real, half, infer(real), cells)
    assert made["weighted"]
    assert column(made, "c")["distance"] < 0.02


def test_the_same_tables_give_the_same_profile():
    real, synthetic = people(600), people(500, 3)
    first, again = (json.dumps(profile(real, synthetic, infer(real))) for _ in range(2))
    assert first == again
