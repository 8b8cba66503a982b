"""The verb: any tool's file in, a folder with a verdict out, real records in one place only."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import synthmill
from population import BOOTSTRAP, FRESH, HOLDOUT, SCHEMA, TRAIN, people
from synthmill.cli.main import main
from synthmill.documents.findings import RISK, SLACK, STRONG, about_dcr, findings, headline, size_of, status_of
from synthmill.refusal import Refusal
from synthmill.tables.space import Space, nearest
from synthmill.verbs.audit import ATTACKS

QUICK = ["membership", "copies", "outliers"]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, frame in {"train": TRAIN, "holdout": HOLDOUT, "copied": BOOTSTRAP, "fresh": FRESH}.items():
        frame.write_csv(f"{name}.csv")
    return tmp_path


def run(*arguments):
    return main(["audit", *arguments, "--train", "train.csv", "--holdout", "holdout.csv", "--quiet"])


def test_a_strangers_first_audit(desk, capsys):
    assert run("copied.csv", "--attacks", "membership, copies", "--exposed", "5") == 0
    said = capsys.readouterr().out
    assert said.startswith("This file gives people away: Membership, by density (strong), Copies (strong).")
    assert re.search(r"leak +Copies", said)
    assert "100.00% of synthetic rows equal a real one" in said
    assert "no privacy metric" in said
    assert "arXiv:2505.01524" in said
    folder = desk / "runs" / "audit-copied"
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*")) == [
        "audit.html", "audit.json", "private", "private/exposed.parquet",
    ]  # fmt: skip
    data = json.loads((folder / "audit.json").read_text())
    assert [f["status"] for f in data["findings"]] == ["leak", "leak"]
    assert all(m["floor"] is not None and m["ceiling"] is not None for m in data["measures"] if m["value"] is not None)


def test_every_attack_on_fresh_people_finds_nothing_and_says_so(desk):
    made = synthmill.audit("fresh.csv", "train.csv", "holdout.csv", attacks=[*QUICK, {"use": "lira", "shadows": 4}])
    assert made.leaks == ()
    assert headline(list(made.findings))[1].startswith("No leak was found by any of 4 attacks.")
    page = (made.folder / "audit.html").read_text()
    assert "No leak was found" in page
    assert "stand-in" in page
    assert "<script" not in page


def test_the_most_exposed_are_real_and_only_under_private(desk):
    victims = TRAIN[:20].with_columns(pl.col("wage") + 1234.56)
    train = pl.concat([victims, TRAIN[20:]])
    made = synthmill.audit(pl.concat([FRESH[20:], victims]), train, HOLDOUT, "a", attacks=["copies"], listed=20)
    listed = pl.read_parquet(made.folder / "private" / "exposed.parquet")
    assert (made.folder / "private").stat().st_mode & 0o077 == 0
    assert listed["_copy"].sum() >= 18
    assert set(listed.filter("_copy")["_row"]) <= set(range(20))
    assert listed["_score"].is_sorted(descending=True)
    assert (listed["_strangers"] < 0.01).all()
    assert listed.filter("_copy")["_distance"].max() == 0
    for row in listed.iter_rows(named=True):
        assert {k: row[k] for k in train.columns} == train.row(row["_row"], named=True)
    shown = (made.folder / "audit.html").read_text() + (made.folder / "audit.json").read_text()
    assert not any(f"{w:.2f}"[:-1] in shown for w in victims["wage"])


def test_the_same_audit_twice_is_the_same(desk):
    texts = []
    for _ in range(2):
        made = synthmill.audit("fresh.csv", "train.csv", "holdout.csv", "same", attacks=["outliers", "subsets"], seed=3)
        texts.append((made.folder / "audit.json").read_text())
    assert texts[0] == texts[1]


def test_what_the_user_names_is_what_is_attacked(desk):
    made = synthmill.audit(
        FRESH, TRAIN, HOLDOUT, "a", attacks=["inference", "linkability"],
        secret=["rich"], aux=["wage", "age"], link=(["age"], ["job", "rich"]),
    )  # fmt: skip
    measures = {m["name"]: m for m in made.data["measures"]}
    assert list(measures["attack.inference.mean"]["detail"]["secrets"]) == ["rich"]
    assert measures["attack.linkability.risk"]["detail"]["right"] == ["job", "rich"]
    assert "<td>rich</td>" in (made.folder / "audit.html").read_text()


def test_a_file_that_saw_the_holdout_is_told_on(desk):
    made = synthmill.audit(HOLDOUT, TRAIN, HOLDOUT, "a", attacks=["copies"])
    assert any("has seen the holdout" in n for n in made.data["notes"])


def test_a_control_set_of_the_tables_own_rows_is_refused(desk, capsys):
    assert main(["audit", "copied.csv", "--train", "train.csv", "--holdout", "train.csv", "--quiet"]) == 2
    assert "100% of train.csv are rows of the table itself" in capsys.readouterr().err
    coarse = TRAIN.select("job", "rich")  # every row of the holdout is also one of train's, by chance
    synthmill.audit(FRESH.select("job", "rich"), coarse, HOLDOUT.select("job", "rich"), "a", attacks=["copies"])


def test_text_of_the_table_cannot_become_markup(desk):
    evil = "<img src=x onerror=alert(1)>"
    frames = [f.rename({"job": evil}) for f in (FRESH, TRAIN, HOLDOUT)]
    made = synthmill.audit(*frames, "a", attacks=["inference"], secret=[evil])
    assert evil not in (made.folder / "audit.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.csv"], "nothing.csv"),
        (["fresh.csv", "--attacks", "copis"], "did you mean 'copies'"),
        (["fresh.csv", "--attacks", ","], None),
        (["fresh.csv", "--attacks", "copies", "--secret", "wgae"], "did you mean 'wage'"),
        (["fresh.csv", "--attacks", "copies", "--link", "age,job"], "for example age,sex:zip,income"),
        (["fresh.csv", "--attacks", "copies", "--exposed", "-1"], "negative"),
        (["fresh.csv", "--generator", "tabular.forrest"], "--generator.*did you mean 'tabular.forest'"),
        (["fresh.csv", "--attacks", "copies", "--target", "welth"], "did you mean 'wealth'|no column 'welth'"),
        (["fresh.csv", "--attacks", "copies", "-o", "."], "holds no audit"),
        (["other.csv", "--attacks", "copies"], "shares no column that can be attacked with train.csv.*needs 2 columns"),
        (["one.csv", "--attacks", "copies"], "shares only 'wage' with.*did you mean 'age'"),
        (["two.csv", "--attacks", "copies", "--secret", "rich"], "'rich' is no column of two.csv"),
    ],
)
def test_refusals_are_one_sentence_and_leave_nothing(desk, capsys, arguments, said):
    if said is None:
        arguments = [arguments[0], "--attacks", "attack"]
        said = "is no attack"
    pl.DataFrame({"x": [1, 2]}).write_csv("other.csv")
    FRESH.select("wage", Age="age").write_csv("one.csv")
    FRESH.select("wage", "age").write_csv("two.csv")
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert re.search(said, err)
    assert len(err.strip().splitlines()) == 1
    assert not (desk / "runs").exists()


def test_names_and_measures_of_others_making(desk):
    (desk / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from synthmill.plugins import Measure\n\n\n"
        "@dataclass\nclass Mine:\n"
        '    """Mine."""\n\n'
        "    def measure(self, evidence):\n"
        '        return [Measure("rate", 0.5, 0.4, 0.6, "lower")]\n'
    )
    made = synthmill.audit(FRESH, TRAIN, HOLDOUT, "a", attacks=["mine.py:Mine"])
    assert made.findings[0].status == "leak"
    assert "mine.rate" in (made.folder / "audit.html").read_text()
    with pytest.raises(Refusal, match="is no attack"):
        synthmill.audit(FRESH, TRAIN, HOLDOUT, "b", attacks=["fidelity"])


def test_a_file_with_other_columns_is_attacked_on_those_it_shares(desk, capsys):
    """The columns of any tool's file; who lacks what is said before the first finding, and on the page beside the verdict."""
    BOOTSTRAP.drop("town").with_columns(score=pl.lit(0.5)).write_csv("other.csv")
    HOLDOUT.drop("job").with_columns(batch=pl.lit(1)).write_csv("holdout.csv")
    TRAIN.with_columns(key=pl.int_range(pl.len()) * 7919).write_csv("train.csv")
    assert run("other.csv", "--attacks", "copies,membership", "-o", "a") == 0
    said = capsys.readouterr().out
    before = said[: said.index("Membership, by density\n")]
    for left in (
        "other.csv lacks 'town': attacked are 3 of 4 columns",
        "holdout.csv lacks 'job', 'key': without a control",
        "train.csv lacks 'score': what other.csv has there was not attacked",
        "train.csv lacks 'batch': what holdout.csv has there was not used",
    ):
        assert f"left out: {left}" in before
        assert left.replace("'", "&#x27;") in (desk / "a" / "audit.html").read_text()
    data = json.loads((desk / "a" / "audit.json").read_text())
    assert data["columns"] == ["age", "wage", "rich"]
    assert [f["status"] for f in data["findings"]] == ["leak", "leak"]


