"""How far people agree with each other and with the checks, with intervals and what chance alone would give.

Between people: the share of pairs that agree, Krippendorff's alpha (nominal; any number of people, any of them missing) and,
where there are just two, Cohen's kappa. Intervals are bootstraps over records, since people who read the same record are not
independent. Shares are Wilson's (1927). Sources: Krippendorff, Content analysis (2004), ch. 11; Cohen (1960); Artstein &
Poesio (2008).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthmill.frame import rng_of

Floats = NDArray[np.float64]
REPLICATES = 1_000
_AT_ONCE = 50
ACCEPT, REJECT = "accept", "reject"


def majority(verdicts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Record -> what most said of it; `tie` where as many accept as reject. verdicts: record -> person -> verdict."""
    out = {}
    for record, said in verdicts.items():
        counts = Counter(said.values())
        a, r = counts[ACCEPT], counts[REJECT]
        out[record] = ACCEPT if a > r else REJECT if r > a else "tie"
    return out


def between(verdicts: Mapping[str, Mapping[str, str]]) -> dict[str, Any] | None:
    """Of records that two or more judged: `records`, `people`, `pairs`, and each of `agreement`, `alpha`, `kappa` as
    `{value, low, high}`, `chance` (the share of pairs that would agree by chance). A value is None where it is not defined,
    as alpha is when nobody ever said but one thing. None without any such record."""
    shared = [dict(said) for said in verdicts.values() if len(said) > 1]
    if not shared:
        return None
    counts = np.array([[sum(v == w for v in said.values()) for w in (ACCEPT, REJECT)] for said in shared], float)
    people = sorted({p for said in shared for p in said})
    found: dict[str, Any] = {
        "records": len(shared),
        "people": len(people),
        "pairs": int((counts.sum(1) * (counts.sum(1) - 1) / 2).sum()),
        "agreement": _bootstrapped(counts, _observed, "agreement"),
        "chance": _told(1 - float(_expected_disagreement(counts))),
        "alpha": _bootstrapped(counts, _alpha, "alpha"),
    }
    if len(people) == 2:
        table = np.array([[said[p] == ACCEPT for p in people] for said in shared], float)
        found["kappa"] = _bootstrapped(table, _kappa, "kappa")
    return found


def with_checks(run: Mapping[str, str | None], people: Mapping[str, str]) -> list[dict[str, Any]]:
    """What people say of what each check rejected, and of what all accepted.

    run: record -> the check that rejected it, None for an accepted one; people: record -> their majority. One line for each:
    `by` (None: accepted), `records`, `agreed` and the share as `{value, low, high}`; ties are counted apart. These shares
    hold whatever part of a run's rejects was handed out, which one number over both would not.
    """
    lines = []
    for by in sorted({run[r] for r in people}, key=lambda c: (c is not None, c or "")):
        said = [v for r, v in people.items() if run[r] == by]
        clear = [v for v in said if v != "tie"]
        agreed = sum(v == (ACCEPT if by is None else REJECT) for v in clear)
        share = wilson(agreed, len(clear))
        lines.append(
            {"by": by, "records": len(clear), "ties": len(said) - len(clear), "agreed": agreed, "share": share}
        )
    return lines


def with_run(run: Mapping[str, str | None], people: Mapping[str, str]) -> dict[str, Any]:
    """Cohen's kappa of the run's verdict with the majority of people, over the records handed out (ties left out)."""
    pairs = [(run[r] is None, v == ACCEPT) for r, v in people.items() if v != "tie"]
    table = np.array(pairs, float).reshape(-1, 2)
    return {"records": len(pairs), "kappa": _bootstrapped(table, _kappa, "run")}


def wilson(k: int, n: int) -> dict[str, float | None]:
    """A share with its 95% interval."""
    if not n:
        return {"value": None, "low": None, "high": None}
    p, z = k / n, 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return {"value": p, "low": max(0.0, min(p, middle - half)), "high": min(1.0, max(p, middle + half))}


def _observed(counts: Floats) -> Floats:
    """(..., n, 2) -> (...): share of agreeing pairs, each record weighing as the people who judged it, as in alpha."""
    m = counts.sum(-1)
    agreeing = (counts * (counts - 1)).sum(-1) / np.maximum(m - 1, 1)
    return np.asarray(agreeing.sum(-1) / m.sum(-1))


def _expected_disagreement(counts: Floats) -> Floats:
    n = counts.sum(-2)
    total = n.sum(-1)
    return np.asarray((total * total - (n * n).sum(-1)) / (total * (total - 1)))


def _alpha(counts: Floats) -> Floats:
    return _over(_expected_disagreement(counts) - (1 - _observed(counts)), _expected_disagreement(counts))


def _kappa(table: Floats) -> Floats:
    """(..., n, 2) of zeros and ones -> (...)."""
    if not table.shape[-2]:
        return np.full(table.shape[:-2], math.nan)
    a, b = table[..., 0], table[..., 1]
    chance = a.mean(-1) * b.mean(-1) + (1 - a.mean(-1)) * (1 - b.mean(-1))
    return _over((a == b).mean(-1) - chance, 1 - chance)


def _over(a: Floats, b: Floats) -> Floats:
    """a / b; not a number where nothing could differ (b is 0)."""
    return np.divide(a, b, out=np.full(np.shape(b), math.nan), where=np.asarray(b) > 1e-12)


def _bootstrapped(table: Floats, statistic: Callable[[Floats], Floats], name: str) -> dict[str, float | None]:
    """95%, by the percentiles over records drawn anew; open where there are fewer than five or resamples leave it undefined.

    table: (n, 2). Resamples are taken a few at a time, so that memory does not grow with their number.
    """
    value = float(statistic(table))
    n = len(table)
    low = high = math.nan
    if n >= 5 and math.isfinite(value):
        rng = rng_of("agreement", name, n)
        draws = [statistic(table[rng.integers(n, size=(_AT_ONCE, n))]) for _ in range(REPLICATES // _AT_ONCE)]
        known = np.concatenate(draws)
        known = known[np.isfinite(known)]
        if len(known) >= 0.9 * REPLICATES:
            low, high = (float(q) for q in np.quantile(known, (0.025, 0.975)))
    return {"value": _told(value), "low": _told(low), "high": _told(high)}


def _told(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
