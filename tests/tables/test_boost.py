"""The judge's trees."""

import numpy as np

from synthmill.frame import rng_of
from synthmill.tables import boost, scores


def test_a_class_of_three_rows_does_not_spoil_the_others():
    rng = rng_of("boost")
    kind = np.repeat([0, 1, 2, 3], [2_200, 420, 22, 3])
    model = (kind * 30 + rng.integers(0, 30, len(kind))).astype(float)  # a category that tells the class
    x = np.c_[model, rng.normal(size=(len(kind), 4))]
    p = boost.classify(x[::2], kind[::2], [True, False, False, False, False], x[1::2], [0, 1, 2, 3])
    yes = kind[1::2] == 0
    ones = np.ones((1, yes.sum())), np.ones((1, (~yes).sum()))
    assert scores.auc(p[yes, 0], p[~yes, 0], *ones)[0] > 0.98
