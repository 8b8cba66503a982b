"""Which real records gave how much of a run's accepted data: written under the run's `private/`, as it names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.origins import Origins, Tally
from synthmill.prepare import prepare
from synthmill.provenance import Provenance
from synthmill.real import Real
from synthmill.refusal import Refusal
from synthmill.run import Run, write_parquet
from synthmill.spec import load_spec

from .make import blend_inputs

FILE = "private/contributions.parquet"


@dataclass(frozen=True)
class Contributions:
    """What `contributions` wrote. records: accepted ones whose origins are known, of `accepted`; givers: real records (or,
    where the spec names an entity, people: `what`) that gave anything; most: the largest share of one record that one of them
    gave; share: the largest of all values. note: why real records are known by number alone, "" where they are not."""

    file: Path
    accepted: int
    records: int
    givers: int
    what: str
    most: float
    share: float
    note: str


def contributions(
    root: str | Path, real: Any = None, progress: Callable[[int, int], None] = lambda done, of: None
) -> Contributions:
    """Writes `private/contributions.parquet`: of each real record in train that gave a value, `row` (its number in train, from
    0), `_id` (as in the blend), `share` of all accepted values and `most` of a single record; with an entity also its
    value, `entity_share` and `entity_most`.

    Every request is made again and compared with what was kept, so it takes about as long as generating did. real: as in
    `make`. Raises Refusal when no generator of the run can tell, or when what is made again differs.
    """
    run = Run.open(root)
    anchor, note = anchor_of(run, real)
    size = run.manifest["real"]["train"] if run.manifest["real"] else 0
    tallies = [Tally(np.arange(size))]
    if anchor is not None and anchor.entity is not None:
        tallies.append(Tally(_people(anchor.train[anchor.entity])))
    records, accepted = 0, 0
    for at, origins, columns in _requests(run, progress):
        accepted += len(at)
        if origins is not None:
            records += len(at)
            for tally in tallies:
                tally.add(origins, at, columns)
    if not records:
        uses = ", ".join(g["use"] for g in run.manifest["generators"])
        raise Refusal(f"{run.root}: none of its generators ({uses}) tells which real records its values come from")
    table = _table(tallies, anchor, run)
    (run.root / FILE).parent.mkdir(exist_ok=True)
    write_parquet(table, run.root / FILE)
    which = "entity_" if len(tallies) > 1 else ""
    share, most = (float(table[which + c].to_numpy().max()) for c in ("share", "most"))
    people = _people(table["entity"]) if which else table["row"].to_numpy()
    what, givers = "people" if which else "records", len(np.unique(people))
    return Contributions(run.root / FILE, accepted, records, givers, what, most, share, note)


def _requests(
    run: Run, progress: Callable[[int, int], None]
) -> Iterator[tuple[NDArray[np.int64], Origins | None, list[str]]]:
    """(rows of the answer, origins or None, columns) of every request that has accepted records, in order."""
    provenance, data = Provenance(run), run.data()
    rows = run.rows().select("_k", "_i").with_row_index("_at")
    asked = {r["k"]: r for r in run.requests().iter_rows(named=True)}
    parts = rows.partition_by("_k", maintain_order=True)
    for done, part in enumerate(parts):
        at = part["_i"].to_numpy().astype(np.int64)
        found = provenance.of(asked[part["_k"][0]], at, data[part["_at"]])
        yield at, *(found or (None, []))
        progress(done + 1, len(parts))


def anchor_of(run: Run, given: Any) -> tuple[Real | None, str]:
    """The run's real data, if it can be had; else why not."""
    spec, base = load_spec(run.root / "spec.yaml")
    try:
        real = prepare(spec, str(run.root / "spec.yaml"), base, given).real
    except Refusal as e:
        return None, f"{_ALONE}: {e}"
    if real is None or real.digest != run.manifest["real"]["digest"]:
        return None, f"{_ALONE}: the real data has changed since the run was made"
    return real, ""


_ALONE = "real records are told by their number in train alone"


def _people(entity: pl.Series) -> NDArray[np.int64]:
    """(n,) a number for each value; a row without one is a person of its own."""
    known = entity.is_not_null().to_numpy()
    numbers = entity.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    return np.where(known, numbers, int(numbers.max(initial=-1)) + np.cumsum(~known))


def _table(tallies: list[Tally], anchor: Real | None, run: Run) -> pl.DataFrame:
    share, most = tallies[0].shares()
    table = pl.DataFrame({"row": np.arange(len(share)), "share": share, "most": most})
    ids = blend_inputs(anchor, run)["_id"] if anchor is not None else pl.lit(None, pl.String)
    table = table.select("row", ids.alias("_id"), "share", "most")
    if anchor is not None and anchor.entity is not None:
        of, most_of = tallies[1].shares()
        extra = [
            anchor.train[anchor.entity].alias("entity"),
            pl.Series("entity_share", of),
            pl.Series("entity_most", most_of),
        ]
        table = table.with_columns(extra)
    return table.filter(pl.col("share") > 0)
