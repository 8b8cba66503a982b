"""The contract of every plugin, as functions for anyone's tests: `check_generator`, `check_check`, `check_metric`, `check_monitor`.

Each takes a factory, because determinism shows only between two plugins that know nothing of each other, and raises
AssertionError with one sentence for the first promise that is broken.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from .cells import ANY, Cell
from .frame import Status, rng_of
from .origins import Origins
from .plugins import Evidence, Measure, Request, Verdicts
from .schema import Schema

Factory = Callable[[], Any]
ROWS = 40


def check_generator(
    make: Factory,
    train: pl.DataFrame | None = None,
    schema: Schema | None = None,
    cells: Sequence[Cell] = (),
    given: pl.DataFrame | None = None,
) -> None:
    """A generator's promises. train, schema: what it is fitted on; cells: some that it says it can answer for;
    given: rows to complete, for one that completes."""
    held = train.clone() if train is not None else None
    one, other = _fitted(make, train, schema), _fitted(make, train, schema)
    columns = one.schema()
    _demand(bool(columns), "schema() names no column")
    _demand(not any(c.startswith("_") for c in columns), "names that start with '_' are synthmill's own")
    asked = _request(ROWS, given)
    first = _answer(one, asked)
    _demand(given is not None or first.height > 0, f"none of {ROWS} rows asked for was made")
    other_seed, other_cell = _request(ROWS, given, seed=2), _request(ROWS, given, seed=3, ordinal=1, k=1)
    different = _answer(one, other_seed)
    _demand(not different.equals(first), "another seed gives the same rows")
    _demand(not _answer(one, other_cell).equals(different), "another request gives the same rows")
    _demand(_answer(one, asked).equals(first), "the same request gives other rows when it is asked again later")
    _demand(_answer(other, asked).equals(first), "an equal plugin gives other rows for the same request")
    for n in (0, 1):
        _answer(one, _request(n, given.head(n) if given is not None else None))
    _demand(held is None or train is None or held.equals(train), "fit changed train")
    if hasattr(one, "origins"):
        _check_origins(one, asked, first, train)
    if train is not None and hasattr(one, "fit"):
        _check_saved(make, one, asked, first)
    for cell in cells:
        axes = list(cell.where)
        _demand(bool(one.conditions(axes)), f"conditions({axes}) is not true")
        inside = _answer(one, _request(ROWS, given, cell=cell))
        _demand(inside.height > 0, f"no row was made for the cell {cell.label}")
        _demand(inside.filter(~cell.holds()).is_empty(), f"a row asked for the cell {cell.label} lies outside it")


def check_check(
    make: Factory,
    train: pl.DataFrame | None = None,
    schema: Schema | None = None,
    good: pl.DataFrame | None = None,
    bad: pl.DataFrame | None = None,
    alone: bool = True,
) -> None:
    """A check's promises. good, bad: rows it must pass and must reject (default: its own `examples()`, on which it is
    then fitted if there is no train). alone: its verdict on a row does not depend on the rows beside it."""
    if good is None or bad is None:
        good, bad = make().examples()
        if train is None:
            from .tables.infer import infer, observed

            train, schema = good, observed(infer(good), good)
    one, other = _fitted(make, train, schema), _fitted(make, train, schema)
    both = pl.concat([good, bad])
    held = both.clone()
    verdicts = _judged(one, both)
    _demand(held.equals(both), "judge changed the frame")
    _demand(_same(_judged(one, both), verdicts), "judge gives other verdicts when it is asked again")
    _demand(_same(_judged(other, both), verdicts), "an equal plugin gives other verdicts")
    _judged(one, both.clear())
    passed = _judged(one, good)["status"]
    _demand(
        (passed == Status.PASS).all(), f"a known-good row is rejected: {good.filter(passed > 0).head(1).to_dicts()}"
    )
    rejected = _judged(one, bad)["status"]
    _demand((rejected > 0).all(), f"a known-bad row passes: {bad.filter(rejected == 0).head(1).to_dicts()}")
    if alone and not hasattr(one, "remember"):
        order = rng_of("conformance", "order").permutation(both.height)
        _demand(_same(_judged(one, both[order]), verdicts[order]), "verdicts depend on the order of the rows")
        parts = pl.concat([_judged(one, both[i : i + 1]) for i in range(both.height)])
        _demand(_same(parts, verdicts), "verdicts depend on the rows beside")
    if hasattr(one, "remember"):
        one.remember(good)
        for start in range(0, good.height, 2):
            other.remember(good[start : start + 2])
        _demand(_same(_judged(one, both), _judged(other, both)), "what is remembered depends on how batches were split")


def check_metric(make: Factory, evidence: Evidence) -> None:
    """A metric's promises."""
    held = evidence.synthetic.clone()
    measured: list[Measure] = make().measure(evidence)
    _demand(bool(measured), "measure() answers nothing")
    _demand(held.equals(evidence.synthetic), "measure changed the table")
    names = [m.name for m in measured]
    _demand(len(set(names)) == len(names), f"a name is given twice: {names}")
    declared = getattr(make(), "measures", None)
    _demand(declared is None or set(names) <= set(declared), f"{names} are not all among its declared {declared}")
    for m in measured:
        if not math.isfinite(m.value):
            _demand(bool(m.note), f"{m.name} is unknown and no note says why")
            continue
        low, high = (-math.inf if math.isnan(m.low) else m.low), (math.inf if math.isnan(m.high) else m.high)
        _demand(low <= m.value <= high, f"{m.name}: {m.value} lies outside its interval {m.low} to {m.high}")
        json.dumps(m.detail)
    again = make().measure(evidence)
    _demand(repr(again) == repr(measured), "the same evidence gives other numbers")


