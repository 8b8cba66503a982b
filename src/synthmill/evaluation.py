"""Every metric on the table, on tables known to be bad, and on fresh real rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import polars as pl

from .cells import Cell
from .frame import payload, row_keys
from .plugins import Evidence, Measure, Metric, build
from .refusal import Refusal
from .schema import Schema
from .shares import ENOUGH, Stratum, at_real_shares, pool, spread_over, strata
from .tables.align import align
from .tables.encode import is_numeric, numbers

_NAMED = 4
"""Cells that a note names; beyond, it counts them."""
_DAY = 86_400_000_000


class Anchor(Protocol):
    """What evaluation needs of the real data; `synthmill.real.Real` has it."""

    @property
    def train(self) -> pl.DataFrame: ...
    @property
    def holdout(self) -> pl.DataFrame: ...
    @property
    def schema(self) -> Schema: ...
    @property
    def target(self) -> str | None: ...
    @property
    def entity(self) -> str | None: ...


@dataclass(frozen=True)
class Evaluation:
    """Measures under their full names (`utility.gap`). sizes: rows of each table; notes: what was done to them."""

    measures: tuple[Measure, ...]
    sizes: dict[str, int]
    notes: tuple[str, ...] = ()

    def get(self, name: str) -> Measure | None:
        return next((m for m in self.measures if m.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """JSON data; what is unknown or unbounded is null."""
        measures = [{k: v for k, v in _finite(asdict(m)).items() if k != "uncut"} for m in self.measures]
        return {"version": 1, "sizes": self.sizes, "notes": list(self.notes), "measures": measures}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        numbers = ("value", "low", "high")
        measures = [
            Measure(**{**m, **{n: math.nan if m[n] is None else m[n] for n in numbers}}) for m in data["measures"]
        ]
        return cls(tuple(measures), dict(data["sizes"]), tuple(data["notes"]))


def _finite(x: Any) -> Any:
    if isinstance(x, float):
        return float(x) if math.isfinite(x) else None
    if isinstance(x, Mapping):
        return {k: _finite(v) for k, v in x.items()}
    return [_finite(v) for v in x] if isinstance(x, list | tuple) else x


def evaluate(
    synthetic: pl.DataFrame,
    real: Anchor,
    uses: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    draws: Sequence[pl.DataFrame] = (),
    unfiltered: pl.DataFrame | None = None,
    blend: pl.DataFrame | None = None,
    anchored: int | None = None,
    cells: Sequence[Cell] = (),
    progress: Callable[[str], None] = lambda _: None,
    opened: Callable[[str, Metric], None] = lambda use, metric: None,
) -> Evaluation:
    """Measures `synthetic`, from any tool, with the metrics in `uses` (`[{"use": "fidelity"}, ...]`).

    draws: tables of the same generator under other seeds; two or more widen the intervals by their spread.
    unfiltered: with what the `copies` filter took out. anchored: how many rows of `blend`, its first, are real.
    cells: how the table was rebalanced. Metrics with `pooled` are then computed within cells and pooled at train's
    shares (`shares.strata`, `shares.pool`), those with `as_made` see the table as it was made, the others a subset at
    real shares (`shares.at_real_shares`).
    opened: is called with every metric before it measures, so that those that ask models do so at the run's expense.
    Floors and the ceiling: `reference`. A metric that fails becomes measures of unknown value with its message.
    Raises Refusal when the tables cannot be compared at all or `uses` is wrong.
    """
    check_uses(uses)
    metrics = {prefix(u): build("measure", u, "evaluate") for u in uses}
    for name, metric in metrics.items():
        opened(name, metric)
    train, holdout = real.train.select(payload(real.train)), real.holdout.select(payload(real.holdout))
    aligned, notes = align(synthetic, train, real.schema)
    if not aligned.height:
        raise Refusal("the synthetic table has no rows")
    notes += _leak(aligned, train, holdout, real.schema)

    def read(frame: pl.DataFrame) -> pl.DataFrame:
        return align(frame, train, real.schema)[0]

    as_made = Evidence(
        aligned,
        train,
        holdout,
        real.schema,
        seed,
        real.target,
        tuple(read(d) for d in draws),
        read(unfiltered) if unfiltered is not None else None,
        read(blend) if blend is not None else None,
        entity=real.entity,
        anchored=anchored,
    )
    views = _Views(as_made, cells)
    notes += views.notes(metrics)
    with _one_thread():
        rows = _measure_all(metrics, views, progress)
    tables = {"synthetic": aligned, "train": train, "holdout": holdout, "unfiltered": unfiltered, "blend": blend}
    sizes = {k: t.height for k, t in tables.items() if t is not None} | {"draws": len(draws)}
    return Evaluation(tuple(rows), sizes, tuple(notes))


def _leak(synthetic: pl.DataFrame, train: pl.DataFrame, holdout: pl.DataFrame, schema: Schema) -> list[str]:
    """A sentence when rows equal held-out ones oftener than held-out rows equal train's: the generator has seen them."""
    made, learned, held = (row_keys(f.select(schema.modelled)) for f in (synthetic, train, holdout))
    own = held[~np.isin(held, learned)]
    seen, chance = np.isin(made, own).sum() / max(1, len(made)), 1 - len(own) / max(1, len(held))
    if seen <= 0.01 + chance:
        return []
    return [f"{seen:.1%} of the rows equal held-out rows that train lacks: whatever made them has seen the holdout, so "
            "privacy and utility look better than they are"]  # fmt: skip


