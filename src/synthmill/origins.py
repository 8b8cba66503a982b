"""Where values came from: what a generator can tell of an answer, and what that adds up to for each real record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class Origins:
    """Of an answer of n rows, which real rows its values came from.

    made: the answer itself, as `generate` gives it. rows: (n, drawn columns) Int64, the number in train of the row that gave
    each value, null where no single one did: it names real records, so it is private. values: of each drawn
    column (n, ...) what may be told of its values; a column `donors` there counts the real rows of which any might have
    given it. record: (n, ...) what may be told of a row as a whole, if there is anything. computed: of columns that were not drawn themselves, the drawn
    ones they were computed from.
    """

    made: pl.DataFrame
    rows: pl.DataFrame
    values: Mapping[str, pl.DataFrame]
    record: pl.DataFrame = field(default_factory=pl.DataFrame)
    computed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def drawn(self, column: str) -> tuple[str, ...]:
        """The drawn columns that a column of the answer comes from."""
        return self.computed.get(column, (column,))

    @classmethod
    def joined(cls, parts: Sequence[Origins]) -> Origins:
        """Of answers below each other."""
        return replace(
            parts[0],
            made=pl.concat([p.made for p in parts], how="diagonal"),
            rows=pl.concat([p.rows for p in parts]),
            record=pl.concat([p.record for p in parts]),
            values={c: pl.concat([p.values[c] for p in parts]) for c in parts[0].values},
        )


class Tally:
    """What real records gave to all rows added so far.

    people: (rows of train,) a number for each row, the same where rows are one person's. Every value of a row counts
    alike; one that was computed from several drawn ones is split among them evenly.
    """

    def __init__(self, people: NDArray[np.int64]) -> None:
        self._people = people
        size = int(people.max(initial=-1)) + 1
        self._given, self._most, self._values = np.zeros(size), np.zeros(size), 0

    def add(self, origins: Origins, at: NDArray[np.int64], columns: Sequence[str]) -> None:
        """Rows `at` of an answer, and those of its columns that were kept."""
        weight: dict[str, float] = {}
        for column in columns:
            sources = origins.drawn(column)
            for source in sources:
                weight[source] = weight.get(source, 0.0) + 1 / len(sources)
        givers, places, weights = [], [], []
        for source, w in weight.items():
            rows = origins.rows[source][at].fill_null(-1).to_numpy()
            known = np.flatnonzero(rows >= 0)
            givers.append(self._people[rows[known]])
            places.append(known)
            weights.append(np.full(len(known), w))
        self._values += len(columns) * len(at)
        if not givers:
            return
        giver, place, share = (np.concatenate(x) for x in (givers, places, weights))
        np.add.at(self._given, giver, share)
        _, pair, of = np.unique(giver * max(len(at), 1) + place, return_index=True, return_inverse=True)
        np.maximum.at(self._most, giver[pair], np.bincount(of, share, minlength=len(pair)) / len(columns))

    def shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(rows of train,) twice: the share of all values that each row's person gave, and the most of a single row."""
        return (self._given / max(self._values, 1))[self._people], self._most[self._people]
