"""Unique: keys that no two records share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from synthmill.constraints import Unique as Key
from synthmill.constraints import check_types
from synthmill.frame import row_keys
from synthmill.plugins import Verdicts
from synthmill.tables.keyset import KeySet


@dataclass
class Unique:
    """A record whose key is that of an admitted one; within a batch the earlier row wins.

    columns: the key. With a null in it it is no key and may repeat, as in SQL. Keys are compared by canonical value (1
    equals 1.0), by 64-bit hashes: among 10 million rows one is rejected wrongly with a chance of 1 in 370,000. A spec's
    `constraints: [{unique: [...]}]` adds this filter by itself. Only made records are compared: a blend also holds real
    ones, whose keys may be the same.
    """

    columns: list[str]

    def __post_init__(self) -> None:
        self._seen = KeySet()

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        check_types([Key(tuple(self.columns))], columns, "columns")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        keys, known = self._keys(frame)
        distinct, first = np.unique(keys[known], return_index=True)
        ok = ~known
        ok[np.flatnonzero(known)[first[~self._seen.holds(distinct)]]] = True
        return Verdicts.where(pl.Series(ok), f"{', '.join(self.columns)}: the key of an admitted record")

    def remember(self, admitted: pl.DataFrame) -> None:
        keys, known = self._keys(admitted)
        self._seen.add(np.unique(keys[known]))

    def _keys(self, frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        key = frame.select(self.columns)
        return row_keys(key), ~key.select(pl.any_horizontal(pl.all().is_null())).to_series().to_numpy()
