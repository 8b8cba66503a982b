"""Instructions whose keeping can be computed: those of IFEval (Zhou et al., 2023), under its names and arguments.

`relation` is `at least`, `less than`, and beyond IFEval `at most`, `exactly`. Every check answers what is wrong in words,
or None. Words, sentences and languages are counted by this package, where IFEval uses NLTK and langdetect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from synthmill.refusal import Refusal, choices

from .units import sentences, words

Check = Callable[..., str | None]
RELATIONS = {
    "at least": lambda n, k: n >= k,
    "less than": lambda n, k: n < k,
    "at most": lambda n, k: n <= k,
    "exactly": lambda n, k: n == k,
}
CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _related(what: str, number: int, relation: str, limit: int) -> str | None:
    return None if RELATIONS[relation](number, limit) else f"{number} {what}, {relation} {limit} wanted"


def _times(phrase: str, text: str) -> int:
    """How often a word or phrase stands in the text on its own, whatever its case."""
    spaced = r"\s+".join(map(re.escape, phrase.split()))
    return len(re.findall(rf"(?<!\w){spaced}(?!\w)", text, re.IGNORECASE))


def existence(text: str, keywords: list[str]) -> str | None:
    lacking = [k for k in keywords if not _times(k, text)]
    return f"lacks {', '.join(map(repr, lacking))}" if lacking else None


def frequency(text: str, keyword: str, frequency: int, relation: str = "at least") -> str | None:
    return _related(f"times {keyword!r}", _times(keyword, text), relation, frequency)


def forbidden_words(text: str, forbidden_words: list[str]) -> str | None:
    there = [k for k in forbidden_words if _times(k, text)]
    return f"holds {', '.join(map(repr, there))}" if there else None


def letter_frequency(text: str, letter: str, let_frequency: int, let_relation: str = "at least") -> str | None:
    return _related(
        f"times the letter {letter!r}", text.casefold().count(letter.casefold()), let_relation, let_frequency
    )


def response_language(text: str, language: str) -> str | None:
    from .language import identify, normal

    found = identify([text])[0]
    return None if found.language == normal(language) else f"language is {found.language}, not {language}"


def number_sentences(text: str, num_sentences: int, relation: str = "at least") -> str | None:
    return _related("sentences", len(sentences(text)), relation, num_sentences)


def number_words(text: str, num_words: int, relation: str = "at least") -> str | None:
    return _related("words", len(words(text)), relation, num_words)


def number_paragraphs(text: str, num_paragraphs: int) -> str | None:
    """Paragraphs divided by a line of three asterisks, none of them empty."""
    parts = [p.strip() for p in re.split(r"\s?\*\*\*\s?", text)]
    inner = parts[1 if not parts[0] else 0 : len(parts) - (1 if not parts[-1] else 0)]
    if not all(inner):
        return "a paragraph between two *** is empty"
    return _related("paragraphs between ***", len(inner), "exactly", num_paragraphs)


def nth_paragraph_first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> str | None:
    parts = [p.strip() for p in re.split(r"\n\s*\n", text) if p.strip()]
    if len(parts) != num_paragraphs or not 1 <= nth_paragraph <= len(parts):
        return f"{len(parts)} paragraphs, exactly {num_paragraphs} wanted"
    first = words(parts[nth_paragraph - 1])[:1]
    return (
        None
        if [w.casefold() for w in first] == [first_word.casefold()]
        else f"paragraph {nth_paragraph} does not begin with {first_word!r}"
    )


def number_placeholders(text: str, num_placeholders: int) -> str | None:
    return _related("placeholders in [brackets]", len(re.findall(r"\[[^\[\]]+\]", text)), "at least", num_placeholders)


def postscript(text: str, postscript_marker: str = "P.S.") -> str | None:
    """A line that begins with the marker and goes on behind it; blanks between its letters make no difference."""
    marker = r"\s?".join(map(re.escape, postscript_marker.replace(" ", "")))
    return (
        None
        if re.search(rf"(?:^|\n)\s*{marker}[\s:]*\S", text, re.IGNORECASE)
        else f"no postscript that begins with {postscript_marker}"
    )


def number_bullet_lists(text: str, num_bullets: int) -> str | None:
    """Exactly so many lines that begin with `* ` or `- `."""
    return _related("bullets", len(re.findall(r"^\s*[*-]\s+\S", text, re.MULTILINE)), "exactly", num_bullets)


def constrained_response(text: str, options: list[str] | None = None) -> str | None:
    """One of the options and nothing else; IFEval's own three by default."""
    known = list(options or CONSTRAINED)
    return None if text.strip() in known else f"is none of {', '.join(map(repr, known))}"


