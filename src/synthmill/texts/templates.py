"""Two texts of one template are alike without one being a copy of the other: what they share beyond the template decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .shingles import Sets
from .words import spread

FAMILY = 4
"""Relatives from which on a common part is taken for a template; fewer say nothing."""


def content(one: NDArray[np.uint32], family: Sets) -> NDArray[np.float64]:
    """(f,) how much of what is their own a text and each of its relatives share, from 0 (the template alone) to 1.

    one: the text's shingles; family: those of its FAMILY or more relatives. A shingle is common if half of the family has
    it. Of the shingles that only one of two texts has, the uncommon ones are content that differs, or the trace of an
    edit. But an edit also breaks common ones, as many as it makes where a word is changed: so many are taken off, and a
    quarter more for words put in. Slots filled anew break nothing. So texts of one template are told from many
    copies of one text with words changed here and there.
    """
    n = len(family.sizes)
    drawn, inverse, times = np.unique(family.values, return_inverse=True, return_counts=True)
    common = 2 * times >= n
    of = spread(family.starts)
    mine = np.isin(drawn, one, assume_unique=True)
    shared, usual = mine[inverse], common[inverse]
    both = np.bincount(of[shared], minlength=n)
    both_usual = np.bincount(of[shared & usual], minlength=n)
    theirs_usual = np.bincount(of[~shared & usual], minlength=n)
    broken = theirs_usual + int((mine & common).sum()) - both_usual
    apart = family.sizes + len(one) - 2 * both
    differs = np.maximum(0.0, apart - 2.25 * broken)
    slack = np.maximum(2.0, 0.02 * (both + apart))
    return (both - both_usual + slack) / (both - both_usual + differs + slack)
