"""Any synthmill table generator as an imbalanced-learn sampler: `Resampler(Forest())` in an imblearn Pipeline."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from .cells import Cell
from .frame import seed_of
from .plugins import Request
from .refusal import Refusal, choices
from .schema import Column, Schema

_SIZE, _ATTEMPTS = 20_000, 20


class Resampler:
    """Adds rows made by a generator until each class has its wanted number of rows; real rows come first, unchanged.

    generator: fitted anew in each `fit_resample`; it must be able to make rows of a given class (`conditions`), and
    `smote`'s `target` option, when unset, becomes the name of y. sampling_strategy: "auto" (every class as large as the
    largest), {class: rows}, or the least share of the largest class. seed: an int, hashed with the class. schema: of X
    and y; without it numbers are numbers and text and booleans are levels.

    X and y may be polars, pandas or NumPy, and what is returned is of the same kind. Raises Refusal where the generator
    makes too few rows of a class.
    """

    def __init__(
        self,
        generator: Any,
        sampling_strategy: str | float | Mapping[Any, int] = "auto",
        seed: int = 0,
        schema: Schema | None = None,
    ) -> None:
        self.generator, self.sampling_strategy, self.seed, self.schema = generator, sampling_strategy, seed, schema

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("generator", "sampling_strategy", "seed", "schema")}

    def set_params(self, **params: Any) -> Resampler:
        for k, v in params.items():
            if k not in self.get_params():
                raise ValueError(f"Resampler has no parameter '{k}'")
            setattr(self, k, v)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        frame, labels = _frame(X), _labels(y)
        name = labels.name if labels.name and labels.name not in frame.columns else "_".join([*frame.columns, "class"])
        train = frame.with_columns(labels.alias(name))
        schema = self.schema or _schema(train, name)
        generator = copy.copy(self.generator)
        if getattr(generator, "target", name) is None:
            generator.target = name
        if hasattr(generator, "fit"):
            generator.fit(train, schema)
        if not (hasattr(generator, "conditions") and generator.conditions([name])):
            raise Refusal(f"resample: {type(generator).__name__} cannot make rows of a given class")
        made = [self._more(generator, name, level, n, train) for level, n in self._missing(labels)]
        new = pl.concat([train.clear(), *made])
        return _append(X, new.drop(name)), _append(y, new[name].to_frame())

    def _missing(self, labels: pl.Series) -> list[tuple[Any, int]]:
        """(class, rows to make), in the order of the classes."""
        known = labels.drop_nulls()
        counts = {level: int((known == level).sum()) for level in known.unique().sort()}
        most = max(counts.values(), default=0)
        wanted: dict[Any, int]
        if isinstance(self.sampling_strategy, Mapping):
            for level in self.sampling_strategy:
                if level not in counts:
                    raise Refusal(f"resample: sampling_strategy: no class {level!r}; {choices(level, counts)}")
            wanted = dict(self.sampling_strategy)
        elif isinstance(self.sampling_strategy, str):
            if self.sampling_strategy != "auto":
                raise Refusal(
                    f"resample: sampling_strategy: {self.sampling_strategy!r} is not 'auto', a share or counts"
                )
            wanted = dict.fromkeys(counts, most)
        else:
            wanted = dict.fromkeys(counts, round(most * self.sampling_strategy))
        return [(c, wanted[c] - n) for c, n in counts.items() if wanted.get(c, 0) > n]

    def _more(self, generator: Any, name: str, level: Any, n: int, train: pl.DataFrame) -> pl.DataFrame:
        parts, rows = [train.clear()], 0
        for ordinal in range(_ATTEMPTS + n // _SIZE):
            if rows >= n:
                break
            size = min(_SIZE, n - rows)
            cell = Cell(0, ((name, level),), n)
            seed = seed_of(self.seed, "resample", level, ordinal)
            part = generator.generate(Request(ordinal, cell, ordinal, size, seed)).select(train.columns)
            part = part.filter(cell.holds())
            parts.append(part)
            rows += part.height
        if rows < n:
            raise Refusal(f"resample: {type(generator).__name__} made {rows} of the {n} rows wanted of class {level!r}")
        return pl.concat(parts)


def _frame(x: Any) -> pl.DataFrame:
    if isinstance(x, pl.DataFrame):
        return x
    if isinstance(x, np.ndarray):
        columns = {f"x{i}": pl.Series(c.tolist() if c.dtype == object else c) for i, c in enumerate(x.T)}
        return pl.DataFrame(columns)
    frame: pl.DataFrame = pl.from_pandas(x)
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _labels(y: Any) -> pl.Series:
    if isinstance(y, pl.Series | pl.DataFrame):
        return y if isinstance(y, pl.Series) else y.to_series()
    if isinstance(y, np.ndarray | list):
        return pl.Series("class", y.tolist() if isinstance(y, np.ndarray) else y)
    s: pl.Series = pl.from_pandas(y)
    return s.cast(pl.String) if s.dtype in (pl.Categorical, pl.Enum) else s


def _append(real: Any, made: pl.DataFrame) -> Any:
    """Real rows and made ones, as the kind that `real` is."""
    if isinstance(real, pl.DataFrame):
        return pl.concat([real, made.cast(dict(real.schema))])  # type: ignore[arg-type]
    if isinstance(real, pl.Series):
        return pl.concat([real, made.to_series().cast(real.dtype).alias(real.name)])
    if isinstance(real, np.ndarray):
        new = made.to_numpy() if real.ndim == 2 else made.to_series().to_numpy()
        return np.concatenate([real, new.astype(real.dtype)])
    if isinstance(real, list):
        return real + made.to_series().to_list()
    import pandas as pd

    if isinstance(real, pd.DataFrame):
        return pd.concat([real, made.to_pandas().astype(real.dtypes)], ignore_index=True)
    return pd.concat([real, made.to_series().to_pandas().astype(real.dtype)], ignore_index=True)


def _schema(train: pl.DataFrame, target: str) -> Schema:
    columns = []
    for s in train:
        if s.dtype == pl.Boolean:
            columns.append(Column(s.name, "boolean", str(s.dtype)))
        elif s.name != target and s.dtype.is_integer():
            columns.append(Column(s.name, "integer", str(s.dtype)))
        elif s.name != target and s.dtype.is_float():
            columns.append(Column(s.name, "decimal", str(s.dtype), digits=_digits(s)))
        elif s.name != target and s.dtype.is_temporal():
            columns.append(Column(s.name, "datetime", str(s.dtype), granularity="1us"))
        else:
            columns.append(Column(s.name, "categorical", str(s.dtype)))
    return Schema(tuple(columns))


def _digits(s: pl.Series) -> int:
    """Decimal places that all values have in common; 15 where there are more than 6."""
    x = s.drop_nulls().to_numpy()
    return next((d for d in range(7) if np.array_equal(np.round(x, d), x, equal_nan=True)), 15)