def prefix(use: Mapping[str, Any]) -> str:
    """`fidelity` for `use: fidelity`; the class's name in lower case for a third party's `package.module:Class`."""
    return str(use["use"]).rpartition(":")[2].lower()


def check_uses(uses: Sequence[Mapping[str, Any]]) -> None:
    """Raises Refusal when two metrics would answer under the same names."""
    for name, count in Counter(prefix(u) for u in uses).items():
        if count > 1:
            raise Refusal(f"evaluate: use: '{name}' is listed {count} times; its measures would share their names")


def _one_thread() -> Any:
    """Sums inside a matrix product may depend on the number of threads; trees do not, but on a machine that is
    also doing something else their spinning threads made them five times slower, and on an idle one they gain a third."""
    import sklearn.ensemble  # noqa: F401  only libraries that are already loaded can be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


class _Views:
    """How each metric wants to see the table, and the references seen alike; what several want is made once."""

    def __init__(self, as_made: Evidence, cells: Sequence[Cell]) -> None:
        self.made = fair = as_made
        self.whole, self.fair = [Stratum("", 1.0, as_made)], [Stratum("", 1.0, fair)]
        self.strata = self.fair
        if len(cells) > 1:
            self.fair = [Stratum("", 1.0, at_real_shares(as_made, cells))]
            self.strata = strata(as_made, cells)
        self.rebalanced = len(cells) > 1
        self.together = spread_over(as_made, self.strata)
        self._references: dict[tuple[str, int], Evidence] = {}

    def of(self, metric: Metric) -> list[Stratum]:
        if getattr(metric, "as_made", False):
            return self.whole
        return self.strata if getattr(metric, "pooled", False) else self.fair

    def measure(self, metric: Metric, kind: str = "") -> list[Measure]:
        """Of the table, or of one of its references."""
        seen = self.of(metric)
        return pool([(s, _measure(metric, self._evidence(s, kind))) for s in seen], self.together)

    def _evidence(self, stratum: Stratum, kind: str) -> Evidence:
        if not kind:
            return stratum.evidence
        key = kind, id(stratum)
        if key not in self._references:
            self._references[key] = reference(kind, stratum.evidence)
        return self._references[key]

    def notes(self, metrics: Mapping[str, Metric]) -> list[str]:
        """What who saw of a rebalanced table, in one sentence."""
        if not self.rebalanced:
            return []
        whose: dict[int, list[str]] = {}
        for name, metric in metrics.items():
            whose.setdefault(id(self.of(metric)), []).append(name)
        rows, fair = self.made.synthetic.height, self.fair[0].evidence.synthetic.height
        told = {
            id(self.strata): f"within cells ({_cells(self.strata)}), pooled at real shares",
            id(self.fair): f"on {fair:,} of {rows:,} rows, at real shares",
            id(self.whole): "on the table as it was made",
        }
        said = [f"{_listed(whose[k])} {how}" for k, how in told.items() if k in whose]
        return [f"cells were rebalanced: measured are {'; '.join(said)}"] if said else []


def _cells(strata: Sequence[Stratum]) -> str:
    if len(strata) <= _NAMED:
        return ", ".join(s.label for s in strata)
    alone, joined = sum(s.cells == 1 for s in strata), sum(s.cells for s in strata if s.cells > 1)
    rest = f", {joined} smaller ones together" if joined else ""
    return f"{alone} with at least {ENOUGH} held-out records{rest}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _measure_all(metrics: Mapping[str, Metric], views: _Views, progress: Callable[[str], None]) -> list[Measure]:
    rows = []
    for name, metric in metrics.items():
        progress(name)
        found = views.measure(metric)
        bounds: dict[str, dict[str, Any]] = {m.name: {} for m in found}
        for kind in getattr(metric, "references", ()):
            progress(f"{name} on {kind}")
            for m in views.measure(metric, kind):
                if m.name in bounds and math.isfinite(m.value):
                    bounds[m.name]["ceiling" if kind == "fresh" else "floor"] = m.value
        for m in found:  # what a reference scores does not depend on what the filter took out of the run
            known = bounds[m.name] or bounds.get(m.name.removesuffix("_unfiltered"), {})
            rows.append(replace(replace(m, **known), name=f"{name}.{m.name}"))
    return rows


