"""The numbers that generators are compared by are those they claim to be."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture(scope="module", autouse=True)
def _importable() -> Any:
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def anchor() -> Any:
    from anchors import load

    return load("adult_sample")


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame([s.gather(rng.permutation(len(s))) for s in frame])


def test_shapes_and_trends_are_sdmetrics(anchor: Any) -> None:
    from scores import aligned, shapes, trends
    from sdmetrics.reports.single_table import QualityReport

    meta = anchor.meta
    made = shuffled(anchor.holdout)
    columns = {c: {"sdtype": "numerical" if c in meta.numbers else "categorical"} for c in made.columns}
    report = QualityReport()
    floats = dict.fromkeys(meta.numbers, float)
    real, other = (f.to_pandas().astype(floats) for f in (anchor.train, made))
    report.generate(real, other, {"columns": columns}, verbose=False)
    theirs = report.get_properties().set_index("Property")["Score"]
    ours = aligned(made, anchor.train, meta)
    assert shapes(ours, anchor.train, meta) == pytest.approx(theirs["Column Shapes"], abs=1e-9)
    assert trends(ours, anchor.train, meta)[0] == pytest.approx(theirs["Column Pair Trends"], abs=1e-9)


def test_the_attack_finds_copies_and_nothing_in_fresh_rows(anchor: Any) -> None:
    from own import halves
    from scores import mia, one_thread

    again = anchor.train[np.random.default_rng(0).integers(0, anchor.train.height, anchor.train.height)]
    fresh, rest = halves(anchor.holdout, 0)
    with one_thread():
        caught, rate = mia(again, anchor.train, anchor.holdout, anchor.meta, 0)
        nothing = np.mean([mia(fresh, anchor.train, rest, anchor.meta, s)[0] for s in range(5)])
    assert caught > 0.75
    assert rate > 0.3
    assert nothing == pytest.approx(0.5, abs=0.05)


def test_c2st_and_utility_know_good_from_bad(anchor: Any) -> None:
    from own import halves
    from scores import c2st, one_thread, utility

    t, h, meta = anchor.train, anchor.holdout, anchor.meta
    fresh, rest = halves(h, 0)
    with one_thread():
        assert c2st(shuffled(t), t, h, meta, 0) > 0.9
        assert abs(c2st(fresh, t, rest, meta, 0) - 0.5) < 0.07
        assert utility(t, t, h, meta) > 0.88 > utility(shuffled(t), t, h, meta)


def test_categories_are_read_as_train_spells_them(anchor: Any) -> None:
    from anchors import Meta
    from scores import aligned

    train = pl.DataFrame({"zip": ["1", "2", "x"], "n": [1, 2, 3]})
    made = pl.DataFrame({"n": ["1.5", "nan", "4"], "zip": ["1.0", " 2", "new"], "more": ["", "", ""]})
    read = aligned(made, train, Meta("t", "n", "reg", ("n",), ("zip",)))
    assert read["zip"].to_list() == ["1", "2", "new"]
    assert read["n"].to_list() == [1.5, None, 4.0]


def test_the_latest_line_counts(tmp_path: Path) -> None:
    from peers import keep, kept

    path = tmp_path / "rows.jsonl"
    for value in (1, 2):
        keep({"data": "a", "model": "m", "seed": 0, "value": value}, path)
    assert [r["value"] for r in kept(path)] == [2]


def test_what_could_not_run_is_told(tmp_path: Path) -> None:
    from page import summary, tables

    row = {"data": "a", "model": "m", "seed": 0, "train": 9, "holdout": 3, "task": "bin", "trtr": 0.9}
    shown = tables(summary([row | {"failed": "no such package"}], ["m"]))
    assert "m: not run: no such package" in shown


def test_transcripts_have_their_places() -> None:
    """Every command that is run for a page stands on it, so that what it says can be put below."""
    from transcripts import DOCS, firsts, of_the_page, worst

    for verb, page in (("need", "verbs/need.md"), ("collapse", "verbs/collapse.md"), ("blend-sweep", "verbs/blend-sweep.md"), ("audit", "audit.md")):  # fmt: skip
        assert of_the_page(DOCS / page, verb), page
    assert list(firsts("a\n  1\n  2\n  3\n  4\n  b:\n    5\nc")) == ["a", "  1", "  2", "...", "  b:", "    5", "c"]
    text = "Leaks.\n\nleak   A\n  1\n\nhint  B\n  2\n\nleak  C\n  3\n\nleak  D\n\nreport"
    assert list(worst(text)) == ["Leaks.", "leak   A\n  1", "leak  C\n  3"]


def test_the_forests_figures_are_those_measured() -> None:
    """`python bench/sizes.py` writes the page from its results; whoever edits a number here is told."""
    from sizes import PAGE, RESULTS, written

    page, results = PAGE.read_text("utf-8"), json.loads(RESULTS.read_text("utf-8"))
    assert written(page, results) == page
    results["wide"]["cpu_s"] += 11
    assert written(page, results) != page


def test_what_privacy_aims_at_is_told_as_it_is() -> None:
    from synthmill.generate.tabular import forest

    page = (BENCH.parent / "docs" / "forest.md").read_text("utf-8")
    for name, aim in forest._AIMS.items():
        assert f"| `{name}` | {aim.auc:.2f} |" in page
    assert f"tenth of the rows (at most {forest._KEPT[1]:,})" in page
    assert forest._KEPT[0] == 0.1
    assert f"fewer than {forest._FEWEST:,} rows is not attacked" in page
    assert f"weigh up to {forest._HEAVIEST:g} times as much" in page
    assert f"Beyond `rows` ({forest.Forest.rows:,})" in page
