"""A set of row keys that grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthmill.frame import Keys


class KeySet:
    """Sorted runs whose sizes at least halve: 8 bytes a key where a Python set takes 100."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    @property
    def size(self) -> int:
        return sum(map(len, self._runs))

    def holds(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of some sorted keys are in it; sorted, because searching in order is what the cache likes."""
        found = np.zeros(len(keys), bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            found |= run[at] == keys
        return found

    def add(self, keys: Keys) -> None:
        keys = keys[~self.holds(keys)]
        if not len(keys):
            return
        self._runs.append(keys)
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]), kind="stable")
