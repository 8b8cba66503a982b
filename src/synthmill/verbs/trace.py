"""One record's whole story: what made it, from what, under which seed, and what every check said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from synthmill.candidates import GENERATOR
from synthmill.frame import Status, payload
from synthmill.lineage import request_seed
from synthmill.origins import Origins
from synthmill.provenance import Provenance
from synthmill.refusal import Refusal
from synthmill.run import Run, sentences

from .asked import asked
from .contributions import anchor_of
from .make import blend_inputs

SHOWN = 10
"""Real records below which it is not told how many: as for the report's aggregates."""


def trace(root: str | Path, record: str, private: bool = False, real: Any = None) -> dict[str, Any]:
    """The story of an accepted or rejected record, as JSON-able data. Raises Refusal when the run has no such record.

    private: also writes which real records gave its values, to a file under the run's `private/` that the story names.
    real: as in `make`, for a run that was made so.
    """
    run = Run.open(root)
    blended = _real(run, record)
    if blended is not None:
        return blended
    k, i = run.part_of(record)
    manifest = run.manifest
    request = run.requests().filter(pl.col("k") == k)
    if not request.height:
        raise Refusal(f"{root}: request {k} was never admitted, so there is no record {record}")
    about = request.row(0, named=True)
    cell = manifest["cells"][about["cell"]]["label"] if about["cell"] >= 0 else "any"
    firsts = manifest["generators"]
    label = "all" if cell == "any" else cell
    seed = request_seed(manifest["spec"]["seed"], [g["use"] for g in firsts], label, about["ordinal"])
    story: dict[str, Any] = {"id": record, **_verdict(run, record, k, i)}
    story["request"] = {
        "k": k,
        "row": i,
        "cell asked": cell,
        "ordinal": about["ordinal"],
        "rows asked": about["n"],
        "seed": f"{seed:032x}",
    }
    story["generators"] = [{**g, "first": j == about["member"]} for j, g in enumerate(firsts)]
    story["real data"] = (
        {x: manifest["real"][x] for x in ("source", "digest", "train", "licence")} if manifest["real"] else None
    )
    story |= asked(run, k, i)
    story["models"] = {f: d for f, d in (manifest.get("models") or {}).items() if f != "saved"}
    story["versions"] = manifest["versions"]
    origin = _origin(run, about, i, story)
    if private:
        origin = {**(origin or {}), "private": _exposed(run, about, i, story, real)}
    return story if origin is None else {**story, "origin": origin}


def _real(run: Run, record: str) -> dict[str, Any] | None:
    """A real record of the run's blend; its content stays under `private/`, where it can be looked up."""
    file = run.root / "private" / "blend" / "real.parquet"
    if "-" in record or not file.is_file():
        return None
    hit = pl.read_parquet(file, columns=["_id", "_depth", "_weight"]).filter(pl.col("_id") == record)
    if not hit.height:
        return None
    about = run.manifest["real"]
    return {
        "id": record,
        "status": "real, a training record in the blend",
        "depth": int(hit["_depth"][0]),
        "weight": float(hit["_weight"][0]),
        "real data": {x: about[x] for x in ("source", "digest", "train", "licence")},
        "content": "private/blend/real.parquet",
    }


