from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.verify.rules import Rules

FRAME = pl.DataFrame(
    {
        "age": [16, 20, None, 40],
        "x": ["1", "2", "b", None],
        "list": [[1, 2], [3], [], None],
        "hours-per-week": [1, 2, 3, 4],
        "sex": ["M", "F", "M", "F"],
        "born": [date(2010, 1, 1), date(2011, 1, 1), None, date(2020, 5, 5)],
        "seen": [None, datetime(2011, 12, 31), None, None],
        "readings": [[{"v": 1}, {"v": -1}], [{"v": 3}], [], None],
    }
)


def judged(*rules: str, **options) -> tuple[list[int], list[str | None]]:
    verdicts = Rules(list(rules), **options).judge(FRAME)
    reason = verdicts.reason
    return verdicts.status.to_list(), reason.to_list() if isinstance(reason, pl.Series) else [None] * 4


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ("age >= 17", [1, 0, 0, 0]),
        ("age IS NOT NULL", [0, 0, 1, 0]),
        ("age NOT IN (16, 40)", [1, 0, 0, 1]),
        ("age BETWEEN 18 AND 30", [1, 0, 0, 1]),
        ("\"hours-per-week\" > 1 AND sex = 'M'", [1, 1, 0, 1]),
        ("CASE WHEN age > 18 THEN sex = 'F' ELSE sex = 'M' END", [0, 0, 0, 0]),
        ("ARRAY_SUM(list) = 3", [0, 0, 1, 0]),
        ("ARRAY_LENGTH(ARRAY_UNIQUE(list)) > 0", [0, 0, 1, 0]),
        ("x LIKE '%over%' OR sex IN ('M', 'F')", [0, 0, 0, 0]),  # a window's word inside a text is text
        ("x <> 'SELECT MAX(age)'", [0, 0, 0, 0]),
        ("born > DATE '2010-01-01' AND seen < TIMESTAMP '2012-01-01 00:00:00'", [1, 0, 0, 0]),
        ("EXTRACT(YEAR FROM born) > 2010", [1, 0, 0, 0]),
        ("seen - born > INTERVAL '5 days'", [0, 0, 0, 0]),
        ("born > DATE '2010-06-01' AND born <> seen", [1, 0, 0, 0]),
        ("CASE WHEN age > 1 THEN born ELSE NULL END IS NULL", [1, 1, 0, 1]),
        ('GREATEST(age, "hours-per-week") < 30', [0, 0, 0, 1]),
        ("LENGTH(x) = 1 AND age + 1 > 17.5", [1, 0, 0, 0]),
    ],
)
def test_conditions_mean_what_sql_says(rule, status):
    assert judged(rule)[0] == status


def test_null_passes_as_in_a_check_constraint_unless_told_otherwise():
    assert judged("age >= 17", nulls="fail")[0] == [1, 0, 1, 0]


def test_the_first_failed_rule_is_the_reason():
    status, reason = judged("sex = 'F'", "age >= 17")
    assert status == [1, 0, 1, 0]
    assert reason == ["sex = 'F'", None, "sex = 'F'", None]


def test_a_failed_cast_is_an_error_on_its_row_alone():
    status, reason = judged("CAST(x AS INT) >= 2")
    assert status == [1, 0, 2, 0]
    assert reason[0] == "CAST(x AS INT) >= 2"
    assert '"b"' in reason[2]
    assert judged("TRY_CAST(x AS INT) >= 2")[0] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "rule",
    [
        "SUM(age) OVER (PARTITION BY sex) > 1",
        "ROW_NUMBER() OVER (ORDER BY age) > 1",
        "ROW_NUMBER() > 1",
        "LAG(age) OVER (ORDER BY x) > 1",
        "DENSE_RANK() OVER (ORDER BY age) > 1",
        "COUNT(*) > 0",
        "age > MAX(age)",
        "age = 20 OR MIN(age) > 100",
        "CASE WHEN age > 1 THEN FIRST(age) > 3 ELSE true END",
        "STRING_AGG(x) = 'a'",
        "ARRAY_AGG(age) IS NULL",
        "CORR(age, age) > 1",
        "QUANTILE_CONT(age, 0.5) > 1",
        "ABS(MEDIAN(age)) > 1",
        "UNNEST(list) > 3",
        "COLUMNS('a.*') > 1",
        "age IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "EXISTS (SELECT 1 FROM read_csv('secret.csv'))",
        "age > (SELECT MAX(age) FROM self)",
    ],
)
def test_a_rule_sees_one_row_alone(rule):
    with pytest.raises(Refusal, match="one row alone"):
        Rules([rule])


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("age >=", "is not a condition in SQL"),
        ("", "is not a condition in SQL"),
        ("__import__('os').getcwd()", "is not a condition in SQL"),
        ("RANDOM() > 0.5", "is not a condition in SQL"),
        ("age > 1; DROP TABLE x", "is not a condition in SQL"),
        ("CURRENT_DATE > '2020-01-01'", "depends on the clock"),
        ("true", "names no column"),
        ("age + 1", "gives Int64, not true or false"),
        ("x > 3", "cannot be computed where x is String"),
        ("hours-per-week > 3", 'write "hours-per-week" in double quotes'),
        ("agee > 3", "did you mean 'age'"),
        ('sex = "M"', "a text takes single quotes: 'M'"),
        ("SUM(age) > 1", ": SUM looks at other rows"),
        ("age < AVG(age)", ": AVG looks at other rows"),
        ("\"SEX\" = 'M'", "no column 'SEX'; did you mean 'sex'"),
        ("born > '2010-01-01'", ": born is Date; write DATE '2010-01-01'$"),
        ("born IN ('2010-01-01')", "write DATE '2010-01-01'$"),
        ("seen < '2010-01-01 10:00:00'", "write TIMESTAMP '2010-01-01 10:00:00'$"),
        ("born > 'May'", "a date is written DATE '2010-01-31'"),
        ("born > DATE '2010-01-01' AND x > 3", "cannot be computed"),
        ("born > 2010", "compares Date with a number; a date is written DATE '2010-01-31', its year is EXTRACT"),
        ("2010 <= born", "compares Date with a number"),
        ("age > 3 OR NOT (sex = 'F' AND born = age)", "compares Date with a number"),
        ("born BETWEEN 2010 AND 2020", "compares Date with a number"),
        ("born IS DISTINCT FROM 5", "compares Date with a number"),
        ("seen < 20100101", "compares Datetime with a number; a time is written TIMESTAMP"),
        ("seen - born > 5", "compares Duration with a number; a span of time is written INTERVAL '5 days'"),
        ("CASE WHEN age > 1 THEN born ELSE 5 END IS NULL", "mixes Date with a number"),
    ],
)
def test_a_wrong_rule_is_refused_in_one_sentence_that_quotes_it(rule, sentence):
    with pytest.raises(Refusal, match=sentence) as refused:
        Rules([rule]).judge(FRAME)
    assert f"`{rule}`" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_dependence_that_the_tree_does_not_show_is_found_by_trial(monkeypatch):
    monkeypatch.setattr("synthmill.verify.rules._across_rows", lambda tree: None)
    for rule in ("age > MIN(age)", "ROW_NUMBER() > age - 19"):
        with pytest.raises(Refusal, match="looks at other rows"):
            Rules([rule]).judge(FRAME)


