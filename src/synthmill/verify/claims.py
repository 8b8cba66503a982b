"""Claims: everything a text claims is borne out by its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from synthmill.frame import Status, digest
from synthmill.lineage import source_digest
from synthmill.llm.forms import Choice, Form, Many, Text
from synthmill.llm.judging import Case, Panel
from synthmill.llm.model import Model
from synthmill.plugins import Verdicts, beside
from synthmill.refusal import Refusal
from synthmill.texts.chunk import chunks
from synthmill.texts.claims import claims, lacking, stands
from synthmill.texts.columns import answers, named
from synthmill.texts.evidence import overlap

_HERE = Path(__file__).parent / "templates"
_SUPPORTED = "supported"
_MOST = 40


@dataclass
class Claims:
    """Every claim of a text must be supported by its source; what is unsupported or contradicted is named.

    column: the text, of messages the last. source: a column with what it must rest on, a text or a list of them; documents:
    a file or folder, `source` then holds the names of its documents. Claims are the text's sentences; split: the model takes
    it apart instead, and a claim with words the text has not is an error. A claim that stands in the source word for
    word is supported; one with a number, or (names) a name, that the source has not is unsupported; neither needs a model. The
    rest is asked of `model`, with the `passages` of at most `size` characters that share most words with it. Without a model
    it is supported if a share `words` of its longer words and numbers is there, which is no proof: a `not` goes unnoticed.
    share: of the claims that must be supported. structured: send the form as a JSON schema. The score is the share supported.
    A record without source, without a claim, or with claims nobody could decide where they matter, is an error.

    Sources: Min et al., FActScore (2023), arXiv:2305.14251; Honovich et al., TRUE (2022), arXiv:2204.04991.
    """

    column: str = "answer"
    source: str = "context"
    model: Model | None = None
    documents: str | None = None
    split: bool = False
    names: bool = True
    words: Annotated[float, Field(gt=0, le=1)] = 0.8
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    size: Annotated[int, Field(ge=200)] = 1500
    passages: Annotated[int, Field(ge=1)] = 3
    structured: bool = True

    def __post_init__(self) -> None:
        if self.split and self.model is None:
            raise Refusal("claims: split: the model takes texts apart; give 'model', or leave 'split' out")
        models = [self.model] if self.model is not None else []
        self._check = Panel(models, 1, _HERE / "claims.j2", self.structured) if models else None
        self._split = Panel(models, 1, _HERE / "claims_split.j2", self.structured) if self.split else None
        self._form = Form({"verdict": Choice((_SUPPORTED, "contradicted", "unsupported"))})
        self._documents: dict[str, str] | None = None
        if self.documents is not None:
            from synthmill.texts.documents import documents

            self._documents = {d.id: d.text for d in documents(beside(Path(self.documents)))}

    @property
    def kind(self) -> str:
        """Without a model nothing waits."""
        return "cpu" if self.model is None else "io"

    @cached_property
    def version(self) -> str:
        """Code, prompts and documents."""
        prompts = [p.prompt.text for p in (self._check, self._split) if p is not None]
        return digest(source_digest(type(self)), prompts, self._documents)[:12]

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where one named here is not there."""
        named([self.column], columns, "claims: column")
        named([self.source], columns, "claims: source")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        said = answers(frame[self.column])
        rows = [self._texts(s) for s in frame[self.source].to_list()]
        open_ = [bool(not why and t is not None and t.strip()) for t, (_, why) in zip(said, rows, strict=True)]
        made = iter(self._claims([str(t) for t, o in zip(said, open_, strict=True) if o]))
        held = [next(made) if o else ([], "") for o in open_]
        todo = [(i, c) for i, (found, _) in enumerate(held) for c in found]
        told: dict[int, list[tuple[str, str]]] = {}
        for (i, c), verdict in zip(todo, self._decided([(c, rows[i][0]) for i, c in todo]), strict=True):
            told.setdefault(i, []).append((c, verdict))
        status, reason = [int(Status.PASS)] * frame.height, [""] * frame.height
        score: list[float | None] = [None] * frame.height
        for i, (text, (_, why), (_, fault)) in enumerate(zip(said, rows, held, strict=True)):
            if not open_[i]:
                bare = text is None or not text.strip()
                status[i], reason[i] = (Status.FAIL, "there is no text") if bare else (Status.ERROR, why)
            elif i not in told:
                status[i], reason[i] = Status.ERROR, fault or "there is no claim"
            else:
                score[i], status[i], reason[i] = self._settled(told[i])
        return Verdicts(
            pl.Series(status, dtype=pl.UInt8), pl.Series(score, dtype=pl.Float32), pl.Series(reason, dtype=pl.String)
        )

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        source = (
            "The mill was built in 1790 by Ann Ford. It stands by the river, and ground wheat until five years ago."
        )
        good = [
            "The mill was built in 1790.",
            "Ann Ford built the mill. It ground wheat until 5 years ago.",
            "It stands by the river",
        ]
        bad = ["The mill was built in 1791.", "The mill was built by Tom Ford.", "The mill was built in 1790. Pigs flew over its roof.", "", None]  # fmt: skip
        return pl.DataFrame({"answer": good, "context": source}), pl.DataFrame({"answer": bad, "context": source})

    def _texts(self, source: Any) -> tuple[list[str], str]:
        """The texts to rest on, or why there are none."""
        given = [s for s in (source if isinstance(source, list) else [source]) if s is not None and s.strip()]
        if not given:
            return [], f"{self.source}: there is no source"
        if self._documents is None:
            return given, ""
        unknown = next((g for g in given if g not in self._documents), None)
        return ([], f"{self.source}: no document is called '{unknown}'") if unknown is not None else ([self._documents[g] for g in given], "")  # fmt: skip

    def _claims(self, texts: Sequence[str]) -> list[tuple[list[str], str]]:
        """Of each text its claims, or what went wrong."""
        if self._split is None:
            return [(claims(t), "") for t in texts]
        form = Form({"claims": Many(Text("a claim", 1, 1_000), 1, _MOST)})
        out: list[tuple[list[str], str]] = []
        for text, read in zip(texts, self._split.ask([Case({"TEXT": t}, form) for t in texts]), strict=True):
            reading = read[0][0]
            found = list(reading.values["claims"]) if reading.values else []
            added = next((c for c in found if lacking(c, text, self.names) or overlap(c, text) < 0.5), None)
            out.append(([], f"the model made up a claim: {added[:120]!r}") if added else (found, reading.fault))
        return out

    def _decided(self, todo: Sequence[tuple[str, list[str]]]) -> list[str]:
        """Of each (claim, sources): "supported", "contradicted", "unsupported", or why nobody knows."""
        told: list[str | None] = [self._exactly(c, s) for c, s in todo]
        left = [i for i, t in enumerate(told) if t is None]
        cases = [Case({"SOURCE": self._passages(*todo[i]), "CLAIM": todo[i][0]}, self._form) for i in left]
        for i, read in zip(left, self._check.ask(cases) if self._check and cases else [], strict=True):
            reading = read[0][0]
            told[i] = str(reading.values["verdict"]) if reading.values else f"not decided ({reading.fault})"
        return [str(t) for t in told]

    def _exactly(self, claim: str, sources: list[str]) -> str | None:
        if any(stands(claim, s) for s in sources):
            return _SUPPORTED
        without = lacking(claim, "\n".join(sources), self.names)
        if without is not None:
            return f"unsupported (the source has no {without})"
        if self._check is not None:
            return None
        best = max(overlap(claim, p) for s in sources for p in [s, *(c.text for c in chunks(s, self.size))])
        return _SUPPORTED if best >= self.words else f"unsupported ({best:.0%} of its words are in the source)"

    def _passages(self, claim: str, sources: list[str]) -> str:
        """The passages that share most with the claim, in their order."""
        pieces = [c.text for s in sources for c in chunks(s, self.size, self.size // 8)]
        best = sorted(range(len(pieces)), key=lambda i: -overlap(claim, pieces[i]))[: self.passages]
        return "\n...\n".join(pieces[i] for i in sorted(best))

    def _settled(self, told: Sequence[tuple[str, str]]) -> tuple[float, int, str]:
        """Fails where even the undecided could not help, errs where they decide."""
        n = len(told)
        good, open_ = sum(v == _SUPPORTED for _, v in told), sum(v.startswith("not decided") for _, v in told)
        wrong = [f"{v}: {c[:160]!r}" for c, v in told if v != _SUPPORTED]
        said = f"{n - good} of {n} claims: {'; '.join(wrong[:3])}" + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "") if wrong else f"{n} claims supported"  # fmt: skip
        needed = self.share * n - 1e-9
        verdict = Status.PASS if good >= needed else Status.FAIL if good + open_ < needed else Status.ERROR
        return good / n, verdict, said
