"""Documents in passages, and which of them a row works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthmill.frame import digest
from synthmill.plugins import Request, beside
from synthmill.refusal import Refusal
from synthmill.texts.chunk import chunks
from synthmill.texts.documents import Document, documents

from ._draw import even

SHORTEST = 0.2
"""A passage shorter than this share of the wanted length is left out: the last lines of a document say little."""


@dataclass(frozen=True)
class Passage:
    document: Document
    text: str


class Passages:
    """Every passage of at most `size` characters of the documents in a file, a folder or a finished run."""

    def __init__(self, source: str, size: int, at: str, column: str | None = None) -> None:
        if size < 200:
            raise Refusal(f"{at}: size: {size} characters are too few to ask about; 200 at least")
        try:
            self.documents = documents(beside(Path(source)), column)
        except Refusal as e:
            raise Refusal(f"{at}: documents: {e}", e.code) from None
        self._of = [_passages(d, size) for d in self.documents]
        self.all = [p for of in self._of for p in of]
        self._place = {id(p): (d, j) for d, of in enumerate(self._of) for j, p in enumerate(of)}

    @property
    def identity(self) -> str:
        return digest([(d.id, d.depth, digest(d.text)) for d in self.documents], [len(of) for of in self._of])[:12]

    def draw(self, request: Request, several: bool = False) -> list[Sequence[Passage]]:
        """One passage for every row of a request; with `several`, two of one document, in their order."""
        pool = [p for of in self._of if len(of) > 1 for p in of] if several else self.all
        if not pool:
            raise Refusal("documents: none is long enough for two passages; a smaller 'size' makes more of them")
        first = [pool[i] for i in even(request, "passages, two" if several else "passages", len(pool))[:, 0]]
        if not several:
            return [(p,) for p in first]
        return [self._with_another(p, request.rng("another", i)) for i, p in enumerate(first)]

    def _with_another(self, passage: Passage, rng: Any) -> Sequence[Passage]:
        d, j = self._place[id(passage)]
        others = [o for o in range(len(self._of[d])) if o != j]
        other = others[int(rng.integers(len(others)))]
        return tuple(self._of[d][k] for k in sorted((j, other)))


def _passages(document: Document, size: int) -> list[Passage]:
    pieces = chunks(document.text, size)
    return [Passage(document, p.text) for p in pieces if len(p.text) >= SHORTEST * size or len(pieces) == 1]
