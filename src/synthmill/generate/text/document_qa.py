"""Questions and answers from documents, with the words that prove them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import polars as pl

from synthmill.llm.forms import Choice, Form, Many, Text, Unread, Values, Whole
from synthmill.plugins import Request
from synthmill.refusal import Refusal, choices
from synthmill.texts.chunk import sentences
from synthmill.texts.evidence import locate, overlap

from ._core import Prompted, Task
from ._passages import Passages
from ._source import Row

_AT = "text.document_qa"
KINDS = ("single", "multi_hop", "unanswerable")
_QUESTION = Text("the question", 10, 400)
_ANSWER = Text("the answer in a few words of the evidence", 1, 1_000)
_MOST = 400
"""Characters of a quotation at most: proof is words, not the passage again."""


@dataclass(kw_only=True)
class DocumentQa(Prompted):
    """Questions on documents, with answers and the source's own words that prove them.

    A question on a passage of a document, its answer, and as evidence the very words of the passage that prove it.

    documents: a file or folder (txt, md, html, pdf, docx), a table with a document a row (in `column`), or a finished
    run. size: characters of a passage at most. kinds: `single` asks what one passage says; `multi_hop` what only two
    passages of a document together do, with evidence from both; `unanswerable` what the passage does not say: the
    answer is empty, and the model, asked to answer all the same, must say that it cannot. The kind is a facet: cells
    may ask for it.

    cite: `sentence`: the model names the numbers of sentences; `quote`: it copies words, which must be found in the
    passage, blanks and the forms of quotation marks aside. Either way `evidence` holds the source's own characters.
    support: share of the answer's words that the evidence must have (0: none), which is less than entailment. confirm: the
    question is answered once more from the passage alone, and the answers must share that many words too.

    Sources: Rajpurkar et al., SQuAD 2.0 (2018), arXiv:1806.03822 (unanswerable questions); Yang et al., HotpotQA (2018),
    arXiv:1809.09600 (two passages); Alberti et al., Roundtrip consistency (2019), arXiv:1906.05416 (`confirm`).
    """

    documents: str
    column: str | None = None
    size: int = 1_500
    kinds: list[Literal["single", "multi_hop", "unanswerable"]] = field(default_factory=lambda: ["single"])
    cite: Literal["sentence", "quote"] = "sentence"
    support: float = 0.5
    confirm: bool = False
    named: ClassVar[tuple[str, ...]] = ("document_qa", "document_qa_unanswerable", "document_qa_confirm")

    def __post_init__(self) -> None:
        if not self.kinds:
            raise Refusal(f"{_AT}: kinds: none is named; {choices('', KINDS)}")
        if not 0 <= self.support <= 1:
            raise Refusal(f"{_AT}: support: {self.support} is not a share between 0 and 1")
        made = {"document": pl.String(), "context": pl.String(), "question": pl.String(), "answer": pl.String(),
                "evidence": pl.List(pl.String())}  # fmt: skip
        self._begin(made, {"kind": list(self.kinds)})
        self._passages = Passages(self.documents, self.size, _AT, self.column)

    def _started_from(self) -> list[Any]:
        return [self._passages]

    def _fill(self, request: Request, rows: list[Row]) -> None:
        for row in rows:
            if row.values["kind"] not in KINDS:  # a cell may ask for anything
                row.fail(f"kind: '{row.values['kind']}' is none of {', '.join(KINDS)}")
        one = self._passages.draw(request)
        two = self._passages.draw(request, several=True) if any(r.values["kind"] == "multi_hop" for r in rows) else one
        for row, single, pair in zip(rows, one, two, strict=True):
            found = pair if row.values["kind"] == "multi_hop" else single
            row.start = {"passages": [p.text for p in found]}
            row.parents.append(found[0].document.id)
            row.values |= {"document": found[0].document.id, "context": "\n\n".join(p.text for p in found)}
        open_ = [r for r in rows if r.values["kind"] == "unanswerable"]
        closed = [r for r in rows if r.values["kind"] != "unanswerable"]
        self._ask(request, closed, "ask", self._answerable)
        self._ask(request, open_, "ask", self._unanswerable)
        self._ask(request, [*(closed if self.confirm else []), *open_], "confirm", self._confirmed)
        for row in rows:
            row.values.pop("reply", None)

    def _answerable(self, row: Row) -> Task:
        passages = row.start["passages"]
        pieces = [[s.text for s in sentences(p)] for p in passages]
        shape = _Qa.of(passages, pieces if self.cite == "sentence" else None)
        text = _numbered(pieces) if self.cite == "sentence" else passages
        return self._task("document_qa", row, shape, self._fault, passages=text, cite=self.cite, hops=len(passages))

    def _fault(self, values: Values) -> str:
        if re.search(r"\b(?:sentence|passage)s? \[?\d", values["question"], re.I):
            return "the question speaks of a sentence's number, which nobody sees who answers it"
        share = overlap(values["answer"], " ".join(values["evidence"]))
        return f"only {share:.0%} of the answer's words are in its evidence" if share < self.support else ""

    def _unanswerable(self, row: Row) -> Task:
        shape = Form({"question": _QUESTION})
        task = self._task("document_qa_unanswerable", row, shape, passages=row.start["passages"])
        row.values |= {"answer": "", "evidence": []}
        return task

    def _confirmed(self, row: Row) -> Task:
        shape = Form({"answerable": Choice(("yes", "no")), "reply": Text("the answer, or empty", 0, 1_000)})
        wanted = "no" if row.values["kind"] == "unanswerable" else "yes"

        def accept(values: Values) -> str:
            if values["answerable"] != wanted:
                return (
                    "the passage answers it" if wanted == "no" else "the passage does not answer it, when asked again"
                )
            values.pop("answerable")
            agrees = wanted == "no" or overlap(row.values["answer"], values["reply"]) >= self.support
            return "" if agrees else f"asked again, the answer is another: {values['reply'][:100]}"

        return self._task("document_qa_confirm", row, shape, accept, passages=row.start["passages"],
                           question=row.values["question"])  # fmt: skip


@dataclass(frozen=True)
class _Qa(Form):
    """The form of an answer with evidence from every passage, which is read back as the source's own words."""

    passages: Sequence[str]
    numbered: Sequence[str]

    @classmethod
    def of(cls, passages: Sequence[str], pieces: Sequence[Sequence[str]] | None) -> _Qa:
        """pieces: the sentences of each passage, where their numbers are asked for."""
        fields: dict[str, Many] = {}
        last = 0
        for i in range(len(passages)):
            name = "evidence" if len(passages) == 1 else f"evidence_{i + 1}"
            if pieces is None:
                fields[name] = Many(Text("words copied exactly from the passage", 5, _MOST), 1, 2)
            else:
                fields[name] = Many(Whole("number of a sentence", last + 1, last + len(pieces[i])), 1, 2)
                last += len(pieces[i])
        every = [s for of in pieces or () for s in of]
        return cls({**fields, "question": _QUESTION, "answer": _ANSWER}, tuple(passages), tuple(every))

    def read(self, text: str) -> Values:
        values = super().read(text)
        names = [c for c in values if c.startswith("evidence")]
        found = [
            e
            for c, p in zip(names, self.passages, strict=True)
            for e in _needed([self._found(e, p) for e in dict.fromkeys(values[c])], values["answer"])
        ]
        return {"question": values["question"], "answer": values["answer"], "evidence": found}

    def _found(self, evidence: int | str, passage: str) -> str:
        if isinstance(evidence, int):
            return self.numbered[evidence - 1]
        place = locate(evidence, passage)
        if place is None:
            raise Unread(f"the evidence '{evidence[:80]}' is not in the passage, word for word")
        return passage[place[0] : place[1]]


def _needed(found: list[str], answer: str) -> list[str]:
    """Without quotations that add no word of the answer; models like to name a sentence too many. One stays."""
    if overlap(answer, "") == 1:
        return found
    for piece in reversed(found):
        rest = [e for e in found if e != piece]
        if rest and overlap(answer, " ".join(rest)) >= overlap(answer, " ".join(found)) > 0:
            found = rest
    return found


def _numbered(pieces: Sequence[Sequence[str]]) -> list[str]:
    """The passages with a number before every sentence, counted through all of them."""
    count = itertools.count(1)
    return ["\n".join(f"[{next(count)}] {s}" for s in of) for of in pieces]
