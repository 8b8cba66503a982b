"""Rows taken out of a fitted forest, and with them the names that no row of those left can answer for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .codes import Coded, Mask
from .trees import Ints
from .worlds import Worlds


def forget(worlds: Worlds, columns: Sequence[Coded], gone: Mask, rare: int) -> tuple[Worlds, list[Coded]]:
    """Worlds and columns without some rows. gone: (rows,).

    Levels that fewer than `rare` of the others hold disappear: from the margins, which name them, and from codes and trees,
    which number them. A column of which no level is left is missing everywhere, as one that was fitted so. Splits of trees and
    the pieces of numbers stay where they are.
    """
    left, after = worlds.without(gone), list(columns)
    sizes, moved = list(left.sizes), dict[int, tuple[Mask, Ints]]()
    for j, column in enumerate(columns):
        if not column.levelled:
            continue
        held = np.bincount(left.codes[j], minlength=column.size)
        kept = (held >= rare) | ~column.present()
        kept[0] = True
        if kept.all():
            continue
        after[j] = Coded(column.margin.only(kept[1:]))
        sizes[j] = after[j].size
        code = np.where(kept, np.cumsum(kept) - 1, 0).astype(np.int32)
        if not kept[1:].any():
            code[:], kept[1] = 1, True  # the one piece that is left says missing
        moved[j] = kept, code
        left.codes[j] = code[left.codes[j]]
    left.sizes = sizes
    left.grown = {
        key: replace(tree, ranks={f: r[moved[f][0]] if f in moved else r for f, r in tree.ranks.items()})
        for key, tree in left.grown.items()
    }
    return left, after


def still_held(worlds: Worlds, columns: Sequence[Coded], rare: int) -> dict[str, list[Any]]:
    """Of each column of levels, those that at least `rare` rows hold; None among them where so many are missing."""
    found = {}
    for j, column in enumerate(columns):
        if column.margin.levels is not None:
            held = np.bincount(worlds.codes[j], minlength=column.size)[1:]
            names = [*column.margin.levels.to_list(), None]  # the code of missing, -1, is the last of them
            found[column.name] = [names[int(c)] for c, n in zip(column.margin.first, held, strict=True) if n >= rare]
    return found
