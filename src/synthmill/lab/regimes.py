"""What the next generation learns from: the regimes of training on one's own output, as functions of tables.

Tables carry `_depth`: 0 for real rows, t for those that generation t made. A corpus is what a generation is trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import polars as pl

Regime = Literal["replace", "accumulate", "accumulate-subsample"]
REGIMES: tuple[Regime, ...] = get_args(Regime)


def batch(real: pl.DataFrame, made: pl.DataFrame, share: float, rows: int, rng: np.random.Generator) -> pl.DataFrame:
    """What one generation adds to the world: `rows` rows of which `share` are real, the rest what it made.

    Both sides are drawn without replacement; real rows repeat only where a batch asks for more than there are. Where too
    little was made the batch shrinks and the share stays. The real rows are those of the anchor each time: nobody has
    fresh ones to give away, so a real share here is the weaker kind of help.
    """
    of_real = round(share * rows)
    if made.height < rows - of_real:
        whole = math.floor(made.height / (1 - share))
        of_real = whole - made.height
    else:
        made = _some(made, rows - of_real, rng)
    times, rest = divmod(of_real, max(1, real.height))
    return pl.concat([made, *[real] * times, _some(real, rest, rng)])


def corpus(
    regime: Regime, real: pl.DataFrame, batches: Sequence[pl.DataFrame], rng: np.random.Generator
) -> pl.DataFrame:
    """What the next generation is trained on, given every batch so far; real data alone before there is one.

    replace: the last batch (Shumailov et al. 2024). accumulate: the real data and every batch, so it grows (Gerstgrasser
    et al. 2024). accumulate-subsample: as many rows of that as there are real ones, so that training costs the same each
    time (Kazdan et al. 2024).
    """
    if not batches:
        return real
    if regime == "replace":
        return batches[-1]
    pool = pl.concat([real, *batches])
    return pool if regime == "accumulate" else _some(pool, real.height, rng)


def _some(frame: pl.DataFrame, n: int, rng: np.random.Generator) -> pl.DataFrame:
    """n rows without replacement, in their order; all of them where there are no more."""
    return frame if n >= frame.height else frame[np.sort(rng.permutation(frame.height)[:n])]