def test_each_judges_every_nested_row_and_names_the_first_bad_one():
    status, reason = judged("v > 0", each="readings")
    assert status == [1, 0, 0, 0]
    assert reason[0] == "readings[1]: v > 0"
    assert judged("v < age", each="readings")[0] == [0, 0, 0, 0]
    assert judged("v <> 3 OR age > 20", each="readings")[0] == [0, 1, 0, 0]
    assert judged("list >= 2", each="list")[1][0] == "list[0]: list >= 2"
    assert judged("CAST(x AS INT) > v", each="readings")[0] == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("each", "rule", "sentence"),
    [
        ("reading", "v > 0", "did you mean 'readings'"),
        ("age", "v > 0", "not a list"),
        ("readings", "w > 0", "no column 'w'"),
    ],
)
def test_each_refuses_what_is_not_nested(each, rule, sentence):
    with pytest.raises(Refusal, match=sentence):
        Rules([rule], each=each).judge(FRAME)


def test_an_error_in_a_nested_row_is_an_error_of_its_record():
    frame = pl.DataFrame({"r": [[{"v": "1"}, {"v": "a"}], [{"v": "2"}]]})
    verdicts = Rules(["CAST(v AS INT) > 0"], each="r").judge(frame)
    assert verdicts.status.to_list() == [2, 0]
    assert verdicts.reason[0].startswith("r[1]: CAST(v AS INT) > 0: ")


def test_contradictory_rules_are_refused_with_the_real_rows_they_leave():
    train = pl.DataFrame({"age": list(range(1000))})
    Rules(["age >= 0", "age < 5"]).fit(train, Schema(()))
    with pytest.raises(Refusal, match=r"`age > 5000` is met by 0 of 1,000 real rows;"):
        Rules(["age >= 0", "age > 5000"]).fit(train, Schema(()))
    with pytest.raises(Refusal, match=r"`age < 20` is met by 0 of 1,000 real rows together with the rules before it"):
        Rules(["age > 30", "age < 20"]).fit(train, Schema(()))


def test_a_condition_on_a_column_that_only_the_generator_adds_waits_for_it():
    check = Rules(["age >= 17", "email LIKE '%@%'"])
    check.fit(pl.DataFrame({"age": [20, 30]}), Schema(()))
    frame = pl.DataFrame({"age": [20, 30], "email": ["a@b", "c"]})
    check.expect(frame.schema)
    assert check.judge(frame).status.to_list() == [0, 1]
    with pytest.raises(Refusal, match="did you mean 'email'"):
        Rules(["emial = 'x'"]).expect(frame.schema)
    with pytest.raises(Refusal, match="cannot be computed where age is Int64"):
        Rules(["age LIKE 'x%'"]).expect(frame.schema)


def test_each_is_held_against_train_too():
    train = pl.DataFrame({"r": [[{"v": 1}], [{"v": 2}, {"v": 3}]], "limit": [5, 5]})
    Rules(["v < limit"], each="r").fit(train, Schema(()))
    with pytest.raises(Refusal, match="is met by 0 of 2 real rows"):
        Rules(["v > limit"], each="r").fit(train, Schema(()))


def test_the_spec_needs_at_least_one_rule():
    with pytest.raises(Refusal, match="all"):
        build("verify", {"use": "rules", "all": []})


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=40), st.integers(-5, 5))
def test_rules_agree_with_python_on_any_column(values, limit):
    frame = pl.DataFrame({"a": values}, schema={"a": pl.Int64})
    status = Rules([f"a >= {limit} OR a = -2"]).judge(frame).status.to_list()
    assert status == [int(v is not None and not (v >= limit or v == -2)) for v in values]


def test_a_date_compared_with_a_number_is_refused_before_there_is_a_row():
    with pytest.raises(Refusal, match="compares Date with a number"):
        Rules(["born > 2010"]).expect({"born": pl.Date()})
