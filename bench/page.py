"""Lines of results/peers.jsonl as means over seeds: results/peers.json, results/peers.md, and the table in docs/peers.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

Row = dict[str, Any]
COLUMNS = {
    "c2st_auc": ("C2ST", 3),
    "mia": ("MIA", 3),
    "mia_tpr1": ("TPR at 1%", 3),
    "tstr": ("TSTR", 3),
    "shapes": ("shapes", 1),
    "trends": ("trends", 1),
    "trends_all": ("all pairs", 1),
    "cpu_s": ("CPU s", 1),
    "process_cpu_s": ("process CPU s", 1),
    "wall_s": ("wall s", 1),
    "peak_mb": ("peak MB", 0),
}
"""Heading and decimals."""


def summary(rows: Sequence[Row], order: Sequence[str]) -> list[Row]:
    """One entry per table and model: mean and sd (None of one seed) of each column, or why there is none."""
    out: list[Row] = []
    for data in sorted({r["data"] for r in rows}):
        for model in order:
            own = [r for r in rows if (r["data"], r["model"]) == (data, model)]
            good = [r for r in own if "failed" not in r]
            if not own:
                continue
            entry: Row = {"data": data, "model": model, "seeds": len(good)}
            entry |= {k: own[0][k] for k in ("train", "holdout", "task", "trtr")}
            if good:
                entry |= {k: [mean(r[k] for r in good), sd([r[k] for r in good])] for k in COLUMNS}
                entry["versions"] = good[-1]["versions"]
                entry["lost"] = mean(r["lost"] / r["rows"] for r in good)
                entry["notes"] = sorted({r["note"] for r in good if r.get("note")})
            entry["failed"] = sorted({r["failed"] for r in own if "failed" in r})
            out.append(entry)
    return out


def sd(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def write(rows: Sequence[Row], order: Sequence[str]) -> None:
    entries = summary(rows, order)
    (RESULTS / "peers.json").write_text(json.dumps(entries, indent=1) + "\n", "utf-8")
    text = tables(entries)
    dates = sorted({r["when"] for r in rows})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    head = (
        f"{os.cpu_count()} cores shared with other work, {rows[0]['threads']} thread a model, "
        f"Python {platform.python_version()}, {span}."
    )
    body = f"{head}\n\n{text}"
    (RESULTS / "peers.md").write_text(f"# Table generators side by side\n\n`python bench/peers.py`; {body}\n", "utf-8")
    page = DOCS / "peers.md"
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", "utf-8")


def tables(entries: Sequence[Row]) -> str:
    parts = []
    for data in dict.fromkeys(e["data"] for e in entries):
        own = [e for e in entries if e["data"] == data]
        utility = "R2" if own[0]["task"] == "reg" else "AUC"
        parts.append(
            f"### {data}\n\n{own[0]['train']:,} real rows to learn from, {own[0]['holdout']:,} held out. TSTR is {utility}; "
            f"trained on the real rows it is {own[0]['trtr']:.3f}.\n"
        )
        heads = ["model", "seeds", *(h for h, _ in COLUMNS.values())]
        parts.append("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
        good = sorted((e for e in own if e["seeds"]), key=lambda e: e["c2st_auc"][0])
        parts += [_line(e) for e in good]
        parts.append("")
        parts += [f"* {e['model']}: {'; '.join(_told(e))}." for e in own if _told(e)]
        parts.append("")
    found = {name: v for e in entries for name, v in e.get("versions", {}).items()}
    return "\n".join(parts) + "\nVersions: " + ", ".join(f"{n} {v}" for n, v in sorted(found.items())) + "."


def _line(entry: Row) -> str:
    cells = [f"{entry[k][0]:.{d}f}" + _spread(entry[k][1], d) for k, (_, d) in COLUMNS.items()]
    return f"| {entry['model']} | {entry['seeds']} | " + " | ".join(cells) + " |"


def _spread(sd: float | None, digits: int) -> str:
    return "" if sd is None else f" ± {sd:.{digits}f}"


def _told(entry: Row) -> list[str]:
    lost = [f"{entry['lost']:.1%} of its rows lack a number and were left out"] if entry.get("lost") else []
    return [*entry.get("notes", []), *lost, *(f"not run: {reason.rstrip('.')}" for reason in entry["failed"])]
