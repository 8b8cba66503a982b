"""Records handed out to people and their verdicts read back, in both tools' forms."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import synthmill
from synthmill.cli.main import main
from synthmill.refusal import Refusal
from synthmill.run import Run
from synthmill.spec import parse_spec

NASTY = "<script>alert('x')</script> & \"more\""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("review")
    generate = [
        {"use": "text.self_instruct", "answers": False, "model": "stub"},
        {"use": "text.label", "model": "stub", "column": "instruction", "labels": ["good", "bad"]},
    ]
    verify = [{"use": "rules", "all": ["label = 'good'"]}]
    spec = {"name": "text", "cover": {"total": 40}, "generate": generate, "verify": verify}
    synthmill.make(parse_spec(spec), root / "run")
    return root / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of its own."""
    import shutil

    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def answered(file: Path, verdict: Any, people: tuple[Any, ...] = (1, 2)) -> Path:
    """A Label Studio export of the tasks. verdict: (record, person) -> what they chose, None for nothing."""
    tasks = json.loads(file.read_text())
    for i, task in enumerate(tasks, 1):
        task["id"] = i
        said = {p: verdict(task["data"]["record_id"], p) for p in people}
        task["annotations"] = [
            {
                "id": 100 * i + j,
                "completed_by": p,
                "was_cancelled": False,
                "result": [{"from_name": "verdict", "to_name": "x", "type": "choices", "value": {"choices": [v]}}],
            }
            for j, (p, v) in enumerate(said.items())
            if v
        ]
    out = file.with_name("export.json")
    out.write_text(json.dumps(tasks))
    return out


def accepted(run: Path) -> set[str]:
    return set(Run.open(run).data()["_id"])


def test_tasks_hide_what_the_run_said_unless_asked(run: Path, tmp_path: Path) -> None:
    made = synthmill.hand_out(run, tmp_path / "tasks.json", sample=20)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    ids = [t["data"]["record_id"] for t in tasks]
    good = accepted(run)
    assert (made.accepted, made.rejected) == (10, 10)
    assert sum(i in good for i in ids) == 10
    assert set(tasks[0]) == {"data"}
    assert set(tasks[0]["data"]) == {"record_id", "instruction", "input", "label", "confidence", "votes"}
    assert [i in good for i in ids] != sorted(i in good for i in ids), "the order tells"
    synthmill.hand_out(run, tmp_path / "shown.json", sample=20, show=True, columns=["instruction"])
    shown = json.loads((tmp_path / "shown.json").read_text())
    assert [t["data"]["record_id"] for t in shown] == ids
    told = {t["data"]["record_id"]: t["predictions"][0]["result"][0]["value"]["choices"] for t in shown}
    assert told == {i: ["accept" if i in good else "reject"] for i in ids}
    assert {t["data"]["suggested"] for t in shown} == {"accepted by every check", "rules: label = 'good'"}
    assert all(set(t["data"]) == {"record_id", "instruction", "suggested"} for t in shown)


def test_the_interface_is_whole_whatever_columns_are_called(run: Path, tmp_path: Path) -> None:
    synthmill.hand_out(run, tmp_path / "tasks.json")
    view = ET.parse(tmp_path / "tasks.xml").getroot()
    named = {e.get("value", "").lstrip("$") for e in view.iter("Text")}
    assert named == set(json.loads((tmp_path / "tasks.json").read_text())[0]["data"]) - {"record_id"}
    from synthmill.exchange.annotation import Item, written

    tasks, view_text, _ = written(
        "label-studio", [Item("r-0-0", {NASTY: NASTY, "verdict": None})], [NASTY, "verdict"], False
    )
    assert json.loads(tasks)[0]["data"] == {"record_id": "r-0-0", "column_0": NASTY, "column_1": ""}
    assert ET.fromstring(view_text).find("Header").get("value") == NASTY  # type: ignore[union-attr]


def test_verdicts_come_back_and_are_kept(run: Path, tmp_path: Path) -> None:
    synthmill.hand_out(run, tmp_path / "tasks.json", sample=20)
    good = accepted(run)
    first = next(
        t["data"]["record_id"]
        for t in json.loads((tmp_path / "tasks.json").read_text())
        if t["data"]["record_id"] in good
    )
    back = answered(tmp_path / "tasks.json", lambda r, p: "accept" if r in good and r != first else "reject")
    found = synthmill.take_back(run, back)
    assert (found["records"], found["people"]) == (20, 2)
    assert found["between people"]["agreement"]["value"] == 1.0
    lines = {line["by"]: line for line in found["with each check"]}
    assert (lines[None]["agreed"], lines[None]["records"]) == (9, 10)
    assert (lines["rules"]["agreed"], lines["rules"]["records"]) == (10, 10)
    assert json.loads((run / "review.json").read_text()) == found
    assert found["majority"][first] == "reject"
    made = synthmill.export(run, tmp_path / "x.jsonl", "text", {"text": "instruction"}, drop_rejected=True)
    assert (made.rows, made.rejected) == (39, 1)
    left = {json.loads(line)["id"] for line in (tmp_path / "x.jsonl").read_text().splitlines()}
    assert left == good - {first}
    page = (run / "report.html").read_text()
    assert "20 records judged by 2 people" in page
    assert "rejected by rules" in page


def test_a_later_word_replaces_the_earlier_and_others_join(run: Path, tmp_path: Path) -> None:
    synthmill.hand_out(run, tmp_path / "tasks.json", sample=10)
    synthmill.take_back(run, answered(tmp_path / "tasks.json", lambda r, p: "reject", (1,)))
    user = {"id": 1, "email": "one@example.org"}
    found = synthmill.take_back(run, answered_by(tmp_path, user, "accept"))
    assert found["people"] == 1
    assert set(found["majority"].values()) == {"accept"}
    found = synthmill.take_back(run, answered(tmp_path / "tasks.json", lambda r, p: "reject", ("two@example.org",)))
    assert found["people"] == 2
    assert set(found["majority"].values()) == {"tie"}
    assert "example.org" not in (run / "review.json").read_text()


