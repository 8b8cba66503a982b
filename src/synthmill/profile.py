"""How every column and every pair of columns is distributed, real against synthetic, in aggregates fit to be shown.

Nothing here comes from fewer than FEWEST real entities (records, unless one is declared): rarer levels join the rest, sparse bins their neighbour, the
edges of bins are round numbers that many of them lie beyond, and so no extreme is ever named.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from .cells import Assign, Cell
from .frame import payload, rng_of
from .schema import MODELLED, Column, Schema
from .tables.encode import NUMERIC, Floats, Ints, numbers
from .tables.infer import infer
from .tables.interval import entities

FEWEST = 10
COLUMNS = 60
"""More than this are not shown: the worst are."""
_LEVELS = 10
_BINS = 30
_SPIKE = 0.4
"""A number's value that this share of records has is set apart: it would flatten everything else."""
_PAIR_ROWS = 20_000
_SECOND = 1_000_000
_TIMES = [
    _SECOND * s for s in (1, 5, 30, 60, 300, 1800, 3600, 21600, 86400, 604800, 2629800, 7889400, 31557600, 315576000)
]

Shares = list[float]


def profile(
    real: pl.DataFrame | None,
    synthetic: pl.DataFrame,
    schema: Schema | None = None,
    cells: Sequence[Cell] = (),
    entity: str | None = None,
) -> dict[str, Any]:
    """JSON data. columns: histograms (`edges`) or `levels` with shares of real and synthetic; pairs: dependence matrices.

    real: training rows, or None when there are none. Columns that `schema` does not know are judged from the synthetic
    table itself. cells: how it was rebalanced; each cell then counts at its share of real, `weighted` says so. entity:
    the column of real that names whose a row is. Beyond 60 columns the 60 whose distributions differ most are kept, and
    `of` says how many there were.
    """
    schema = schema or Schema(())
    rows = {"real": real.height if real is not None else None, "synthetic": synthetic.height}
    weighted = real is not None and len(cells) > 1 and all(a in real.columns for c in cells for a in c.where)
    if real is not None and weighted:
        real, synthetic = _at_real_shares(real, synthetic, cells)
    known = {n: schema[n] if n in schema else infer(synthetic.select(n))[n] for n in payload(synthetic)}
    who = entities(real, entity) if real is not None else np.zeros(0, np.int64)
    charted: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    for name, column in known.items():
        anchor = real[name] if real is not None and name in real.columns else None
        drawn = _column(column, anchor, who, synthetic[name])
        (left_out if drawn is None else charted).append(drawn or {"name": name, "kind": column.kind})
    worst = sorted(range(len(charted)), key=lambda i: (-(charted[i]["distance"] or 0.0), i))
    shown = [charted[i] for i in sorted(worst[:COLUMNS])]
    return {
        "rows": rows,
        "weighted": weighted,
        "fewest": FEWEST,
        "columns": shown,
        "of": len(charted),
        "left_out": left_out,
        "pairs": _pairs([known[c["name"]] for c in shown if c["kind"] in MODELLED], real, synthetic),
    }


