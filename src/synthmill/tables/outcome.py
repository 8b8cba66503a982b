"""A target as a yes or no: whether a row has the favourable outcome."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import ge, gt, le, lt
from typing import Any

import numpy as np
import polars as pl

from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema

from .encode import NUMERIC, Ints

_ABOVE = re.compile(r"^\s*(>=|<=|>|<)\s*(-?[\d.]+(?:[eE][-+]?\d+)?)\s*$")
_COMPARES = {">=": ge, "<=": le, ">": gt, "<": lt}


def outcome(
    frames: Sequence[pl.DataFrame], schema: Schema, target: str | None, positive: Any
) -> tuple[list[Ints], str]:
    """Per frame (n,) 1 favourable, 0 not, 2 unknown; and why there is none ("" if there is).

    Raises Refusal where `positive` is no value of the target.
    """
    if target is None or target not in schema:
        return [], "no target is declared"
    if schema[target].kind in NUMERIC and not isinstance(positive, str | None):
        known = pl.concat([f[target].cast(pl.Float64) for f in frames]).drop_nulls()
        if not (known == float(positive)).any():
            raise Refusal(f"positive: {positive} is no value of '{target}'; write for example '>= 50000'")
    match = _ABOVE.match(positive) if isinstance(positive, str) else None
    if match and frames[0][target].dtype.is_numeric():
        compare, edge = _COMPARES[match[1]], float(match[2])
        return [_coded(compare(f[target].cast(pl.Float64), edge)) for f in frames], ""
    values = frames[0][target].drop_nulls().cast(pl.String).unique().sort().to_list()
    if positive is None:
        if len(values) != 2:
            return (
                [],
                f"'{target}' has {len(values)} values: name the favourable outcome as 'positive', such as '>= 50000'",
            )
        wanted = str(frames[0][target].drop_nulls().unique().sort().cast(pl.String)[-1])
    else:
        wanted = str(pl.Series([positive]).cast(frames[0][target].dtype, strict=False).cast(pl.String)[0])
    if wanted not in values:
        raise Refusal(f"positive: '{positive}' is no value of '{target}'; {choices(positive, values)}")
    return [_coded(f[target].cast(pl.String) == wanted) for f in frames], ""


def _coded(yes: pl.Series) -> Ints:
    codes: Ints = yes.cast(pl.Int64).fill_null(2).to_numpy().astype(np.int64)
    return codes
