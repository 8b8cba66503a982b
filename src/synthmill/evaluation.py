"""Every metric on the table, on tables known to be bad, and on fresh real rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import polars as pl

from .cells import Assign, Cell
from .frame import payload, row_keys
from .plugins import Evidence, Measure, Metric, build
from .refusal import Refusal
from .schema import Schema
from .tables.align import align

_FEWEST = 1_000


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
        measures = [_finite(asdict(m)) for m in self.measures]
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
    cells: Sequence[Cell] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Measures `synthetic`, from any tool, with the metrics in `uses` (`[{"use": "fidelity"}, ...]`).

    draws: tables of the same generator under other seeds; two or more widen the intervals by their spread.
    unfiltered: with what the `copies` filter took out. cells: how the table was rebalanced; metrics then see it at real
    shares (`at_real_shares`), save those that judge it as it was made (utility).
    Floors are train with each column shuffled alone ("independent") or train rows drawn again ("bootstrap");
    the ceiling ("fresh") is one half of train judged while the other half plays train, since half of train is as real
    as the holdout and leaves it whole. A metric that fails becomes measures of unknown value with its message.
    Raises Refusal when the tables cannot be compared at all or `uses` is wrong.
    """
    check_uses(uses)
    metrics = {prefix(u): build("measure", u, "evaluate") for u in uses}
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
    )
    fair = as_made
    if len(cells) > 1:
        fair = at_real_shares(as_made, cells)
        notes.append(
            f"cells were rebalanced: all but utility see {fair.synthetic.height:,} of {aligned.height:,} rows, at real shares"
        )
    with _one_thread():
        rows = _measure_all(metrics, as_made, fair, progress)
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


def _measure_all(
    metrics: Mapping[str, Metric], as_made: Evidence, fair: Evidence, progress: Callable[[str], None]
) -> list[Measure]:
    references: dict[str, Evidence] = {}
    rows = []
    for name, metric in metrics.items():
        progress(name)
        found = _measure(metric, as_made if getattr(metric, "as_made", False) else fair)
        bounds: dict[str, dict[str, Any]] = {m.name: {} for m in found}
        for kind in getattr(metric, "references", ()):
            progress(f"{name} on {kind}")
            if kind not in references:
                references[kind] = reference(kind, fair)
            for m in _measure(metric, references[kind]):
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
    """The same evidence with a table whose quality is known by construction, as large as the judged one."""
    rng, train, n = evidence.rng("reference", kind), evidence.train, evidence.synthetic.height
    if kind == "independent":
        columns = [train[c].gather(_draw(rng, train.height, n)) for c in train.columns]
        table = pl.DataFrame(columns)
    elif kind == "bootstrap":
        table = train[rng.integers(train.height, size=n)]
    elif kind == "fresh":
        half = _half(train, evidence.entity, rng)
        table, train = train.filter(half), train.filter(~half)
        table = table[np.sort(_draw(rng, table.height, min(n, table.height)))]
    else:
        raise Refusal(f"evaluate: '{kind}' is no reference; choices: independent, bootstrap, fresh")
    return replace(evidence, synthetic=table, train=train, draws=(), unfiltered=None, blend=None, reference=kind)


def _draw(rng: np.random.Generator, rows: int, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """n of `rows` row numbers, none oftener than it must be."""
    return np.concatenate([rng.permutation(rows) for _ in range(-(-n // max(1, rows)))] or [np.zeros(0, np.int64)])[:n]


def _half(frame: pl.DataFrame, entity: str | None, rng: np.random.Generator) -> pl.Series:
    from .tables.interval import entities

    groups = entities(frame, entity)
    n = int(groups.max(initial=-1)) + 1
    return pl.Series((rng.permutation(n) < n // 2)[groups])


def _counts(assign: Assign, frame: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    cell = assign(frame)
    return np.bincount(cell[cell >= 0], minlength=len(assign.cells))


def at_real_shares(evidence: Evidence, cells: Sequence[Cell]) -> Evidence:
    """Train and holdout within the cells; of the synthetic tables a subset in which each cell has train's share.

    Rows are drawn without replacement, never repeated: a repeated row would look like a copy to the privacy metrics and
    lend the others a certainty that is not there. A cell too short for its share of even 1,000 rows gives all it
    has; the deficit stays visible.
    """
    assign = Assign(cells)
    real = _counts(assign, evidence.train)
    if not real.sum():
        raise Refusal("evaluate: no train row lies in any cell of the cover")
    share = real / real.sum()

    def balanced(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        cell = assign(frame)
        have = _counts(assign, frame)
        wanted = share > 0
        size = max((have[wanted] / share[wanted]).min(), min(_FEWEST, frame.height))
        take = np.minimum(have, np.round(share * size).astype(np.int64))
        rng = evidence.rng("real shares", name)
        rows = [rng.permutation(np.flatnonzero(cell == c))[:k] for c, k in enumerate(take)]
        return frame[np.sort(np.concatenate(rows))]

    return replace(
        evidence,
        synthetic=balanced(evidence.synthetic, "synthetic"),
        draws=tuple(balanced(d, f"draw {i}") for i, d in enumerate(evidence.draws)),
        unfiltered=None if evidence.unfiltered is None else balanced(evidence.unfiltered, "unfiltered"),
        train=evidence.train.filter(pl.Series(assign(evidence.train) >= 0)),
        holdout=evidence.holdout.filter(pl.Series(assign(evidence.holdout) >= 0)),
    )
