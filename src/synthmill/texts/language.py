"""Which language a text is in: by its script where one language alone uses it, else by py3langid (Lui & Baldwin, 2012)."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from synthmill.refusal import MissingExtra, Refusal, choices

_ONE = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "GREEK": "el", "HEBREW": "he", "THAI": "th", "LAO": "lo", "KHMER": "km",
    "MYANMAR": "my", "GEORGIAN": "ka", "ARMENIAN": "hy", "TAMIL": "ta", "TELUGU": "te", "KANNADA": "kn", "MALAYALAM": "ml",
    "GUJARATI": "gu", "GURMUKHI": "pa", "SINHALA": "si", "ORIYA": "or", "TIBETAN": "bo",
}  # fmt: skip
_NAMES = {
    "arabic": "ar", "bengali": "bn", "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr", "czech": "cs",
    "danish": "da", "dutch": "nl", "english": "en", "estonian": "et", "finnish": "fi", "french": "fr", "german": "de",
    "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu", "icelandic": "is", "indonesian": "id", "irish": "ga",
    "italian": "it", "japanese": "ja", "korean": "ko", "latvian": "lv", "lithuanian": "lt", "malay": "ms", "mandarin": "zh",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "punjabi": "pa", "romanian": "ro", "russian": "ru",
    "serbian": "sr", "slovak": "sk", "slovenian": "sl", "spanish": "es", "swahili": "sw", "swedish": "sv", "tamil": "ta",
    "telugu": "te", "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi", "welsh": "cy",
}  # fmt: skip
_SAME = {
    "nb": "no", "nn": "no", "iw": "he", "in": "id", "ji": "yi", "cmn": "zh", "yue": "zh", "wuu": "zh", "sdh": "ckb", "eng": "en", "deu": "de",
    "fra": "fr", "spa": "es",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """language: ISO 639 code, "" where there is not a letter. probability: how sure; of a script its share of the letters."""

    language: str
    probability: float


def letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def normal(language: str) -> str:
    """`en` of `EN`, `en-GB`, `en_US.UTF-8` or `English`; Bokmål and Nynorsk are `no`, Cantonese and Wu are `zh`."""
    low = language.strip().casefold()
    code = low.replace("_", "-").split("-")[0].split(".")[0]
    return _NAMES.get(low, _SAME.get(code, code))


def known(language: str, at: str) -> str:
    """The code of a language that can be told. Raises Refusal with the choices."""
    code = normal(language)
    every = sorted({normal(c) for c in _identifier(()).nb_classes} | set(_ONE.values()))
    if code not in every:
        raise Refusal(f"{at}: '{language}' is no language it can tell; {choices(language, every)}")
    return code


def identify(texts: Sequence[str], among: Sequence[str] = ()) -> list[Found]:
    """The language of each text. among: codes it must be one of, where that is known (fewer mix-ups of near languages)."""
    return [_identify(t, tuple(sorted(set(among)))) for t in texts]


def _identify(text: str, among: tuple[str, ...]) -> Found:
    total = letters(text)
    if not total:
        return Found("", 0.0)
    scripts = Counter(_ONE.get(_script(c), "") for c in text if c.isalpha())
    kana = scripts["ja"] / total
    if kana > 0.05 and not among:  # Japanese writes most of its words in Han
        han = sum(_script(c) == "CJK" for c in text)
        if (scripts["ja"] + han) / total > 0.5:
            return Found("ja", (scripts["ja"] + han) / total)
    best, count = scripts.most_common(1)[0]
    if best and count / total > 0.5 and (not among or best in among):
        return Found(best, count / total)
    label, probability = _identifier(among).classify(text)
    return Found(normal(str(label)), float(probability))


@cache
def _script(character: str) -> str:
    return unicodedata.name(character, "?").split(" ")[0]


@cache
def _identifier(among: tuple[str, ...]) -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtra("telling a text's language", "py3langid", "text") from None
    load = getattr(LanguageIdentifier, "from_model_file", None) or LanguageIdentifier.from_pickled_model
    made = load(MODEL_FILE, norm_probs=True)
    if among:
        made.set_languages([c for c in made.nb_classes if normal(str(c)) in among])
    return made
