"""What keeps a line from training on itself: how deep, on how much that is real, and when a verifier has turned round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .frame import Status
from .job import Station
from .real import Real
from .refusal import Refusal
from .spec import GuardNeed

FEWEST = 20
"""Known-good and known-bad rows below which a check's own examples say nothing of its error rates."""
JUDGED = 200
"""Candidates below which an acceptance rate is too rough to solve for the share that is wrong."""
TURNED = "beyond the breakdown line"


def anchored(need: GuardNeed, real: Real, depth: int, source: str) -> None:
    """Refuses to learn where what is made would be of a generation beyond the cap, or where too little is real.

    depth: of the records that would be made. A table of real rows alone passes whatever the guard says.
    """
    if depth > need.max_depth:
        raise Refusal(
            f"{source}: guard.max_depth: {real.source} holds generation {real.depth}, so this would make generation "
            f"{depth}; {need.max_depth} is the last one allowed"
        )
    share = int((real.train_depth == 0).sum()) / max(1, len(real.train_depth))
    if real.depth and share < need.anchor:
        raise Refusal(
            f"{source}: guard.anchor: {share:.0%} of {real.source} is real, and training generation after generation "
            f"without at least {need.anchor:.0%} real rows collapses; add real rows (`synthmill blend`), or lower "
            "guard.anchor if that is meant"
        )


def seeded(need: GuardNeed, parents: Sequence[int], source: str) -> None:
    """Refuses seeds and documents from which records beyond the cap would be made. parents: generations they hold."""
    deepest = max(parents, default=0)
    if deepest >= need.max_depth:
        raise Refusal(
            f"{source}: guard.max_depth: the seeds hold generation {deepest}, so this would make generation "
            f"{deepest + 1}; {need.max_depth} is the last one allowed"
        )


def wrong_share(acceptance: float, tpr: float, fpr: float) -> float:
    """The share of what a verifier passes that is wrong, from how much it passes and its known error rates.

    tpr: rate at which it passes right records; fpr: wrong ones. The share eps of candidates that is wrong solves
    acceptance = eps fpr + (1 - eps) tpr. NaN where tpr = fpr: such a verifier says nothing of what it sees.
    """
    if tpr == fpr:
        return math.nan
    eps = min(1.0, max(0.0, (tpr - acceptance) / (tpr - fpr)))
    passed = eps * fpr + (1 - eps) * tpr
    return eps * fpr / passed if passed else math.nan


def breakdown(eps: float, tpr: float, fpr: float) -> bool:
    """Is at least half of what passes wrong? eps fpr >= (1 - eps) tpr; beyond it a learner turns round however much data
    it gets (Feng et al. 2024)."""
    return eps * fpr >= (1 - eps) * tpr


def rates(station: Station) -> tuple[float, float] | None:
    """(tpr, fpr): as declared in the spec, else as a third party's check judges its own examples, else unknown.

    The project's own checks have examples of a configuration that is not the spec's, so these say nothing here.
    """
    if station.tpr is not None and station.fpr is not None:
        return station.tpr, station.fpr
    plugin = station.plugin
    if not hasattr(plugin, "examples") or type(plugin).__module__.startswith("synthmill."):
        return None
    good, bad = plugin.examples()
    if min(good.height, bad.height) < FEWEST:
        return None
    passed = [float((plugin.judge(frame).status == Status.PASS).sum()) / frame.height for frame in (good, bad)]
    return passed[0], passed[1]


def turned(stations: Sequence[Station], tally: Any) -> list[str]:
    """A warning for every check whose measured acceptance and known error rates lie beyond the breakdown line.

    tally: (1 + stations + 1, 4) candidates per place and status, as the line counts them.
    """
    out = []
    entering = int(np.asarray(tally).sum()) - _lost(tally, 0)
    for place, station in enumerate(stations, 1):
        judged = entering - int(tally[place, Status.ERROR])
        entering -= _lost(tally, place)
        known = rates(station) if judged >= JUDGED else None
        if known is None:
            continue
        acceptance = entering / judged
        wrong = wrong_share(acceptance, *known)
        if wrong >= 0.5:
            out.append(
                f"{station.use}: {TURNED}: it accepts {acceptance:.1%} of {judged:,} candidates, and with its error rates "
                f"(tpr {known[0]:g}, fpr {known[1]:g}) about {wrong:.0%} of what it passes is wrong; a model trained on "
                "this gets worse the more there is"
            )
    return out


def _lost(tally: Any, place: int) -> int:
    return int(tally[place, Status.FAIL] + tally[place, Status.ERROR])


def declared(config: dict[str, Any], accepted: Sequence[str], at: str) -> tuple[dict[str, Any], dict[str, float]]:
    """A check's configuration without `tpr` and `fpr`, and these; they are the line's unless the check has such
    parameters of its own. Raises Refusal for one without the other, or what is no rate."""
    known = {k: config[k] for k in ("tpr", "fpr") if k in config and k not in accepted}
    for key, value in known.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise Refusal(f"{at}: {key}: {value!r} is not a rate between 0 and 1")
    if len(known) == 1:
        raise Refusal(
            f"{at}: tpr and fpr are given together: how much of what is right, and of what is wrong, it passes"
        )
    return {k: v for k, v in config.items() if k not in known}, {k: float(v) for k, v in known.items()}