def test_what_the_file_lacks_stays_with_the_exposed_records(desk):
    made = synthmill.audit(TRAIN.drop("town"), TRAIN, HOLDOUT, "a", attacks=["copies"], listed=3)
    assert "town" in pl.read_parquet(made.folder / "private" / "exposed.parquet").columns
    assert made.data["left_out"][0].startswith("the file lacks 'town'")
    assert synthmill.audit(FRESH, TRAIN, HOLDOUT, "b", attacks=["copies"]).data["left_out"] == []


def test_a_file_of_ours_is_read_whatever_its_run_is_called(desk):
    """`12172111e745` is a hash, and an infinite number to whoever reads the file."""
    FRESH.with_columns(_run=pl.lit("12172111e745")).write_csv("ours.csv")
    assert run("ours.csv", "--attacks", "copies") == 0


def test_workers_change_nothing(desk):
    """Nor does it matter that an attack is of the caller's own making."""
    own = "from synthmill.measure.attack.subsets import Subsets\n\n\nclass Own(Subsets):\n    pass\n"
    (desk / "own.py").write_text(own)
    told = [
        (synthmill.audit("fresh.csv", "train.csv", "holdout.csv", f"w{n}", attacks=["outliers", "own.py:Own"], workers=n), n)
        for n in (1, 2)
    ]  # fmt: skip
    texts = [(m.folder / name).read_bytes() for m, _ in told for name in ("audit.json", "private/exposed.parquet")]
    assert texts[:2] == texts[2:]