def _measure(metric: Metric, evidence: Evidence) -> list[Measure]:
    """A metric's failure is data: its measures are then unknown, and the others go on."""
    try:
        return metric.measure(evidence)
    except (Exception, pl.exceptions.PanicException) as e:
        message = str(e) if isinstance(e, Refusal) else f"{type(e).__name__}: {e}"
        names = [n for n in getattr(metric, "measures", ("unknown",)) if not n.endswith("_unfiltered")]
        return [Measure(n, math.nan, math.nan, math.nan, "none", note=f"unknown: {message}") for n in names]


def reference(kind: str, evidence: Evidence) -> Evidence:
    """The same evidence with a table whose quality is known by construction, as large as the judged one.

    Floors: "uniform": every column uniform over train's levels, or between its extremes; "independent": each of train's
    columns shuffled alone; "bootstrap": train rows drawn again. Ceiling: "fresh": one half of train while the other half
    plays train, since half of train is as real as the holdout and leaves it whole.
    The blend is mixed anew from that train and that table, in the shares of the judged one.
    """
    rng, train, n = evidence.rng("reference", kind), evidence.train, evidence.synthetic.height
    if kind == "uniform":
        table = pl.DataFrame([_uniform(train[c], evidence.schema, n, rng) for c in train.columns])
    elif kind == "independent":
        columns = [train[c].gather(_draw(rng, train.height, n)) for c in train.columns]
        table = pl.DataFrame(columns)
    elif kind == "bootstrap":
        table = train[rng.integers(train.height, size=n)]
    elif kind == "fresh":
        half = _half(train, evidence.entity, rng)
        table, train = train.filter(half), train.filter(~half)
        table = table[np.sort(_draw(rng, table.height, min(n, table.height)))]
    else:
        raise Refusal(f"evaluate: '{kind}' is no reference; choices: uniform, independent, bootstrap, fresh")
    blend = _blended(evidence, train, table)
    return replace(evidence, synthetic=table, train=train, draws=(), unfiltered=None, blend=blend, reference=kind)


def _uniform(column: pl.Series, schema: Schema, n: int, rng: np.random.Generator) -> pl.Series:
    """n values that know nothing of the column but its levels (missing is one) or its extremes and its missing share."""
    if column.name not in schema.modelled:
        return column.gather(rng.integers(len(column), size=n))  # no metric looks
    x = numbers(column) if is_numeric(schema, column.name) else np.zeros(0)
    known = x[np.isfinite(x)]
    if not len(known):
        levels = column.unique().sort()
        return levels.gather(rng.integers(len(levels), size=n))
    low, high = known.min(), known.max()
    timed = column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime)
    step = _DAY if column.dtype == pl.Date else 1 if column.dtype.is_integer() or column.dtype.is_temporal() else 0
    if step:
        drawn = low + step * rng.integers(int((high - low) // step), size=n, endpoint=True)
    else:
        drawn = rng.uniform(low, high, n)
    missing = rng.random(n) >= len(known) / len(x)
    made = pl.Series(column.name, np.where(missing, np.nan, drawn)).fill_nan(None)
    made = made.cast(pl.Int64, strict=False) if step else made
    made = made.cast(pl.Datetime("us")) if timed else made
    return made.cast(column.dtype, strict=False)


def _blended(evidence: Evidence, train: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame | None:
    """None where it is not known how the blend was mixed: a metric then stacks train and table as it does without one."""
    if evidence.blend is None or evidence.anchored is None:
        return None
    shared = [c for c in evidence.blend.columns if c in train.columns and c in table.columns]
    parts = (train, evidence.anchored), (table, evidence.blend.height - evidence.anchored)
    scale = min([1.0, *(p.height / n for p, n in parts if n)])
    rng = evidence.rng("reference", "blend")
    return pl.concat([p.select(shared)[np.sort(_draw(rng, p.height, int(n * scale)))] for p, n in parts])


def _draw(rng: np.random.Generator, rows: int, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """n of `rows` row numbers, none oftener than it must be."""
    return np.concatenate([rng.permutation(rows) for _ in range(-(-n // max(1, rows)))] or [np.zeros(0, np.int64)])[:n]


def _half(frame: pl.DataFrame, entity: str | None, rng: np.random.Generator) -> pl.Series:
    from .tables.interval import entities

    groups = entities(frame, entity)
    n = int(groups.max(initial=-1)) + 1
    return pl.Series((rng.permutation(n) < n // 2)[groups])
