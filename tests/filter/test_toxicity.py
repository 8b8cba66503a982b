import polars as pl
import pytest

from synthmill.filter.toxicity import Toxicity
from synthmill.plugins import build
from synthmill.refusal import Refusal


def status(*texts, **options):
    return Toxicity(**options).judge(pl.DataFrame({"text": texts}, schema={"text": pl.String})).status.to_list()


@pytest.mark.parametrize(
    "text",
    ["what the fuck", "Fucking!", "FUCK", "f*ck", "f**k you", "sh1t", "$hit", "fuuuuck", "f u c k", "f.u.c.k", "f-u-c-k", "fück", "ｆｕｃｋ",
     "f\u200buck", "f\u00aduck", "just kill yourself", "I’ll kill you", "kill\nyourself", "a s s h o l e", "bullsh*t"],
)  # fmt: skip
def test_listed_words_are_found_plain_and_in_disguise(text):
    assert status(text) == [1]


@pytest.mark.parametrize(
    "text",
    ["Scunthorpe, Penistone and Lightwater", "cockpit, cocktail, peacock", "assess the class, assassin", "Dickens and Moby Dick", "shiitake",
     "the cock crowed at the ass", "a spic and span kitchen", "a chink in the armour", "the dyke held the sea", "retarded growth",
     "A gay man, a lesbian, a trans woman, a Jew, a Muslim and a Black man walk in", "Cuntis is a town", "Fukushima", "2*3*4", "kill your darlings",
     "therapist", "analysis", "Essex, Sussex", "S H I F T", None, ""],
)  # fmt: skip
def test_innocent_words_pass(text):
    assert status(text) == [0]


def test_categories_allowances_and_shares():
    assert status("kill yourself", "what the fuck", categories=["threat"]) == [1, 0]
    assert status("what the fuck", allow=("fuck*",)) == [0]
    long = "one two three four five six seven eight nine fuck"
    assert status(long, most=0.1) == [0]
    assert status(long, most=0.09) == [1]


def test_the_reason_gives_category_and_place_not_the_word():
    verdicts = Toxicity().judge(pl.DataFrame({"text": ["oh shit, kill yourself"]}))
    assert verdicts.reason.to_list() == ["profanity at 3-7, threat at 9-22"]


def test_a_list_of_ones_own(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("# mine\nbrand\tAcme Mills\nwidget*\n")
    check = build("filter", {"use": "toxicity", "file": str(path)})
    frame = pl.DataFrame({"text": ["by ACME  mills", "two widgets", "acme", "what the fuck"]})
    assert check.judge(frame).reason.to_list() == ["brand at 3-14", "own at 4-11", None, None]


def test_wrong_configuration_is_refused(tmp_path):
    empty, short = tmp_path / "empty.txt", tmp_path / "short.txt"
    empty.write_text("# nothing\n")
    short.write_text("a*\n")
    for options, said in (
        ({"file": str(tmp_path / "none.txt")}, "No such file"),
        ({"file": str(empty)}, "holds no entries"),
        ({"file": str(short)}, "too short"),
        ({"categories": ["slurs"]}, "did you mean 'slur'"),
        ({"allow": ["nothing"]}, "is no entry"),
    ):
        with pytest.raises(Refusal, match=said):
            build("filter", {"use": "toxicity", **options})


def test_long_runs_end_soon():
    assert status("!" * 50_000, "a " * 20_000, "*" * 50_000, "f" * 50_000, "f*" * 20_000) == [0] * 5
