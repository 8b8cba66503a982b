"""Every plugin of the project through the one contract; what a plugin needs to be told stands in a table here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sklearn.ensemble  # noqa: F401  only libraries that are already loaded can be limited
from threadpoolctl import threadpool_limits

from synthmill.cells import Bin, Cell, grid
from synthmill.conformance import check_check, check_generator, check_metric, check_monitor
from synthmill.data import adult
from synthmill.llm.model import Model
from synthmill.plugins import FAMILIES, Evidence, Request, Verdicts, build, find, known
from synthmill.real import Real, from_frame


def simulate(parameters: dict[str, Any], seed: int) -> dict[str, Any]:
    return {"sum": parameters["a"] + seed % 1000}


def adults_only(row: dict[str, Any]) -> bool:
    return bool(row["age"] >= 17)


def prose_first(messages: Any, *_: Any) -> str:
    """A judge that prefers whatever mill stands by a river."""
    return '{"better": "%s"}' % ("A" if "The mill" in messages[-1]["content"].split("[ANSWER B")[0] else "B")


TEXT: dict[str, dict[str, Any]] = {
    "document_qa": {"documents": str(Path(__file__).parents[1] / "docs" / "privacy.md"), "support": 0},
    "self_instruct": {},
    "textbook": {"words": 20},
    "exercise_text": {},
    "taxonomy": {"root": "cooking"},
    "table_text": {"columns": {"remark": "what a clerk noted"}},
    "label": {"column": "education", "labels": ["a", "b"]},
    "rewrite": {"column": "education", "longest": 50},
    **{n: {"column": "education"} for n in ("distill", "preference", "evolve", "backtranslate", "constitution", "persona", "conversation")},
}  # fmt: skip
"""Text generators, asked of the stub."""
CONFIG: dict[str, dict[str, Any]] = {
    "generate.faker": {"columns": {"who": "name", "city": "city"}},
    "generate.lab.regression": {"target": "age"},
    "generate.simulate.program": {"function": "test_conformance:simulate", "space": {"a": {"integers": [0, 9]}}},
    "generate.tabular.smote": {"target": "income"},
    **{
        f"generate.text.{name}": {"model": "stub", "facets": {"topic": ["law", "tea"]}, **config}
        for name, config in TEXT.items()
    },
    "filter.decontaminate": {"files": str(Path(__file__).parent / "filter" / "items.txt")},
    "filter.memorized": {"columns": ["mail"]},
    "filter.language": {"languages": ["en"]},
    "filter.unique": {"columns": ["id"]},
    "measure.fairness": {"sensitive": ["sex"]},
    "measure.judging": {"file": str(Path(__file__).parent / "measure" / "judge_check.json")},
    "verify.constraints": {
        "all": [{"inequality": ["capital_loss", "fnlwgt"]}, {"combinations": ["sex", "relationship"]}]
    },
    "verify.format": {"columns": ["note"]},
    "verify.instructions": {"column": "note", "all": [{"id": "no_comma"}]},
    "verify.judge": {"model": "stub", "question": None, "answer": "note", "threshold": 0},
    "verify.prefer": {
        "model": Model("stub", engine=prose_first),
        "reasons": False,
        "chosen": "one",
        "rejected": "two",
        "question": None,
    },
    "verify.program": {"function": "test_conformance:adults_only"},
    "verify.rules": {"all": ["age >= 17"]},
}
"""Configuration of the plugins that cannot do without."""
CELLS: dict[str, list[Cell]] = {
    "simulate.program": grid({"a": [1, 2]}, 1),
    **{f"text.{name}": grid({"topic": ["law"]}, 1) for name in TEXT},
    "tabular.copula": grid({"income": [">50K"], "age": [Bin(30, 40)]}, 1),
    "tabular.forest": [
        *grid({"income": [">50K"], "age": [Bin(30, 40)]}, 1),
        *grid({"fnlwgt": [Bin(150_000, 200_000)]}, 1),
    ],
    "tabular.independent": grid({"income": [">50K"], "age": [Bin(30, 40)]}, 1),
    "tabular.bootstrap": grid({"income": [">50K"]}, 1),
    "tabular.smote": grid({"income": [">50K"]}, 1),
}
"""Cells that generators which can condition must answer for."""


@pytest.fixture(scope="module")
def real() -> Real:
    table = (
        adult()
        .head(900)
        .with_columns(
            id=pl.format("C-{}", pl.int_range(900).cast(pl.String).str.zfill(5)),
            mail=pl.format("p{}@example.org", pl.int_range(900)),
        )
    )
    return from_frame(table, target="income", holdout=0.3)


def factory(family: str, use: str) -> Any:
    return lambda: build(family, {"use": use, **CONFIG.get(f"{family}.{use}", {})})


@pytest.mark.parametrize("use", known("generate"))
def test_generators(use: str, real: Real) -> None:
    completes = getattr(find("generate", use), "completes", False)
    columns = real.schema.names if completes else real.schema.modelled
    train = real.train.select(columns)
    given = train.head(40).drop("id", "mail") if completes else None
    check_generator(factory("generate", use), train, real.schema.select(columns), CELLS.get(use, ()), given)


def test_every_generator_that_conditions_is_asked_for_cells(real: Real) -> None:
    able = {u for u in known("generate") if hasattr(find("generate", u), "conditions")}
    assert able - {"simulate.degradation"} <= set(CELLS)


BAD = {
    "constraints": lambda t: t.with_columns(relationship=pl.lit("robot")),
    "unique": lambda t: None,
    "schema": lambda t: t.with_columns(sex=pl.lit("robot")),
    "program": lambda t: t.with_columns(age=pl.lit(3, pl.Int64)),
    "rules": lambda t: t.with_columns(age=pl.lit(3, pl.Int64)),
    "copies": lambda t: t,
    "duplicates": lambda t: None,
    "outliers": lambda t: t.with_columns(pl.lit(10**9, pl.Int64).alias(c) for c in ("age", "fnlwgt") if c in t.columns),
}


PROSE = (
    "The mill stands by the river and it has ground wheat for the people of the valley since the year it was built. In dry "
    "summers the wheel stops so the miller keeps a small engine in the shed behind the house. Visitors who come on Sundays "
    "may watch the stones turn and have a look at the old books that lie on the table by the door."
)
TEXT: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "answer": ({"answer": "the wheel", "evidence": PROSE}, {"answer": "a sail", "evidence": PROSE}),
    "evidence": (
        {"evidence": "the miller keeps a small engine", "source": PROSE},
        {"evidence": "no engine at all", "source": PROSE},
    ),
    "claims": (
        {"answer": "The mill stands by the river.", "context": PROSE},
        {"answer": "It was built in 1790.", "context": PROSE},
    ),
    "judge": ({"note": PROSE}, {"note": ""}),
    "prefer": ({"one": PROSE, "two": "x"}, {"one": "x", "two": PROSE}),
    "format": ({"note": PROSE}, {"note": "Dear [insert name]"}),
    "instructions": ({"note": PROSE}, {"note": "one, two"}),
    "language": ({"note": PROSE}, {"note": "Die Mühle steht am Fluss und dreht sich den ganzen Tag."}),
    "pii": ({"note": PROSE}, {"note": "Write to jo.doe@gmail.com"}),
    "quality": ({"note": PROSE}, {"note": "buy now"}),
    "toxicity": ({"note": PROSE}, {"note": "what the fuck"}),
}
"""Columns of text that the checks of text must pass and must reject."""


@pytest.mark.parametrize(("family", "use"), [(f, u) for f in ("verify", "filter") for u in known(f)])
def test_checks(family: str, use: str, real: Real) -> None:
    cls = find(family, use)
    if hasattr(cls, "examples"):
        config = getattr(cls, "example_config", {})
        check_check(lambda: cls(**config))
    columns = real.schema.names
    good = real.train.head(20) if use != "copies" else unlike(real).head(20)
    bad = BAD[use](real.train.head(20)) if use in BAD else None
    if use in TEXT:
        good, bad = (good.with_columns(pl.lit(v).alias(c) for c, v in columns.items()) for columns in TEXT[use])
    if bad is None:
        bad = good.clear()
    check_check(factory(family, use), real.train.select(columns), real.schema, good, bad)


def unlike(real: Real) -> pl.DataFrame:
    """Rows far from every real one: nobody has this mixture."""
    return real.train.with_columns(age=pl.lit(99, pl.Int64), race=pl.lit("Martian"))


def test_a_filter_rejects_what_it_remembers(real: Real) -> None:
    duplicates = build("filter", {"use": "duplicates", "rate": 0})
    duplicates.fit(real.train, real.schema)
    duplicates.remember(real.train.head(5))
    assert duplicates.judge(real.train.head(5)).status.to_list() == [1] * 5


@pytest.mark.parametrize("use", known("measure"))
def test_metrics(use: str, real: Real) -> None:
    columns = ["age", "education", "hours_per_week", "sex", "income"]
    train, holdout = real.train.select(columns).head(250), real.holdout.select(columns).head(120)
    rows = train.sample(200, with_replacement=True, seed=3)
    evidence = Evidence(rows, train, holdout, real.schema.select(columns), 1, "income")
    with threadpool_limits(1):  # as `evaluate` does; small trees spend their time waking threads
        check_metric(factory("measure", use), evidence)


@pytest.mark.parametrize("use", known("monitor"))
def test_monitors(use: str, real: Real) -> None:
    columns = real.schema.modelled
    train = real.train.select(columns)
    alike = {"sex": "Male", "race": "White", "relationship": "Husband", "occupation": "Sales"}
    drifted = pl.concat([train.with_columns(age=pl.lit(17, pl.Int64), **{c: pl.lit(v) for c, v in alike.items()})] * 20)
    check_monitor(factory("monitor", use), train, real.schema.select(columns), drifted)


def test_every_family_is_run() -> None:
    assert set(FAMILIES) == {"generate", "verify", "filter", "monitor", "measure"}


class Broken:
    """Breaks one promise at a time."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.calls = 0

    def schema(self) -> dict[str, pl.DataType]:
        return {"x": pl.Int64()}

    def conditions(self, axes: list[str]) -> bool:
        return True

    def generate(self, request: Request) -> pl.DataFrame:
        self.calls += 1
        seed = {"seedless": 0, "stateful": self.calls, "shared": id(self)}.get(self.how, request.seed)
        n = request.n + (self.how == "many")
        dtype = pl.Int32 if self.how == "typed" else pl.Int64
        return pl.DataFrame({"x": [seed * 31 % 1009 + i for i in range(n)]}, schema={"x": dtype})

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        self.calls += 1
        if self.how == "short":
            return Verdicts.all_pass(1)
        if self.how == "beside":
            return Verdicts.where(frame["x"] >= (frame["x"].mean() or 0), "small")
        if self.how == "mood":
            return Verdicts.where(pl.Series([self.calls % 2 == 1] * frame.height, dtype=pl.Boolean), "mood")
        if self.how == "mute":
            return Verdicts((frame["x"] <= 0).cast(pl.UInt8) * 2)
        return Verdicts.where(frame["x"] > (5 if self.how == "strict" else -5 if self.how == "lax" else 0), "small")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("seedless", "another seed gives the same rows"),
        ("stateful", "when it is asked again"),
        ("shared", "another seed gives the same rows|an equal plugin"),
        ("many", "41 rows were made where 40 were asked"),
        ("typed", "are not the declared"),
        ("cell", "lies outside it"),
    ],
)
def test_the_contract_catches_broken_generators(how: str, message: str) -> None:
    cells = grid({"x": [7]}, 1) if how == "cell" else []
    with pytest.raises(AssertionError, match=message):
        check_generator(lambda: Broken(how), cells=cells)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("short", "status has 1 entries for 4 rows"),
        ("mood", "asked again"),
        ("mute", "an error has no reason"),
        ("strict", "known-good row is rejected"),
        ("lax", "known-bad row passes"),
        ("beside", "rejected|depend on"),
    ],
)
def test_the_contract_catches_broken_checks(how: str, message: str) -> None:
    good, bad = pl.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [-1, -2]})
    check_check(lambda: Broken(""), good=good, bad=bad)
    with pytest.raises(AssertionError, match=message):
        check_check(lambda: Broken(how), good=good, bad=bad)
