"""What a run says about itself, gathered once for all documents. Reads what may be shown; never `private/`."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

from synthmill.frame import Status
from synthmill.run import Run

_REASONS = 3


@dataclass(frozen=True)
class Station:
    """What one check took out of `entering` candidates. reasons: the most frequent, with counts."""

    name: str
    entering: int
    failed: int
    errors: int
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Facts:
    """profile, evaluation and blend are None where the run has none; columns are those of the data on disk."""

    run: Run
    manifest: dict[str, Any]
    evaluation: dict[str, Any] | None
    profile: dict[str, Any] | None
    blend: dict[str, Any] | None
    columns: dict[str, pl.DataType]
    rejected: pl.DataFrame | None

    @classmethod
    def of(cls, run: Run) -> Facts:
        made = bool(run.manifest["parts"] or run.manifest["wip"])
        return cls(
            run,
            run.manifest,
            _document(run, "evaluation.json"),
            _document(run, "profile.json"),
            _document(run, "blend/blend.json"),
            dict(pl.read_parquet_schema(run.path("data", 0))) if run.manifest["parts"] else {},
            run.rejected().select("_check", "_status", "_reason") if made else None,
        )

    @property
    def name(self) -> str:
        return str(self.manifest.get("name", self.run.root.name))

    @property
    def spec(self) -> dict[str, Any]:
        return self.manifest.get("spec") or {}

    @property
    def measures(self) -> dict[str, dict[str, Any]]:
        return {m["name"]: m for m in (self.evaluation or {}).get("measures", [])}

    @property
    def cells(self) -> list[dict[str, Any]]:
        """label, quota, accepted, short; what was asked is known before anything is accepted."""
        return [{"accepted": 0, "short": c["quota"], **c} for c in self.manifest.get("cells", [])]

    @property
    def asked(self) -> int:
        return sum(int(c["quota"]) for c in self.cells)

    @property
    def accepted(self) -> int:
        return sum(int(c["accepted"]) for c in self.cells)

    @property
    def short(self) -> int:
        return sum(int(c["short"]) for c in self.cells)

    @property
    def state(self) -> dict[str, Any]:
        return self.manifest.get("state") or {}

    @property
    def made(self) -> int:
        return sum(map(sum, self.state.get("tally", [])))

    @property
    def surplus(self) -> int:
        return sum(row[Status.SURPLUS] for row in self.state.get("tally", []))

    @property
    def stations(self) -> list[Station]:
        """The generator, every check in order, and the cover, with what each took out."""
        out, entering = [], self.made
        for place, (name, row) in enumerate(
            zip(self.manifest.get("checks", []), self.state.get("tally", []), strict=False)
        ):
            failed, errors = row[Status.FAIL], row[Status.ERROR]
            reasons = self._reasons(place) if failed + errors else ()
            out.append(Station(name, entering, failed, errors, reasons))
            entering -= failed + errors
        return out

    def _reasons(self, place: int) -> tuple[tuple[str, int], ...]:
        if self.rejected is None:
            return ()
        mine = self.rejected.filter((pl.col("_check") == place) & (pl.col("_status") != int(Status.SURPLUS)))
        told = mine["_reason"].drop_nulls().value_counts(sort=True)
        kinds: Counter[str] = Counter()
        for reason, n in told.iter_rows():
            kinds[self.kind_of(reason)] += n
        return tuple(sorted(kinds.items(), key=lambda kv: (-kv[1], kv[0]))[:_REASONS])

    def kind_of(self, reason: str) -> str:
        """The reason without the record's own values, which may be those of a single real one; rules stay as written."""
        if reason in json.dumps(self.spec, ensure_ascii=False):
            return reason
        for column in self.columns:
            if reason.startswith(column + " "):
                reason = re.sub(r"^ (.+?) (is|has) ", r" … \2 ", reason[len(column) :])
                return column + _VALUES.sub("…", reason)
        return _VALUES.sub("…", reason)

    @property
    def bars(self) -> list[dict[str, Any]]:
        """name, bar, held, sentence."""
        return list(self.manifest.get("bars") or [])

    @property
    def missed(self) -> list[dict[str, Any]]:
        return [b for b in self.bars if not b["held"]]

    @property
    def notes(self) -> list[str]:
        """Warnings first, then what had to be done differently from what was asked."""
        state, real = self.state, self.manifest.get("real") or {}
        return [
            *([state["stopped"]] if state.get("stopped") else []),
            *state.get("warnings", []),
            *real.get("notes", []),
            *self.manifest.get("learned", []),
            *(self.blend or {}).get("notes", []),
            *(self.evaluation or {}).get("notes", []),
        ]


_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|[+-]?\d[\d.,:/-]*")


def _document(run: Run, name: str) -> dict[str, Any] | None:
    path = run.root / name
    return json.loads(path.read_text()) if path.is_file() else None