def test_a_table_with_holes_where_people_were_is_told_on(desk):
    """Fresh rows without those near a real one: the attack accuses strangers, and whoever turns it round finds members."""
    many = people(16_000, "many")
    space = Space.fit(TRAIN, SCHEMA)
    far = nearest(space.embed(many), space.embed(TRAIN))[0][:, 0]
    kept = many.filter(pl.Series(far > float(np.quantile(far, 0.5))))
    made = synthmill.audit(kept, TRAIN, HOLDOUT, "a", attacks=["membership", "copies"])
    found = made.findings[0]
    auc = next(m for m in made.data["measures"] if m["name"] == "attack.membership.nearest_auc")
    assert auc["high"] < 0.45
    assert found.status == "leak"
    assert "The attack is wrong more often than chance: members lie farther" in found.sentence
    assert "turns the ranking round" in (made.folder / "audit.html").read_text()
    dcr = next(m for m in made.data["measures"] if m["name"] == "attack.copies.dcr_share")
    assert dcr["high"] < 0.5
    assert "a mark of the real rows as well" in about_dcr({m["name"]: m for m in made.data["measures"]}, [found])


def measure(name, value, low, better="lower", high=None, **detail):
    end = value if high is None else high
    return {"name": name, "value": value, "low": low, "high": end, "better": better, "detail": detail, "note": ""}


