"""Pieces cover the text, keep to their size and end where something ends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmill.texts.chunk import chunks, sentences

WORDS = st.lists(
    st.sampled_from(["bridge", "1894.", "Dr.", "river", "(long)", "\n\n", "\n", "ends!", "日本語。", "x" * 70])
)


@given(WORDS, st.integers(20, 200), st.integers(0, 9))
def test_pieces_cover_the_text_and_keep_to_their_size(words: list[str], size: int, overlap: int) -> None:
    text = " ".join(words)
    pieces = chunks(text, size, overlap)
    assert all(text[p.start : p.end] == p.text and len(p.text) <= size for p in pieces)
    seen = "".join(c if any(p.start <= i < p.end for p in pieces) else " " for i, c in enumerate(text))
    assert seen.split() == text.split()
    if not overlap:
        assert all(a.end <= b.start for a, b in itertools.pairwise(pieces))
    assert all(a.start < b.start for a, b in itertools.pairwise(pieces))


def test_a_piece_ends_with_a_paragraph_else_a_sentence_else_a_word() -> None:
    text = "One two three four.\n\nFive six seven. Eight nine ten eleven twelve thirteen fourteen"
    assert [p.text for p in chunks(text, 30)] == [
        "One two three four.",
        "Five six seven.",
        "Eight nine ten eleven twelve",
        "thirteen fourteen",
    ]
    assert [p.text for p in chunks("x" * 25, 10)] == ["x" * 10, "x" * 10, "x" * 5]


def test_pieces_overlap_from_the_start_of_a_word() -> None:
    pieces = chunks("aa bb cc dd ee ff gg hh", 12, 4)
    assert [p.text for p in pieces] == ["aa bb cc dd", "dd ee ff gg", "gg hh"]
    with pytest.raises(ValueError, match="less than half"):
        chunks("text", 10, 5)


def test_sentences() -> None:
    text = 'Dr. Kern built it (1894). "It stands!" she said. See e.g. the plan\n\nNo stop here\n\n橋です。川です。'
    found = sentences(text)
    assert [s.text for s in found] == [
        "Dr. Kern built it (1894).",
        '"It stands!"',
        "she said.",
        "See e.g. the plan",
        "No stop here",
        "橋です。",
        "川です。",
    ]
    assert all(text[s.start : s.end] == s.text for s in found)
    assert sentences("  \n ") == []
