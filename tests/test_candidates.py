from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lines import bytes_of, check_succeeded, job, run_job
from synthmill.candidates import Made, Work, apply, failed, verdict_of
from synthmill.cells import Cell
from synthmill.engine import Failure
from synthmill.frame import Status
from synthmill.plugins import Request, Verdicts


def request(n: int) -> Request:
    return Request(5, Cell(0, (), 10), 0, n, 1)


def stamped(frame: Any, schema: dict[str, Any], n: int | None = None) -> pl.DataFrame:
    work = Work(None, [], schema, bare=False)
    return work.judge([(request(frame.height if n is None else n), Made(frame))])


CASTS = [
    (pl.Series([1.0, 1.5, None, float("nan")]), pl.Int64(), [1, 1, None, None], [False, True, False, True]),
    (pl.Series(["1", "x", None]), pl.Int64(), [1, None, None], [False, True, False]),
    (pl.Series([1, 300]), pl.UInt8(), [1, None], [False, True]),
    (pl.Series([0, 1, 5]), pl.Boolean(), [False, True, True], [False, False, True]),
    (
        pl.Series([dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, 7)]),
        pl.Date(),
        [dt.date(2026, 1, 1)] * 2,
        [False, True],
    ),
    (pl.Series(["2026-01-01", "soon"]), pl.Date(), [dt.date(2026, 1, 1), None], [False, True]),
    (
        pl.Series(["2026-01-01T07:30:00.5", "2026-01-01 07:30:00", "31/01/2026"]),
        pl.Datetime("us"),
        [dt.datetime(2026, 1, 1, 7, 30, 0, 500_000), dt.datetime(2026, 1, 1, 7, 30), None],
        [False, False, True],
    ),
    (pl.Series([1, 2]), pl.Float64(), [1.0, 2.0], [False, False]),
    (pl.Series([0.1]), pl.Float32(), [pytest.approx(0.1)], [False]),
    (pl.Series([1, 2]), pl.String(), ["1", "2"], [False, False]),
    (pl.Series([[1], [2]]), pl.Int64(), [None, None], [True, True]),
    (pl.Series(["a", "b"], dtype=pl.Categorical), pl.String(), ["a", "b"], [False, False]),
    (pl.Series([object(), object()], dtype=pl.Object), pl.Int64(), [None, None], [True, True]),
]


@pytest.mark.parametrize(("made", "dtype", "values", "lost"), CASTS)
def test_values_become_their_declared_type_row_by_row(
    made: pl.Series, dtype: Any, values: list[Any], lost: list[bool]
) -> None:
    frame = stamped(pl.DataFrame({"a": made}), {"a": dtype})
    assert frame["a"].dtype == dtype
    assert (frame["_status"] == Status.ERROR).to_list() == lost
    assert [v for v, bad in zip(frame["a"].to_list(), lost, strict=True) if not bad] == [
        v for v, bad in zip(values, lost, strict=True) if not bad
    ]
    assert frame["_raw"].is_not_null().to_list() == lost
    assert set(frame.filter(pl.col("_status") == Status.ERROR)["_reason"]) <= {
        f"a: {made.dtype} does not become {dtype}"
    }


def test_columns_come_in_the_declared_order_and_rows_are_numbered() -> None:
    frame = stamped(pl.DataFrame({"b": [1, 2], "a": [3, 4]}), {"a": pl.Int64(), "b": pl.Int64()})
    assert frame.columns[:2] == ["a", "b"]
    assert frame["_i"].to_list() == [0, 1]
    assert set(frame["_k"]) == {5}


@pytest.mark.parametrize("answer", [None, [1], "text", pl.DataFrame({"b": [1, 2, 3]}).lazy()])
def test_an_answer_that_is_no_frame_stands_for_every_row_asked(answer: Any) -> None:
    work = Work(None, [], {"a": pl.Int64()}, bare=False)
    frame = work.judge([(request(3), Made(answer))])
    assert frame["_status"].to_list() == [Status.ERROR] * 3
    assert frame["_reason"][0].startswith("the generator answered")


def test_an_answer_with_other_columns_keeps_its_text() -> None:
    frame = stamped(pl.DataFrame({"b": ["lost", "words"]}), {"a": pl.Int64()})
    assert frame["_reason"][0] == "the generator's answer lacks a and has unknown b"
    assert frame["_raw"].to_list() == ['{"b": "lost"}', '{"b": "words"}']


def test_a_request_that_never_came_back_names_where_it_was() -> None:
    work = Work(None, [], {"a": pl.Int64()}, bare=False)
    frame = failed(request(2), Failure("no answer within 1 s", 3), work)
    assert frame["_check"].to_list() == [3, 3]
    assert frame["_reason"].to_list() == ["no answer within 1 s"] * 2


class Big:
    def judge(self, frame: pl.DataFrame) -> Verdicts:
        return Verdicts.where(frame["a"] < 10, "big", frame["a"])


class Even:
    def judge(self, frame: pl.DataFrame) -> Verdicts:
        assert set(frame.columns) == {"a"}
        assert frame["a"].max() < 10, "a row that failed before was judged again"
        return Verdicts.where(
            frame["a"] % 2 == 0, pl.concat_str(pl.lit("odd "), "a").alias("r").pipe(lambda e: frame.select(e)["r"])
        )


def test_the_first_check_that_fails_a_row_owns_it() -> None:
    frame = stamped(pl.DataFrame({"a": [1, 2, 30, 4, 51]}), {"a": pl.Int64()})
    for place, check in enumerate((Big(), Even()), 1):
        frame = apply(frame, check, place, ["a"])
    assert frame["_status"].to_list() == [1, 0, 1, 0, 1]
    assert frame["_check"].to_list() == [2, None, 1, None, 1]
    assert frame["_reason"].to_list() == ["odd 1", None, "big", None, "big"]
    assert frame["_score"].to_list() == [1.0, 2.0, 30.0, 4.0, 51.0]


def test_null_counts_as_a_fail() -> None:
    verdicts = verdict_of(Big(), pl.DataFrame({"a": [1, None]}))
    assert verdicts.status.to_list() == [0, 1]


OWN = """
import polars as pl
from dataclasses import dataclass

@dataclass
class Mine:
    def schema(self):
        return {"x": pl.Int64()}

    def generate(self, request):
        return pl.DataFrame({"x": request.rng().integers(0, 9, request.n)})
"""


def test_a_plugin_from_a_users_file_reaches_worker_processes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    use = f"{tmp_path / 'mine.py'}:Mine"
    for kind in ("serial", "process"):
        check_succeeded(*run_job(job(use, axes={}, engine={"kind": kind, "workers": 2}), tmp_path / kind))
    assert bytes_of(tmp_path / "serial") == bytes_of(tmp_path / "process")
