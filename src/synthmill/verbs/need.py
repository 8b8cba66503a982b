"""What real data lacks, and a spec against it: rare cells, slices a model fails on, drift between two files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from synthmill.frame import payload, rng_of
from synthmill.gaps import Cells, cover_for, rare_cells
from synthmill.plugins import Evidence, Measure, build
from synthmill.proposal import propose
from synthmill.real import Real, from_frame, shared_rows
from synthmill.refusal import Refusal, choices
from synthmill.run import atomic, sentences
from synthmill.schema import Schema
from synthmill.tables.align import align
from synthmill.tables.drift import Drift, drifts
from synthmill.tables.encode import Floats, Ints, is_numeric, numbers
from synthmill.tables.interval import entities
from synthmill.tables.literals import FEWEST, literals
from synthmill.tables.read import read
from synthmill.tables.slices import Found, find

_ERRORS = ("error", "loss", "correct")
_PREDICTED = "prediction"
_FEWEST = 200
_SHARED = 0.05
_SHOWN = 10


@dataclass(frozen=True)
class Need:
    """cells: rare ones; found: failing slices, where a model's errors were given; drifted, c2st, same: of the second file
    (same: the classifier's score on two halves of the first, what no drift looks like). spec: the proposal, where it was
    written; lacking: whether its cells answer a gap, or are init's own."""

    rows: int
    cells: Cells
    found: Found | None
    drifted: tuple[Drift, ...]
    c2st: Measure | None
    same: Measure | None
    notes: tuple[str, ...]
    spec: Path
    lacking: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "rare": [r.to_json() for r in self.cells.single],
            "rare_pairs": [r.to_json() for r in self.cells.pairs],
            "unnamed": list(self.cells.unnamed),
            "slices": None if self.found is None else _slices_json(self.found),
            "drift": [_drift_json(d) for d in self.drifted],
            "c2st": {"against": _interval(self.c2st), "same": _interval(self.same)}
            if self.c2st and self.same
            else None,
            "notes": list(self.notes),
            "spec": str(self.spec),
        }

    def lines(self) -> Iterator[str]:
        """What a person reads."""
        yield from _rare_lines(self.cells, self.rows)
        if self.found is not None:
            yield from _slice_lines(self.found)
        if self.drifted and self.c2st and self.same:
            yield from _drift_lines(self.drifted, self.c2st, self.same)
        for note in self.notes:
            yield f"note: {note}"
        what = "against them" if self.lacking else "with init's own cells, since nothing above can be an axis"
        order = " (failing slices first, then drift, then rare cells)" if self.lacking else ""
        yield f"wrote {self.spec}, a spec {what}{order}; read it, then: synthmill preview {self.spec}"


def need(
    real: str | Path,
    out: str | Path = "need.yaml",
    *,
    model_errors: str | Path | None = None,
    error: str | None = None,
    against: str | Path | None = None,
    target: str | None = None,
    entity: str | None = None,
    table: str | None = None,
    seed: int = 0,
    force: bool = False,
) -> Need:
    """Finds the gaps of a real table and writes a spec against them.

    model_errors: a file with real rows and what a model made of them: a column `error`, `loss` or `correct` (or the one
    that `error` names), or `prediction` beside the target. against: a second real file of the same columns, the newer.
    No group of fewer than 10 people is named, and no count below 10 told. Raises Refusal for files that cannot be read
    or compared, and for a spec that is there already unless `force`.
    """
    out = Path(out)
    if out.exists() and not force:
        raise Refusal(f"{out}: is there already; --force overwrites it, -o names another")
    anchor = from_frame(read(real, table), target=target, entity=entity, holdout=None, accept_synthetic=True)
    train, schema = anchor.train, anchor.schema
    people = entities(train, entity)
    cells = rare_cells(train, schema, people, target)
    found, notes = None, list[str]()
    if model_errors is not None:
        found = _failing(model_errors, anchor, error, seed, notes)
    drifted, scores, newer, newer_people = _drifted(against, anchor, seed, notes) if against else ((), None, None, None)
    lines = cover_for(train, schema, cells, found, drifted, newer, people, newer_people, target)
    text = propose(real, table=table, target=target, out=out, cover=lines)
    with sentences(out):
        atomic(out, lambda f: f.write(text.encode()))
    c2st, same = scores or (None, None)
    return Need(train.height, cells, found, tuple(drifted), c2st, same, tuple(notes), out, lines is not None)


