"""Where the forest stands between privacy and quality, and where its peers do. `python bench/frontier.py --help`.

Runs SETTINGS on each table as peers.py runs a model, keeps one line per setting, table and seed in
results/frontier.jsonl, and draws C2ST and TSTR against MIA into docs/frontier.svg with the peers' means of
results/peers.jsonl beside them. `--draw` only draws.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean
from typing import Any

import page
import peers
from anchors import FOLDER, load
from plot import Panel, Point, draw

USE = "tabular.forest"
SETTINGS: dict[str, dict[str, Any]] = {
    "low": {"privacy": "low"},
    "balanced": {"privacy": "balanced"},
    "strict": {"privacy": "strict"},
    "leaf 10": {"leaf": 10},
    "leaf 100": {"leaf": 100},
    "leaf 400": {"leaf": 400},
    "worlds 2": {"worlds": 2},
    "worlds 15": {"worlds": 15},
}
"""Label -> options of the forest. The three names of `privacy` are joined by a line; the others turn one knob of `balanced`."""

LINE = ("low", "balanced", "strict")
ROWS = Path(__file__).resolve().parent / "results" / "frontier.jsonl"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "frontier.svg"
LEFT_OUT = ("bootstrap", "independent", "forest", "forest-low", "forest-strict")
"""Peers not drawn: the floors lie far outside, and the forest is drawn by its settings."""


def measure(args: argparse.Namespace) -> None:
    done = {(r["data"], r["model"], r["seed"], json.dumps(r["options"])) for r in peers.kept(ROWS)}
    for name in args.data:
        anchor = load(name, args.folder)
        for label, options in SETTINGS.items():
            model = peers.Model(label, use=USE, options=options)
            for seed in range(args.first, args.first + args.seeds):
                if (name, label, seed, json.dumps(options)) in done and not args.again:
                    continue
                row: dict[str, Any] = {"data": name, "model": label, "seed": seed, "options": options}
                row["when"] = time.strftime("%Y-%m-%d")
                try:
                    row |= peers.run(model, anchor, seed, args)
                except (peers.CannotRun, ValueError) as e:
                    row["failed"] = str(e)
                peers.keep(row, ROWS)
                print(peers.told(row), flush=True)
                if "failed" in row:
                    break


def panels(tables: list[str]) -> list[Panel]:
    """For each table C2ST, then TSTR, against MIA."""
    made = [r for r in peers.kept(ROWS) if "failed" not in r and r["model"] in SETTINGS]
    others = [r for r in peers.kept() if "failed" not in r and r["model"] not in LEFT_OUT]
    out = []
    for key, heading in (("c2st_auc", "C2ST (0.5 is perfect)"), ("tstr", "TSTR (higher is better)")):
        for name in tables:
            points = _points([r for r in made if r["data"] == name], key, True)
            points += _points([r for r in others if r["data"] == name], key, False)
            # half of the held-out rows are too few to train on: as a yardstick of utility they would mislead
            points = [p for p in points if not (key == "tstr" and p.label == "fresh")]
            real = [r["trtr"] for r in others if r["data"] == name]
            mark = 0.5 if key == "c2st_auc" else real[0] if real else None
            out.append(Panel(name, heading, points, mark, worst="high" if key == "c2st_auc" else "low"))
    return out


def _points(rows: list[dict[str, Any]], key: str, own: bool) -> list[Point]:
    points = []
    for label in dict.fromkeys(r["model"] for r in rows):
        x, y = ([r[k] for r in rows if r["model"] == label] for k in ("mia", key))
        spread = (page.sd(x) or 0.0, page.sd(y) or 0.0)
        points.append(Point(label, mean(x), mean(y), *spread, own=own, line=own and label in LINE))
    return sorted(points, key=lambda p: LINE.index(p.label) if p.label in LINE else len(LINE))


def arguments() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    p = argparse.ArgumentParser(description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", nargs="+", default=["adult_sample"], help="tables (default: the packaged sample)")
    p.add_argument(
        "--folder", type=Path, default=FOLDER, help=f"where NAME_train.csv and the like are ({FOLDER.name}/)"
    )
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--first", type=int, default=11, help="the first seed (default: 11, which nothing was tuned on)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--budget", type=float, default=3, help="stop a setting after 15 times as many minutes")
    p.add_argument("--again", action="store_true", help="measure anew what is kept already")
    p.add_argument("--draw", action="store_true", help="draw what is kept, run nothing")
    return p.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    if not chosen.draw:
        measure(chosen)
    PICTURE.write_text(draw(panels(chosen.data), "membership inference (MIA; 0.5 is private)"), "utf-8")
