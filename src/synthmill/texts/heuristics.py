"""The public heuristics that web text was filtered by: Gopher's, C4's and FineWeb's, each a number and a limit.

Gopher: Rae et al. (2021), appendix A.1.1 and table A1. C4: Raffel et al. (2020), section 2.2. FineWeb: Penedo et al.
(2024), section 3.6. Words here are `units.words`, where those papers each used a tokenizer of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from .units import bullets, lines, paragraphs, sentences, words

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's own eight, which are English."""
_TERMINAL = (".", "!", "?", '"', "”", "。", "！", "？", "…")
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_SHORT = 30


class Text:
    """A text and what the rules count in it, each counted once."""

    def __init__(self, text: str, stop_words: Sequence[str] = STOP_WORDS) -> None:
        self.text = text
        self.stop = {w.casefold() for w in stop_words}

    @cached_property
    def words(self) -> list[str]:
        return words(self.text)

    @cached_property
    def tokens(self) -> list[str]:
        """What blanks divide, as written; a number or a sign is one."""
        return self.text.split()

    @cached_property
    def lines(self) -> list[str]:
        return lines(self.text)

    @cached_property
    def paragraphs(self) -> list[str]:
        return paragraphs(self.text)

    def share_of_lines(self, holds: Callable[[str], bool]) -> float:
        return sum(map(holds, self.lines)) / max(1, len(self.lines))

    def top(self, n: int) -> float:
        """Share of the characters that lie in the most frequent n-gram, which has to occur twice."""
        grams = Counter(zip(*(self.words[i:] for i in range(n)), strict=False))
        if not grams:
            return 0.0
        most = max(grams.values())
        longest = max(sum(map(len, g)) for g, times in grams.items() if times == most)
        return longest * most / self._letters if most > 1 else 0.0

    def repeated(self, n: int) -> float:
        """Share of the characters that lie in n-grams seen before; overlapping ones count once."""
        seen: set[tuple[str, ...]] = set()
        total, at = 0, 0
        while at <= len(self.words) - n:
            gram = tuple(self.words[at : at + n])
            if gram in seen:
                total += sum(map(len, gram))
                at += n
            else:
                seen.add(gram)
                at += 1
        return total / self._letters

    @cached_property
    def _letters(self) -> int:
        return max(1, sum(map(len, self.words)))

    def c4_sentences(self) -> int:
        """Sentences in the lines C4 keeps: of at least five words, with an end mark, and no talk of scripts or cookies."""
        kept = [
            line for line in self.lines if line.endswith(_TERMINAL) and len(words(line)) >= 5 and not _boilerplate(line)
        ]
        return sum(len(sentences(line)) for line in kept)


def _boilerplate(line: str) -> bool:
    lowered = line.casefold()
    return "javascript" in lowered or any(p in lowered for p in _POLICY)


