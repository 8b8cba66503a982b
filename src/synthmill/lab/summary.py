"""The experiment's results: one row per measure of a generation, and what they come to over repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from .book import Book
from .chain import Arm
from .collapse import Plan
from .vitals import SHOWN

COLUMNS = {
    "regime": pl.String(), "real_share": pl.Float64(), "verified": pl.Boolean(), "repeat": pl.Int64(),
    "generation": pl.Int64(), "corpus": pl.Int64(), "corpus_real": pl.Float64(), "rows": pl.Int64(),
    "acceptance": pl.Float64(), "measure": pl.String(), "value": pl.Float64(), "low": pl.Float64(), "high": pl.Float64(),
}  # fmt: skip


def tidy(book: Book, plan: Plan) -> pl.DataFrame:
    """COLUMNS, one row per measure; generation 0 is the real table itself and has no regime. low, high: 95% over
    held-out rows; corpus: rows it was trained on, of which `corpus_real` are real; acceptance: of its candidates."""
    out: list[dict[str, Any]] = []
    for repeat in range(plan.repeats):
        whose: list[tuple[Arm | None, str]] = [(None, f"real-r{repeat}")]
        whose += [(a, f"{a.key}-r{repeat}") for a in plan.arms]
        for arm, key in whose:
            for g in book.chain(key)["generations"]:
                common = {
                    "regime": arm.regime if arm else None,
                    "real_share": arm.share if arm else None,
                    "verified": arm.verified if arm else None,
                    "repeat": repeat,
                    "generation": g["t"],
                    "corpus": g["corpus"],
                    "corpus_real": g["real"],
                    "rows": g["rows"],
                    "acceptance": g["rows"] / max(1, g["judged"]),
                }
                for name, (value, low, high) in g["measures"].items():
                    out.append(common | {"measure": name, "value": value, "low": low, "high": high})
    return pl.DataFrame(out, schema=COLUMNS)


def summary(book: Book, plan: Plan, about: Mapping[str, Any]) -> dict[str, Any]:
    """JSON data: per arm, measure and generation n, mean, median, lowest and highest over repeats; and which chains ended
    early, with the reason. n counts the repeats that still lived: those that ended are in no average."""
    table = tidy(book, plan)
    real = table.filter(pl.col("regime").is_null())
    arms = []
    for arm in plan.arms:
        mine = table.filter(
            (pl.col("regime") == arm.regime)
            & (pl.col("real_share") == arm.share)
            & (pl.col("verified") == arm.verified)
        )
        ended = [book.chain(f"{arm.key}-r{r}")["ended"] for r in range(plan.repeats)]
        arms.append(
            {
                "regime": arm.regime, "share": arm.share, "verified": arm.verified, "label": arm.label,
                "ended": [e for e in ended if e],
                "acceptance": _points(mine.unique(["repeat", "generation"], maintain_order=True), "acceptance"),
                "points": {m: _points(mine.filter(pl.col("measure") == m), "value") for m in SHOWN},
            }
        )  # fmt: skip
    yard = {m: _points(real.filter(pl.col("measure") == m), "value") for m in SHOWN}
    return {**about, "measures": list(SHOWN), "real": {m: p[0] for m, p in yard.items() if p}, "arms": arms}


def _points(rows: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    out = []
    for t in sorted(set(rows["generation"])):
        values = rows.filter(pl.col("generation") == t)[column].drop_nulls().to_numpy()
        if len(values):
            out.append({"t": t, **over_repeats(values.tolist())})
    return out


def over_repeats(values: Sequence[float]) -> dict[str, float | int]:
    x = np.asarray(values, np.float64)
    return {"n": len(x), "mean": float(x.mean()), "median": float(np.median(x)), "low": float(x.min()), "high": float(x.max())}  # fmt: skip
