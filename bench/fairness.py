"""The table of docs/fairness.md: sex x income of the shipped Adult sample, balanced by quotas.

Run: `python bench/fairness.py`. Prints the rows of the table, and the gap in AUC of a model that learns from the
synthetic rows alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import synthmill
from synthmill.data import adult

MEASURES = ("balance", "parity", "impact", "odds", "accuracy_gap", "auc_gap")
SPEC: dict[str, Any] = {
    "name": "fair",
    "real": {"path": "adult.parquet", "target": "income"},
    "cover": {"axes": {"sex": ["Female", "Male"], "income": ["<=50K", ">50K"]}, "quota": 1000},
    "generate": "tabular.forest",
    "blend": {"real": 0.7},
    "evaluate": [{"use": "fairness", "sensitive": ["sex"], "positive": ">50K"}, "utility"],
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        adult().write_parquet(Path(folder) / "adult.parquet")
        need = {**SPEC, "real": {**SPEC["real"], "path": str(Path(folder) / "adult.parquet")}}
        result = synthmill.make(synthmill.Spec.model_validate(need), Path(folder) / "run")
        assert result.evaluation is not None
        found = {m.name: m for m in result.evaluation.measures}
    for name in MEASURES:
        cells = [found[f"fairness.{name}_{arm}"] for arm in ("real", "synthetic", "blend")]
        print(f"| `{name}` | " + " | ".join(f"{m.value:.2f} ({m.low:.2f} to {m.high:.2f})" for m in cells) + " |")
    gap = found["utility.gap"]
    print(f"\nutility.gap {gap.value:.3f} ({gap.low:.3f} to {gap.high:.3f})")


if __name__ == "__main__":
    main()
