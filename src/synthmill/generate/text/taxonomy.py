"""A tree of skills or knowledge, grown branch by branch and covered leaf by leaf."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from synthmill.cells import Cell
from synthmill.frame import seed_of
from synthmill.llm.forms import Form, Many, Plain, Text, Values
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.texts.evidence import spoken

from ._core import Prompted, Task
from ._draw import even
from ._source import Row

_AT = "text.taxonomy"
_CELL = Cell(-1, (), 0)
Path = tuple[str, ...]
_END: Path = ()


@dataclass(kw_only=True)
class Taxonomy(Prompted):
    """Tasks for every leaf of a tree of skills that the model grows.

    An `instruction` (and with `answers` its `output`) for every leaf of a tree, each leaf as often as every other.

    root: what the tree is of. tree: what is already known of it, as nested mappings and lists; the model grows each open
    end into `branches` parts, down to `levels` levels below the root (0: the tree as it is given). The tree is grown
    before the first row, from the root's own seed and not a request's: every request sees the same one. A branch that
    cannot be grown is a leaf where it ends. `path` names the leaf, root first, `leaf` its last part.

    Sources: Sudalairaj et al., LAB (2024), arXiv:2403.01081; Li et al., GLAN (2024), arXiv:2402.13064.
    """

    root: str
    tree: dict[str, Any] | list[str] | None = None
    branches: int = 4
    levels: int = 1
    answers: bool = True
    named: ClassVar[tuple[str, ...]] = ("taxonomy_grow", "taxonomy_task", "answer")

    def __post_init__(self) -> None:
        if not 0 <= self.levels <= 6 or not 2 <= self.branches <= 50:
            raise Refusal(f"{_AT}: levels are 0 to 6 and branches 2 to 50, not {self.levels} and {self.branches}")
        self._known: list[Path] = list(_paths(self.tree, (self.root,))) if self.tree else [(self.root,)]
        if self.levels == 0 and not self.tree:
            raise Refusal(f"{_AT}: tree: with 'levels: 0' nothing grows, so the tree must be given")
        columns = ("path", "leaf", "instruction", *(("output",) if self.answers else ()))
        self._begin({"instruction": pl.String(), **dict.fromkeys(columns, pl.String())})
        self._lock = threading.Lock()
        self._leaves: list[Path] = []
        self._grown_by: dict[Path, list[str]] = {}

    def _started_from(self) -> list[Any]:
        return [self._known]

    def _fill(self, request: Request, rows: list[Row]) -> None:
        with self._lock:  # requests come from several threads; the first grows the tree for all
            self._leaves = self._leaves or self._grown()
        for row, i in zip(rows, even(request, "leaves", len(self._leaves))[:, 0].tolist(), strict=True):
            path = self._leaves[i]
            row.asked += [a for k in range(1, len(path)) for a in self._grown_by.get(path[:k], ())]
            row.values |= {"path": " > ".join(path), "leaf": path[-1]}
        self._ask(request, rows, "task", self._write)
        if self.answers:
            self._ask(request, rows, "answer", self._answer)

    def _grown(self) -> list[Path]:
        """Leaves in the tree's order. Raises ValueError where not even the root grows."""
        leaves: list[Path] = self._known
        for level in range(1, self.levels + 1):
            open_ = [p for p in leaves if len(p) == level]
            if not open_:
                continue
            request = Request(0, _CELL, 0, len(open_), seed_of(_AT, self.root, self.branches, level))
            rows = [Row(i, dict.fromkeys(self._facets.levels, "")) for i in range(len(open_))]
            tasks = [(r, self._grow(r, p)) for r, p in zip(rows, open_, strict=True)]
            found = self._solve(request, tasks, "grow")
            if level == 1 and len(leaves) == 1 and found[0].values is None:
                raise ValueError(f"{_AT}: '{self.root}' could not be divided: {found[0].fault}")
            self._grown_by |= {p: r.asked for p, r in zip(open_, rows, strict=True)}
            grown = {p: o.values["parts"] for p, o in zip(open_, found, strict=True) if o.values is not None}
            leaves = [p + part for p in leaves for part in ([(q,) for q in grown[p]] if p in grown else [_END])]
        return leaves

    def _grow(self, row: Row, path: Path) -> Task:
        form = Form({"parts": Many(Text("a part, in a few words", 2, 80), self.branches, self.branches)})

        def accept(values: Values) -> str:
            names = [spoken(p) for p in values["parts"]]
            if len(set(names)) < len(names):
                return "a part is named twice"
            return "a part is the whole again" if spoken(path[-1]) in names else ""

        return self._task("taxonomy_grow", row, form, accept, path=path, branches=self.branches)

    def _write(self, row: Row) -> Task:
        form = Form({"instruction": Text("the task", 10, 2_000)})
        return self._task("taxonomy_task", row, form, path=row.values["path"].split(" > "))

    def _answer(self, row: Row) -> Task:
        return self._task("answer", row, Plain("output"), instruction=row.values["instruction"], input="")


def _paths(tree: Any, above: Path) -> Iterator[Path]:
    """The open ends of a given tree."""
    if isinstance(tree, Mapping) and tree:
        for name, below in tree.items():
            yield from _paths(below, (*above, str(name)))
    elif isinstance(tree, list) and tree:
        for below in tree:
            if isinstance(below, Mapping):
                yield from _paths(below, above)
            else:
                yield (*above, str(below))
    elif tree is None or tree in ({}, []):
        yield above
    else:
        yield (*above, str(tree))
