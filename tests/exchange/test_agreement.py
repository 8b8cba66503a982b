"""Agreement of people against worked examples, its limits, and how often its intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from synthmill.exchange.agreement import between, majority, wilson, with_checks, with_run

A, R = "accept", "reject"


def said(table: list[str]) -> dict[str, dict[str, str]]:
    """A row per record, a letter per person: a, r, or . for none."""
    words = {"a": A, "r": R}
    return {f"{i:03d}": {f"p{j}": words[c] for j, c in enumerate(row) if c != "."} for i, row in enumerate(table)}


def test_krippendorffs_own_example_of_two_observers() -> None:
    """Krippendorff (2011), Computing Krippendorff's alpha, part A: binary data, two observers: .095."""
    one, two = "araaaaaaaa", "rrraararaa"
    found = between(said([x + y for x, y in zip(one, two, strict=True)]))
    assert found is not None
    assert found["alpha"]["value"] == pytest.approx(0.095, abs=0.001)
    assert found["agreement"]["value"] == pytest.approx(0.6)


def test_cohens_kappa_by_hand() -> None:
    """20 and 15 agreed, 5 and 10 not: (.7 - .5) / (1 - .5)."""
    found = between(said(["aa"] * 20 + ["ar"] * 5 + ["ra"] * 10 + ["rr"] * 15))
    assert found is not None
    assert found["kappa"]["value"] == pytest.approx(0.4)
    assert found["kappa"]["low"] < 0.4 < found["kappa"]["high"]
    assert found["pairs"] == 50


def test_people_may_be_missing_and_alone() -> None:
    found = between(said(["aa.", "r.r", "a..", "..r", "ara"]))
    assert found is not None
    assert (found["records"], found["people"], found["pairs"]) == (3, 3, 5)
    assert found["agreement"]["low"] is None, "three records bear no interval"
    assert "kappa" not in found
    assert between(said(["a.", ".r"])) is None


def test_what_is_not_defined_is_not_a_number() -> None:
    found = between(said(["aa"] * 12))
    assert found is not None
    assert found["agreement"]["value"] == 1.0
    assert found["alpha"] == {"value": None, "low": None, "high": None}
    assert found["chance"] == 1.0


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Two people who each mistake a fair coin in a fifth of the cases agree with kappa .36."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(60):
        truth = rng.random(80) < 0.5
        one, two = (truth ^ (rng.random(80) < 0.2) for _ in range(2))
        found = between(said(["ar"[x] + "ar"[y] for x, y in zip(one.astype(int), two.astype(int), strict=True)]))
        assert found is not None
        held += found["alpha"]["low"] <= 0.36 <= found["alpha"]["high"]
    assert held >= 52


def test_each_check_is_judged_by_what_it_rejected() -> None:
    run = {"1": None, "2": None, "3": "rules", "4": "rules", "5": "toxicity", "6": None}
    people = majority(said_by_id({"1": "aa", "2": "rr", "3": "rr", "4": "ar", "5": "a", "6": "a"}))
    assert people["4"] == "tie"
    lines = {line["by"]: line for line in with_checks(run, people)}
    assert list(lines) == [None, "rules", "toxicity"]
    assert (lines[None]["agreed"], lines[None]["records"]) == (2, 3)
    assert (lines["rules"]["agreed"], lines["rules"]["records"], lines["rules"]["ties"]) == (1, 1, 1)
    assert lines["toxicity"]["share"]["value"] == 0.0
    assert with_run(run, people)["records"] == 5


def said_by_id(table: dict[str, str]) -> dict[str, dict[str, str]]:
    return {k: {f"p{j}": {"a": A, "r": R}[c] for j, c in enumerate(v)} for k, v in table.items()}


def test_wilson_is_wilson() -> None:
    found = wilson(10, 10)
    assert (found["value"], found["high"]) == (1.0, 1.0)
    assert found["low"] == pytest.approx(0.722, abs=0.001)
    assert wilson(0, 0)["value"] is None
