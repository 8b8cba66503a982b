"""What an attack finds out beyond what it finds out about strangers (Giomi et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthmill.plugins import Measure

from . import scores
from .interval import Estimate, Floats, measured

Rates = tuple[Floats, Floats]
"""The attack's success rate on train and on the control, (b,) each: on the data, then on each resample."""


def excess(attack: Floats, control: Floats) -> Floats:
    """(attack - control) / (1 - control), at most 1 off 0: the share of what strangers keep that train rows lose.

    0 is private. Below 0 is noise, and is shown: cut at 0, the noise of a harmless table would look like a risk.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        risk = np.where(control < 1, (attack - control) / (1 - control), 0.0)
    return np.clip(risk, -1.0, 1.0)


def rates(attack: Floats, control: Floats, w_attack: Floats, w_control: Floats) -> Rates:
    """attack, control: success of each try."""
    return scores.mean(attack, w_attack), scores.mean(control, w_control)


def risk(name: str, found: Sequence[Rates], n: int, baseline: float, detail: dict[str, Any]) -> Measure:
    """The Measure of an attack with its rates beside it. baseline: success of guessing without the synthetic table."""
    attack, control = found[0]
    told = {"attack": float(attack[0]), "control": float(control[0]), "baseline": baseline, **detail}
    return measured(name, [Estimate(excess(*f), n) for f in found], "lower", (-1.0, 1.0), told)
