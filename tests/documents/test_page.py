import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from fake_run import BARS, MEASURES, NASTY, SENTINEL_LEVEL, SENTINEL_NUMBER, fake_run, measure, people, with_sentinel
from synthmill.documents import write_documents
from synthmill.run import Run

VOID = {"meta", "br", "img", "path", "rect", "line", "circle", "image"}


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def parsed(page):
    parser = Balanced()
    parser.feed(page)
    parser.close()
    return parser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("page") / "run"
    run = fake_run(root, people(300, 1), with_sentinel(people(400)))
    shutil.rmtree(root / "private")  # whoever reads it will fail
    return write_documents(run)[0].read_text()


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", page))


def test_it_is_whole_and_opens_offline(page):
    found = parsed(page)
    assert not found.open
    assert len(page) < 2_000_000
    assert not {"script", "link", "iframe"} & {t for t, _ in found.seen}
    links = [v for _, attrs in found.seen for k, v in attrs.items() if k in ("href", "src", "xlink:href")]
    assert links
    assert all(v.startswith(("#", "data:image/png;base64,")) for v in links)
    assert "url(" not in page
    assert "@import" not in page


def test_names_and_values_are_text(page):
    assert NASTY not in page
    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "people &amp; more" in page


def test_a_pooled_measure_shows_its_cells(page):
    assert page.count("<details>") == 1
    told = text_of(page[page.index("<details>") : page.index("</details>")])
    assert "Pooled over 2 cells" in told
    assert "2 cells together 25% 0.870 0.800 to 0.900" in told


def test_the_contents_lead_somewhere(page):
    ids = set(re.findall(r'id="([^"]+)"', page))
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= ids
    assert {"funnel", "cells", "columns", "pairs", "m-utility", "m-privacy", "origin", "time", "notes"} <= anchors


def test_the_headline_says_what_was_missed_and_by_how_much(page):
    text = text_of(page)
    assert "Not released: 1 of 2 bars missed." in text
    assert "must be ≤ 0.02; measured 0.050 (0.030 to 0.070)" in text
    assert "missed by 0.050" in text
    assert "300 of 350 records asked were accepted" in text
    assert "50 short in 1 cell" in text


def test_the_funnel_names_checks_and_reasons_without_values(page):
    text = text_of(page)
    assert "6 failed" in text
    assert "age … is below …" in text
    assert "below 18.0" not in text
    assert "age &gt;= 18" in text  # a rule is the user's own text
    assert "single records and reasons are kept private" in text


def test_what_could_not_be_measured_is_said(page):
    assert "no tail has 5 held-out rows" in page
    assert "drift in" in page
    assert "it shrank" in page


def test_nothing_of_a_single_real_record(tmp_path):
    run = fake_run(tmp_path / "run", people(300, 1), with_sentinel(people(400)))
    written = [*write_documents(run), run.root / "profile.json"]
    assert {p.name for p in written} == {"report.html", "README.md", "croissant.json", "profile.json"}
    for path in written:
        text = path.read_text()
        assert SENTINEL_LEVEL not in text
        assert str(SENTINEL_NUMBER) not in text
        assert f"{SENTINEL_NUMBER:,}" not in text


def test_a_released_run_and_one_without_bars(tmp_path):
    real = people(100)
    held = [{**BARS[1]}]
    released = write_documents(fake_run(tmp_path / "a", people(100, 1), real, bars=held))[0].read_text()
    assert "Released: the bar holds." in released
    alone = write_documents(fake_run(tmp_path / "b", people(100, 1), None))[0].read_text()
    assert "No release bars were set" in alone
    assert "there is no real data to compare with" in alone


def test_wide_tables_show_the_worst_sixty_and_say_so(tmp_path):
    rng = np.random.default_rng(0)
    name = "a very long name that goes on and on and on and on "
    wide = pl.DataFrame({f"{name}{i}": rng.normal(size=300) for i in range(70)})
    made = write_documents(fake_run(tmp_path / "run", wide, wide + 0.1))[0].read_text()
    assert "The 60 of 70 columns that differ most." in made
    assert made.count('class="card"') == 60
    assert len(made) < 2_000_000
    assert not parsed(made).open


def test_a_run_without_accepted_records(tmp_path):
    made = write_documents(fake_run(tmp_path / "run", people(0), None, parts=1))[0].read_text()
    assert "0 of 50 records asked were accepted" in made


def test_rare_values_are_named_only_when_many_share_them(tmp_path):
    run = fake_run(tmp_path / "run", people(100, 1), people(400))
    tails = [
        {"column": "job", "tail": "nurse", "real": 0.02, "synthetic": 0.001},
        {"column": "job", "tail": "sole astronaut", "real": 0.005, "synthetic": 0.0},
        {"column": "age", "tail": "highest 1%", "real": 0.02, "synthetic": 0.0},
        {"column": "job", "tail": "baker", "real": 0.02, "synthetic": 0.03},
    ]
    lost = {**measure("coverage.tails", 0.4), "detail": {"tails": tails}}
    document = {"version": 1, "sizes": {"train": 900, "holdout": 600}, "notes": [], "measures": [lost]}
    run.write("evaluation.json", json.dumps(document))
    text = text_of(write_documents(run)[0].read_text())
    assert "nurse 2.0% 0.1%" in text
    assert "highest 1% 2.0% 0%" in text
    for hidden in ("astronaut", "baker"):
        assert hidden not in text


def test_an_evaluation_alone_has_a_report_and_no_card(tmp_path):
    about = {"name": "other", "rows": 1234, "notes": ["made elsewhere"]}
    run = Run.start(tmp_path / "run", {"digest": "d" * 32, "name": "other", "cells": [], "external": about})
    run.write("evaluation.json", json.dumps({"version": 1, "sizes": {}, "notes": [], "measures": MEASURES}))
    written = write_documents(run)
    assert [p.name for p in written] == ["report.html"]
    text = text_of(written[0].read_text())
    assert "1,234 records made elsewhere" in text
    assert "Column shapes" in text
    assert not parsed(written[0].read_text()).open


def test_the_whole_line_names_no_single_record(tmp_path):
    from synthmill.verbs.make import make

    real = with_sentinel(people(400)).rename({NASTY: "from"})
    real.write_csv(tmp_path / "real.csv")
    spec = {
        "name": "people",
        "real": {"path": "real.csv", "target": "smokes", "columns": {"from": "categorical"}},
        "cover": {"quota": 200},
        "generate": {"use": "tabular.bootstrap"},
        "verify": [{"use": "schema", "ranges": "train"}],
        "evaluate": [{"use": "fidelity"}, {"use": "coverage"}],
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    run = make(tmp_path / "spec.yaml", tmp_path / "run").run
    for name in ("report.html", "README.md", "croissant.json", "profile.json"):
        text = (run.root / name).read_text()
        assert SENTINEL_LEVEL not in text
        assert str(SENTINEL_NUMBER) not in text