def _verdict(run: Run, record: str, k: int, i: int) -> dict[str, Any]:
    mine = (pl.col("_k") == k) & (pl.col("_i") == i)
    checks = run.manifest["checks"]
    rows = run.rows()
    at = rows.with_row_index("_at").filter(mine)
    if at.height:
        data = run.data()[int(at["_at"][0])]
        if data["_id"][0] != record:
            raise Refusal(f"{run.root}: lineage and data disagree on {record}; the run is damaged")
        passed = dict.fromkeys(checks[1:-1], "pass")
        cell = run.manifest["cells"][int(at["_cell"][0])]["label"]
        return {
            "status": "accepted",
            "record": data.select(payload(data)).row(0, named=True),
            "depth": int(data["_depth"][0]),
            "cell": cell,
            "score": at["_score"][0],
            "checks": passed,
        }
    for kind, table in (("rejected", run.rejected()), ("rejected, kept private", run.private_rejected())):
        hit = table.filter(mine)
        if hit.height:
            row = hit.row(0, named=True)
            check = row["_check"]
            return {
                "status": kind if row["_status"] != Status.SURPLUS else "surplus: a good record whose cell was full",
                "record": hit.select(payload(hit)).row(0, named=True),
                "raw": row["_raw"],
                "by": checks[check] if check is not None else "quota",
                "verdict": Status(row["_status"]).name.lower(),
                "score": row["_score"],
                "reason": row["_reason"],
                "checks": dict.fromkeys(checks[1 : check if check is not None else len(checks) - 1], "pass"),
            }
    raise Refusal(f"{run.root}: there is no record {record}; request {k} answered fewer rows")


def _origin(run: Run, asked: dict[str, Any], i: int, story: dict[str, Any]) -> dict[str, Any] | None:
    """What may be shown of where a record's values came from, or why it is not known. None from generators that cannot tell."""
    try:
        found = _origins(run, asked, i, story)
    except (Refusal, OSError) as e:
        return {"unknown": str(e)}
    if found is None:
        return None
    origins, columns = found
    told: dict[str, Any] = _first(origins.record, i)
    for c in story["record"]:
        if c not in columns:
            told[c] = "from no real record"
        elif origins.drawn(c) == (c,):
            told[c] = _shown(origins, c, i)
        else:
            told[c] = {d: _shown(origins, d, i) for d in origins.drawn(c)}
    return told


def _origins(run: Run, asked: dict[str, Any], i: int, story: dict[str, Any]) -> tuple[Origins, list[str]] | None:
    """None for what a generator got wrong, too: its values are not those it made."""
    if not run.manifest.get("models") or story.get("by") == run.manifest["checks"][GENERATOR]:
        return None
    mine = (pl.col("_k") == asked["k"]) & (pl.col("_i") == i)
    at = run.rows().with_row_index("_at").filter(mine)["_at"]
    kept = run.data()[at] if len(at) else pl.concat([run.rejected(), run.private_rejected()]).filter(mine)
    return Provenance(run).of(asked, np.array([i]), kept.select(list(story["record"])))


def _exposed(run: Run, asked: dict[str, Any], i: int, story: dict[str, Any], real: Any = None) -> str:
    """Writes which real records gave each value of a record, to the run's `private/trace/`; answers the file's place."""
    found = _origins(run, asked, i, story)
    if found is None:
        use = run.manifest["generators"][asked["member"]]["use"]
        raise Refusal(f"--private: {use} does not tell which real records its values come from")
    origins, columns = found
    anchor, note = anchor_of(run, real)
    ids = blend_inputs(anchor, run)["_id"] if anchor is not None else None
    told: dict[str, Any] = {"id": story["id"], **({"note": note} if note else {}), **_first(origins.record, i)}
    told["values"] = {
        c: [{"drawn": d, **_giver(origins, d, i, ids), **_first(origins.values[d], i)} for d in origins.drawn(c)]
        for c in columns
    }
    file = f"private/trace/{story['id']}.json"
    with sentences(run.root):
        (run.root / file).parent.mkdir(parents=True, exist_ok=True)
    run.write(file, json.dumps(told, indent=1))
    return file


def _giver(origins: Origins, drawn: str, i: int, ids: pl.Series | None) -> dict[str, Any]:
    row = origins.rows[drawn][i]
    return {"row": row, "_id": ids[row] if ids is not None and row is not None else None}


def _shown(origins: Origins, drawn: str, i: int) -> dict[str, Any]:
    told = _first(origins.values[drawn], i)
    if told.get("donors", SHOWN) < SHOWN:
        told["donors"] = f"fewer than {SHOWN}"
    return told


def _first(frame: pl.DataFrame, i: int) -> dict[str, Any]:
    return frame.row(i, named=True) if frame.width else {}
