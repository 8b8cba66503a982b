import polars as pl
import pytest

from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.verify.answer import Answer
from synthmill.verify.evidence import Evidence

SOURCE = "The mill was built in 1790 by Ann Ford.\nIt “stands”  by the river — still. The mill was built of stone."


def status(evidence, source=SOURCE, **options):
    frame = pl.DataFrame({"evidence": [evidence], "source": [source]}, strict=False)
    return Evidence(**options).judge(frame).status[0]


@pytest.mark.parametrize(
    "evidence",
    ["The mill was built in 1790", "the MILL was\n built in 1790", '"It "stands" by the river - still."', "stone. "[:0] + "built of stone",
     ["built in 1790", "by the river"]],
)  # fmt: skip
def test_what_stands_in_the_source_passes(evidence):
    assert status(evidence) == 0


@pytest.mark.parametrize(
    "evidence",
    ["The mill was built in 1970", "built in 179", "he mill was built", "mill was built by", "by the river. The mill was built", "mill", "", None,
     "... ...", ["built in 1790", "built in 1791"], [], [None], "The mill was built in 1790 by Ann Ford. The mill was built of stone."],
)  # fmt: skip
def test_what_does_not_or_proves_nothing_fails(evidence):
    assert status(evidence) == 1


def test_the_whole_source_is_no_evidence_where_a_share_is_set():
    assert status(SOURCE) == 0
    assert status(SOURCE, share=0.5) == 1
    assert status("built in 1790 by Ann", share=0.5) == 0


def test_evidence_is_not_pieced_together_from_two_sources():
    assert status("one two three four", ["zero one two", "three four five"]) == 1
    assert status("three four five", ["zero one two", "three four five"]) == 0


def test_without_a_source_nothing_is_decided():
    assert status("built in 1790", None) == 2
    assert status("built in 1790", " ") == 2


def test_the_offset_must_be_a_place_it_stands_at():
    frame = pl.DataFrame(
        {"evidence": ["the mill was built"] * 5, "source": SOURCE, "at": [0, SOURCE.rindex("The"), 1, None, 10_000]}
    )
    verdicts = Evidence(offset="at").judge(frame)
    assert verdicts.status.to_list() == [0, 0, 1, 1, 1]
    assert verdicts.reason[2] == "at: the evidence begins at 0, not 1"


def test_documents_are_read_from_files(tmp_path):
    (tmp_path / "mill.txt").write_text(SOURCE)
    frame = pl.DataFrame(
        {
            "evidence": ["built in 1790", "built in 1791", "built in 1790"],
            "source": ["mill.txt", "mill.txt", "other.txt"],
        }
    )
    verdicts = build("verify", {"use": "evidence", "documents": str(tmp_path)}).judge(frame)
    assert verdicts.status.to_list() == [0, 1, 2]
    assert "no document is called 'other.txt'" in verdicts.reason[2]


def test_columns_that_are_not_there_are_refused():
    types = {"evidence": pl.String(), "source": pl.String(), "at": pl.String()}
    with pytest.raises(Refusal, match="no column 'quote'"):
        Evidence(evidence="quote").expect(types)
    with pytest.raises(Refusal, match="not whole numbers"):
        Evidence(offset="at").expect(types)


def answered(answer, evidence="The mill was built in 1790 by Ann Ford, for 3.5 pounds.", **options):
    return Answer(**options).judge(pl.DataFrame({"answer": [answer], "evidence": [evidence]}, strict=False)).status[0]


@pytest.mark.parametrize("answer", ["Ann Ford", "ann ford.", "The mill", "1790", "3.5 pounds", "in 1790 by Ann Ford"])
def test_an_answer_the_evidence_says_passes(answer):
    assert answered(answer) == 0


@pytest.mark.parametrize(
    "answer", ["Ford Ann", "Anne Ford", "1970", "179", "5.3", "35", "", None, "the", "mill Ann Ford", "?"]
)
def test_an_answer_it_does_not_say_fails(answer):
    assert answered(answer) == 1


def test_recall_lets_sentences_pass_but_no_other_number():
    assert answered("Ann Ford built the mill in 1790", recall=0.8) == 0
    assert answered("Ann Ford built the mill in 1791", recall=0.8) == 1
    assert answered("Bob Hill sold a barn", recall=0.8) == 1
    assert answered("mill mill mill mill", recall=0.8) == 1


def test_no_evidence_is_an_error_and_all_of_it_no_answer():
    assert answered("Ann Ford", None) == 2
    assert answered("Ann Ford", "Ann Ford.", whole=False) == 1
    assert answered("Ann Ford", ["He came.", "It was Ann Ford."], whole=False) == 0
