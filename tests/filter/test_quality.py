from pathlib import Path

import polars as pl
import pytest

from synthmill.filter.quality import Quality
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.texts.heuristics import RULES, Text

PROSE = (
    "The mill stands by the river, and it has ground wheat for the people of the valley since the year it was built. "
    "In dry summers the wheel stops, so the miller keeps a small engine in the shed behind the house. "
    "Visitors who come on Sundays may watch the stones turn, buy a bag of flour, and have a look at the old books."
)


def reason(text: str | None, **options) -> str | None:
    return Quality(**options).judge(pl.DataFrame({"text": [text]}, schema={"text": pl.String})).reason[0]


def test_prose_passes_every_rule():
    assert reason(PROSE) is None
    assert reason(None) is None


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("gopher.words_least", "Too short to be of use to anyone."),
        ("gopher.word_length_least", "a b c d e f " * 20),
        ("gopher.word_length_most", "the and " + "incomprehensibilities " * 60),
        ("gopher.symbols", PROSE + " #" * 30),
        ("gopher.bullet_lines", "\n".join(f"- the item {i} of the list and that is all of it" for i in range(12))),
        ("gopher.ellipsis_lines", "\n".join(f"and then {w} of the people went to have..." for w in PROSE.split()[:12])),
        ("gopher.alphabetic_words", "the of " + " ".join(f"word{i} 12 34" for i in range(30))),
        ("gopher.stop_words", "Mühle " * 5 + "wasser mehl stein rad korn sack haus fluss tal berg " * 6),
        ("gopher_repetition.lines", "\n".join([PROSE, *[f"line {i} of the text is new" for i in range(3)], *["the same of it"] * 5])),
        ("gopher_repetition.top_2_gram", PROSE + " buy flour" * 20),
        ("gopher_repetition.repeated_10_grams", PROSE + " " + PROSE.upper().lower().replace("mill", "mill") ),
        ("c4.sentences", " ".join(PROSE.replace(".", ",").split())),
        ("c4.curly_brackets", PROSE + " {}"),
        ("c4.lorem_ipsum", PROSE + " Lorem ipsum dolor sit amet."),
        ("fineweb.ended_lines", "\n".join(f"this is the line {w} and it has no end of its own" for w in PROSE.split())),
        ("fineweb.short_lines", "\n".join(f"It has a {w} of that." for w in dict.fromkeys(PROSE.split()))),
        ("fineweb.line_characters", "\n".join([PROSE, "The same of it stands here again.", "The same of it stands here again."])),
        ("fineweb.line_breaks", "\n".join(f"{w} {w}x." for w in dict.fromkeys(PROSE.split()))),
    ],
)  # fmt: skip
def test_each_rule_finds_what_it_is_for(rule, text):
    source, name = rule.split(".")
    others = {f"{source}.{n}": None for n in RULES[source] if n != name}
    found = reason(text, sources=[source], limits=others)
    assert found is not None
    assert found.startswith(f"{rule}: ")
    assert "wanted" in found
    assert reason(PROSE, sources=[source], limits=others) is None


def test_a_limit_is_set_and_left_out():
    short = "It is the mill of the valley, and that is all."
    assert reason(short, sources=["gopher"]).startswith("gopher.words_least: words: 11, at least 50 wanted")
    assert reason(short, sources=["gopher"], limits={"gopher.words_least": 11}) is None
    assert reason(short, sources=["gopher"], limits={"gopher.words_least": None}) is None


def test_repeated_n_grams_by_hand():
    """a b c d e a b c d e: the second run of five is seen again, which is half of the letters."""
    assert Text("a b c d e a b c d e").repeated(5) == 0.5
    assert Text("aa b aa b c").top(2) == 6 / 7  # (aa, b) twice, of 7 letters
    assert Text("all words differ here").top(2) == 0.0
    assert Text("").repeated(5) == 0.0


def test_unknown_rules_and_columns_are_refused():
    with pytest.raises(Refusal, match=r"did you mean 'gopher.words_least'"):
        build("filter", {"use": "quality", "limits": {"gopher.word_least": 3}})
    with pytest.raises(Refusal, match="no column 'txt'"):
        Quality(columns=["txt"]).expect({"text": pl.String()})
    with pytest.raises(Refusal, match="no column of text"):
        Quality().expect({"age": pl.Int64()})


def test_messages_are_judged_as_one_text():
    messages = pl.DataFrame(
        {"messages": [[{"role": "user", "content": PROSE}, {"role": "assistant", "content": "{}"}]]}
    )
    assert Quality(sources=["c4"]).judge(messages).reason[0].startswith("c4.curly_brackets")


def test_the_documents_name_every_rule_with_its_limit():
    text = (Path(__file__).parents[2] / "docs" / "checks.md").read_text("utf-8")
    for source, rules in RULES.items():
        for name, rule in rules.items():
            assert f"| `{source}.{name}` | {rule.says} | at {rule.sense} {rule.limit:g} |" in text
