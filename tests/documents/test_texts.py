"""The report of a run of texts: what is shown, what never is, and that nothing in it is taken for markup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_page import parsed, text_of

import synthmill
from synthmill.documents import write_documents
from synthmill.run import Run
from synthmill.spec import parse_spec

NASTY = "<img src=x onerror=alert(1)> & words that are long enough"
INVENT = {
    "use": "text.self_instruct",
    "model": "stub",
    "answers": False,
    "facets": {"topic": ["law", "tea"], "mood": ["gay", "sad"]},
}
LABEL = {"use": "text.label", "model": "stub", "column": "instruction", "labels": ["good", "bad"]}
GOOD = [{"use": "rules", "all": ["label = 'good'"]}]


def make(out: Path, generate: Any, **more: Any) -> Path:
    spec = {
        "name": "text",
        "cover": {"axes": {"topic": ["law", "tea"]}, "quota": 10},
        "generate": generate,
        "verify": GOOD,
    }
    synthmill.make(parse_spec({**spec, **more}), out)
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("texts") / "run", [INVENT, LABEL])


def section(page: str, name: str) -> str:
    start = page.find(f'<section id="{name}">')
    return "" if start < 0 else page[start : page.index("</section>", start)]


def test_samples_stand_side_by_side_with_reasons(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert not parsed(page).open
    left, right = section(page, "samples").split("<h3>Rejected</h3>")
    there = Run.open(run)
    good, bad = set(there.data()["_id"]), set(there.rejected()["_id"])
    assert sum(f">{i}<" in left for i in good) == 5
    assert sum(f">{i}<" in right for i in bad) == 5
    assert not any(f">{i}<" in left for i in bad)
    assert right.count("<b>rules</b>") == 5


def test_yields_are_those_of_the_ledger_and_have_intervals(run: Path) -> None:
    facets = section((run / "report.html").read_text(), "facets")
    ledger = Run.open(run).manifest["state"]["ledger"]
    for level, passed, made in zip(("law", "tea"), ledger["good"], ledger["judged"], strict=True):
        row = next(r for r in facets.split("<tr>") if r.startswith(f"<td>{level}</td>"))
        assert f"<td>{passed}</td><td>{made}</td>" in row
        assert " to " in row
    assert "<th>mood</th>" in facets


def test_lengths_repetitions_and_cost_are_told(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "median 6 words" in section(page, "lengths")
    candidates = sum(Run.open(run).manifest["state"]["ledger"]["judged"])
    assert f"<tr><td>instruction</td><td>{candidates}</td><td>{candidates}</td><td>0</td>" in section(page, "repeats")
    cost = text_of(section(page, "cost"))
    assert "cost: not known" in cost
    assert "text.self_instruct stub" in cost


def test_texts_are_text(run: Path, tmp_path: Path) -> None:
    import shutil

    import polars as pl

    shutil.copytree(run, tmp_path / "run")
    for folder in ("data", "rejected"):
        for file in (tmp_path / "run" / folder).glob("*.parquet"):
            frame = pl.read_parquet(file)
            nasty = [c for c in ("instruction", "mood", "_reason") if c in frame.columns]
            frame.with_columns(pl.lit(NASTY).alias(c) for c in nasty).write_parquet(file)
    page = write_documents(Run.open(tmp_path / "run"))[0].read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in section(page, "samples")
    repeated = section(page, "repeats")
    assert f"<td>1</td><td>{sum(Run.open(run).manifest['state']['ledger']['judged'])}</td></tr>" in repeated
    assert not parsed(page).open


def test_what_seeds_and_documents_say_is_not_shown(tmp_path: Path) -> None:
    secret = "My neighbour Zoltan owes eleven hundred pounds to the baker"
    (tmp_path / "s.jsonl").write_text("".join(json.dumps({"text": f"{secret} number {i}"}) + "\n" for i in range(5)))
    rewrite = {
        "use": "text.rewrite",
        "model": "stub",
        "seeds": str(tmp_path / "s.jsonl"),
        "styles": ["concise"],
        "shortest": 0.1,
        "longest": 9.0,
    }
    label = {**LABEL, "column": "rewritten"}
    page = (make(tmp_path / "run", [rewrite, label], cover={"total": 6}) / "report.html").read_text()
    assert "Zoltan" in Run.open(tmp_path / "run").data()["text"][0]
    samples = section(page, "samples")
    assert "<dt>rewritten</dt>" in samples
    assert "<dt>text</dt>" not in samples
    assert "Not shown, because they repeat seeds or documents: text" in samples
    assert "Beside the samples, which may say what a seed" in page


def test_no_record_is_shown_where_real_ones_were_learned_from(tmp_path: Path) -> None:
    lines = [{"note": f"a note of {i} and some more words", "kind": "xy"[i % 2]} for i in range(80)]
    (tmp_path / "real.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    page_run = make(
        tmp_path / "run",
        [{"use": "tabular.bootstrap"}, {"use": "text.persona", "model": "stub", "by": "facets", "facets": {"topic": ["law", "tea"]}}],
        real={"path": str(tmp_path / "real.jsonl")},
        cover={"total": 8},
        verify=[],
    )  # fmt: skip
    page = (page_run / "report.html").read_text()
    told = section(page, "samples")
    assert "No record is shown, because the generators learned from real ones" in told
    assert Run.open(page_run).data()["_id"][0] not in told
    assert "median" in section(page, "lengths")


def test_private_rejects_are_never_read(run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "private")
    assert section(write_documents(Run.open(tmp_path / "run"))[0].read_text(), "samples")


def test_judges_show_what_was_measured_of_them(run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run, tmp_path / "run")
    there = Run.open(tmp_path / "run")
    measures = [{"name": "agreement", "value": 0.81, "low": 0.75, "high": 0.86, "floor": 0.5, "ceiling": 0.9}]
    (tmp_path / "judge.json").write_text(json.dumps({"judge": "abc", "measures": measures}))
    (there.root / "spec.yaml").write_text("base: ..\n")
    there.manifest["spec"]["verify"] = [
        {"use": "judge", "measured": "judge.json"},
        {"use": "judge", "measured": "gone.json"},
    ]
    there.manifest["spec"]["verify"].append({"use": "judge"})
    there.commit()
    told = text_of(section(write_documents(there)[0].read_text(), "judges"))
    assert "agreement 0.810 (0.750 to 0.860) 0.500 0.900" in told
    assert "gone.json is not there any more" in told


def test_a_run_that_accepted_nothing_shows_what_it_rejected(tmp_path: Path) -> None:
    never = [{"use": "rules", "all": ["label = 'splendid'"]}]
    page = (
        make(tmp_path / "run", [INVENT, LABEL], cover={"total": 5, "max_attempts": 2}, verify=never) / "report.html"
    ).read_text()
    left, right = section(page, "samples").split("<h3>Rejected</h3>")
    assert "None that may be shown" in left
    assert right.count("<b>rules</b>") == 5
    assert "no words" in section(page, "lengths")


def test_tables_have_no_text_side(tmp_path: Path) -> None:
    spec = {
        "name": "t",
        "cover": {"total": 5},
        "generate": {"use": "faker", "columns": {"name": "name", "where": "address"}},
    }
    synthmill.make(parse_spec(spec), tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert not any(section(page, s) for s in ("samples", "facets", "lengths", "repeats", "cost", "people", "judges"))
