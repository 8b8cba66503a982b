"""How far can the judge be trusted that the records passed? As measured on people's labels."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from synthmill.plugins import Better, Evidence, Measure, beside
from synthmill.refusal import Refusal

_BETTER: dict[str, Better] = {
    "agreement": "higher", "kappa": "higher", "decided": "higher", "consistent": "higher", "above_baseline": "higher",
    "below_people": "lower", "misled": "lower",
}  # fmt: skip


@dataclass
class Judging:
    """What `synthmill judge-check` found of a judge, for the report and for bars of a release.

    file: its report. The numbers are about the judge and the people who labelled, not about the records. agreement: of judge and
    annotator; its floor is the best answer without reading, its ceiling annotators among themselves.
    """

    file: str

    measures: ClassVar[tuple[str, ...]] = tuple(_BETTER)
    as_made: ClassVar[bool] = True

    def __post_init__(self) -> None:
        path = beside(Path(self.file))
        try:
            told = json.loads(path.read_text("utf-8"))
            self._told: dict[str, dict[str, Any]] = {m["name"]: m for m in told["measures"]}
            self._note = f"{told['pairs']:,} pairs labelled by people"
            known = {m["name"]: (m["value"], m["low"], m["high"]) for m in self._told.values()}
        except OSError as e:
            raise Refusal(f"judging: file: {path}: {(e.strerror or str(e)).lower()}") from None
        except (ValueError, KeyError, TypeError):
            raise Refusal(f"judging: file: {path}: is no report of `synthmill judge-check`") from None
        if "agreement" not in known:
            raise Refusal(f"judging: file: {path}: is no report of `synthmill judge-check`")

    def measure(self, evidence: Evidence) -> list[Measure]:
        return [self._measure(name) for name in _BETTER]

    def _measure(self, name: str) -> Measure:
        m = self._told.get(name, {})
        value, low, high = (math.nan if m.get(k) is None else float(m[k]) for k in ("value", "low", "high"))
        note = self._note if math.isfinite(value) else m.get("note") or "judge-check did not measure it"
        return Measure(name, value, low, high, _BETTER[name], floor=m.get("floor"), ceiling=m.get("ceiling"), note=note)