def _again(parts: Sequence[str]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


def _again_letters(parts: Sequence[str]) -> float:
    once = sum(map(len, set(parts)))
    return 1 - once / max(1, sum(map(len, parts)))


@dataclass(frozen=True)
class Rule:
    """What it counts, in words; the number; whether the limit is the least or the most it may be."""

    says: str
    count: Callable[[Text], float]
    sense: Literal["least", "most"]
    limit: float


def _symbols(t: Text) -> float:
    ellipses = t.text.count("...") + t.text.count("…")
    return max(t.text.count("#"), ellipses) / max(1, len(t.words))


def _alphabetic(t: Text) -> float:
    return sum(any(c.isalpha() for c in w) for w in t.tokens) / max(1, len(t.tokens))


def _length(t: Text) -> float:
    return sum(map(len, t.words)) / max(1, len(t.words))


RULES: dict[str, dict[str, Rule]] = {
    "gopher": {
        "words_least": Rule("words", lambda t: len(t.words), "least", 50),
        "words_most": Rule("words", lambda t: len(t.words), "most", 100_000),
        "word_length_least": Rule("mean letters of a word", _length, "least", 3),
        "word_length_most": Rule("mean letters of a word", _length, "most", 10),
        "symbols": Rule("hash signs, or ellipses, per word", _symbols, "most", 0.1),
        "bullet_lines": Rule("share of lines with a bullet", lambda t: t.share_of_lines(lambda x: bullets(x) > 0), "most", 0.9),
        "ellipsis_lines": Rule("share of lines that end in an ellipsis",
                               lambda t: t.share_of_lines(lambda x: x.endswith(("...", "…"))), "most", 0.3),
        "alphabetic_words": Rule("share of words with a letter", _alphabetic, "least", 0.8),
        "stop_words": Rule("different stop words", lambda t: len(t.stop & {w.casefold() for w in t.words}), "least", 2),
    },
    "gopher_repetition": {
        "lines": Rule("share of lines that repeat another", lambda t: _again(t.lines), "most", 0.3),
        "line_characters": Rule("characters in repeated lines", lambda t: _again_letters(t.lines), "most", 0.2),
        "paragraphs": Rule("share of paragraphs that repeat another", lambda t: _again(t.paragraphs), "most", 0.3),
        "paragraph_characters": Rule("characters in repeated paragraphs", lambda t: _again_letters(t.paragraphs), "most", 0.2),
        "top_2_gram": Rule("characters in the most frequent 2-gram", lambda t: t.top(2), "most", 0.2),
        "top_3_gram": Rule("characters in the most frequent 3-gram", lambda t: t.top(3), "most", 0.18),
        "top_4_gram": Rule("characters in the most frequent 4-gram", lambda t: t.top(4), "most", 0.16),
        "repeated_5_grams": Rule("characters in repeated 5-grams", lambda t: t.repeated(5), "most", 0.15),
        "repeated_6_grams": Rule("characters in repeated 6-grams", lambda t: t.repeated(6), "most", 0.14),
        "repeated_7_grams": Rule("characters in repeated 7-grams", lambda t: t.repeated(7), "most", 0.13),
        "repeated_8_grams": Rule("characters in repeated 8-grams", lambda t: t.repeated(8), "most", 0.12),
        "repeated_9_grams": Rule("characters in repeated 9-grams", lambda t: t.repeated(9), "most", 0.11),
        "repeated_10_grams": Rule("characters in repeated 10-grams", lambda t: t.repeated(10), "most", 0.10),
    },
    "c4": {
        "sentences": Rule("sentences in lines of prose", lambda t: t.c4_sentences(), "least", 3),
        "curly_brackets": Rule("curly brackets", lambda t: t.text.count("{") + t.text.count("}"), "most", 0),
        "lorem_ipsum": Rule("times 'lorem ipsum'", lambda t: t.text.casefold().count("lorem ipsum"), "most", 0),
    },
    "fineweb": {
        "ended_lines": Rule("share of lines with an end mark", lambda t: t.share_of_lines(lambda x: x.endswith(_TERMINAL)),
                            "least", 0.12),
        "short_lines": Rule(f"share of lines of up to {_SHORT} characters", lambda t: t.share_of_lines(lambda x: len(x) <= _SHORT),
                            "most", 0.67),
        "line_characters": Rule("characters in repeated lines", lambda t: _again_letters(t.lines), "most", 0.01),
        "line_breaks": Rule("line breaks per word", lambda t: t.text.strip().count("\n") / max(1, len(t.words)), "most", 0.3),
    },
}  # fmt: skip
"""By source. FineWeb's paper writes 0.1 for `line_characters`; 0.01 is what its released pipeline ran with."""


def fault(text: Text, rules: Sequence[tuple[str, Rule]]) -> str | None:
    """The first rule that is broken, with its number and its limit; rules are named `source.rule`."""
    for name, rule in rules:
        number = float(rule.count(text))
        if number < rule.limit if rule.sense == "least" else number > rule.limit:
            side = "at least" if rule.sense == "least" else "at most"
            return f"{name}: {rule.says}: {number:.3g}, {side} {rule.limit:g} wanted"
    return None
