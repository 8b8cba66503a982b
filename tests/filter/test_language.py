import polars as pl
import pytest

from synthmill.filter.language import Language
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.texts.language import identify, normal

SAID = {
    "en": "The mill stands by the river and turns all day long.", "de": "Die Mühle steht am Fluss und dreht sich den ganzen Tag.",
    "fr": "Le moulin se trouve au bord de la rivière et tourne toute la journée.", "es": "El molino está junto al río y gira todo el día sin parar.",
    "ru": "Мельница стоит у реки и вертится целый день без остановки.", "ar": "تقع الطاحونة على ضفة النهر وتدور طوال اليوم دون توقف.",
    "zh": "磨坊坐落在河边，整天不停地转动，人们从山谷来到这里磨麦子。", "ja": "水車小屋は川のほとりに立ち、一日中まわり続けています。",
    "ko": "방앗간은 강가에 서서 하루 종일 돌아가고 있습니다.", "el": "Ο μύλος στέκεται δίπλα στο ποτάμι και γυρίζει όλη μέρα.",
    "th": "โรงสีตั้งอยู่ริมแม่น้ำและหมุนตลอดทั้งวัน", "hi": "चक्की नदी के किनारे खड़ी है और पूरे दिन घूमती रहती है।",
    "ta": "ஆலை ஆற்றங்கரையில் நின்று நாள் முழுவதும் சுழல்கிறது.", "sw": "Kinu kiko kando ya mto na kinazunguka siku nzima bila kusimama.",
}  # fmt: skip


@pytest.mark.parametrize("language", SAID)
def test_languages_are_told(language):
    assert identify([SAID[language]])[0].language == language


def test_only_the_wanted_languages_pass():
    frame = pl.DataFrame({"text": list(SAID.values())})
    passed = Language(languages=["German", "pt-BR", "zh"]).judge(frame).status
    assert [c for c, s in zip(SAID, passed, strict=True) if s == 0] == ["de", "zh"]


def test_each_records_own_language():
    frame = pl.DataFrame(
        {"text": [SAID["de"], SAID["de"], SAID["fr"], SAID["fr"]], "lang": ["German", "en", "fr-CA", None]}
    )
    verdicts = Language(expected="lang").judge(frame)
    assert verdicts.status.to_list() == [0, 1, 0, 2]
    assert verdicts.reason[1].startswith("de (probability ")
    assert verdicts.reason[1].endswith(", not en")


def test_too_short_to_tell_is_an_error_never_a_pass():
    frame = pl.DataFrame({"text": ["Yes.", "12 34 56 78 90 12 34 56 78", "", "!?" * 50]})
    assert Language(languages=["en"]).judge(frame).status.to_list() == [2, 2, 2, 2]


def test_noise_is_in_no_language_surely_enough():
    frame = pl.DataFrame({"text": ["xqz vvkj wpql zzrt hjkq plmx qwrt bnvc", "asdf jkl asdf jkl asdf jkl qwer uiop"]})
    assert Language(languages=["en"], least=0.9).judge(frame).status.to_list() == [1, 1]


def test_one_text_alone_is_judged_as_among_others():
    frame = pl.DataFrame({"text": list(SAID.values()) * 2})
    whole = Language(languages=["en"]).judge(frame)
    parts = [Language(languages=["en"]).judge(frame[i : i + 1]) for i in range(frame.height)]
    assert [p.score[0] for p in parts] == whole.score.to_list()


@pytest.mark.parametrize(
    ("name", "code"), [("EN", "en"), ("en_US.UTF-8", "en"), ("Norwegian", "no"), ("nb-NO", "no"), (" Chinese ", "zh")]
)
def test_names_of_a_language(name, code):
    assert normal(name) == code


def test_what_cannot_be_told_is_refused():
    with pytest.raises(Refusal, match="is no language it can tell"):
        build("filter", {"use": "language", "languages": ["klingon"]})
    with pytest.raises(Refusal, match="either languages"):
        build("filter", {"use": "language"})
    with pytest.raises(Refusal, match="no column 'lang'"):
        Language(expected="lang").expect({"text": pl.String()})
