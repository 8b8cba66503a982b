"""Gradient-boosted trees with one setting for every judge, so that numbers compare across metrics and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDS = 100


def _settings(categories: Sequence[bool]) -> dict[str, Any]:
    mask = list(categories) if any(categories) else None
    return {
        "max_iter": ROUNDS,
        "early_stopping": False,
        "random_state": 0,
        "categorical_features": mask,
        "l2_regularization": 1.0,  # without it a class of two or three rows makes the leaves, and then all scores, diverge
    }


def classify(x: Floats, y: Ints, categories: Sequence[bool], at: Floats, classes: Sequence[int]) -> Floats:
    """(len(at), len(classes)) probabilities from a model trained on (x, y); a class that y lacks gets 0."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    out = np.zeros((len(at), len(classes)))
    seen = np.unique(y)
    if len(seen) < 2 or not x.shape[1]:
        return out
    model = HistGradientBoostingClassifier(**_settings(categories)).fit(x, y)
    probability = model.predict_proba(at)
    for j, label in enumerate(seen):
        if label in classes:
            out[:, list(classes).index(int(label))] = probability[:, j]
    return out


def regress(x: Floats, y: Floats, categories: Sequence[bool], at: Floats) -> Floats:
    """(len(at),) predictions from a model trained on (x, y); the mean where there is nothing to learn from."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    if len(y) < 2 or not x.shape[1]:
        return np.full(len(at), y.mean() if len(y) else np.nan)
    model = HistGradientBoostingRegressor(**_settings(categories)).fit(x, y)
    guess: Floats = model.predict(at)
    return guess