def _at_real_shares(
    real: pl.DataFrame, synthetic: pl.DataFrame, cells: Sequence[Cell]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Real rows within the cells, and synthetic ones repeated or skipped evenly until each cell has real's share."""
    assign = Assign(cells)
    at, anchor = assign(synthetic), assign(real)
    have, wanted = (np.bincount(x[x >= 0], minlength=len(cells)) for x in (at, anchor))
    weight = np.append(wanted / np.maximum(have, 1), 0.0)[at]
    n, sums = synthetic.height, np.cumsum(weight)
    if not n or not sums[-1]:
        return real, synthetic
    rows = np.searchsorted(sums, (np.arange(n) + 0.5) / n * sums[-1])
    return real.filter(pl.Series(anchor >= 0)), synthetic[rows]


def _column(column: Column, real: pl.Series | None, who: Ints, synthetic: pl.Series) -> dict[str, Any] | None:
    """What is drawn of one column; None for what cannot be compared value by value. who: whose each real row is."""
    if isinstance(synthetic.dtype, pl.List):
        real = real.list.len() if real is not None and isinstance(real.dtype, pl.List) else None
        column, synthetic = Column(column.name, "nested", "UInt32"), synthetic.list.len()
    elif column.kind not in MODELLED:
        return None
    if real is not None and _people(who[real.is_not_null().to_numpy()]) < 2 * FEWEST:
        real = None
    numeric = column.kind in NUMERIC or column.kind == "nested"
    drawn = _histogram(column, real, who, synthetic) if numeric else _levels(real, who, synthetic)
    return {"name": column.name, "kind": column.kind, **drawn, "missing": _missing(real, who, synthetic)}


def _people(who: Ints) -> int:
    return len(np.unique(who))


def _missing(real: pl.Series | None, who: Ints, synthetic: pl.Series) -> dict[str, float | None]:
    """Shares; None where there is no real column, or so few missing that they are not shown."""
    few = real is None or 0 < _people(who[real.is_null().to_numpy()]) < FEWEST
    return {
        "real": None if real is None or few else _round(real.null_count() / len(real)),
        "synthetic": _round(synthetic.null_count() / max(1, len(synthetic))),
    }


def _levels(real: pl.Series | None, who: Ints, synthetic: pl.Series) -> dict[str, Any]:
    """Most frequent levels of real, then the rest as the last entry of the shares."""
    made = _counts(synthetic)
    held = _counts(real) if real is not None else made
    base, who = (real, who) if real is not None else (synthetic, np.arange(len(synthetic)))
    owned = pl.DataFrame({"v": base.cast(pl.String), "who": who}).drop_nulls("v").unique()
    owners = _counts(owned["v"])
    ranked = sorted((v for v, n in owners.items() if n >= FEWEST), key=lambda v: (-held[v], v))[:_LEVELS]
    while ranked and 0 < owned.filter(~pl.col("v").is_in(ranked))["who"].n_unique() < FEWEST:
        ranked.pop()
    shares = {"real": _of(held, ranked) if real is not None else None, "synthetic": _of(made, ranked)}
    return {"levels": ranked, **shares, "distance": _distance(shares["real"], shares["synthetic"])}


def _counts(s: pl.Series) -> dict[str, int]:
    values = s.drop_nulls().cast(pl.String).value_counts(sort=True)
    return dict(zip(values[s.name].to_list(), values["count"].to_list(), strict=True))


def _of(counts: dict[str, int], levels: list[str]) -> Shares:
    found = [counts.get(v, 0) for v in levels]
    total = sum(counts.values())
    return [_round(n / max(1, total)) for n in [*found, total - sum(found)]]


def _histogram(column: Column, real: pl.Series | None, who: Ints, synthetic: pl.Series) -> dict[str, Any]:
    """Bins are [a, b), the first and the last open; `spike` is a value set apart, whose share the bins leave out."""
    made = _known(synthetic)
    held = _known(real) if real is not None else None
    base = made if held is None else held
    who = np.arange(len(made)) if real is None else who[~np.isnan(numbers(real))]
    spike = _spike(base, who)
    apart = np.zeros(len(base), bool) if spike is None else base == spike
    rest, who = base[~apart], who[~apart]
    edges = _edges(rest, who, column) if _people(who) >= 2 * FEWEST else np.zeros(0)
    if held is not None and len(edges):
        edges = _merged(edges, _bins_of(rest, edges), who)
    shares = {
        "real": _bin_shares(held, edges, spike) if held is not None else None,
        "synthetic": _bin_shares(made, edges, spike),
    }
    return {
        "edges": edges.tolist(),
        "spike": spike,
        **shares,
        "distance": _distance(shares["real"], shares["synthetic"]),
    }


def _known(s: pl.Series) -> Floats:
    x = numbers(s)
    return x[~np.isnan(x)]


def _spike(x: Floats, who: Ints) -> float | None:
    values, counts = np.unique(x, return_counts=True)
    if len(values) <= _BINS or counts.max() < _SPIKE * len(x):
        return None
    value = float(values[np.argmax(counts)])
    return value if _people(who[x == value]) >= FEWEST else None


def _edges(x: Floats, who: Ints, column: Column) -> Floats:
    """About 30 bins of one round width, between the 0.5% quantiles or where FEWEST entities lie beyond, if that is nearer."""
    low, high = np.quantile(x, (0.005, 0.995))
    low, high = max(low, _reached_by_few(x, who)), min(high, -_reached_by_few(-x, who))
    step = _step((high - low) / _BINS, column)
    first, last = math.floor(low / step), math.floor(high / step)
    last -= last * step > high  # a quotient may round up, and the last bin would miss those who reach `high`
    return np.arange(min(first, last), last + 2) * step


def _reached_by_few(x: Floats, who: Ints) -> float:
    """The value that exactly FEWEST entities reach down to."""
    least = np.full(int(who.max()) + 1, np.inf)
    np.minimum.at(least, who, x)
    return float(np.sort(least[np.isfinite(least)])[FEWEST - 1])


def _step(width: float, column: Column) -> float:
    if column.kind == "datetime":
        return float(next((t for t in _TIMES if t >= width), _TIMES[-1]))
    if column.kind in ("integer", "nested"):
        width = max(width, 1.0)
    if width <= 0:
        return 10.0**-column.digits
    power = 10.0 ** math.floor(math.log10(width))
    return power * next(m for m, most in ((1, 1.4), (2, 3.2), (5, 7.1), (10, 10.1)) if width / power <= most)


def _bins_of(x: Floats, edges: Floats) -> Ints:
    return np.clip(np.searchsorted(edges, x, "right") - 1, 0, len(edges) - 2).astype(np.int64)


def _merged(edges: Floats, at: Ints, who: Ints) -> Floats:
    """Edges without those that would leave a bin with 1 to FEWEST - 1 entities; an empty bin tells of nobody.

    at: the bin of each row; who: whose it is. The last bin always holds FEWEST: see `_edges`.
    """
    kept, held = [float(edges[0])], np.zeros(0, np.int64)
    for i, edge in enumerate(edges[1:]):
        held = np.union1d(held, who[at == i])
        if len(held) == 0 or len(held) >= FEWEST:
            kept.append(float(edge))
            held = held[:0]
    return np.array(kept)


def _bin_shares(x: Floats, edges: Floats, spike: float | None) -> Shares:
    """Of all known values; the spike's share comes last where there is one."""
    total = max(1, len(x))
    apart = x == spike if spike is not None else np.zeros(len(x), bool)
    bins: Floats = np.zeros(0)
    if len(edges):
        bins = np.bincount(_bins_of(x[~apart], edges), minlength=len(edges) - 1) / total
    return [_round(v) for v in ([*bins, float(apart.mean()) if len(x) else 0.0] if spike is not None else bins)]


def _distance(real: Shares | None, synthetic: Shares | None) -> float | None:
    """Total variation: the share of records that would have to change."""
    if real is None or synthetic is None:
        return None
    return _round(float(np.abs(np.array(real) - np.array(synthetic)).sum() / 2))


def _round(x: float) -> float:
    return round(float(x), 5)


def _pairs(columns: list[Column], real: pl.DataFrame | None, synthetic: pl.DataFrame) -> dict[str, Any]:
    """Bias-corrected Cramer's V (Bergsma, 2013) of every pair, one measure for all kinds: numbers in eighths by rank.

    Columns without real values are compared by synthetic alone; larger tables by a random 20,000 rows.
    """
    if real is not None:
        columns = [c for c in columns if c.name in real.columns]
    tables = {"real": _sample(real, "real"), "synthetic": _sample(synthetic, "synthetic")}
    coded: dict[str, list[Ints]] = {side: [] for side, table in tables.items() if table is not None}
    for c in columns:
        parts = {side: table[c.name] for side, table in tables.items() if table is not None}
        base = parts.get("real", parts["synthetic"])
        for side, part in parts.items():
            coded[side].append(_quantile_codes(part, base) if c.kind in NUMERIC else _level_codes(part, base))
    matrices = {side: _matrix(codes) for side, codes in coded.items()}
    return {"names": [c.name for c in columns], "real": matrices.get("real"), "synthetic": matrices["synthetic"]}


def _sample(frame: pl.DataFrame | None, side: str) -> pl.DataFrame | None:
    if frame is None or frame.height <= _PAIR_ROWS:
        return frame
    return frame[np.sort(rng_of("profile", side).permutation(frame.height)[:_PAIR_ROWS])]


def _quantile_codes(s: pl.Series, base: pl.Series) -> Ints:
    """0: missing. A value that is itself a cut, such as a spike at zero, is a code of its own."""
    x, known = numbers(s), _known(base)
    cuts = np.unique(np.quantile(known, np.arange(1, 8) / 8)) if len(known) else np.zeros(0)
    return np.where(np.isnan(x), 0, 1 + np.searchsorted(cuts, x, "left") + np.searchsorted(cuts, x, "right"))


def _level_codes(s: pl.Series, base: pl.Series) -> Ints:
    """0: missing, then the most frequent levels of `base`, then all others together."""
    counts = _counts(base)
    levels = sorted(counts, key=lambda v: (-counts[v], v))[:11]
    at = dict(zip(levels, range(1, 12), strict=False))
    codes: Ints = s.cast(pl.String).replace_strict(at, default=12, return_dtype=pl.Int64).to_numpy()
    return np.where(s.is_null().to_numpy(), 0, codes)


def _matrix(codes: list[Ints]) -> list[list[float]]:
    v = np.eye(len(codes))
    for i, j in itertools.combinations(range(len(codes)), 2):
        v[i, j] = v[j, i] = round(_cramers_v(codes[i], codes[j]), 3)
    return v.tolist()


def _cramers_v(a: Ints, b: Ints) -> float:
    size = int(b.max(initial=0)) + 1
    joint = np.bincount(a * size + b, minlength=(int(a.max(initial=0)) + 1) * size).reshape(-1, size)
    joint = joint[joint.any(axis=1)][:, joint.any(axis=0)].astype(np.float64)
    n, (rows, columns) = joint.sum(), joint.shape
    if n < 2 or min(rows, columns) < 2:
        return 0.0
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0) / n
    excess = ((joint - expected) ** 2 / expected).sum() / n - (rows - 1) * (columns - 1) / (n - 1)
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return math.sqrt(min(1.0, max(0.0, excess) / least)) if least > 0 else 0.0
