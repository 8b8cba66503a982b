"""Holm's correction of many tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """The k-th smallest of m p-values times m - k + 1, never below the one before, in the order given (Holm, 1979)."""
    out, least = [1.0] * len(p), 0.0
    for k, i in enumerate(np.argsort(p, kind="stable").tolist()):
        least = max(least, min(1.0, p[i] * (len(p) - k)))
        out[i] = least
    return out
