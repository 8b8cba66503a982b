import json

import polars as pl
import pytest

from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.texts.instructions import KNOWN, instruction
from synthmill.verify.instructions import Instructions

KEPT_AND_BROKEN = [
    ("keywords:existence", {"keywords": ["mill", "river bank"]}, ["The Mill on a river\nbank."],
     ["The miller on a river bank.", "mill", "the windmill by the river bank"]),
    ("keywords:frequency", {"keyword": "mill", "frequency": 2, "relation": "at least"}, ["mill, Mill"], ["mill", "mill windmill", "millmill"]),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, ["rocket rocks"], ["Rock!", "ROCK", "hard-rock"]),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 2, "let_relation": "less than"}, ["a t b", ""], ["Tt", "that"]),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "exactly"}, ["Dr. Wu came. He left!"], ["One.", "One. Two. Three."]),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at most"}, ["one two", "well-known don't x"], ["one two three four", "one,two,three,four"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, ["one\n***\ntwo", "***\none\n***\ntwo"],
     ["one\n\ntwo", "one\n***\n\n***\ntwo", "one\n***\ntwo\n***\nthree"]),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weekend"},
     ["one\n\n\"Weekend\" it was"], ["weekend\n\none", "one\n\nweekends are", "one\n\nweekend\n\nthree"]),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, ["[name] of [city]"], ["[name]", "[] []", "[[name]"]),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\nP.S. More", "x\np. s.: more"], ["PS more", "the P.S. is here", "Bye.\nP.S."]),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, ["* a\n* b", "- a\n\n- b"], ["* a", "* a\n* b\n* c", "*a\n*b", "* \n* "]),
    ("detectable_format:constrained_response", {}, ["My answer is yes.", " My answer is no.\n"], ["yes", "My answer is yes. My answer is no."]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, ["*a b* and **c**"], ["*a*", "** **", "* a\n* b", "2*3*4"]),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, ["Section 1\na\nSection 2\nb", "**Section 1:** a\n**Section II** b"],
     ["Section 1 a", "Section Section", "Section 1\nSection 2\n"]),
    ("detectable_format:json_format", {}, ['{"a": 1}', "```json\n[1]\n```"], ["{'a': 1}", '{"a": 1} done', '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100_000]),
    ("detectable_format:title", {}, ["<<The mill>> text"], ["<The mill>", "<< >>", "<<a\nb>>"]),
    ("combination:two_responses", {}, ["a******b"], ["a******a", "a", "a******b******c", "a******", "a***b"]),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, ["Write a\npoem. Roses"], ["Roses. Write a poem.", "Write a poem.", "Write a poem. ..."]),
    ("startend:end_checker", {"end_phrase": "Anything else?"}, ["Yes. anything else?", '"Yes. Anything else?"'], ["Anything else? No.", "Anything else"]),
    ("startend:quotation", {}, ['"all of it"'], ['"only this" and that', '""', '"', "'x'"]),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, ["NASA and me"], ["NASA AND me", "I AM"]),
    ("change_case:english_capital", {}, ["ALL OF IT, 1!"], ["ALL oF IT", "123"]),
    ("change_case:english_lowercase", {}, ["all of it, 1!"], ["all of It", "123", ""]),
    ("punctuation:no_comma", {}, ["none; here"], ["one, here", "全，角"]),
    ("language:response_language", {"language": "de"}, ["Die Mühle steht am Fluss und dreht sich den ganzen Tag."], ["The mill stands by the river and turns all day.", "12"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "kept", "broken"), KEPT_AND_BROKEN)
def test_each_instruction_passes_what_keeps_it_and_fails_what_only_looks_so(name, arguments, kept, broken):
    _, check = instruction({"id": name, **arguments}, "here")
    for text in kept:
        assert check(text) is None, (name, text)
    for text in broken:
        assert check(text), (name, text)


