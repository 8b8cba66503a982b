import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmill.filter.duplicates import Duplicates
from synthmill.frame import rng_of
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema

SCHEMA = Schema((Column("a", "integer", "Int64"), Column("id", "identifier", "String")))


def frame(*values: object) -> pl.DataFrame:
    return pl.DataFrame({"a": list(values)})


def test_earlier_rows_win_and_only_admitted_ones_are_remembered():
    check = Duplicates()
    assert check.judge(frame(1, 2, 1, None, None)).status.to_list() == [0, 0, 1, 0, 1]
    assert check.judge(frame(1, 2)).status.to_list() == [0, 0]
    check.remember(frame(1))
    verdicts = check.judge(frame(1, 2))
    assert verdicts.status.to_list() == [1, 0]
    assert verdicts.reason == "equals an admitted record"


def test_values_are_compared_not_their_types_or_our_columns():
    check = Duplicates()
    check.remember(frame(1, 0).with_columns(_id=pl.Series(["r-0", "r-1"])))
    assert check.judge(frame(1.0, -0.0, 1.5)).status.to_list() == [1, 1, 0]
    assert check.judge(pl.DataFrame({"b": [1]})).status.to_list() == [0]


def test_rows_of_identifiers_alone_are_told_apart_by_them():
    check = Duplicates(rate=0)
    check.fit(pl.DataFrame({"id": ["x", "y"]}), SCHEMA.select(["id"]))
    assert check.judge(pl.DataFrame({"id": ["p", "q", "p"]})).status.to_list() == [0, 0, 1]


def test_identifiers_do_not_make_a_record_new():
    check = Duplicates()
    check.fit(pl.DataFrame({"a": [1, 2], "id": ["x", "y"]}), SCHEMA)
    assert check.judge(pl.DataFrame({"a": [1, 1], "id": ["p", "q"]})).status.to_list() == [0, 1]


def run(check: Duplicates, rows: pl.DataFrame, size: int) -> pl.DataFrame:
    admitted = []
    for start in range(0, rows.height, size):
        batch = rows[start : start + size]
        admitted.append(batch.filter(check.judge(batch).status == 0))
        check.remember(admitted[-1])
    return pl.concat(admitted)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_repetitions_are_admitted_up_to_trains_own_rate(size):
    train = pl.DataFrame({"a": [*range(900), *range(100)], "id": "x"})
    check = Duplicates()
    check.fit(train, SCHEMA)
    rows = frame(*rng_of("repeats").integers(0, 700, 1000).tolist())
    admitted = run(check, rows, size)
    repeated = admitted.height - admitted["a"].n_unique()
    assert admitted["a"].n_unique() == rows["a"].n_unique()
    assert repeated == int(0.1 * admitted.height)


def test_rate_zero_forbids_and_a_copying_generator_gets_nothing_more():
    train = pl.DataFrame({"a": [1, 2, 3, 3], "id": "x"})
    strict, natural = Duplicates(rate=0), Duplicates()
    for check in (strict, natural):
        check.fit(train, SCHEMA)
    assert run(strict, frame(*[1] * 50), 10).height == 1
    assert run(natural, frame(*[1] * 50), 10).height == 1  # one record in four may repeat another
    assert run(Duplicates(rate=0.5), frame(*[1] * 50), 10).height == 2


def test_a_coarse_table_may_outgrow_train():
    rng = rng_of("coarse")
    check = Duplicates()
    check.fit(pl.DataFrame({"a": rng.integers(0, 20, 200), "id": "x"}), SCHEMA)
    assert run(check, frame(*rng.integers(0, 20, 5_000).tolist()), 500).height > 4_900


def test_beyond_trains_size_repetitions_grow_as_in_fresh_draws():
    rng = rng_of("extrapolated")
    people = rng.zipf(1.5, 30_000)
    check = Duplicates()
    check.fit(pl.DataFrame({"a": people[:10_000], "id": "x"}), SCHEMA)
    fresh = 30_000 - len(np.unique(people))
    assert 0.95 * fresh < check._room(30_000) < 1.05 * fresh
    assert check._room(10_000) == pytest.approx(10_000 - len(np.unique(people[:10_000])))


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), max_size=60), st.integers(1, 9), st.sampled_from([0.0, 0.2, 0.6]))
def test_memory_does_not_depend_on_batches(values, size, rate):
    rows, after = frame(*values).cast(pl.Int64), frame(*range(12), *range(12))
    whole, parts = Duplicates(rate=rate), Duplicates(rate=rate)
    whole.remember(rows)
    for start in range(0, rows.height, size):
        parts.remember(rows[start : start + size])
    assert whole.judge(after).status.to_list() == parts.judge(after).status.to_list()


def test_many_batches_agree_with_a_python_set():
    rng = rng_of("many")
    check, seen = Duplicates(), set()
    for _ in range(60):
        values = rng.integers(0, 5000, int(rng.integers(1, 300)))
        expected = []
        for v in values.tolist():
            expected.append(int(v in seen or v in values[: len(expected)]))
        assert check.judge(frame(*values.tolist())).status.to_list() == expected
        half = values[: len(values) // 2]
        check.remember(frame(*half.tolist()).cast(pl.Int64))
        seen.update(half.tolist())
    assert all(np.all(np.diff(run_) > 0) for run_ in check._seen._runs)


def test_no_rows_and_wrong_rates():
    assert Duplicates().judge(frame().cast(pl.Int64)).status.len() == 0
    for rate in (1.5, -0.1, "trian"):
        with pytest.raises(Refusal, match="rate"):
            build("filter", {"use": "duplicates", "rate": rate})


def told(*texts: str | None) -> pl.DataFrame:
    return pl.DataFrame({"q": list(texts), "label": "x"}, schema={"q": pl.String, "label": pl.String})


LONG = "Explain in your own words why the sky is blue during the day and red in the evening, and name the effect."


def test_texts_are_compared_by_likeness_and_only_admitted_ones_count():
    check = Duplicates(text="q")
    changed = LONG.replace("red", "orange")
    batch = told(LONG, changed, LONG.upper(), "Name three rivers of Europe that flow north.", LONG)
    verdicts = check.judge(batch)
    assert verdicts.status.to_list() == [0, 1, 1, 0, 1]
    assert verdicts.reason[1] in {f"shares {n}% of its word pairs with an admitted text" for n in range(70, 95)}
    assert verdicts.score.is_null().to_list() == [True, False, False, True, False]
    assert 0.5 < verdicts.score[1] < verdicts.score[2] == 1
    check.remember(batch[3:4])
    assert check.judge(told(changed, "Name three rivers in Europe that flow north!")).status.to_list() == [0, 1]


def test_no_rate_lets_a_repeated_text_in():
    check = Duplicates(rate=0.9, text="q")
    check.remember(told(LONG))
    assert check.judge(told(LONG, LONG, LONG)).status.to_list() == [1, 1, 1]


def test_without_text_columns_alike_is_not_equal():
    check = Duplicates()
    assert check.judge(told(LONG, LONG.replace("red", "orange"))).status.to_list() == [0, 0]


@pytest.mark.parametrize(
    ("text", "said"), [("p", "no column 'p'"), (["q", "n"], "column 'n' is Int64, which holds no text")]
)
def test_columns_that_are_no_text_are_refused(text, said):
    with pytest.raises(Refusal, match=said):
        Duplicates(text=text).expect({"q": pl.String(), "n": pl.Int64()})


def test_likeness_out_of_reach_is_refused():
    with pytest.raises(Refusal, match="near"):
        build("filter", {"use": "duplicates", "text": "q", "near": 0.1})
