"""The one way every text generator works: rows are begun, the model is asked, answers are read, repaired once, and framed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from synthmill.frame import seed_of
from synthmill.lineage import source_digest
from synthmill.llm.forms import Accept, Shape, Unread, Values
from synthmill.llm.model import Model
from synthmill.llm.prompts import Prompt
from synthmill.llm.question import Answer, Message, Question
from synthmill.plugins import Request, beside
from synthmill.refusal import Refusal, choices
from synthmill.texts.documents import Document
from synthmill.texts.seeds import Seed

from ._draw import Facets, ancestors, identity
from ._source import Row, Source

HERE = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Task:
    """One question for a row. accept: what is wrong with an answer of the right form; index: which of several samples."""

    messages: tuple[Message, ...]
    shape: Shape
    accept: Accept = lambda _: ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0


@dataclass(frozen=True)
class Outcome:
    """values: what was read, None where nothing could be."""

    values: Values | None
    answer: Answer
    fault: str = ""


@dataclass(kw_only=True)
class Prompted:
    """What text generators share; it makes nothing by itself.

    model: who answers. facets: column -> values that a row is asked to have, given by the cell or drawn evenly.
    prompts: the user's own templates in place of the built-in ones, by name. structured: send the form as a JSON schema
    where one is wanted (an endpoint that knows none is told it in the prompt alone).
    """

    model: Model = field(default_factory=Model)
    facets: dict[str, Any] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    structured: bool = True
    kind: ClassVar[str] = "io"
    named: ClassVar[tuple[str, ...]] = ()
    """The prompts it uses; files of these names lie in `templates/`."""

    def _begin(
        self,
        made: Mapping[str, pl.DataType],
        own_facets: Mapping[str, Any] | None = None,
        source: Source | None = None,
    ) -> None:
        """made: the columns beside facets and source; own_facets: those
        that are there without being declared; source: what rows start from."""
        self._name = f"text.{type(self).__module__.rpartition('.')[2]}"
        unknown = next((p for p in self.prompts if p not in self.named), None)
        if unknown is not None:
            raise Refusal(f"prompts: '{unknown}' is no prompt of {self._name}; {choices(unknown, self.named)}")
        own = {n: Prompt(beside(Path(p))) for n, p in self.prompts.items()}
        self._prompts = {n: own.get(n) or Prompt(HERE / f"{n}.j2") for n in self.named}
        self._facets = Facets.parse({**(own_facets or {}), **self.facets}, self._name)
        self._made = dict(made)
        twice = next((c for c in self._facets.levels if c in made), None)
        if twice is not None:
            raise Refusal(f"facets.{twice}: the model writes this column itself; it cannot be given as well")
        self._source = source

    def schema(self) -> dict[str, pl.DataType]:
        kept = self._source.schema() if self._source else {}
        return {**self._facets.schema(), **kept, **self._made}

    def conditions(self, axes: Sequence[str]) -> bool:
        return set(axes) <= set(self._facets.levels)

    @cached_property
    def version(self) -> str:
        """Code, prompts and seeds: an edited template is a different generator."""
        texts = [p.text for p in self._prompts.values()]
        return identity(source_digest(type(self)), texts, self._facets.sources, *self._started_from())

    def _started_from(self) -> list[Any]:
        """What else decides the rows: lists of seeds, passages, digests."""
        return self._source.identity if self._source else []

    @property
    def parents_depth(self) -> int:
        """Of the deepest seed or document it starts from; 0 where people wrote them all."""
        return max((s.depth for s in self._ancestors()), default=0)

    @property
    def parents(self) -> list[str]:
        return sorted({s.source for s in self._ancestors()})

    def _ancestors(self) -> list[Seed | Document]:
        return ancestors([self._facets.sources, *self._started_from()])

    def generate(self, request: Request) -> pl.DataFrame:
        rows = self._rows(request)
        self._fill(request, rows)
        return self._framed(request, rows)

    def _fill(self, request: Request, rows: list[Row]) -> None:
        """Asks for what rows need and writes it into their `values`; a row that fails is left out of what follows."""
        raise NotImplementedError

    def _rows(self, request: Request) -> list[Row]:
        facets = self._facets.draw(request)
        rows = [Row(i, dict(f)) for i, f in enumerate(facets)]
        if self._source:
            self._source.begin(request, rows)
        return rows

    def _text(self, row: Row) -> str:
        assert self._source is not None
        return self._source.text(row)

    def _messages(self, name: str, row: Row, shape: Shape, **values: Any) -> tuple[Message, ...]:
        facets = {c: row.values[c] for c in self._facets.levels}
        return self._prompts[name]({"facets": facets, "form": shape.shown(), **facets, **values})

    def _task(self, name: str, row: Row, shape: Shape, accept: Accept | None = None, **values: Any) -> Task:
        return Task(self._messages(name, row, shape, **values), shape, accept or (lambda _: ""))

    def _ask(
        self, request: Request, rows: Sequence[Row], stage: str, task: Callable[[Row], Task], model: Model | None = None
    ) -> None:
        """One question for every row that has not failed; what is read joins the row's values."""
        live = [r for r in rows if not r.error]
        tasks = [(r, task(r)) for r in live]
        for row, outcome in zip(live, self._solve(request, tasks, stage, model), strict=True):
            if outcome.values is None:
                row.fail(outcome.fault, outcome.answer.text)
            else:
                row.values |= outcome.values

    def _solve(
        self, request: Request, tasks: Sequence[tuple[Row, Task]], stage: str, model: Model | None = None
    ) -> list[Outcome]:
        """Answers read by their form, one repair for those that could not be. An answer that is itself an error
        (refused, too long, the endpoint's) is not repaired: the client has tried what helps."""
        model = model or self.model
        questions = [self._question(request, row, stage, task, task.messages) for row, task in tasks]
        outcomes = [_outcome(a, t) for a, (_, t) in zip(model.ask(questions), tasks, strict=True)]
        broken = [i for i, o in enumerate(outcomes) if o.values is None and not o.answer.error]
        again = []
        for i in broken:
            row, task = tasks[i]
            said = [{"role": "assistant", "content": outcomes[i].answer.text},
                    {"role": "user", "content": _repair(outcomes[i].fault, task.shape)}]  # fmt: skip
            again.append(self._question(request, row, f"{stage}, repaired", task, (*task.messages, *said)))
        repaired = model.ask(again) if again else []
        for (row, _), outcome in zip(tasks, outcomes, strict=True):
            row.asked.append(outcome.answer.address)
        for i, answer in zip(broken, repaired, strict=True):
            row, task = tasks[i]
            row.asked.append(answer.address)
            second = _outcome(answer, task)
            outcomes[i] = second if second.values is not None else Outcome(None, outcomes[i].answer, outcomes[i].fault)
        return outcomes

    def _question(self, request: Request, row: Row, stage: str, task: Task, messages: tuple[Message, ...]) -> Question:
        parameters = dict(task.parameters)
        wanted = task.shape.response_format() if self.structured else None
        if wanted:
            parameters["response_format"] = wanted
        return Question(messages, seed_of(request.seed, row.at, stage) >> 65, task.index, parameters)

    def _framed(self, request: Request, rows: Sequence[Row]) -> pl.DataFrame:
        schema = self.schema()
        mine = {c: t for c, t in schema.items() if request.given is None or c in self._made or c in self._facets.levels}
        for row in rows:
            column = self._raw_in(row) if row.error and row.raw else None
            if column is not None:
                row.values[column] = row.raw
        data = {c: [r.values.get(c) for r in rows] for c in mine}
        frame = pl.DataFrame(data, schema=mine, strict=False)
        frame = frame.with_columns(
            pl.Series("_asked", [[a for a in r.asked if a] for r in rows], dtype=pl.List(pl.String)),
            pl.Series("_parents", [r.parents for r in rows], dtype=pl.List(pl.String)),
        )
        errors = pl.Series("_error", [r.error or None for r in rows], dtype=pl.String)
        if request.given is not None:
            frame = request.given.with_columns(frame.get_columns())
        failed = bool(errors.is_not_null().any())
        return frame.with_columns(errors) if failed else frame

    def _raw_in(self, row: Row) -> str | None:
        """The column where a row that failed keeps the answer that could not be used: a text column that is empty yet."""
        texts = [c for c, t in self._made.items() if t == pl.String]
        return next((c for c in texts if row.values.get(c) is None), texts[0] if texts else None)


def _outcome(answer: Answer, task: Task) -> Outcome:
    if answer.error:
        return Outcome(None, answer, answer.error)
    if answer.finish == "length":
        return Outcome(
            None, answer, f"the answer was cut off after {answer.completion_tokens} tokens; it has to be shorter"
        )
    try:
        values = task.shape.read(answer.text)
    except Unread as e:
        return Outcome(None, answer, str(e))
    fault = task.accept(values)
    return Outcome(None if fault else values, answer, fault)


def _repair(fault: str, shape: Shape) -> str:
    again = shape.shown() or "Write the text again, and nothing else."
    return f"That cannot be used: {fault}. Correct it. {again}"


def shown_as(answers: Sequence[str]) -> str:
    """Several raw answers as one text."""
    return "\n---\n".join(answers)
