"""The judge's trees."""

import numpy as np

from synthmill.frame import rng_of
from synthmill.tables import boost, scores


def test_classes_of_two_rows_do_not_spoil_the_others():
    rng = rng_of("b", 0)  # one of the tables on which unregularised trees diverge: 0.488
    kind = np.repeat([0, 1, 2, 3, 4], [2, 22, 2206, 421, 2])
    model = kind * 30 + rng.integers(0, 30, len(kind))  # tells the class
    rng.random(len(kind))  # to be at that table
    x = np.c_[model, model // 3, rng.integers(0, 20, len(kind))].astype(float)
    p = boost.classify(x, kind, [True, False, False], x, range(5))[:, 2]
    yes = kind == 2
    ones = np.ones((1, yes.sum())), np.ones((1, (~yes).sum()))
    assert scores.auc(p[yes], p[~yes], *ones)[0] > 0.98
