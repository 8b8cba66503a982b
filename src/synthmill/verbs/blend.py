"""A finished run's blend made anew, at its spec's share or another."""

from __future__ import annotations

import math
from pathlib import Path

from synthmill.blending import Blend, save
from synthmill.blending import blend as mix
from synthmill.prepare import prepare
from synthmill.refusal import Refusal
from synthmill.run import Run
from synthmill.spec import BlendNeed, load_spec

from .make import blend_inputs


def blend(root: str | Path, real: float | None = None, per_cell: bool = False) -> Blend:
    """real: share of the whole that is real (default: the spec's). A report that is there is written anew.

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
        if (run.root / "report.html").is_file():
            write_documents(run)
    finally:
        run.close()
    return made
