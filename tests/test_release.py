import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmill.evaluation import Evaluation
from synthmill.plugins import Measure
from synthmill.refusal import Refusal
from synthmill.release import check_bars, judge
from synthmill.spec import Bar


def bar(text, at="interval"):
    return Bar.model_validate({"bar": text, "at": at})


def judged(text, at="interval", value=0.5, low=0.4, high=0.6, note=""):
    e = Evaluation((Measure("a.b", value, low, high, note=note),), {})
    return judge(e, {"a.b": bar(text, at)})[0]


@pytest.mark.parametrize(
    ("text", "at", "held"),
    [
        ("<= 0.6", "interval", True),
        ("< 0.6", "interval", False),
        ("<= 0.55", "interval", False),
        ("<= 0.55", "estimate", True),
        (">= 0.4", "interval", True),
        ("> 0.4", "interval", False),
        (">= 0.45", "interval", False),
        (">= 0.45", "estimate", True),
        (">= 0.51", "estimate", False),
    ],
)
def test_the_unfavourable_end_decides_unless_the_estimate_is_asked_for(text, at, held):
    assert judged(text, at).held is held


@given(st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 1), st.sampled_from(["<=", ">=", "<", ">"]))
def test_a_bar_that_holds_at_the_interval_holds_at_the_estimate(value, half, limit, op):
    given_ = {"value": value, "low": value - half, "high": value + half}
    assert not judged(f"{op} {limit}", **given_).held or judged(f"{op} {limit}", "estimate", **given_).held or half == 0


def test_a_miss_says_by_how_much_and_whether_the_estimate_would_do():
    r = judged("<= 0.55")
    assert r.sentence == "a.b <= 0.55: missed by 0.05, though the estimate holds, 0.5 (95% 0.4 to 0.6)"
    assert r.decisive == 0.6
    assert judged("<= 0.45").sentence.startswith("a.b <= 0.45: missed by 0.15 at the interval's end, 0.5")
    assert judged("<= 0.45", "estimate").sentence.startswith("a.b <= 0.45: missed by 0.05, 0.5")
    assert judged("<= 0.7").sentence == "a.b <= 0.7: held, 0.5 (95% 0.4 to 0.6)"


def test_unknown_is_missed():
    r = judged("<= 9", value=math.nan, low=math.nan, high=math.nan, note="no target is declared")
    assert not r.held
    assert r.sentence == "a.b <= 9: missed, unknown (no target is declared)"
    absent = judge(Evaluation((), {}), {"x.y": bar("<= 1")})[0]
    assert not absent.held
    assert "not measured" in absent.sentence
    unbounded = judged("<= 9", high=math.nan)
    assert not unbounded.held
    assert "too few held-out entities" in unbounded.sentence


def test_bars_on_unknown_measures_are_refused_before_any_work():
    uses = [{"use": "utility"}, {"use": "privacy"}]
    good = {"utility.gap": bar("<= 0.02"), "privacy.exact_copies_unfiltered": bar("<= 0")}
    check_bars(good, uses)
    with pytest.raises(Refusal, match=r"no measure 'utility.gapp'; did you mean 'utility.gap'"):
        check_bars({"utility.gapp": bar("<= 1")}, uses)
    with pytest.raises(Refusal, match=r"no measure 'fidelity.shapes'"):
        check_bars({"fidelity.shapes": bar(">= 0.9")}, uses)
    with pytest.raises(Refusal, match="lists no metric"):
        check_bars({"fidelity.shapes": bar(">= 0.9")}, [])


def test_a_third_partys_metric_may_keep_its_names_to_itself(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine:\n    def measure(self, evidence):\n        return []\n")
    uses = [{"use": f"{tmp_path / 'mine.py'}:Mine"}]
    check_bars({"mine.anything": bar(">= 0")}, uses)
    with pytest.raises(Refusal, match=r"no measure 'yours\.x'"):
        check_bars({"yours.x": bar(">= 0")}, uses)
