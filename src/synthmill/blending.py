"""The blend: accepted synthetic records mixed with real training records at a deliberate ratio."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from .cells import Assign, Cell
from .frame import payload, rng_of
from .refusal import Refusal
from .run import atomic, write_parquet
from .spec import BlendNeed


@dataclass(frozen=True)
class Blend:
    """frame: payload, `_id`, `_origin`, `_depth`, `_weight`. notes: what could not be as asked."""

    frame: pl.DataFrame
    real: int
    synthetic: int
    notes: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.real / max(1, self.real + self.synthetic)


def blend(synthetic: pl.DataFrame, real: pl.DataFrame, need: BlendNeed, seed: int, cells: Sequence[Cell] = ()) -> Blend:
    """Mixes so that `need.real` of the whole is real. Where either side is too small the whole shrinks, and a note says so.

    real: training records with `_id`, `_depth`; the holdout is never among them. Rows are drawn without replacement.
    """
    if need.max_depth is not None:
        synthetic = synthetic.filter(pl.col("_depth") <= need.max_depth)
    columns = [c for c in payload(synthetic) if c in real.columns]
    sides = {"synthetic": synthetic, "real": real.with_columns(pl.lit("real").alias("_origin"))}
    assign = Assign(cells) if need.per_cell and cells else None
    at = {k: assign(f) if assign else np.zeros(f.height, np.int32) for k, f in sides.items()}
    wanted = need.total
    parts: dict[str, list[pl.DataFrame]] = {"synthetic": [], "real": []}
    notes: list[str] = []
    groups = len(cells) if assign else 1
    for c in range(groups):
        have = {k: np.flatnonzero(at[k] == c) for k in sides}
        total = None if wanted is None else wanted // groups + (c < wanted % groups)
        take, note = _take(len(have["synthetic"]), len(have["real"]), need.real, total)
        notes += [f"{cells[c].label}: {note}" if assign else note] if note else []
        for k, n in zip(("synthetic", "real"), take, strict=True):
            rows = rng_of(seed, "blend", k, c).permutation(have[k])[:n]
            parts[k].append(sides[k][np.sort(rows)])
    chosen = {k: pl.concat(p) for k, p in parts.items()}
    ours = ["_id", "_origin", "_depth"]
    frame = pl.concat(
        [
            chosen["real"].select(*columns, *ours, pl.lit(need.weight_real).alias("_weight")),
            chosen["synthetic"].select(*columns, *ours, pl.lit(need.weight_synthetic).alias("_weight")),
        ],
        how="vertical_relaxed",
    )
    return Blend(frame, chosen["real"].height, chosen["synthetic"].height, tuple(notes))


def _take(synthetic: int, real: int, share: float, total: int | None) -> tuple[tuple[int, int], str]:
    """How many of each side keep the share, and what had to give."""
    most = min(
        synthetic / (1 - share) if share < 1 else float("inf"),
        real / share if share > 0 else float("inf"),
    )
    whole = most if total is None else min(total, most)
    take = (min(synthetic, round(whole * (1 - share))), min(real, round(whole * share)))
    asked = total if total is not None else (synthetic / (1 - share) if share < 1 else real)
    if sum(take) >= int(asked):
        return take, ""
    short = "real" if share > 0 and real / share <= most + 1e-9 else "synthetic"
    have = real if short == "real" else synthetic
    return take, f"{have} {short} records allow {sum(take)} of {int(asked)} at {share:.0%} real; the blend shrank"


def save(made: Blend, run: Path) -> None:
    """Real rows go under `private/`; the synthetic side and the recipe can be shared."""
    origin = made.frame["_origin"]
    (run / "private" / "blend").mkdir(parents=True, exist_ok=True)
    (run / "blend").mkdir(exist_ok=True)
    write_parquet(made.frame.filter(origin == "real"), run / "private" / "blend" / "real.parquet")
    write_parquet(made.frame.filter(origin != "real"), run / "blend" / "synthetic.parquet")
    recipe = {k: v for k, v in asdict(made).items() if k != "frame"} | {"share": made.share}
    text = json.dumps(recipe, indent=1)
    atomic(run / "blend" / "blend.json", lambda f: f.write(text.encode()))


def load(run: Path) -> pl.DataFrame:
    """The whole blend of a run, real rows first."""
    files = [run / "private" / "blend" / "real.parquet", run / "blend" / "synthetic.parquet"]
    for file in files:
        if not file.is_file():
            raise Refusal(f"{file}: not there; `synthmill blend {run}` makes the blend")
    return pl.concat([pl.read_parquet(f) for f in files])
