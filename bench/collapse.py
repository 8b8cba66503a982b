"""What becomes of generators trained on their own output, on Adult: the curves of docs/collapse.md.

Run: `python bench/collapse.py tabular.copula tabular.smote` (any generators; each is an experiment of its own in
runs/collapse-<generator>, and one that is finished is not run again). Options: --generations, --repeats, --rows, --out.
Results: bench/results/collapse.md and collapse.json (medians and means over repeats), docs/collapse-<generator>.svg.
Generators whose results are in collapse.json already stay there, so that another can be added later.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
from pathlib import Path
from typing import Any

import synthmill
from synthmill.data import adult_path
from synthmill.documents.collapse import drawing
from synthmill.lab.collapse import Step

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
RULES = ["age >= 17", "hours_per_week BETWEEN 1 AND 99", "relationship <> 'Wife' OR sex = 'Female'"]
DRAWN = ("coverage.tails", "lab.levels", "lab.spread", "utility.synthetic", "detection.c2st")


def spec(use: str) -> synthmill.Spec:
    return synthmill.Spec.model_validate(
        {
            "name": f"collapse-{use}",
            "seed": 7,
            "real": {"path": str(adult_path()), "target": "income", "missing": ["?"]},
            "generate": {"use": use},
            "verify": [{"use": "schema", "ranges": "train"}, {"use": "rules", "all": RULES}],
        }
    )


def experiment(use: str, given: argparse.Namespace) -> dict[str, Any]:
    def tick(step: Step) -> None:
        if step.done % 10 == 0:
            left = f", about {step.left / 60:.0f} min left" if math.isfinite(step.left) else ""
            print(f"{use}: {step.done} of {step.total}{left}", flush=True)

    options = {"generations": given.generations, "repeats": given.repeats, "rows": given.rows}
    return synthmill.collapse(spec(use), out=Path(given.out) / f"collapse-{use}", tick=tick, **options).summary


def table(found: dict[str, Any]) -> str:
    """Markdown: the first and the last generation of every arm, medians (means in brackets)."""
    names = [m for m in DRAWN if any(a["points"][m] for a in found["arms"])]
    lines = [f"| arm | alive | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    real = " | ".join(f"{found['real'][m]['median']:.3f}" for m in names)
    lines.append(f"| the real rows themselves | | {real} |")
    for verified in (False, True):
        one = next((a for a in found["arms"] if a["verified"] == verified), None)
        if one:
            first = " | ".join(f"{one['points'][m][0]['median']:.3f}" for m in names)
            lines.append(f"| generation 1, {'verified' if verified else 'not verified'} | | {first} |")
    for arm in found["arms"]:
        cells = [arm["points"][m][-1] for m in names]
        shown = " | ".join(f"{c['median']:.3f} ({c['mean']:.3f})" for c in cells)
        lines.append(f"| {arm['label']} | {found['repeats'] - len(arm['ended'])} of {found['repeats']} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generators", nargs="+")
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--out", default="runs")
    given = parser.parse_args()
    for use in given.generators:
        found = experiment(use, given)
        file = RESULTS / "collapse.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        kept[use] = found
        file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        (ROOT / "docs" / f"collapse-{use}.svg").write_text(drawing(found, [m for m in DRAWN if m in found["real"]]))
        write(kept)


def write(kept: dict[str, Any]) -> None:
    told = [
        "# Collapse on Adult",
        f"\n`python bench/collapse.py {' '.join(sorted(kept))} --generations N --repeats N --rows N` (the numbers stand with each) on {platform.machine()}, Python {platform.python_version()}. "
        "Last generation of every arm: median over repeats, mean in brackets. What the columns are: docs/collapse.md.",
    ]
    for use, found in sorted(kept.items()):
        about = f"{found['generations']} generations of {found['rows']:,} rows, {found['repeats']} repeats"
        told.append(f"\n## `{use}`: {about}\n\n{table(found)}")
    (RESULTS / "collapse.md").write_text("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
