"""Requests of a finished run made again from what the run keeps, to tell where its records came from.

Nothing is stored for it: a request and the saved model give the same bytes at any time, where rows, leaves and worlds of every
value would be several times the data. What is made again is compared with what is kept before anything is told of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .cells import ANY, Cell, understood
from .compose import Maker, maker
from .lineage import request_seed
from .origins import Origins
from .plugins import Request, relative_to
from .refusal import Refusal
from .run import Run
from .spec import load_spec


def maker_of(run: Run) -> Maker:
    """The fitted generators of a run. Raises Refusal where a part of them is not there."""
    manifest, folder = run.manifest, run.root
    schema = (manifest["real"] or {}).get("schema")
    with relative_to(folder / (load_spec(folder / "spec.yaml")[0].base or ".")):
        made = maker(manifest["generate"], str(folder))
    made.load(folder / "models", folder / "private" / "models", [c["name"] for c in schema] if schema else None)
    return made


class Provenance:
    """Where the records of a run came from, request by request. Raises Refusal where its models are not there."""

    def __init__(self, run: Run) -> None:
        if not run.manifest.get("models"):
            raise Refusal(f"{run.root}: this run has no fitted generator; `synthmill make` it first")
        self._run, self._maker = run, maker_of(run)

    def request(self, asked: dict[str, Any]) -> Request:
        """asked: a row of the run's `requests`. Raises Refusal for a run that does not keep its cells' levels."""
        manifest, index = self._run.manifest, asked["cell"]
        cell = Cell(ANY, (), 0)
        if index != ANY:
            about = manifest["cells"][index]
            if "levels" not in about:
                raise Refusal(f"{self._run.root}: made by a synthmill that did not keep what its cells ask for")
            cell = Cell(index, understood(about["levels"]), about["quota"])
        uses = [g["use"] for g in manifest["generators"]]
        seed = request_seed(manifest["spec"]["seed"], uses, cell.label, asked["ordinal"])
        return Request(asked["k"], cell, asked["ordinal"], asked["n"], seed)

    def of(self, asked: dict[str, Any], at: NDArray[np.int64], kept: pl.DataFrame) -> tuple[Origins, list[str]] | None:
        """The origins of a request's answer, and the columns that they tell of; None from generators that cannot tell.

        at: (m,) rows of the answer; kept: (m, ...) what the run holds of them. Raises Refusal where that is not what is
        made again: then another synthmill, library or plugin made it, and where these values came from is not known.
        """
        found = self._maker.origins(self.request(asked))
        if found is None:
            return None
        origins, columns = found
        lost = [c for c in columns if not _same(origins.made[c], at, kept[c])]
        if lost:
            raise Refusal(
                f"{self._run.root}: request {asked['k']} made again gives other values of {_listed(lost)}: "
                "the program, a library or a plugin has changed since, so where they came from cannot be told", 1
            )  # fmt: skip
        return origins, columns


def _same(made: pl.Series, at: NDArray[np.int64], kept: pl.Series) -> bool:
    if len(made) <= at.max(initial=-1):
        return False
    return made.gather(at).cast(kept.dtype, strict=False).equals(kept, null_equal=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{n}'" for n in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