def _aligned(path: str | Path, frame: pl.DataFrame, anchor: Real) -> pl.DataFrame:
    try:
        made, _ = align(frame, anchor.train, anchor.schema)
    except Refusal as e:
        raise Refusal(
            f"{path}: {str(e).replace('the synthetic table', 'it').replace('the synthetic column', 'column')}"
        ) from None
    return made


def _failing(path: str | Path, anchor: Real, error: str | None, seed: int, notes: list[str]) -> Found:
    frame = read(path)
    rows = _aligned(path, frame, anchor)
    loss = _loss(path, frame, rows, anchor.schema, anchor.target, error)
    known = ~np.isnan(loss)
    if known.sum() < _FEWEST:
        raise Refusal(
            f"{path}: {int(known.sum())} rows with a known error are too few to find slices in; give {_FEWEST}"
        )
    if not known.all():
        notes.append(f"{int((~known).sum())} rows of {path} have no error told, and are left out")
    rows, loss = rows.filter(pl.Series(known)), loss[known]
    people = entities(rows, anchor.entity)
    some = literals(rows, anchor.schema, people)
    return find(some, loss, people, rng_of("need", seed, "slices"))


def _loss(
    path: str | Path, frame: pl.DataFrame, rows: pl.DataFrame, schema: Schema, target: str | None, error: str | None
) -> Floats:
    """(n,) larger is worse, NaN where unknown."""
    own = [n for n in frame.columns if n not in schema]
    if error is not None:
        if error not in frame.columns:
            raise Refusal(f"{path}: there is no column '{error}'; {choices(error, own or frame.columns)}")
        name = error
    else:
        name = next((n for n in _ERRORS if n in own), _PREDICTED)
    if name not in frame.columns:
        raise Refusal(
            f"{path}: it tells no errors: give a column {', '.join(_ERRORS)} or {_PREDICTED}, or name it (--error)"
        )
    if name == _PREDICTED and error is None:
        if target is None:
            raise Refusal(f"{path}: '{_PREDICTED}' needs the column that was predicted; name it (--target)")
        return _missed(frame[name], rows[target], is_numeric(schema, target))
    s = frame[name]
    s = s.cast(pl.Float64) if s.dtype == pl.Boolean else s
    if not s.dtype.is_numeric():
        raise Refusal(f"{path}: column '{name}' is {s.dtype}; errors are numbers, or true and false")
    loss = numbers(s)
    return 1 - loss if name == "correct" else loss


def _missed(guess: pl.Series, truth: pl.Series, numeric: bool) -> Floats:
    if numeric:
        return np.abs(numbers(guess) - numbers(truth))
    like = guess.cast(truth.dtype, strict=False).cast(pl.String) if guess.dtype.is_numeric() else guess.cast(pl.String)
    wrong = like != truth.cast(pl.String)
    return np.asarray(wrong.cast(pl.Float64).fill_null(np.nan).to_numpy(), np.float64)


def _drifted(
    path: str | Path, anchor: Real, seed: int, notes: list[str]
) -> tuple[list[Drift], tuple[Measure, Measure], pl.DataFrame, Ints]:
    frame = read(path)
    newer = _aligned(path, frame.select(payload(frame)), anchor)
    if min(newer.height, anchor.train.height) < 2 * FEWEST:
        raise Refusal(
            f"{path}: {newer.height} and {anchor.train.height} rows are too few to compare; give {2 * FEWEST} each"
        )
    extra = [c for c in payload(frame) if c not in anchor.schema]
    if extra:
        notes.append(f"columns of {path} that the first file does not have: {', '.join(extra)}")
    shared = shared_rows(anchor.train, newer)
    if shared > _SHARED:
        notes.append(
            f"{shared:.0%} of the rows of {path} are also in the first file: that hides drift; compare the new rows alone"
        )
    people = [entities(f, anchor.entity) for f in (anchor.train, newer)]
    found = drifts(anchor.train, newer, anchor.schema, people, rng_of("need", seed, "drift"))
    half = (rng_of("need", seed, "halves").permutation(int(people[0].max()) + 1) % 2 == 0)[people[0]]
    first, second = anchor.train.filter(pl.Series(half)), anchor.train.filter(pl.Series(~half))
    told = tuple(_c2st(a, b, anchor, seed) for a, b in ((anchor.train, newer), (first, second)))
    return found, (told[0], told[1]), newer, people[1]