def check_monitor(make: Factory, train: pl.DataFrame, schema: Schema, drifted: pl.DataFrame) -> None:
    """A monitor's promises. drifted: records it must ring at, where it must stay silent on train's own."""
    one, other = _fitted(make, train, schema), _fitted(make, train, schema)
    _demand(one.observe(train) is None, "rings at the real data itself")
    _demand(other.observe(train) is None, "rings at the real data itself")
    if hasattr(one, "state"):
        resumed = _fitted(make, train, schema)
        resumed.load(json.loads(json.dumps(one.state())))
        one = resumed
    alarm = one.observe(drifted)
    _demand(alarm is not None, "stays silent when the records drift")
    _demand(alarm == other.observe(drifted), "rings otherwise after state() and load()")


def _demand(holds: bool | None, broken: str) -> None:
    if not holds:
        raise AssertionError(broken)


def _fitted(make: Factory, train: pl.DataFrame | None, schema: Schema | None) -> Any:
    plugin = make()
    if hasattr(plugin, "fit") and train is not None:
        plugin.fit(train, schema)
    return plugin


def _request(n: int, given: pl.DataFrame | None, **changes: Any) -> Request:
    rows = given.height if given is not None else n
    return Request(**{"k": 0, "cell": Cell(ANY, (), 0), "ordinal": 0, "n": rows, "seed": 1, "given": given, **changes})


def _answer(plugin: Any, request: Request) -> pl.DataFrame:
    """The usable part of an answer, whose shape is what was declared."""
    frame = plugin.generate(request)
    _demand(isinstance(frame, pl.DataFrame), f"generate answers {type(frame).__name__}, not a polars.DataFrame")
    _demand(frame.height <= request.n, f"{frame.height} rows were made where {request.n} were asked")
    if request.given is not None:
        _demand(frame.height == request.n, f"{frame.height} of {request.n} given rows were completed")
        mine = [c for c in frame.columns if c in plugin.schema()]
        others = [c for c in request.given.columns if c not in mine and c in frame.columns]
        _demand(frame.select(others).equals(request.given.select(others)), "a given column was changed")
        frame = frame.select(mine)
    made = {c: t for c, t in frame.schema.items() if c not in ("_error", "_asked", "_parents")}
    _demand(made == plugin.schema(), f"the answer's columns {made} are not the declared {plugin.schema()}")
    return frame


def _check_origins(plugin: Any, asked: Request, expected: pl.DataFrame, train: pl.DataFrame | None) -> None:
    found: Origins = plugin.origins(asked)
    _demand(found.made.equals(expected), "origins() tells of other rows than generate() makes")
    lacking = [s for c in expected.columns for s in found.drawn(c) if s not in found.rows.columns]
    _demand(not lacking, f"origins() does not tell where {lacking} come from")
    n, rows = expected.height, [s.drop_nulls() for s in found.rows]
    _demand(
        all(
            f.height == n for f in (found.rows, *found.values.values(), *([found.record] if found.record.width else []))
        ),
        f"origins() is not of {n} rows",
    )
    inside = train is None or all(s.is_between(0, train.height - 1).all() for s in rows)
    _demand(inside, "origins() names rows that train does not have")


def _check_saved(make: Factory, plugin: Any, asked: Request, expected: pl.DataFrame) -> None:
    _demand(hasattr(plugin, "save") and hasattr(plugin, "load"), "what is fitted cannot be saved and loaded")
    with tempfile.TemporaryDirectory() as folder:
        plugin.save(Path(folder))
        files = [p for p in Path(folder).rglob("*") if p.is_file()]
        pickled = [p.name for p in files if p.suffix in (".pkl", ".pickle", ".joblib", ".pt")]
        _demand(not pickled, f"the saved model holds pickles: {pickled}")
        loaded = make()
        loaded.load(Path(folder))
    _demand(loaded.schema() == plugin.schema(), "after save and load the schema is another")
    _demand(_answer(loaded, asked).equals(expected), "after save and load the same request gives other rows")


def _judged(check: Any, frame: pl.DataFrame) -> pl.DataFrame:
    """Verdicts as a frame: status, score, reason."""
    verdicts = check.judge(frame)
    _demand(isinstance(verdicts, Verdicts), f"judge answers {type(verdicts).__name__}, not Verdicts")
    n = frame.height
    for name in ("status", "score", "reason"):
        given = getattr(verdicts, name)
        if isinstance(given, pl.Series):
            _demand(len(given) == n, f"{name} has {len(given)} entries for {n} rows")
    status = verdicts.status.cast(pl.UInt8)
    _demand(status.is_in([Status.PASS, Status.FAIL, Status.ERROR]).all(), f"a status is none of 0, 1, 2: {set(status)}")
    score = pl.Series([None] * n, dtype=pl.Float32) if verdicts.score is None else verdicts.score.cast(pl.Float32)
    reason = (
        verdicts.reason if isinstance(verdicts.reason, pl.Series) else pl.Series([verdicts.reason] * n, dtype=pl.String)
    )
    made = pl.DataFrame({"status": status, "score": score, "reason": reason.cast(pl.String)})
    _demand(made.filter(status=Status.ERROR)["reason"].null_count() == 0, "an error has no reason")
    return made.with_columns(reason=pl.when(pl.col("status") > 0).then("reason"))


def _same(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    return one.equals(other, null_equal=True)