def number_highlighted_sections(text: str, num_highlights: int) -> str | None:
    """Stretches in *single* or **double** asterisks on one line."""
    bare = re.sub(r"^\s*\*\s+", "", text, flags=re.MULTILINE)
    found = re.findall(r"\*\*[^*\n]*[^*\s][^*\n]*\*\*|(?<!\*)\*[^*\n]*[^*\s][^*\n]*\*(?!\*)", bare)
    return _related("*highlighted* sections", len(found), "at least", num_highlights)


def multiple_sections(text: str, section_spliter: str, num_sections: int) -> str | None:
    """Headings such as `Section 1`, each followed by text."""
    spliter = re.escape(section_spliter.strip())
    parts = re.split(rf"(?:^|(?<=\s))[#*\s]*{spliter}\s+(?:\d+|[IVXLC]+)\b[*:.\s]*", text)[1:]
    return _related(
        f"sections marked {section_spliter} 1, 2, ...", sum(bool(p.strip()) for p in parts), "at least", num_sections
    )


def json_format(text: str) -> str | None:
    """The whole answer is JSON; a code fence around it may stay."""
    bare = re.sub(r"\A\s*```(?:json|JSON|Json)?\s*|\s*```\s*\Z", "", text)
    return parse(bare)[1]


def title(text: str) -> str | None:
    found = re.findall(r"<<([^<>\n]+)>>", text)
    return None if any(t.strip() for t in found) else "no title in <<double angular brackets>>"


def two_responses(text: str) -> str | None:
    """Two different answers with ****** between them."""
    parts = [p.strip() for p in text.split("******")]
    inner = parts[1 if not parts[0] else 0 : len(parts) - (1 if len(parts) > 1 and not parts[-1] else 0)]
    if len(inner) != 2 or not all(inner):
        return f"{len(inner)} answers divided by ******, exactly 2 wanted"
    return "the two answers are the same" if inner[0] == inner[1] else None


def repeat_prompt(text: str, prompt_to_repeat: str) -> str | None:
    """First the request, word for word, then something more."""
    given = " ".join(text.split()).casefold()
    asked = " ".join(prompt_to_repeat.split()).casefold()
    if not given.startswith(asked):
        return "does not begin by repeating the request"
    return None if any(c.isalnum() for c in given[len(asked) :]) else "repeats the request and says nothing more"


def end_checker(text: str, end_phrase: str) -> str | None:
    wanted = " ".join(end_phrase.split()).casefold()
    return (
        None if " ".join(text.split()).strip('"').casefold().endswith(wanted) else f"does not end with {end_phrase!r}"
    )


def quotation(text: str) -> str | None:
    bare = text.strip()
    inside = len(bare) > 2 and bare[0] == '"' and bare[-1] == '"' and any(c.isalnum() for c in bare)
    return None if inside else "is not wrapped in double quotation marks"


def capital_word_frequency(text: str, capital_frequency: int, capital_relation: str = "at least") -> str | None:
    return _related("words in capitals", sum(w.isupper() for w in words(text)), capital_relation, capital_frequency)


def english_capital(text: str) -> str | None:
    return None if text.isupper() else _cased(text, str.islower, "a small letter")


def english_lowercase(text: str) -> str | None:
    return None if text.islower() else _cased(text, str.isupper, "a capital")


def _cased(text: str, wrong: Callable[[str], bool], what: str) -> str:
    at = next((i for i, c in enumerate(text) if wrong(c)), None)
    return "holds no letter" if at is None else f"{what} at {at}: {text[max(0, at - 10) : at + 10]!r}"


def no_comma(text: str) -> str | None:
    """Neither the Latin comma nor the Arabic, the Han or the full-width one."""
    at = re.search(r"[,،、，]", text)
    return None if at is None else f"a comma at {at.start()}"


