import polars as pl
import pytest

from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.texts.placeholders import placeholder
from synthmill.verify.format import Format


def reason(text, **options):
    return Format(**options).judge(pl.DataFrame({"text": [text]}, schema={"text": pl.String})).reason[0]


@pytest.mark.parametrize(
    ("options", "right", "wrong", "said"),
    [
        ({"characters": (3, 5)}, ["abc", "äöüäö"], ["ab", "abcdef"], "characters: "),
        ({"words": (None, 2)}, ["don't stop"], ["one two three", "one,two,three"], "words: 3, at most 2"),
        ({"sentences": (2, 2)}, ["Dr. Wu came. He left."], ["Dr. Wu came.", "Ab. Cd? Ef!"], "sentences: "),
        ({"paragraphs": (2, None)}, ["a\n\nb"], ["a\nb"], "paragraphs: 1, at least 2"),
        ({"bullets": (2, 2)}, ["- a\n- b", "1. a\n2. b"], ["- a", "-a\n-b"], "bullets: "),
        ({"must": ["^Q:", "A:"]}, ["Q: x A: y"], ["A: y Q:", "Q: x"], "is not there"),
        ({"must_not": ["(?i)sorry"]}, ["fine"], ["I am Sorry"], "is there"),
        ({"json": True}, ['{"a": [1, null]}', "1"], ["{'a': 1}", '{"a": 1,}', '{"a": NaN}', '{"a": 1, "a": 2}', "```json\n{}\n```", "[" * 50_000], "not JSON"),
        ({"json_schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}},
         ['{"a": 1}'], ['{"a": "1"}', '{"b": 1}', "[1]", '{"a": true}'], "json_schema: "),
    ],
)  # fmt: skip
def test_each_demand_passes_what_meets_it_and_names_what_misses_it(options, right, wrong, said):
    for text in right:
        assert reason(text, **options) is None, text
    for text in wrong:
        assert said in str(reason(text, **options)), text


@pytest.mark.parametrize("text", [None, "", " \n\t"])
def test_no_text_fails_and_never_passes(text):
    assert reason(text) == "there is no text"


@pytest.mark.parametrize(
    "text",
    ["Dear [Your Name],", "[insert date here]", "{{ customer.name }}", "${USER}", "<your text here>", "Lorem ipsum dolor", "TODO: write",
     "As an AI language model, I cannot", "I'm just a large language model", "<|im_end|>", "[/INST]", "Name: ________", "call XXXX",
     "[Address Line 1]", "[HIRING MANAGER]"],
)  # fmt: skip
def test_what_a_template_or_a_model_left_is_found(text):
    assert placeholder(text) is not None
    assert "placeholder" in reason(text)
    assert reason(text, placeholders=True) is None


@pytest.mark.parametrize(
    "text",
    ["As shown in [1] and [Smith 2020].", "see [name](http://a.b)", '{"a": {"b": 1}}', "a < b and c > d", "list[int]", "f(x)[0]",
     "<b>your</b>", "the AI model", "XXL", "snake_case__name", "As an aide, he", "{}", "[sic]"],
)  # fmt: skip
def test_what_only_looks_like_a_placeholder_is_none(text):
    assert placeholder(text) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [({"must": ["("]}, "is no regular expression"), ({"must": ["(?=x)y"]}, "is no regular expression"), ({"words": [5, 2]}, "the least is above"),
     ({"json_schema": {"type": "nothing"}}, "is no JSON Schema"), ({"json_schema": {"$ref": "https://a.b/c.json"}}, "elsewhere"),
     ({"colums": ["a"]}, "did you mean 'columns'")],
)  # fmt: skip
def test_wrong_demands_are_refused_in_one_sentence(options, said):
    with pytest.raises(Refusal, match=said):
        build("verify", {"use": "format", **options})


def test_references_within_a_schema_work():
    schema = {"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}}
    assert reason("[1, 2]", json_schema=schema) is None
    assert reason('[1, "2"]', json_schema=schema).startswith("json_schema: 1: ")


def test_a_pattern_that_backtracks_elsewhere_ends_here():
    assert reason("a" * 40_000 + "!", must=["^(a+)+$"]) is not None


def test_of_several_columns_the_reason_names_the_one():
    frame = pl.DataFrame({"q": ["one two"], "a": ["one"]})
    assert Format(words=(2, None)).judge(frame).reason[0] == "a: words: 1, at least 2 wanted"
