"""Synthetic minority over-sampling."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Request
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.tables.encode import NUMERIC
from synthmill.tables.grid import Floats, Grid
from synthmill.tables.store import load_frame, places, save_frame

Kind = Literal["auto", "smote", "smotenc", "borderline"]


@dataclass
class Smote:
    """SMOTE, SMOTE-NC or Borderline-SMOTE: rows between a real row and one of its k nearest real rows of the same class.

    Not private: every row lies on the line between two real people, and its categories are those most of a person's
    neighbours have. Use it to balance classes for training, not to publish; the model holds the real rows.

    target: the column whose classes are over-sampled; it is also the only axis that can be asked for. kind: `auto` is
    `smotenc` when there are categories and `smote` when all other columns are numbers; `borderline` (numbers only) starts
    only from rows whose 10 nearest neighbours are mostly of other classes, and makes nothing where there are none.

    Numbers are standardised before distances are taken and rounded back to their column's own step. A missing number is
    its class's median plus a category `missing`: a made number is missing where most neighbours' are, so that rare gaps
    become rarer; a missing category is a category. k is lowered to the size of a small class; a class of one row makes nothing. Rows whose class is missing
    are left out. Memory: the whole class by its one-hot width; time: neighbours are found once per class, quadratic.
    Sources: Chawla et al. (2002), Han et al. (2005), through imbalanced-learn.
    """

    target: str | None = None
    kind: Kind = "auto"
    k: Annotated[int, Field(ge=1)] = 5
    private_model: ClassVar[bool] = True
    _train: pl.DataFrame = field(init=False, repr=False, default_factory=pl.DataFrame)
    _space: _Space | None = field(init=False, repr=False, default=None)
    _schema: Schema = field(init=False, repr=False, default=Schema(()))

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        if self.target is None:
            raise Refusal("tabular.smote: 'target' is required: the column whose classes are over-sampled")
        if self.target not in train.columns:
            raise Refusal(f"tabular.smote: target: no column '{self.target}'; {choices(self.target, train.columns)}")
        if schema[self.target].kind in ("decimal", "datetime"):
            raise Refusal(f"tabular.smote: target: '{self.target}' is a {schema[self.target].kind}, not a class")
        space = _Space.of(train, schema, self.target)
        if not space.grids:
            raise Refusal("tabular.smote: the table has no numeric column, and SMOTE interpolates numbers")
        if self.kind in ("smote", "borderline") and space.categories:
            raise Refusal(f"tabular.smote: kind: '{self.kind}' knows only numbers without gaps; use 'smotenc'")
        if self.kind == "smotenc" and not space.categories:
            raise Refusal("tabular.smote: kind: 'smotenc' needs a column of categories; use 'smote'")
        self._train, self._schema, self._space = train, schema, space

    def schema(self) -> dict[str, pl.DataType]:
        return dict(self._train.schema)

    def conditions(self, axes: Sequence[str]) -> bool:
        return set(axes) <= {self.target}

    def generate(self, request: Request) -> pl.DataFrame:
        space = self._fitted
        if request.cell.levels:
            wanted = request.cell.where[str(self.target)]
            counts = np.array([request.n * bool(level == wanted) for level in space.classes], np.int64)
        else:
            counts = request.rng("classes").multinomial(request.n, space.shares)
        made = [self._of_class(c, int(n), request) for c, n in enumerate(counts) if n]
        frame = pl.concat([self._train.clear(), *made])
        return frame[request.rng("order").permutation(frame.height)]

    @property
    def _fitted(self) -> _Space:
        if self._space is None:
            raise Refusal("tabular.smote: not fitted")
        return self._space

    def _of_class(self, c: int, n: int, request: Request) -> pl.DataFrame:
        space = self._fitted
        own = space.of_class == c
        size = int(own.sum())
        x, y = space.x, own.astype(np.int64)
        if self.kind != "borderline":
            # only the class itself is used; imbalanced-learn wants a second one to be there
            x, y = np.vstack([x[own], x[own][:1]]), np.append(np.ones(size, np.int64), 0)
        if size < 2 or y.all():
            return self._train.clear()
        sampler = self._sampler(size, size + n, int(request.rng("class", c).integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            made = sampler.fit_resample(x, y)[0][len(x) :]
        return space.rows(np.asarray(made, np.float64), c, self._train)

    def _sampler(self, size: int, total: int, seed: int) -> Any:
        from imblearn.over_sampling import SMOTE, SMOTENC, BorderlineSMOTE

        space = self._fitted
        near = space.neighbours(min(self.k, size - 1) + 1)
        common = {"sampling_strategy": {1: total}, "random_state": seed, "k_neighbors": near}
        if self.kind == "borderline":
            return BorderlineSMOTE(m_neighbors=space.neighbours(min(10, len(space.x) - 1) + 1), **common)
        if not space.categories:
            return SMOTE(**common)
        return SMOTENC(list(range(len(space.grids), space.x.shape[1])), **common)

    def save(self, folder: Path) -> None:
        save_frame(self._train, folder, "smote")
        (folder / "schema.json").write_text(json.dumps(self._schema.to_json(), default=str), "utf-8")

    def load(self, folder: Path) -> None:
        self.fit(load_frame(folder, "smote"), Schema.from_json(json.loads((folder / "schema.json").read_text("utf-8"))))


@dataclass
class _Space:
    """x: (n, numbers + categories): standardised numbers, then codes of categories and of missing numbers.

    of_class: (n,) place of each row's class. Rows without a class are left out.
    """

    target: str
    grids: dict[str, Grid]
    categories: dict[str, pl.Series]
    x: Floats
    mean: Floats
    scale: Floats
    classes: list[Any]
    of_class: NDArray[np.int64]
    shares: Floats
    found: dict[bytes, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def of(cls, train: pl.DataFrame, schema: Schema, target: str) -> _Space:
        train = train.filter(pl.col(target).is_not_null())
        levels = train[target].unique().sort()
        of_class = places(train[target], levels)
        names = [c for c in train.columns if c != target]
        grids = {c: Grid.fit(schema[c], train[c]) for c in names if schema[c].kind in NUMERIC}
        varying = [c for c in names if c not in grids and train[c].n_unique() > 1]
        categories = {c: train[c].drop_nulls().unique().sort() for c in varying}
        codes = [places(train[c], categories[c]) for c in varying]
        numbers = np.array([grids[c].codes(train[c]) for c in grids]).reshape(len(grids), train.height)
        for i, name in enumerate(grids):
            missing = np.isnan(numbers[i])
            if missing.any():
                numbers[i] = _filled(numbers[i], of_class)
                categories[name] = pl.Series([False, True])
                codes.append(missing.astype(np.int64))
        mean, scale = numbers.mean(axis=1), numbers.std(axis=1)
        scale = np.where(scale > 0, scale, 1.0)
        x = np.column_stack([((numbers.T - mean) / scale), *codes])
        shares = np.bincount(of_class, minlength=len(levels)) / max(1, train.height)
        return cls(target, grids, categories, x, mean, scale, levels.to_list(), of_class, shares)

    def rows(self, made: Floats, c: int, train: pl.DataFrame) -> pl.DataFrame:
        """Made rows of the space as rows of the table, of class c."""
        n, numbers = len(made), len(self.grids)
        codes = dict(zip(self.grids, (made[:, :numbers] * self.scale + self.mean).T, strict=True))
        kinds = dict(zip(self.categories, np.rint(made[:, numbers:]).astype(np.int64).T, strict=True))
        columns = []
        for s in train:
            if s.name in self.grids:
                missing = kinds[s.name] == 1 if s.name in kinds else np.zeros(n, bool)
                columns.append(self.grids[s.name].series(s.name, codes[s.name], missing))
            elif s.name in self.categories:
                at = pl.Series(kinds[s.name])
                columns.append(self.categories[s.name].gather(at.set(at < 0, None)).rename(s.name))
            else:
                value = self.classes[c] if s.name == self.target else s[0]
                columns.append(pl.Series(s.name, [value], dtype=s.dtype).gather(np.zeros(n, np.int64)))
        return pl.DataFrame(columns)

    def neighbours(self, k: int) -> Any:
        """A search for k neighbours (the row itself among them) that remembers its answers between requests."""
        from sklearn.neighbors import NearestNeighbors
        from threadpoolctl import threadpool_limits

        found = self.found

        class Remembering(NearestNeighbors):  # type: ignore[misc]
            def __sklearn_clone__(self) -> Remembering:
                return self

            def fit(self, x: Any, y: Any = None) -> Remembering:
                dense = _dense(x)
                self._about = hashlib.blake2b(dense.tobytes()).digest()
                super().fit(dense)
                return self

            def kneighbors(self, x: Any, return_distance: bool = False) -> Any:
                dense = _dense(x)
                key = self._about + hashlib.blake2b(dense.tobytes()).digest() + str(self.n_neighbors).encode()
                if key not in found:
                    # one thread: the order of equally near rows must not depend on how many there are
                    with threadpool_limits(1):
                        found[key] = super().kneighbors(dense, return_distance=False)
                return found[key]

        return Remembering(n_neighbors=k, algorithm="brute")


def _filled(x: Floats, of_class: NDArray[np.int64]) -> Floats:
    """(n,) with the gaps of each class at its median; at the whole column's, or 0, where a class has only gaps."""
    missing = np.isnan(x)
    out = np.where(missing, 0.0 if missing.all() else np.median(x[~missing]), x)
    for c in np.unique(of_class[missing]):
        known = x[(of_class == c) & ~missing]
        if len(known):
            out[(of_class == c) & missing] = np.median(known)
    return out


def _dense(x: Any) -> Floats:
    return np.ascontiguousarray(x.toarray() if hasattr(x, "toarray") else x, np.float64)
