"""What a text has from its sources, word for word."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from synthmill.filter.memorized import Memorized
from synthmill.frame import rng_of
from synthmill.lineage import version_of
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.texts.quoted import Sources

VOCABULARY = np.array([f"w{i}" for i in range(3_000)])
SCHEMA = Schema((Column("t", "text", "String"), Column("label", "categorical", "String")))


def texts(n: int, length: int, name: str) -> list[str]:
    return [" ".join(r) for r in rng_of("memorized", name).choice(VOCABULARY, (n, length))]


SOURCES = texts(30, 120, "sources")


def frame(*rows: str | None) -> pl.DataFrame:
    return pl.DataFrame({"t": list(rows), "label": "x"}, schema={"t": pl.String, "label": pl.String})


def fitted(**options: object) -> Memorized:
    check = build("filter", {"use": "memorized", **options})
    check.fit(frame(*SOURCES), SCHEMA)
    return check


def test_quoted_words_are_counted_exactly():
    source, other = SOURCES[0].split(), texts(1, 100, "other")[0].split()
    quoting = [*other[:50], *source[10:30], *other[50:70], *source[60:72]]  # 20 in a row, and 12 that are too few
    found = Sources(pl.Series(SOURCES), 13).quoted(pl.Series([" ".join(quoting), SOURCES[0], "", None, "a b"]))
    assert found.share.tolist() == [20 / 102, 1.0, 0.0, 0.0, 0.0]
    assert found.longest.tolist() == [20, 120, 0, 0, 0]
    assert found.whole.tolist() == [False, True, False, False, False]


def test_a_run_does_not_reach_from_one_text_into_the_next():
    left, right = SOURCES[3].split()[:7], SOURCES[3].split()[7:20]
    found = Sources(pl.Series(SOURCES), 13).quoted(pl.Series([" ".join(left), " ".join(right), " ".join(left)]))
    assert found.longest.tolist() == [0, 13, 0]
    assert found.share.tolist() == [0, 1, 0]
    split = Sources(pl.Series([" ".join(left), " ".join(right[:6])]), 13).quoted(pl.Series([" ".join(left + right)]))
    assert split.longest.tolist() == [0]


def test_copies_are_rejected_whatever_their_form_and_fresh_texts_pass():
    long = texts(1, 400, "long")[0]
    part = f"{long} {' '.join(SOURCES[2].split()[:49])}"
    more = f"{long} {' '.join(SOURCES[2].split()[:50])}"
    rows = [SOURCES[0].upper(), SOURCES[1].replace(" ", " - "), part, more, *texts(50, 120, "fresh"), None, "yes"]
    verdicts = fitted().judge(frame(*rows))
    assert verdicts.status.to_list() == [1, 1, 0, 1, *[0] * 52]
    assert verdicts.reason.to_list()[:4] == ["is a source, word for word"] * 2 + [
        None,
        "50 words in a row stand in a source",
    ]


def test_short_sources_are_recognised_whole_and_very_short_ones_are_anybodys():
    check = Memorized(columns=["t"])
    check.fit(frame("Call me at the old mill tonight", "Yes, of course"), SCHEMA)
    asked = frame(
        "call me at the old mill TONIGHT!",
        "Yes, of course",
        "call me at the old mill",
        "tonight call me at the old mill",
    )
    assert check.judge(asked).status.to_list() == [1, 0, 0, 0]


def test_what_three_sources_say_alike_is_nobodys():
    licence = texts(1, 60, "licence")[0]
    for n, expected in ((2, 1), (3, 0)):
        check = Memorized()
        check.fit(frame(*SOURCES[:5], *[f"{s} {licence}" for s in texts(n, 30, "works")]), SCHEMA)
        assert check.judge(frame(licence)).status.to_list() == [expected]


def test_sources_from_files_need_no_real_data(tmp_path):
    (tmp_path / "a.txt").write_text(SOURCES[0])
    check = build("filter", {"use": "memorized", "sources": [str(tmp_path / "a.txt")]})
    assert not check.needs_real
    assert check.judge(frame(SOURCES[0], SOURCES[1])).status.to_list() == [1, 0]
    first = version_of(check)
    (tmp_path / "a.txt").write_text(SOURCES[1])
    assert version_of(build("filter", {"use": "memorized", "sources": [str(tmp_path / "a.txt")]})) != first


def test_real_data_without_text_adds_nothing_to_the_sources_and_is_not_enough_alone(tmp_path):
    (tmp_path / "a.txt").write_text(SOURCES[0])
    table, schema = frame("x").select("label"), Schema((Column("label", "categorical", "String"),))
    check = Memorized(sources=str(tmp_path / "a.txt"))
    check.fit(table, schema)
    assert check.judge(frame(SOURCES[0], SOURCES[1])).status.to_list() == [1, 0]
    with pytest.raises(Refusal, match="no column of text to compare with"):
        Memorized().fit(table, schema)


def test_without_sources_and_with_wrong_numbers_it_refuses():
    assert Memorized().needs_real
    assert Memorized().private
    with pytest.raises(Refusal, match="no sources"):
        Memorized().judge(frame("x"))
    with pytest.raises(Refusal, match="long: 9 words in a row are fewer"):
        build("filter", {"use": "memorized", "long": 9})
    with pytest.raises(Refusal, match="share"):
        build("filter", {"use": "memorized", "share": 1.5})


def test_seeds_keep_their_texts_in_several_columns(tmp_path):
    one, two = texts(2, 30, "seeds")
    seed = {"id": "seed_1", "instruction": one, "instances": [{"input": "", "output": two}], "hard": True}
    (tmp_path / "seeds.jsonl").write_text(json.dumps(seed) + "\n")
    check = build("filter", {"use": "memorized", "sources": str(tmp_path / "seeds.jsonl"), "columns": ["t"]})
    verdicts = check.judge(frame(one, two, texts(1, 30, "new")[0]))
    assert verdicts.reason.to_list() == ["is a source, word for word"] * 2 + [None]
