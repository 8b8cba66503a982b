"""How much synthetic data pays: shares and regimes by what a model trained on the mix scores on held-out real rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from synthmill.frame import digest
from synthmill.lab.regimes import REGIMES
from synthmill.lab.sweep import Sweep, sweep, wanted
from synthmill.lab.vitals import one_thread
from synthmill.plugins import relative_to
from synthmill.refusal import Refusal
from synthmill.run import atomic, sentences
from synthmill.spec import Spec

from .collapse import known_regimes, known_shares, mill_of, narrowed, subject_of

SHARES = (0.1, 0.2, 0.3, 0.5)
DRAWS = 3


def blend_sweep(
    spec: str | Path | Spec,
    *,
    out: str | Path | None = None,
    real: Any = None,
    shares: Sequence[float] = SHARES,
    regimes: Sequence[str] = REGIMES,
    draws: int = DRAWS,
    verified: bool = True,
    tick: Callable[[int, int, str], None] = lambda *_: None,
) -> Sweep:
    """Fits the spec's generators on train, mixes what they make (and, verified, what passes the checks) with real rows at
    every share and regime, and scores each. Writes sweep.json and report.html to `out` (default `runs/<name>-sweep`).

    Raises Refusal for a spec without real data or target, and when too few rows pass the checks.
    """
    from synthmill.documents.sweep import page

    prepared = narrowed(spec, real)
    anchor = prepared.real
    assert anchor is not None
    if anchor.target is None:
        raise Refusal(
            f"{prepared.source}: real.target: is needed; a share is judged by how well that column is predicted"
        )
    if draws < 1:
        raise Refusal(f"--draws: {draws} is not a positive number")
    chosen, kinds = [s for s in known_shares(shares) if s], known_regimes(regimes)
    if not chosen or not kinds:
        raise Refusal("--shares: at least one share above 0 and one regime are needed")
    mill, subject = mill_of(prepared), subject_of(prepared)
    with relative_to(prepared.base), one_thread():
        maker = mill.fitted(subject.train)
        rows = wanted(chosen, subject.train.height)
        tables = [mill.draw(maker, rows, verified, "sweep", d) for d in range(draws)]
        if min(t.frame.height for t in tables) < rows:
            raise Refusal(f"{prepared.source}: too few candidates pass the checks: {rows:,} rows are needed for the largest share", 1)  # fmt: skip
        found = sweep(subject, tables, chosen, kinds, tick)
    root = Path(out) if out is not None else Path("runs") / f"{prepared.spec.name}-sweep"
    about = {
        "name": prepared.spec.name,
        "digest": digest("sweep", prepared.digest, chosen, kinds, draws, verified),
        "target": anchor.target,
        "generate": prepared.job.maker.declared(),
        "verified": verified and bool(prepared.job.stations),
        "draws": draws,
        "rows": {"train": anchor.train.height, "holdout": anchor.holdout.height},
    }
    told = _finite({**about, **found.to_json()})
    with sentences(root):
        root.mkdir(parents=True, exist_ok=True)
        for name, text in (("sweep.json", json.dumps(told, indent=1)), ("report.html", page(told))):
            atomic(root / name, lambda f, text=text: f.write(text.encode()))  # type: ignore[misc]
    return found


def _finite(x: Any) -> Any:
    if isinstance(x, float):
        return x if math.isfinite(x) else None
    if isinstance(x, dict):
        return {k: _finite(v) for k, v in x.items()}
    return [_finite(v) for v in x] if isinstance(x, list | tuple) else x