def answered_by(folder: Path, person: dict[str, Any], verdict: str) -> Path:
    tasks = json.loads(answered(folder / "tasks.json", lambda r, p: verdict, (1,)).read_text())
    for t in tasks:
        t["annotations"][0]["completed_by"] = person
        t["annotations"].append({**t["annotations"][0], "was_cancelled": True, "completed_by": 7})
        t["annotations"].append({"completed_by": 8, "result": []})
    (folder / "export.json").write_text(json.dumps(tasks))
    return folder / "export.json"


def test_argilla_there_and_back(run: Path, tmp_path: Path) -> None:
    synthmill.hand_out(run, tmp_path / "r.json", "argilla", sample=10, show=True)
    records = json.loads((tmp_path / "r.json").read_text())
    settings = json.loads((tmp_path / "r.settings.json").read_text())
    assert {f["name"] for f in settings["fields"]} == set(records[0]["fields"])
    good = accepted(run)
    assert {r["id"]: r["suggestions"]["verdict"]["value"] for r in records} == {
        r["id"]: "accept" if r["id"] in good else "reject" for r in records
    }
    for r in records:
        r["responses"] = {
            "verdict": [{"value": "accept", "user_id": "u1"}, {"value": "reject", "user_id": "u2"}],
            "comment": [{"value": NASTY, "user_id": "u2"}],
        }
    records[0]["responses"]["verdict"][0]["status"] = "draft"
    (tmp_path / "back.json").write_text(json.dumps(records))
    found = synthmill.take_back(run, tmp_path / "back.json")
    assert found["majority"][records[0]["id"]] == "reject"
    assert sorted(v["verdict"] for v in found["verdicts"]).count("accept") == 9
    assert {v["comment"] for v in found["verdicts"]} == {"", NASTY}
    assert NASTY not in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "is no JSON"),
        ("{}", "expected a list"),
        ('[{"x": 1}]', "entry 1: is neither a task of Label Studio"),
        ('[{"data": {"text": "a"}}]', "has no 'record_id'"),
        ("[]", "holds no verdict"),
        ('[{"id": "ZZ-0-0", "fields": {}, "responses": {"verdict": [{"value": "accept", "user_id": "u"}]}}]',
         "record ZZ-0-0: not among the public records"),
        ('[{"id": "x-0-0", "fields": {}, "responses": {"verdict": [{"value": "Acept", "user_id": "u"}]}}]',
         "'Acept' is none; did you mean 'accept'"),
        ('[{"id": "x-0-0", "fields": {}, "responses": {"verdict": [{"value": "accept"}]}}]', "without the person"),
    ],
)  # fmt: skip
def test_what_is_no_export_is_refused_and_nothing_is_written(run: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "back.json").write_text(text)
    with pytest.raises(Refusal, match=said):
        synthmill.take_back(run, tmp_path / "back.json")
    assert not (run / "review.json").exists()


def test_private_rejects_are_neither_handed_out_nor_taken_back(run: Path, tmp_path: Path) -> None:
    file = next((run / "rejected").glob("*.parquet"))
    rejected = pl.read_parquet(file)
    rejected.write_parquet(run / "private" / "rejected" / file.name)
    rejected[:0].write_parquet(file)
    made = synthmill.hand_out(run, tmp_path / "tasks.json", sample=30)
    assert (made.accepted, made.rejected) == (30, 0)
    with pytest.raises(Refusal, match="there are no rejected records"):
        synthmill.hand_out(run, tmp_path / "more.json", of="rejected")
    record = {"id": rejected["_id"][0], "fields": {}, "responses": {"verdict": [{"value": "accept", "user_id": "u"}]}}
    (tmp_path / "back.json").write_text(json.dumps([record]))
    with pytest.raises(Refusal, match="not among the public records"):
        synthmill.take_back(run, tmp_path / "back.json")


def test_on_the_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = str(tmp_path / "tasks.json")
    assert main(["review", str(run)]) == 2
    assert main(["review", str(run), "--out", tasks, "--back", tasks]) == 2
    assert main(["review", str(run), "--out", tasks, "--format", "labelstudio"]) == 2
    assert "did you mean 'label-studio'" in capsys.readouterr().err
    assert main(["review", str(run), "--out", tasks, "--sample", "12"]) == 0
    good = accepted(run)
    back = answered(
        tmp_path / "tasks.json", lambda r, p: "accept" if (r in good) != (p == 2 and r[-1] in "02") else "reject"
    )
    assert main(["review", str(run), "--back", str(back)]) == 0
    told = capsys.readouterr().out
    assert "12 records judged by 2 people" in told
    assert "of pairs agree (chance alone:" in told
    assert "rejected by rules: people reject" in told
    assert main(["export", str(run), "--format", "preference"]) == 2
    assert "which column is 'chosen' and 'rejected'" in capsys.readouterr().err
    assert main(["export", str(run), "--columns", "prompt"]) == 2
    out = str(tmp_path / "out.parquet")
    assert main(["export", str(run), "--format", "alpaca", "--columns", "completion=label", "--to", out]) == 0
    assert "wrote 40 records as alpaca" in capsys.readouterr().out
    assert main(["export", str(run), "--push", "me/it", "--drop-rejected"]) == 2
    assert "say which --format" in capsys.readouterr().err
    assert main(["export", str(run), "--push", "me/it", "--token", "NO_SUCH_TOKEN"]) == 2
    assert "NO_SUCH_TOKEN is not set" in capsys.readouterr().err
