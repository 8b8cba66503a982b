"""Text columns of a record that go with its other columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from synthmill.frame import rng_of
from synthmill.llm.forms import Form, Text, Values
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.texts.evidence import kept

from ._core import Prompted, Task
from ._source import Row

_AT = "text.table_text"
_KEPT = 2_000
"""Examples that are kept of train: more are not shown, and each is a real record."""
_LONGEST = 2_000
_ALIKE = 0.3


@dataclass(kw_only=True)
class TableText(Prompted):
    """Text columns of a record that say nothing else than its other columns do.

    Writes text columns for the rows it is given, so that they say nothing else than the other columns do.

    columns: name -> what the text is about; by default the text columns of train. shots: records of train that are shown
    as examples, those first that share most values with the row (the same class, say). A text of which more than
    3 in 10 runs of four words are an example's is not used: an example is a real record. learns: false: no real data and no examples, the columns are invented from
    their descriptions. most: characters of a text.

    Prompts hold real records then, and so does the journal; its model is private. Sources: Yu et al., AttrPrompt (2023),
    arXiv:2306.15895 (attributes decide diversity); Borisov et al., GReaT (2023), arXiv:2210.06280 (records as text).
    """

    columns: dict[str, str] | None = None
    shots: int = 4
    learns: bool = True
    most: int = _LONGEST
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("table_text",)
    _examples: list[dict[str, Any]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        if not self.learns and not self.columns:
            raise Refusal(
                f"{_AT}: columns: without real data to learn from, name them: columns: {{remark: what a nurse noted}}"
            )
        self._begin(dict.fromkeys(self.columns or {}, pl.String()))
        self._about = dict(self.columns or {})

    @property
    def fit(self) -> Callable[[pl.DataFrame, Schema], None]:
        """Not there where nothing is learned: the line then asks for no real data."""
        if not self.learns:
            raise AttributeError("fit")
        return self._fit

    def _fit(self, train: pl.DataFrame, schema: Schema) -> None:
        own = self.columns or dict.fromkeys(schema.of("text"), "")
        if not own:
            raise Refusal(
                f"{_AT}: the real data has no text column; name one to invent: columns: {{remark: what a nurse noted}}"
            )
        self._about = {c: about or f"{c}, as in the examples" for c, about in own.items()}
        self._made = dict.fromkeys(self._about, pl.String())
        known = [c for c in self._about if c in train.columns]
        shown = train.select(known + [c for c in schema.modelled if c not in known])
        held = shown.drop_nulls(known) if known else shown.clear()
        if held.height > _KEPT:
            held = held[sorted(rng_of(_AT, "examples").choice(held.height, _KEPT, replace=False).tolist())]
        self._examples = [_plain(r) for r in held.to_dicts()]

    def save(self, folder: Path) -> None:
        state = {"about": self._about, "examples": self._examples}
        (folder / "table_text.json").write_text(json.dumps(state, ensure_ascii=False), "utf-8")

    def load(self, folder: Path) -> None:
        state = json.loads((folder / "table_text.json").read_text("utf-8"))
        self._about, self._examples = state["about"], state["examples"]
        self._made = dict.fromkeys(self._about, pl.String())

    def _fill(self, request: Request, rows: list[Row]) -> None:
        if request.given is None:
            raise Refusal(f"{_AT}: completes rows that another generator makes; put one before it")
        for row, values in zip(rows, request.given.iter_rows(named=True), strict=True):
            row.start = {c: v for c, v in _plain(values).items() if c not in self._about}
        self._ask(request, rows, "write", lambda row: self._write(request, row))

    def _write(self, request: Request, row: Row) -> Task:
        shots = self._nearest(request, row)
        known = [c for c in self._about if shots and c in shots[0]]

        def accept(values: Values) -> str:
            copied = any(kept(s[c], values[c], 4) > _ALIKE for s in shots for c in known)
            return "the text is one of the examples" if copied else ""

        form = Form({c: Text(about, 1, self.most) for c, about in self._about.items()})
        record = {c: v for c, v in row.start.items() if v is not None}
        return self._task("table_text", row, form, accept, record=record, shots=shots, about=self._about)

    def _nearest(self, request: Request, row: Row) -> list[dict[str, Any]]:
        """The examples that share most values with the row; among equals, chance."""
        chance = request.rng("shots", row.at).random(len(self._examples)).tolist()
        alike = [sum(e.get(c) == v for c, v in row.start.items()) for e in self._examples]
        best = sorted(range(len(alike)), key=lambda i: (-alike[i], chance[i]))[: self.shots]
        return [{c: v for c, v in self._examples[i].items() if v is not None} for i in best]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON can hold them, so that a saved example is the same again."""
    return {c: v if isinstance(v, str | int | float | bool | None) else str(v) for c, v in values.items()}
