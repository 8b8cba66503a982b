import polars as pl
import pytest

from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.verify.program import Program

FRAME = pl.DataFrame({"a": [1, 2, 3, None]})


def outcome(function, **options) -> tuple[list[int], list[str | None]]:
    verdicts = Program(function, **options).judge(FRAME)
    return verdicts.status.to_list(), verdicts.reason.to_list()


def test_true_passes_and_false_fails_with_its_reason():
    assert outcome(lambda row: (row["a"] or 0) > 1) == ([1, 0, 0, 1], [None] * 4)
    assert outcome(lambda row: (row["a"] == 2, f"a is {row['a']}"))[1] == ["a is 1", None, "a is 3", "a is None"]


def test_an_exception_is_an_error_on_its_row_alone():
    status, reason = outcome(lambda row: row["a"] + 1 > 2)
    assert status == [1, 0, 0, 2]
    assert reason[3].startswith("TypeError: ")


@pytest.mark.parametrize("wrong", [None, "yes", 1, [True], (True, "x", 1), 0.7])
def test_a_wrong_answer_is_an_error_never_a_pass(wrong):
    assert outcome(lambda row: wrong)[0] == [2, 2, 2, 2]


def test_a_number_is_held_against_the_threshold():
    verdicts = Program(lambda row: (row["a"] or float("nan")) / 4, threshold=0.5).judge(FRAME)
    assert verdicts.status.to_list() == [1, 0, 0, 2]
    assert verdicts.score.to_list() == [0.25, 0.5, 0.75, None]
    assert verdicts.reason[0] == "0.25 is below 0.5"


def test_batch_sees_the_frame_and_falls_back_to_rows():
    assert outcome(lambda frame: frame["a"].fill_null(0) > 1, batch=True)[0] == [1, 0, 0, 1]
    assert outcome(lambda frame: frame["a"].to_numpy() > 1, batch=True)[0] == [1, 0, 0, 1]
    assert outcome(lambda frame: [True], batch=True)[0] == [2, 2, 2, 2]
    assert outcome(lambda frame: frame["a"] > 1, batch=True)[0] == [1, 0, 0, 2]  # null is no answer

    def fragile(frame: pl.DataFrame) -> list[bool]:
        if frame["a"].null_count():
            raise ValueError("no nulls please")
        return [v > 1 for v in frame["a"]]

    assert outcome(fragile, batch=True) == ([1, 0, 0, 2], [None, None, None, "ValueError: no nulls please"])


def test_a_file_names_the_function(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def good(row):\n    return row['a'] == 2\nnumber = 3\n")
    check = build("verify", {"use": "program", "function": f"{path}:good"})
    assert check.judge(FRAME).status.to_list() == [1, 0, 1, 1]
    with pytest.raises(Refusal, match="did you mean 'good'"):
        build("verify", {"use": "program", "function": f"{path}:god"})
    with pytest.raises(Refusal, match="there is no file"):
        build("verify", {"use": "program", "function": f"{tmp_path}/none.py:good"})
    with pytest.raises(Refusal, match="is not a function"):
        build("verify", {"use": "program", "function": f"{path}:number"})


def test_no_rows_no_verdicts():
    for batch in (False, True):
        assert Program(lambda x: [], batch=batch).judge(FRAME[:0]).status.len() == 0
