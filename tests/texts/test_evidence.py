"""A quotation is found whatever its blanks and marks are, and is not found if a letter differs."""

from __future__ import annotations

import pytest

from synthmill.texts.evidence import kept, locate, overlap, repeats, spoken

SOURCE = "The bridge — built in 1894 by “Anna\n  Kern” — is 210 metres long. It isn’t open."


@pytest.mark.parametrize(
    ("quotation", "found"),
    [
        ("built in 1894", "built in 1894"),
        ('"Built in 1894 by "Anna Kern""', "built in 1894 by “Anna\n  Kern"),
        ("... is 210 metres long.", "is 210 metres long"),
        ("it isn't open", "It isn’t open"),
        ("The bridge - built", "The bridge — built"),
        ("built in 1895", None),
        ("built in 189", None),
        ("ridge", None),
        ("", None),
        ("...", None),
    ],
)
def test_quotations(quotation: str, found: str | None) -> None:
    place = locate(quotation, SOURCE)
    assert (SOURCE[slice(*place)] if place else None) == found


def test_the_second_place_counts_if_the_first_is_inside_a_word() -> None:
    assert locate("ark", "dark ark") == (5, 8)


def test_shares() -> None:
    assert spoken("A, b-C!") == "a b c"
    assert overlap("Anna Kern built it", SOURCE) == 1.0
    assert overlap("210 feet", SOURCE) == 0.5
    assert overlap("it", "nothing") == 1.0
    assert kept("one two three four five six", "One, two three four five!") == 1.0
    assert kept("one two three four five six", "one two three six five four") == 0.0
    assert kept("a b", "a b") == 1.0


def test_repeats() -> None:
    assert repeats("x one two three four five six", "one two three four five six y")
    assert not repeats("x one two three four five", "one two three four five six")
    assert not repeats("one two three four five six", "one two three four five six", "one two three four five six")
    assert not repeats("one two", "one two")