def test_verdicts_need_certainty_and_size():
    auc = "attack.lira.auc"
    assert status_of(measure(auc, 0.60, 0.58, "half")) == "leak"
    assert status_of(measure(auc, 0.53, 0.52, "half")) == "trace"
    assert status_of(measure(auc, 0.60, 0.53, "half")) == "hint"
    assert status_of(measure(auc, 0.60, 0.50, "half")) == "clear"
    assert status_of(measure(auc, 0.45, 0.43, "half", 0.46)) == "leak"
    assert status_of(measure(auc, 0.47, 0.45, "half", 0.48)) == "trace"
    assert status_of(measure(auc, 0.47, 0.45, "half", 0.49)) == "hint"
    assert status_of(measure(auc, 0.47, 0.45, "half", 0.51)) == "clear"
    assert status_of(measure("attack.lira.tpr_1pct", 0.03, 0.025, chance=0.01)) == "leak"
    assert status_of(measure("attack.lira.tpr_1pct", 0.013, 0.012, chance=0.01)) == "trace"
    assert status_of(measure("attack.lira.tpr_1pct", 0.001, 0.0, high=0.002, chance=0.01)) == "clear"
    assert status_of(measure("attack.outliers.memorised", 1.0, 1.0)) == "leak"
    assert status_of(measure(auc, 0.9, None, "half")) == "clear"
    assert status_of(measure(auc, None, None, "half")) == "unknown"


def test_sizes_are_those_of_the_docs():
    auc = "attack.lira.auc"
    assert [size_of(measure(auc, v, v, "half")) for v in (0.515, 0.485, 0.55, 0.45, 0.61, 0.39)] == [
        "weak", "weak", "plain", "plain", "strong", "strong",
    ]  # fmt: skip
    tpr = [size_of(measure("attack.lira.tpr_01pct", v, v, chance=0.001)) for v in (0.005, 0.02, 0.03)]
    assert tpr == ["weak", "plain", "strong"]
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    for kind, slack in [*SLACK.items(), ("risk", RISK)]:
        assert re.search(rf"^\|.*`{kind}`.*\| {slack:g} \| {slack * STRONG:g} \|$", page, re.M), kind


def test_what_lies_beyond_its_interval_is_named_even_beside_something_worse():
    rows = [
        measure("attack.membership.nearest_auc", 0.501, 0.49, "half", 0.512),
        measure("attack.membership.kernel_auc", 0.512, 0.502, "half", 0.522),
        measure("attack.copies.exact", 0.3, 0.29, synthetic=0.3, holdout=0.0),
        measure("attack.copies.near", 0.015, 0.009, synthetic=0.06, holdout=0.045),
        measure("attack.linkability.risk", 0.001, -0.01, attack=0.002, control=0.001),
    ]
    found = findings({m["name"]: m for m in rows})
    member, link, copies = found
    assert (member.status, member.size) == ("hint", "weak")
    assert "51.2% of the time" in member.sentence
    assert "a weak hint, which chance may explain" in member.sentence
    assert (link.status, link.size) == ("clear", "")
    assert "a strong leak. Also near 0.015 (weak trace)." in copies.sentence
    status, line = headline(found)
    assert status == "leak"
    assert line == (
        "This file gives people away: Copies (strong). Beyond the 95% interval, but not surely: Membership, by density (weak)."
    )
    status, line = headline([member, link])
    assert status == "hint"
    assert line.startswith("No leak was found by any of 2 attacks. Beyond the 95% interval, but not surely: Membership")


def test_dcr_alone_is_told_what_it_is_worth():
    dcr = measure("attack.copies.dcr_share", 0.5, 0.48, "half")
    bad = measure("attack.copies.exact", 0.3, 0.29, synthetic=0.3, holdout=0.0)
    both = {m["name"]: m for m in (dcr, bad)}
    said = about_dcr(both, findings(both))
    assert "Judged by DCR alone this file passes" in said
    assert "find leaks all the same (Copies)" in said
    assert about_dcr({bad["name"]: bad}, []) == ""
    failed = {dcr["name"]: dcr | {"value": 0.6, "low": 0.58}}
    assert "this file fails" in about_dcr(failed, [])


def test_all_attacks_are_offered():
    assert {a.removeprefix("attack.") for a in ATTACKS} == {
        "membership", "lira", "singling_out", "linkability", "inference", "outliers", "copies", "subsets",
    }  # fmt: skip