def test_every_instruction_has_a_case_and_there_are_those_of_ifeval():
    assert {name for name, *_ in KEPT_AND_BROKEN} == set(KNOWN)
    assert len(KNOWN) == 25


def test_each_records_own_instructions_in_every_form():
    ifeval = {"instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
              "kwargs": [{}, {"num_words": 2, "relation": "exactly", "keywords": None}]}  # fmt: skip
    own = [
        json.dumps(ifeval),
        json.dumps([{"id": "no_comma"}]),
        json.dumps({"id": "english_lowercase"}),
        "[]",
        "{",
        None,
        '[{"id": "no_coma"}]',
    ]
    frame = pl.DataFrame({"response": ["a b c", "a b", "Ab", *["x"] * 4], "asked": own})
    verdicts = Instructions(given="asked").judge(frame)
    assert verdicts.status.to_list() == [1, 0, 1, 2, 2, 2, 2]
    assert verdicts.reason[0] == "number_words: 3 words, exactly 2 wanted"
    assert "did you mean 'no_comma'" in verdicts.reason[6]


def test_structs_of_a_table_with_nulls_between():
    kinds = {"id": pl.String, "num_words": pl.Int64, "relation": pl.String, "keywords": pl.List(pl.String)}
    frame = pl.DataFrame({"response": ["a b", "a b"], "asked": [
        [{"id": "number_words", "num_words": 2, "relation": None, "keywords": None}],
        [{"id": "existence", "num_words": None, "relation": None, "keywords": ["c"]}],
    ]}, schema_overrides={"asked": pl.List(pl.Struct(kinds))})  # fmt: skip
    assert Instructions(given="asked").judge(frame).status.to_list() == [0, 1]


def test_loose_forgives_a_first_line_and_asterisks_but_nothing_else():
    asked = [{"id": "end_checker", "end_phrase": "the end"}, {"id": "no_comma"}]
    frame = pl.DataFrame({"response": ["Sure, here it is:\nthe end", "*the end*", "so, the end"]})
    assert Instructions(all=asked).judge(frame).status.to_list() == [1, 1, 1]
    assert Instructions(all=asked, loose=True).judge(frame).status.to_list() == [0, 0, 1]


def test_an_empty_answer_fails_even_what_it_does_not_break():
    frame = pl.DataFrame({"response": ["", " \n", None]}, schema={"response": pl.String})
    assert Instructions(all=[{"id": "no_comma"}]).judge(frame).status.to_list() == [1, 1, 1]


def test_of_messages_the_last_is_the_answer():
    frame = pl.DataFrame(
        {"messages": [[{"role": "user", "content": "one, two"}, {"role": "assistant", "content": "one two"}]]}
    )
    assert Instructions(column="messages", all=[{"id": "no_comma"}]).judge(frame).status.to_list() == [0]


@pytest.mark.parametrize(
    ("given", "said"),
    [({"id": "number_word", "num_words": 3}, "did you mean 'number_words'"), ({"id": "number_words"}, "'num_words' is required"),
     ({"id": "number_words", "num_words": "3"}, "'3' is not a whole number"), ({"id": "number_words", "num_words": True}, "not a whole number"),
     ({"id": "number_words", "num_words": 3, "relation": "over"}, "at least"), ({"id": "existence", "keywords": "mill"}, "not a list of texts"),
     ({"id": "no_comma", "n": 1}, "unknown key 'n'")],
)  # fmt: skip
def test_wrong_instructions_are_refused_in_one_sentence(given, said):
    with pytest.raises(Refusal, match=said):
        build("verify", {"use": "instructions", "all": [given]})


def test_nothing_to_check_is_refused():
    with pytest.raises(Refusal, match="either all"):
        build("verify", {"use": "instructions"})


def test_a_language_nobody_can_tell_is_refused_before_any_record():
    with pytest.raises(Refusal, match="is no language it can tell"):
        build("verify", {"use": "instructions", "all": [{"id": "response_language", "language": "klingon"}]})
