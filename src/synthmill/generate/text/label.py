"""Labels for real, unlabelled texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from synthmill.llm.forms import Choice, Form
from synthmill.plugins import Request
from synthmill.refusal import Refusal

from ._core import Prompted, Task, shown_as
from ._draw import even, read_seeds, with_column
from ._source import Row, Source

_AT = "text.label"


@dataclass(kw_only=True)
class Label(Prompted):
    """Labels for real, unlabelled texts, with the share of answers that agree.

    One of `labels` for the text in `column` of the rows it is given, of `seeds`, or of passages of `documents`.

    labels: a list, or a mapping of label to what it means. samples: how often each text is labelled; `label` is what
    most answers say and `confidence` their share (1 for a single sample: it says nothing then), `votes` how many gave
    each label. A tie is an error, never a guess; so is a text of which less than half of the samples could be read.
    examples: a file or finished run with the columns `column` and `label`, of which `shots` are shown. size: characters
    of a passage.

    Confidence here is agreement with itself, which overstates: compare with people before relying on it. Sources: Gilardi
    et al. (2023), arXiv:2303.15056; Wang et al., Self-consistency (2022), arXiv:2203.11171.
    """

    labels: list[str] | dict[str, str]
    seeds: str | None = None
    documents: str | None = None
    column: str = "text"
    size: int = 1_500
    samples: int = 3
    examples: str | None = None
    shots: int = 4
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = ("label",)

    def __post_init__(self) -> None:
        self._meaning = self.labels if isinstance(self.labels, dict) else dict.fromkeys(self.labels, "")
        if len(self._meaning) < 2 or len(self._meaning) < len(self.labels):
            raise Refusal(f"{_AT}: labels: two or more different labels are needed, not {list(self.labels)}")
        if self.samples < 1:
            raise Refusal(f"{_AT}: samples: {self.samples} is less than 1")
        votes = pl.Struct({name: pl.Int64() for name in self._meaning})
        made = {"label": pl.String(), "confidence": pl.Float64(), "votes": votes}
        self._begin(made, source=Source.parse(_AT, self.column, self.seeds, self.documents, self.size))
        self._examples = read_seeds(self.examples, f"{_AT}: examples") if self.examples else []
        for c in ("label", self.column) if self._examples else ():
            self._examples = with_column(self._examples, c, f"{_AT}: examples")
        strange = next((s.values["label"] for s in self._examples if s.values["label"] not in self._meaning), None)
        if strange is not None:
            raise Refusal(f"{_AT}: examples: '{strange}' is not among the labels {', '.join(self._meaning)}")

    def _started_from(self) -> list[Any]:
        return [*super()._started_from(), self._examples]

    def _fill(self, request: Request, rows: list[Row]) -> None:
        each = min(self.shots, len(self._examples))
        drawn = even(request, "shots", len(self._examples), each).tolist() if each else [[]] * len(rows)
        live = [(r, [self._examples[i].values for i in d]) for r, d in zip(rows, drawn, strict=True) if not r.error]
        form = Form({"label": Choice(tuple(self._meaning))})
        tasks = []
        for row, shots in live:
            shown = [{"text": s[self.column], "label": s["label"]} for s in shots]
            messages = self._messages("label", row, form, text=self._text(row), labels=self._meaning, shots=shown)
            tasks += [(row, Task(messages, form, index=k)) for k in range(self.samples)]
        found = self._solve(request, tasks, "label")
        for j, (row, _) in enumerate(live):
            mine = found[j * self.samples : (j + 1) * self.samples]
            said = Counter(o.values["label"] for o in mine if o.values is not None)
            self._decide(row, said, mine[0].fault, shown_as([o.answer.text for o in mine]))

    def _decide(self, row: Row, said: Counter[str], fault: str, raw: str) -> None:
        total = sum(said.values())
        if total * 2 < self.samples or not total:
            row.fail(f"{total} of {self.samples} answers could be read; the first: {fault}", raw)
            return
        ranked = said.most_common(2)
        if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
            row.fail(f"the answers are divided: {dict(said)}", raw)
            return
        label, count = ranked[0]
        row.values |= {"label": label, "confidence": count / total, "votes": {n: said[n] for n in self._meaning}}
