"""Near duplicates: edits are recognised, templates are not taken for copies, and batches do not matter."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

from synthmill.frame import rng_of
from synthmill.texts.buckets import FULL, MOST, Buckets, _chosen
from synthmill.texts.minhash import Bands
from synthmill.texts.near import Near
from synthmill.texts.shingles import jaccard, shingle_sets
from synthmill.texts.words import words

VOCABULARY = np.array([f"w{i}" for i in range(5_000)])


def texts(n: int, length: int = 170, seed: int = 0) -> list[str]:
    drawn = rng_of("near", seed).integers(0, len(VOCABULARY), (n, length))
    return [" ".join(row) for row in VOCABULARY[drawn]]


def edited(text: str, share: float, seed: int) -> str:
    rng = rng_of("edited", seed)
    parts = text.split()
    for i in np.flatnonzero(rng.random(len(parts)) < share):
        parts[i] = str(rng.choice(VOCABULARY))
    return " ".join(parts)


def flags(near: Near, rows: list[str], size: int = 512) -> np.ndarray:
    out = []
    for start in range(0, len(rows), size):
        batch = pl.Series(rows[start : start + size], dtype=pl.String)
        known = near.repeats(batch).known
        near.remember(batch.filter(pl.Series(known < 0)))
        out.append(known >= 0)
    return np.concatenate(out)


def plain_sets(text: str) -> set[tuple[str, str]]:
    parts = [*text.lower().replace(",", " ").replace(".", " ").split(), ""]
    return set(itertools.pairwise(parts))


def test_similarity_is_that_of_sets_in_python():
    rows = [*texts(40, 12), "A b, a B. A b", "one", "", "one two", "two one"]
    sets = shingle_sets(pl.Series(rows), 2)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(len(rows)), np.arange(len(rows))))
    held = [plain_sets(r) if r else set() for r in rows]
    expected = [
        len(held[a] & held[b]) / len(held[a] | held[b]) if held[a] | held[b] else 1.0 for a, b in zip(i, j, strict=True)
    ]
    np.testing.assert_allclose(jaccard(sets, sets, i, j), expected)


def test_words_are_the_same_whatever_stands_beside_and_around_them():
    one = words(pl.Series(["Der Zug -- fährt um 8:30!", None, "ＦＵＬＬ width ﬁne", "", "北京 is 北京"]))
    assert one.counts.tolist() == [6, 0, 3, 0, 5]
    alone = [
        words(pl.Series([t])).hashes.tolist() for t in ("der zug fährt um 8 30", "full width fine", "北 京 is 北 京")
    ]
    assert one.hashes.tolist() == [h for hashes in alone for h in hashes]
    assert words(pl.Series(["ab", "a b", "ba", "AB"])).counts.tolist() == [1, 2, 1, 1]
    found = words(pl.Series(["ab", "ba", "AB", "aab"])).hashes
    assert found[0] == found[2]
    assert len({int(h) for h in found}) == 3


def test_long_texts_are_hashed_as_short_ones():
    text = " ".join(texts(1, 200_000))  # longer than what is hashed together
    whole = words(pl.Series(["x", text, "y"]))
    assert whole.counts.tolist() == [1, 200_000, 1]
    assert (whole.hashes[1:4] == words(pl.Series([" ".join(text.split()[:3])])).hashes).all()


@pytest.mark.parametrize(("share", "least"), [(0.05, 0.99), (0.1, 0.94)])
def test_edited_texts_are_found_and_strangers_are_not(share, least):
    base = texts(1_500)
    near = Near(0.5)
    assert not flags(near, base).any()
    found = near.repeats(pl.Series([edited(t, share, i) for i, t in enumerate(base)])).known
    assert (found == np.arange(len(base))).mean() >= least


def test_case_punctuation_and_spaces_do_not_make_a_text_new():
    near = Near(0.9)
    near.remember(pl.Series(["The quick brown fox, it jumps over the dog."]))
    again = near.repeats(
        pl.Series(["the QUICK  brown fox -- it jumps\nover the dog", "a quick brown fox it jumps over a dog"])
    )
    assert again.similarity.tolist() == [1.0, 0.0]


def template(n: int, free: float, seed: int) -> list[str]:
    """A fixed text whose slots, runs of up to five words, are filled anew in each."""
    rng = rng_of("template", seed)
    parts = np.array(texts(1, 170, seed)[0].split(), object)
    slots = np.zeros(170, bool)
    while slots.mean() < free:
        at = rng.integers(0, 165)
        slots[at : at + rng.integers(1, 6)] = True
    rows = []
    for _ in range(n):
        row = parts.copy()
        row[slots] = rng.choice(VOCABULARY, int(slots.sum()))
        rows.append(" ".join(row))
    return rows


@pytest.mark.parametrize("free", [0.04, 0.1, 0.3])
def test_a_template_is_no_duplicate_and_a_copy_within_it_is(free):
    rows = template(300, free, 1)
    copies = [edited(r, 0.05, i) for i, r in enumerate(rows[:60])]
    found = flags(Near(0.5), [*rows, *copies], size=100)
    assert found[:300].mean() < 0.01
    assert found[300:].mean() > 0.9


def test_many_copies_of_one_text_are_no_template():
    base = texts(1)[0]
    assert flags(Near(0.5), [edited(base, 0.05, i) for i in range(300)]).mean() > 0.9
    assert flags(Near(0.5), [base] * 300).sum() == 299


def test_real_texts_show_a_template_and_may_be_repeated():
    rows = template(40, 0.1, 2)
    near = Near(0.5)
    near.relate(pl.Series(rows[:20]))
    assert not flags(near, rows[20:], size=1).any()
    assert flags(Near(0.5), rows[20:], size=1).any()  # one at a time there is nothing to see a template by
    assert not flags(near, rows[:1]).any()


@pytest.mark.parametrize("size", [1, 7, 64])
def test_memory_does_not_depend_on_batches(size):
    rows = [*template(80, 0.1, 3), *texts(40), *[edited(t, 0.1, i) for i, t in enumerate(texts(40))]]
    whole, parts = Near(0.5), Near(0.5)
    whole.remember(pl.Series(rows))
    for start in range(0, len(rows), size):
        parts.remember(pl.Series(rows[start : start + size]))
    asked = pl.Series([edited(r, 0.1, i) for i, r in enumerate(rows)])
    one, other = whole.repeats(asked), parts.repeats(asked)
    assert one.known.tolist() == other.known.tolist()
    assert one.similarity.tolist() == other.similarity.tolist()
    assert (one.known >= 0).any()


def test_full_buckets_are_cut_at_their_first_texts_however_they_grew():
    keys = np.full((100, 1), 7, np.uint64) << np.uint64(40)
    one, other = Buckets(), Buckets()
    one.add(keys)
    for i in range(100):
        other.add(keys[i : i + 1])
    for buckets in (one, other):
        assert buckets.meet(keys[:2]).known.tolist() == [*range(FULL)] * 2


def test_of_many_candidates_those_that_share_most_bands_are_kept():
    row = np.concatenate([np.zeros(100, np.int64), [0, 1]])
    known = np.concatenate([np.arange(100), [70, 5]])  # text 70 is met in two bands
    chosen = _chosen(row, known, 1_000)
    assert chosen.row.tolist() == [0] * MOST + [1]
    assert chosen.known.tolist() == [*range(MOST - 1), 70, 5]


def test_no_texts_and_empty_ones():
    near = Near(0.5)
    assert len(near.repeats(pl.Series([], dtype=pl.String)).known) == 0
    near.remember(pl.Series([], dtype=pl.String))
    near.remember(pl.Series([None, "x"]))
    assert near.repeats(pl.Series(["", "x", "y", "..."])).known.tolist() == [0, 1, -1, 0]


def test_bands_let_pairs_at_the_threshold_meet():
    for threshold in (0.3, 0.5, 0.7, 0.9, 1.0):
        b = Bands.at(threshold)
        assert 1 - (1 - threshold**b.rows) ** b.count >= 0.9
        assert b.count * b.rows <= 160
