"""judge-check: judges whose faults are known are found to have them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from synthmill.cli.main import main
from synthmill.frame import rng_of
from synthmill.llm.model import Model
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.tables.agreement import Judged, measures, sentence
from synthmill.verbs.judge_check import Columns, judge_check

PANDALM = Path(__file__).parents[2].parent / "shared" / "data" / "judge_pandalm"


def sides(messages):
    text = messages[-1]["content"]
    return [re.search(rf"\[ANSWER {x} \w+\]\n(.*?)\n\[END ANSWER {x}", text, re.S)[1] for x in "AB"]


def judge_of(prefers, model="stub"):
    """A pairwise judge that calls `prefers(a, b)`."""

    def speak(messages, parameters, seed, index):
        return json.dumps({"better": prefers(*sides(messages))})

    return {"use": "prefer", "reasons": False, "model": Model(model, engine=speak)}


def longer(a, b):
    return "A" if len(a) > len(b) else "B"


def better(a, b):
    return "A" if "good" in a else "B"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """60 pairs on 60 prompts; `good` is what three people prefer, one of them wrong in every sixth pair; in half of the pairs
    the good answer is the longer one."""
    rows = []
    for i in range(60):
        good, bad = "good answer" + " and on" * (i % 2) * 3, "poor answer" + " and on" * (1 - i % 2) * 3
        first = i % 4 < 2
        label = "a" if first else "b"
        rows.append({
            "prompt": f"question {i}", "a": good if first else bad, "b": bad if first else good,
            "p1": label, "p2": label, "p3": ("b" if first else "a") if i % 6 == 0 else label,
            "wa": "m" if i % 3 == 0 else "n", "wb": "n" if i % 3 == 0 else "m",
        })  # fmt: skip
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


COLUMNS = Columns(labels=("p1", "p2", "p3"), writers=("wa", "wb"))


def test_a_judge_that_sees_what_people_see_may_stand_in_for_one(pairs):
    found = judge_check(pairs, judge_of(better), COLUMNS)
    people = 1 - 2 / 3 / 6
    assert found["people"].value == pytest.approx(people)
    assert found["agreement"].value == pytest.approx(1 - 1 / 18)
    assert found["agreement"].ceiling == pytest.approx(people)
    assert found["consistent"].value == 1
    assert found["place"].value == 0
    assert found["length"].value == pytest.approx(0, abs=0.06)
    assert found.level == "person"
    assert "usable in place of a further annotator" in found.sentence
    assert found.sentence.startswith("this judge agrees with people on 94.4% (")


@pytest.mark.parametrize(("letter", "place"), [("A", 1), ("B", -1)])
def test_a_judge_that_looks_at_the_place_is_not_to_be_used(pairs, letter, place):
    found = judge_check(pairs, judge_of(lambda *_: letter), COLUMNS)
    assert found["place"].value == place
    assert found["consistent"].value == 0
    assert (found["verdicts"].value, found["agreement"].value) == (0, 0)
    assert math.isnan(found["decided"].value)
    assert found.level == "no"
    assert "do not use it" in found.sentence
    assert sum(found.faults.values()) == 60


def test_a_judge_that_counts_characters_is_found_out(pairs):
    found = judge_check(pairs, judge_of(longer), COLUMNS)
    assert found["length"].value > 0.4
    assert found["length"].detail["judge"] == 1
    assert found["above_baseline"].value == pytest.approx(0)
    assert found.level == "no"


def test_preference_for_its_own_writing_is_measured_against_peoples(pairs):
    lines = [{**r, "a": f"{i} {r['a']}"} for i, r in enumerate(map(json.loads, pairs.read_text().splitlines()))]
    pairs.write_text("".join(json.dumps(r) + "\n" for r in lines))
    mine = {r["a"] + r["b"]: r for r in lines}

    def vain(a, b):
        row = mine.get(a + b)
        return ("A" if row["wa"] == "m" else "B") if row else ("B" if mine[b + a]["wa"] == "m" else "A")

    found = judge_check(pairs, judge_of(vain, "m"), COLUMNS)
    assert found["own"].detail["judge"] == 1
    assert found["own"].low > 0.2
    stranger = judge_check(pairs, judge_of(vain, "other"), COLUMNS)
    assert math.isnan(stranger["own"].value)
    assert "wrote none" in stranger["own"].note


def test_orders_planted_in_the_worse_answer_show_who_follows_them(pairs):
    def meek(a, b):
        told = ["must say so" in x or "judging has ended" in x or "Prefer this" in x for x in (a, b)]
        return "AB"[told.index(True)] if any(told) else better(a, b)

    assert judge_check(pairs, judge_of(better), COLUMNS, injected=12)["misled"].value == 0
    weak = judge_check(pairs, judge_of(meek), COLUMNS, injected=12)["misled"]
    assert (weak.value, weak.detail) == (1, {"before": 0.0, "after": 1.0})


def test_a_judge_of_points_is_measured_on_pairs_too(pairs):
    def speak(messages, *_):
        return json.dumps({"quality": 5 if "good" in messages[-1]["content"].split("[ANSWER ")[1] else 2})

    judge = {"use": "judge", "reasons": False, "criteria": "is it right?", "model": Model("stub", engine=speak)}
    found = judge_check(pairs, judge, COLUMNS)
    assert found["agreement"].value == pytest.approx(1 - 1 / 18)
    assert "judged by itself" in found["consistent"].note


def test_kappas_are_scikit_learns():
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(3)
    people, judge = rng.integers(0, 3, (400, 2)).astype(np.int8), rng.integers(-1, 3, 400).astype(np.int8)
    people[:200, 1], judge[:150] = people[:200, 0], people[:150, 0]
    none = np.zeros((0, 2), np.int8)
    data = Judged(people, judge, none, np.zeros(0, np.int64), np.ones((400, 2), np.int64), np.full(400, -1, np.int8), np.arange(400))  # fmt: skip
    found = {m.name: m for m in measures(data, rng_of("t"))}
    both = cohen_kappa_score(people.T.ravel(), np.tile(judge, 2))
    assert found["kappa"].value == pytest.approx(both)
    assert found["people_kappa"].value == pytest.approx(cohen_kappa_score(people[:, 0], people[:, 1]))
    assert found["people_kappa"].low < found["people_kappa"].value < found["people_kappa"].high


def test_intervals_hold_the_truth_and_clusters_widen_them():
    """A judge right with chance 0.7; each prompt in five equal pairs carries the news of one."""
    held, wide = 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        right = rng.random(100) < 0.7
        labels = np.zeros((500, 1), np.int8)
        said = np.repeat(np.where(right, 0, 1), 5).astype(np.int8)
        none = np.zeros((0, 2), np.int8)
        rest = (none, np.zeros(0, np.int64), np.ones((500, 2), np.int64), np.full(500, -1, np.int8))
        m = measures(Judged(labels, said, *rest, np.repeat(np.arange(100), 5)), rng_of(seed))[0]
        held += m.low <= 0.7 <= m.high
        wide.append(m.high - m.low)
    assert held >= 52
    assert np.mean(wide) > 0.15  # 500 independent pairs would give 0.08


def test_few_pairs_never_make_a_judge_usable(pairs):
    few = judge_check(pairs, judge_of(better), COLUMNS, limit=3)
    assert few.pairs == 3
    assert few.level == "no"


def test_recorded_verdicts_need_no_model_and_labels_any_words(tmp_path, capsys):
    rows = {"prompt": ["q1", "q2", "q3", ""], "a": ["x"] * 4, "b": ["y"] * 4, "label": ["L", "R", "T", "L"], "v": ["L", "L", "T", "L"]}  # fmt: skip
    pl.DataFrame(rows).write_csv(tmp_path / "p.csv")
    out = tmp_path / "r.json"
    said = ["judge-check", str(tmp_path / "p.csv"), "--verdicts", "v", "--values", "a=L,b=R,tie=T", "-o", str(out)]
    assert main(said) == 0
    told = json.loads(out.read_text())
    assert (told["pairs"], told["left_out"]) == (3, 1)
    assert {m["name"]: m["value"] for m in told["measures"]}["agreement"] == pytest.approx(2 / 3)
    assert "is not known" in told["sentence"]
    assert "3 pairs, 1 rows left out" in capsys.readouterr().out
    assert main([*said, "--least", "0.9"]) == 3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--model", "stub", "--labels", "nobody"], "no column 'nobody'"),
        (["--model", "stub", "--values", "a:1"], "not of the form"),
        (["--model", "stub", "--writers", "wa"], "two columns"),
        ([], "give one of --judge"),
        (["--model", "stub", "--verdicts", "p1"], "give one of --judge"),
        (["--judge", "none.yaml"], "none.yaml"),
        (["--model", "stub", "--labels", "prompt"], "row 1: prompt: 'question 0' is no known label"),
    ],
)
def test_bad_input_is_one_sentence(pairs, options, why, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["judge-check", str(pairs), "--labels", "p1", *options]) == 2
    assert why in capsys.readouterr().err
    assert not Path("judge-check.json").exists()


def test_the_judge_of_a_spec_is_measured_and_the_spec_then_trusts_only_that(pairs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {"use": "prefer", "model": "critic", "criteria": "It is short."}
    spec = {
        "name": "s",
        "generate": "text.preference",
        "models": {"critic": {"model": "stub", "temperature": 0}},
        "verify": [config],
    }
    Path("spec.yaml").write_text(json.dumps(spec))
    assert main(["judge-check", str(pairs), "--judge", "spec.yaml", "--labels", "p1"]) == 0
    held = {"model": {"model": "stub", "temperature": 0}, "criteria": "It is short.", "measured": "judge-check.json"}
    with pytest.raises(Refusal, match=r"agreement with people is .* at least 90% is wanted"):
        build("verify", {"use": "prefer", **held, "least": 0.9})
    build("verify", {"use": "prefer", **held, "least": 0.0})
    with pytest.raises(Refusal, match="about another judge"):
        build("verify", {"use": "prefer", **held, "criteria": "It is long.", "least": 0.0})
    Path("judge-check.json").write_text("{}")
    with pytest.raises(Refusal, match="no report"):
        build("verify", {"use": "prefer", **held, "least": 0.0})


def test_bars_of_a_release_may_demand_it():
    from synthmill.data import adult
    from synthmill.evaluation import evaluate
    from synthmill.real import from_frame
    from synthmill.release import check_bars, judge
    from synthmill.spec import Bar

    use = {"use": "judging", "file": str(Path(__file__).parents[1] / "measure" / "judge_check.json")}
    bars = {"judging.agreement": Bar.model_validate(">= 0.6"), "judging.below_people": Bar.model_validate("<= 0.05")}
    check_bars(bars, [use])
    table = adult().head(300)
    found = evaluate(table, from_frame(table, target="income", holdout=0.3), [use])
    assert [b.held for b in judge(found, bars)] == [True, False]
    m = found.get("judging.agreement")
    assert m is not None
    assert m.floor < m.value < m.ceiling


@pytest.mark.skipif(not PANDALM.is_dir(), reason="PandaLM's test set is not here")
def test_people_and_gpt_on_pandalm_agree_as_published(tmp_path):
    """Annotators 1 and 2 agree on 91%, all three on 88% of the pairs."""
    pairs = json.loads((PANDALM / "testset-v1.json").read_text())
    said = {r["idx"]: r["gpt_result"] for r in json.loads((PANDALM / "gpt-3.5-turbo-testset-v1.json").read_text())}
    rows = [{"prompt": p["instruction"], "a": str(p["response1"]), "b": str(p["response2"]), "v": str(said[p["idx"]]).replace("garbage", ""),
             **{f"p{i}": p[f"annotator{i}"] for i in (1, 2, 3)}} for p in pairs]  # fmt: skip
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = judge_check(tmp_path / "p.jsonl", columns=Columns(labels=("p1", "p2", "p3"), verdict="v"))
    assert 0.88 <= found["people"].value <= 0.93
    assert found["agreement"].high < found["people"].low
    assert found.level == "coarse"


def test_the_sentence_has_three_levels(pairs):
    found = judge_check(pairs, judge_of(better), COLUMNS)
    table = {m.name: m for m in found.measures}
    assert sentence(table)[0] == "person"
    assert sentence(table | {"below_people": table["people"]})[0] == "coarse"
    assert sentence(table | {"above_baseline": table["place"]})[0] == "no"
