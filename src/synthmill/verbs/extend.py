"""More records of a finished run: its quotas grow, its model, seeds and ids go on where they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthmill.prepare import prepare
from synthmill.refusal import Refusal, choices
from synthmill.run import Run
from synthmill.spec import load_spec

from .contributions import FILE
from .make import Observer, Result, identity, make


def extend(
    root: str | Path, quota: int, cell: str | None = None, real: Any = None, observer: Observer | None = None
) -> Result:
    """Adds `quota` accepted records to every cell, or to the one with that label, and runs the line on.

    The same call goes on with an extension that was stopped. Raises Refusal when the run was never made, or its real data or plugins have changed since.
    """
    if quota <= 0:
        raise Refusal(f"--quota: {quota} is not a positive number")
    root = Path(root)
    there = Run.open(root).manifest
    spec, base = load_spec(root / "spec.yaml")
    prepared = prepare(spec, str(root / "spec.yaml"), base, real)
    if prepared.digest != there["digest"]:
        raise Refusal(
            f"{root}: the real data or the code of a plugin has changed since this run was made, so more records would not "
            "be of the same kind; make it anew: synthmill make SPEC --fresh"
        )
    run = Run.start(root, identity(prepared))
    try:
        labels = [c.label for c in prepared.job.cells]
        if cell is not None and cell not in labels:
            raise Refusal(f"--cell: '{cell}' is no cell of this run; {choices(cell, labels)}")
        asked, unfinished = {"quota": quota, "cell": cell}, run.manifest.get("extending")
        if unfinished not in (None, asked):
            which = f" --cell '{unfinished['cell']}'" if unfinished["cell"] else ""
            raise Refusal(
                f"{root}: an extension by --quota {unfinished['quota']}{which} was stopped; run that command to the end first"
            )
        if unfinished is None:
            added = dict(run.manifest.get("extended") or {})
            for c in prepared.job.cells:
                if cell is None or c.label == cell:
                    added[str(c.index)] = int(added.get(str(c.index), 0)) + quota
            (run.root / FILE).unlink(missing_ok=True)  # of fewer records than there will be
            run.manifest.update(extended=added, extending=asked, filled=False)
            run.commit()
    finally:
        run.close()
    return make(root / "spec.yaml", root, real, observer)
