"""The blend: accepted synthetic records mixed with real training records at a deliberate ratio."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl

from .cells import Assign, Cell
from .cover import apportion
from .frame import payload, rng_of
from .refusal import Refusal, choices
from .run import atomic, write_parquet
from .spec import BlendNeed

MOST = 0.3
"""Share of synthetic records above which a blend gets a note."""


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
    """Mixes so that `need.real` of the whole is real: at least (regime accumulate, which keeps every real record) or
    exactly (replace). Where a side is too small the whole shrinks, and a note says so; so it does of much synthetic data.

    real: training records with `_id`, `_depth`; the holdout is never among them. Rows are drawn without replacement.
    Columns are those of both sides, in the real data's types. Raises Refusal where the sides do not fit together.
    """
    columns, notes = _common(synthetic, real)
    sides = {"synthetic": _typed(synthetic, real, columns), "real": real.with_columns(pl.lit("real").alias("_origin"))}
    if need.max_depth is not None:
        for name, side in sides.items():
            sides[name] = side.filter(pl.col("_depth") <= need.max_depth)
            if lost := side.height - sides[name].height:
                notes.append(f"{lost:,} {name} records are of a generation beyond max_depth {need.max_depth}")
    groups = list(cells) if need.per_cell and cells else [Cell(0, (), 1)]
    for axis in groups[0].where:
        if axis not in columns:
            raise Refusal(f"blend: per_cell: '{axis}' is not a column of both sides; {choices(axis, columns)}")
    quota = sum(c.quota for c in groups)
    totals = apportion([c.quota / quota for c in groups], need.total) if need.total else [None] * len(groups)
    assign = Assign(groups)
    at = {k: assign(f) for k, f in sides.items()}
    parts: dict[str, list[pl.DataFrame]] = {k: [f.clear()] for k, f in sides.items()}
    for place, (cell, total) in enumerate(zip(groups, totals, strict=True)):
        have = {k: np.flatnonzero(at[k] == cell.index) for k in sides}
        mix = _add if need.regime == "accumulate" else _take
        take, note = mix(len(have["synthetic"]), len(have["real"]), need.real, total)
        notes += [f"{cell.label}: {note}" if cell.levels else note] if note else []
        for k, n in zip(("synthetic", "real"), take, strict=True):
            rows = rng_of(seed, "blend", k, place).permutation(have[k])[:n]
            parts[k].append(sides[k][np.sort(rows)])
    weights = {"real": need.weight_real, "synthetic": need.weight_synthetic}
    chosen = {k: pl.concat(parts[k]).with_columns(_weight=pl.lit(w)) for k, w in weights.items()}
    ours = ("_id", "_origin", "_depth", "_weight")
    frame = pl.concat([chosen[k].select(*columns, *ours) for k in ("real", "synthetic")])
    made = Blend(frame, chosen["real"].height, chosen["synthetic"].height, tuple(notes))
    return replace(made, notes=(*made.notes, *_much(made)))


def _much(made: Blend) -> list[str]:
    share = made.synthetic / max(1, made.real + made.synthetic)
    if not made.real or share <= MOST + 0.005:
        return []
    return [
        f"{share:.0%} of the blend is synthetic, more than the {MOST:.0%} that rarely do harm; `synthmill blend-sweep` "
        "measures what a share is worth"
    ]


def _common(synthetic: pl.DataFrame, real: pl.DataFrame) -> tuple[list[str], list[str]]:
    """The columns of both sides, in the real data's order, and a note on those that only one has."""
    made, held = payload(synthetic), payload(real)
    columns = [c for c in held if c in made]
    if not columns:
        raise Refusal(f"blend: no column is in both the synthetic ({', '.join(made)}) and the real table")
    alone = {"real": [c for c in held if c not in made], "synthetic": [c for c in made if c not in held]}
    return columns, [f"only the {k} records have {', '.join(v)}: left out of the blend" for k, v in alone.items() if v]


def _typed(synthetic: pl.DataFrame, real: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    for name in columns:
        try:
            synthetic = synthetic.with_columns(synthetic[name].cast(real[name].dtype, strict=True))
        except pl.exceptions.PolarsError:
            types = f"{synthetic[name].dtype} in the synthetic and {real[name].dtype} in the real table"
            raise Refusal(f"blend: column '{name}' is {types}, and the values do not carry over") from None
    return synthetic.with_columns(pl.col("_depth").cast(real["_depth"].dtype))


def _add(synthetic: int, real: int, share: float, total: int | None) -> tuple[tuple[int, int], str]:
    """Every real record, and as many synthetic ones beside them as leave `share` of the whole real. total: the whole then
    is so many, as the share says where both sides allow. A share of 0 or 1 is one side alone."""
    part = Fraction(share).limit_denominator(10**9)
    if not 0 < part < 1:
        return _take(synthetic, real, share, total)
    if total is None:
        added = min(synthetic, math.floor(real * (1 - part) / part))
        whole = real + added
        more = added < synthetic
        note = f"{real:,} real records allow {whole:,} of {synthetic + real:,} at {share:.0%} real; the blend shrank"
        return (added, real), note if more else ""
    added = min(synthetic, total - round(total * part), math.floor(real * (1 - part) / part))
    kept = min(real, total - added)
    note = f"{real:,} real and {synthetic:,} synthetic records allow {added + kept:,} of {total:,} at {share:.0%} real or more"
    return (added, kept), note if added + kept < total else ""


def _take(synthetic: int, real: int, share: float, total: int | None) -> tuple[tuple[int, int], str]:
    """How many of each side keep the share, and what had to give. In fractions: 300 / (1 - 0.7) is 1000, not 999."""
    part = Fraction(share).limit_denominator(10**9)
    limits = {"synthetic": synthetic / (1 - part)} if part < 1 else {}
    limits |= {"real": real / part} if part > 0 else {}
    asked = Fraction(total) if total is not None else next(iter(limits.values()))
    short = min(limits, key=lambda k: limits[k])
    whole = math.floor(min(asked, limits[short]))
    of_real = round(whole * part)
    take = (whole - of_real, of_real)
    if limits[short] >= asked:
        return take, ""
    have = {"synthetic": synthetic, "real": real}[short]
    return (
        take,
        f"{have:,} {short} records allow {whole:,} of {math.floor(asked):,} at {share:.0%} real; the blend shrank",
    )


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
