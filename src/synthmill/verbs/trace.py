"""One record's whole story: what made it, from what, under which seed, and what every check said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from synthmill.frame import Status, payload
from synthmill.lineage import request_seed
from synthmill.refusal import Refusal
from synthmill.run import Run


def trace(root: str | Path, record: str) -> dict[str, Any]:
    """The story of an accepted or rejected record, as JSON-able data. Raises Refusal when the run has no such record."""
    run = Run.open(root)
    real = _real(run, record)
    if real is not None:
        return real
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
    story["models"] = {f: d for f, d in (manifest.get("models") or {}).items() if f != "saved"}
    story["versions"] = manifest["versions"]
    return story


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