def _c2st(real: pl.DataFrame, other: pl.DataFrame, anchor: Real, seed: int) -> Measure:
    """The metric's own, the first file as its held-out rows."""
    from threadpoolctl import threadpool_limits

    metric = build("measure", {"use": "detection", "kernel": False})
    with threadpool_limits(1):
        evidence = Evidence(other, real, real, anchor.schema, seed, anchor.target, entity=anchor.entity)
        found: list[Measure] = metric.measure(evidence)
    return next(m for m in found if m.name == "c2st")


def _rare_lines(cells: Cells, rows: int) -> Iterator[str]:
    yield f"rare cells of {rows:,} real rows"
    seen = [r for r in cells.pairs if r.people is not None]
    hardly = [r for r in cells.pairs if r.people is None]
    if not cells.single and not cells.pairs:
        yield "  none: every level has 1 in 20 rows or more, every pair of axes what its columns explain"
    for r in cells.single[:_SHOWN]:
        yield f"  {r.text}: {r.people:,} people, {100 * (r.share or 0):.2g}%"
    for r in seen[:_SHOWN]:
        yield f"  {r.text}: {r.people:,} people, where about {r.expected:,.0f} would be if the two were independent"
    if hardly:
        yield f"  fewer than {FEWEST} people, if any; some of these cannot be:"
    for r in hardly[:_SHOWN]:
        yield f"    {r.text} (about {r.expected:,.0f} if independent)"
    more = sum(len(some[_SHOWN:]) for some in (cells.single, seen, hardly))
    if more:
        yield f"  and {more} more (--json tells all)"
    if cells.unnamed:
        yield f"  values that fewer than {FEWEST} people have are not named: {', '.join(cells.unnamed)}"


def _slice_lines(found: Found) -> Iterator[str]:
    yield f"slices where the model fails (mean error {found.overall:.3g}; {found.tried:,} searched in one half, {found.tested} tested in the other)"
    if not found.slices:
        yield "  none that holds on the half it was not found in"
    for s in found.slices[:_SHOWN]:
        yield (f"  {s.text}: error {s.error:.3g}, elsewhere {s.rest:.3g} (difference {s.low:.3g} to {s.high:.3g}), "
               f"{s.share:.1%} of the rows, effect {s.effect:.2f}, p {_p(s.p)}")  # fmt: skip


def _drift_lines(rows: tuple[Drift, ...], c2st: Measure, same: Measure) -> Iterator[str]:
    yield (f"drift: a classifier tells the files apart with AUC {c2st.value:.3f} ({c2st.low:.3f} to {c2st.high:.3f}); "
           f"two halves of the first {same.value:.3f} ({same.low:.3f} to {same.high:.3f})")  # fmt: skip
    told = [d for d in rows if d.p < 0.05]
    for d in told[:_SHOWN]:
        yield (f"  {d.column}: {d.kind.upper()} {d.distance.value:.3f} ({d.distance.low:.3f} to {d.distance.high:.3f}), "
               f"PSI {d.psi.value:.3f} ({d.psi.low:.3f} to {d.psi.high:.3f}), p {_p(d.p)}")  # fmt: skip
    if len(told) < len(rows):
        rest = len(rows) - len(told)
        yield f"  {rest} column{'s' * (rest > 1)} no farther apart than chance explains (Holm, 5%)"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _slices_json(found: Found) -> dict[str, Any]:
    slices = [
        {"where": {one.column: one.level if isinstance(one.level, str | int | bool) else str(one.level) for one in s.literals},
         **{k: v for k, v in vars(s).items() if k != "literals"}}
        for s in found.slices
    ]  # fmt: skip
    return {"overall": found.overall, "tried": found.tried, "tested": found.tested, "found": slices}


def _drift_json(d: Drift) -> dict[str, Any]:
    return {"column": d.column, "kind": d.kind, "distance": _interval(d.distance), "psi": _interval(d.psi), "p": d.p}


def _interval(m: Measure | None) -> dict[str, float] | None:
    return None if m is None else {"value": m.value, "low": m.low, "high": m.high}
