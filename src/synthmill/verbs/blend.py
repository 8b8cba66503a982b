"""A finished run's blend made anew, at its spec's share or another."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from synthmill.blending import Blend, save
from synthmill.blending import blend as mix
from synthmill.evaluation import Evaluation
from synthmill.prepare import prepare
from synthmill.refusal import Refusal, choices
from synthmill.release import judge
from synthmill.run import Run
from synthmill.spec import BlendNeed, Spec, load_spec

from .make import blend_inputs, record_bars

BLENDED = ("blend", "blend_gain", "oversampled")
REGIMES = ("accumulate", "replace")
STALE = "the blend was made anew since; `synthmill make` goes back to the spec's blend and measures that"


def blend(root: str | Path, real: float | None = None, per_cell: bool = False, regime: str | None = None) -> Blend:
    """real: share of the whole that is real, at least (regime `accumulate`) or exactly (`replace`); both are the spec's if
    not given. A report that is there is written anew.

    Raises Refusal for a run without real data.
    """
    from synthmill.documents import write_documents

    path = Path(root) / "spec.yaml"
    there = Run.open(root).manifest
    spec, base = load_spec(path)
    need = spec.blend or BlendNeed()
    if real is not None:
        if not 0 <= real <= 1 or math.isnan(real):
            raise Refusal(f"--real: {real} is not a share between 0 and 1")
        need = need.model_copy(update={"real": real})
    if regime is not None:
        if regime not in REGIMES:
            raise Refusal(f"--regime: '{regime}' is none; {choices(regime, REGIMES)}")
        need = need.model_copy(update={"regime": regime})
    if per_cell:
        need = need.model_copy(update={"per_cell": True})
    prepared = prepare(spec, str(path), base)
    if prepared.real is None:
        raise Refusal(f"{root}: blend: this run has no real data to blend with")
    if prepared.real.digest != (there["real"] or {}).get("digest"):
        raise Refusal(f"{root}: blend: the real data has changed since this run was made; make it anew with --fresh")
    run = Run.start(root, {"digest": there["digest"]})
    try:
        made = mix(run.data(), blend_inputs(prepared.real, run), need, spec.seed, prepared.job.cells)
        save(made, run.root)
        _forget(run, spec)
        if (run.root / "report.html").is_file():
            write_documents(run)
    finally:
        run.close()
    return made


def _forget(run: Run, spec: Spec) -> None:
    """What was measured on the blend before says nothing of this one: those measures are unknown until `make` runs again,
    and bars on them are missed."""
    file = run.root / "evaluation.json"
    if not file.is_file():
        return
    before = Evaluation.from_json(json.loads(file.read_text("utf-8")))
    stale = [
        replace(m, value=math.nan, low=math.nan, high=math.nan, floor=None, ceiling=None, detail={}, note=STALE)
        if m.name.startswith("utility.") and m.name.endswith(BLENDED)
        else m
        for m in before.measures
    ]
    after = replace(before, measures=tuple(stale))
    run.write("evaluation.json", json.dumps(after.to_json(), indent=1))
    record_bars(run, judge(after, spec.release), spec)