def parse(text: str) -> tuple[Any, str | None]:
    """(value, None) of JSON as RFC 8259 has it, or (None, what is wrong): NaN and a name given twice are no JSON."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [k for k, _ in items]
        twice = next((k for k in names if names.count(k) > 1), None)
        if twice is not None:
            raise ValueError(f"the name {twice!r} is given twice")
        return dict(items)

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant), None
    except RecursionError:
        return None, "not JSON: nested too deeply"
    except ValueError as e:
        return None, f"not JSON: {e}"


GROUPS: dict[str, Sequence[Check]] = {
    "keywords": (existence, frequency, forbidden_words, letter_frequency),
    "language": (response_language,),
    "length_constraints": (number_sentences, number_paragraphs, number_words, nth_paragraph_first_word),
    "detectable_content": (number_placeholders, postscript),
    "detectable_format": (
        number_bullet_lists, constrained_response, number_highlighted_sections, multiple_sections, json_format, title,
    ),
    "combination": (two_responses, repeat_prompt),
    "startend": (end_checker, quotation),
    "change_case": (capital_word_frequency, english_capital, english_lowercase),
    "punctuation": (no_comma,),
}  # fmt: skip
KNOWN: dict[str, Check] = {f"{group}:{check.__name__}": check for group, checks in GROUPS.items() for check in checks}
_SHORT = {name.partition(":")[2]: check for name, check in KNOWN.items()}


def instruction(given: Mapping[str, Any], at: str) -> tuple[str, Callable[[str], str | None]]:
    """(its name, the check) of `{id: number_words, num_words: 300, relation: at least}`; the group before the name may be
    left out, and arguments that are null count as not given. Raises Refusal for what is unknown or of the wrong type."""
    name = str(given.get("id", given.get("instruction_id", "")))
    check = KNOWN.get(name) or _SHORT.get(name)
    if check is None:
        raise Refusal(f"{at}: '{name}' is no instruction; {choices(name, _SHORT if ':' not in name else KNOWN)}")
    arguments = {k: v for k, v in given.items() if k not in ("id", "instruction_id") and v is not None}
    hints = {k: h for k, h in get_type_hints(check).items() if k not in ("text", "return")}
    for key, value in arguments.items():
        if key not in hints:
            raise Refusal(f"{at}: {name}: unknown key '{key}'; {choices(key, hints or ['none'])}")
        arguments[key] = _read(value, hints[key], f"{at}: {name}: {key}")
        if key.endswith("relation") and value not in RELATIONS:
            raise Refusal(f"{at}: {name}: {key}: '{value}'; {choices(value, RELATIONS)}")
    optional = {k for k in hints if k in ("options", "postscript_marker") or k.endswith("relation")}
    for key in hints.keys() - optional - arguments.keys():
        raise Refusal(f"{at}: {name}: '{key}' is required")
    if check is response_language:
        from .language import known

        known(arguments["language"], f"{at}: {name}: language")  # an unknown one is no record's fault
    short = check.__name__
    return short, lambda text: check(text, **arguments)


def _read(value: Any, hint: Any, at: str) -> Any:
    kinds = [k for k in (get_args(hint) or (hint,)) if k is not type(None)]
    wants = list if hint == list[str] or hint == (list[str] | None) else kinds[0]
    if wants is int and isinstance(value, float) and value.is_integer():
        return int(value)  # a table stores whole numbers beside nulls as decimals
    if wants is list:
        if (
            isinstance(value, Iterable)
            and not isinstance(value, str | Mapping)
            and all(isinstance(v, str) and v.strip() for v in value)
        ):
            return list(value)
    elif isinstance(value, wants) and not isinstance(value, bool) and value != "":
        return value
    words_for = {int: "a whole number", str: "a text", list: "a list of texts"}
    raise Refusal(f"{at}: {value!r} is not {words_for[wants]}")


def variants(text: str) -> list[str]:
    """IFEval's loose readings: without asterisks, without the first or the last line, and combinations of these."""
    rows = text.split("\n")
    cut = [text, "\n".join(rows[1:]).strip(), "\n".join(rows[:-1]).strip(), "\n".join(rows[1:-1]).strip()]
    every = [*cut, *(c.replace("*", "") for c in cut)]
    return [v for v in dict.fromkeys(every) if v.strip()]
