"""The cross-donor forest: a table drawn column by column from trees, no real row giving neighbouring values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.frame import seed_of
from synthmill.origins import Origins
from synthmill.plugins import Request
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.tables.codes import Coded, Codes, Mask, encode, fit_columns
from synthmill.tables.donors import Places
from synthmill.tables.forget import forget, still_held
from synthmill.tables.margins import Window
from synthmill.tables.probe import Attack, Probe
from synthmill.tables.worlds import Cut, Worlds

Privacy = Literal["low", "balanced", "strict"]

_STEPS = (
    Cut(5, 12, 0.3),
    Cut(7, 16, 0.4),
    Cut(15, 42, 1.5),
    Cut(7, 16, 0.1, standing=True),
    Cut(15, 42, 1.0, standing=True),
    Cut(45, 90, 3.0, standing=True),
    Cut(100, 150, 8.0, standing=True),
    Cut(300, 300, 50.0, standing=True),
)
"""Each gives away less than the one before."""


class _Aim(NamedTuple):
    """auc: of membership inference; finest: the step that trees are grown for; first: the one tried first; blind: that
    of tables that are not attacked."""

    auc: float
    finest: int
    first: int
    blind: int


_AIMS = {
    "low": _Aim(0.55, 0, 1, 1),
    "balanced": _Aim(0.52, 1, 3, 3),
    "strict": _Aim(0.51, 3, 4, 4),
}
_EASILY = 0.005
"""A finer step is tried, and taken, where the attack stays this far below the aim."""
_KEPT = (0.1, 4_000)
_ROWS, _TREES = 320_000, 1_200
"""What all worlds together are grown on, and how many trees there are: at least 3 worlds, 6 if 200 columns allow it."""
_HEAVIEST = 20.0
_FEWEST = 4_000
"""Tables of fewer rows keep none for the attack: it could not tell a target from one twice as far from a half."""


@dataclass
class Forest:
    """Cross-donor forest: columns drawn in order from trees grown on those before, no real row giving neighbouring values.

    Rows are split at random into `folds`, `worlds` times over. In a world, each column's tree is grown on six in ten rows of
    the other folds and its leaves are filled with donors of one fold, another for the next column; a synthetic row
    lives in one world. So nobody gives more than about one in `folds` of a row, and never two values side by side. Numbers
    are drawn between neighbours of the donor (`synthmill.tables.margins`): values of fewer than `crowd` records are never
    told apart, spikes stay. Missing is a value like others.

    privacy: `low`, `balanced` and `strict` aim at an AUC of membership inference of 0.55, 0.52 and 0.51. A tenth of the
    rows (at most 4,000) is kept from learning; the model's table is attacked with them, and trees are pruned and cut back
    until the attack is not significantly above the aim, or less where it is easily below. The sentence the fit ends with says what was measured:
    evidence, no guarantee. Tables below 4,000 rows are not attacked; their trees are cut as those of most tables are.
    leaf: the fewest rows a leaf is grown on, instead of what `privacy` chooses, without pruning; shrink: how far a leaf's distribution
    is drawn to those around it, in donors. rare: levels that fewer records hold are not made. rows: beyond so many, trees
    are grown and filled from a sample; predictors: the most columns that another is given. lead: columns drawn first;
    those that cells are asked by, if not told.

    A cell is drawn exactly, with no rejection: its columns come first, from donors that lie in it. Where they do not
    lead the order, the trees that change are grown at the first request, and kept. Cost: worlds x columns trees.
    worlds: by default 6 to 16, more for small tables; on wide ones at most 1,200 trees, but at least 3 worlds.
    Sources: sequential trees (Reiter, 2005; Nowok et al., 2016), honest leaves (Athey & Imbens, 2016), reduced-error
    pruning (Quinlan, 1987).
    """

    privacy: Privacy = "balanced"
    leaf: Annotated[int, Field(ge=1)] | None = None
    shrink: Annotated[float, Field(ge=0)] | None = None
    worlds: Annotated[int, Field(ge=1, le=100)] | None = None
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    rare: Annotated[int, Field(ge=1)] = 2
    crowd: Annotated[int, Field(ge=2)] = 5
    rows: Annotated[int, Field(ge=10)] = 200_000
    predictors: Annotated[int, Field(ge=1)] = 40
    lead: tuple[str, ...] | None = None
    seed: int = 0
    notes: list[str] = field(init=False, repr=False, default_factory=list)
    _columns: list[Coded] = field(init=False, repr=False, default_factory=list)
    _order: list[int] = field(init=False, repr=False, default_factory=list)
    _worlds: Worlds | None = field(init=False, repr=False, default=None)
    _whole: Worlds | None = field(init=False, repr=False, default=None)
    _learned: NDArray[np.int64] = field(init=False, repr=False, default_factory=lambda: np.zeros(0, np.int64))
    private_model: ClassVar[bool] = True

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        from threadpoolctl import threadpool_limits

        for name in self.lead or ():
            if name not in train.columns:
                raise Refusal(f"tabular.forest: lead: no column '{name}'; {choices(name, train.columns)}")
        self.notes, self._whole = [], None
        self._learned, kept = self._split(train.height)
        learned = train[self._learned]
        self._columns = fit_columns([schema[c] for c in train.columns], learned, self.rare, self.crowd)
        with threadpool_limits(1):
            self._grow(_filled(encode(self._columns, learned), self._columns))
            if len(kept) and self._order:
                self._tune(Probe.of(learned, train[kept], schema, self._rng("probe")))
            elif self._order:
                self.notes.append(f"{train.height:,} rows are too few to attack: what it gives away was not measured")

    def _rng(self, *names: object) -> np.random.Generator:
        return np.random.default_rng(seed_of("tabular.forest", self.seed, *names))

    def _split(self, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to learn, and rows kept for the attack."""
        order = self._rng("rows").permutation(height)
        kept = min(int(height * _KEPT[0]), _KEPT[1]) if height >= _FEWEST else 0
        if height - kept > self.rows:
            self.notes.append(f"trees learn {self.rows:,} of {height:,} rows, drawn at random")
        return np.sort(order[kept : kept + self.rows]), np.sort(order[:kept])

    def _grow(self, codes: Codes) -> None:
        n, aim = codes.shape[1], _AIMS[self.privacy]
        worlds = self.worlds or _worlds(n, len(codes))
        self._worlds = Worlds(
            codes, np.array([c.numeric for c in self._columns], bool), [c.size for c in self._columns], worlds,
            max(2, min(self.folds, n // 10)), self.predictors, self.seed, self._own(_STEPS[aim.finest]),
        )  # fmt: skip
        names = [c.name for c in self._columns]
        self._order = self._worlds.order([names.index(c) for c in self.lead or ()])
        self._worlds.weight = self._weight(codes)
        self._worlds.grow(self._order)
        self._model.coarsen(self._own(_STEPS[aim.blind]))

    def _weight(self, codes: Codes) -> NDArray[np.float64] | None:
        """(rows,) Rows of cells that the lead's categories make count for more where they are few, at most 20 times: else a
        leaf never tells them from the common ones around them. None where there is no such column."""
        lead = [codes[j] for j, c in enumerate(self._columns) if c.name in (self.lead or ()) and not c.numeric]
        if not lead:
            return None
        _, cell, held = np.unique(np.stack(lead), axis=1, return_inverse=True, return_counts=True)
        weight: NDArray[np.float64] = np.clip(held.mean() / held, 1.0, _HEAVIEST)[cell.ravel()]
        return np.asarray(weight / weight.mean())

    def _own(self, step: Cut) -> Cut:
        """The step, with what the user chose instead."""
        if self.leaf is not None:
            step = Cut(self.leaf, self.leaf, step.shrink)
        return step if self.shrink is None else step._replace(shrink=self.shrink)

    def _attacked(self, i: int, probe: Probe) -> Attack:
        self._model.coarsen(self._own(_STEPS[i]))
        return probe.attack(self._draw(len(self._learned), self._rng("attacked", i)))

    def _tune(self, probe: Probe) -> None:
        """Finer steps while the attack stays easily below the aim; a coarser one if it is above, and further ones while
        its interval is: judged by the estimate alone, chance would drive one table in three too far."""
        aim, finest, i, _ = _AIMS[self.privacy]
        found = self._attacked(i, probe)
        while self.leaf is None and i > finest and found.auc <= aim - _EASILY:
            finer = self._attacked(i - 1, probe)
            if finer.auc > aim - _EASILY:
                self._model.coarsen(self._own(_STEPS[i]))
                break
            i, found = i - 1, finer
        met = found.auc <= aim
        while self.leaf is None and not met and i < len(_STEPS) - 1:
            i += 1
            found = self._attacked(i, probe)
            met = found.low <= aim
        self.notes.append(_sentence(found, aim, self.privacy, self.leaf is not None))

    @property
    def _model(self) -> Worlds:
        if self._worlds is None:
            raise Refusal("tabular.forest: not fitted yet")
        return self._worlds

    def _draw(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        donors = self._model.draw(self._order, n, rng)
        if donors is None:
            raise ValueError("no donor although nothing was asked for")
        return self._decoded(self._codes(donors), rng, {})

    def _codes(self, donors: NDArray[np.int32]) -> Codes:
        return np.take_along_axis(self._model.codes, donors.astype(np.int64), axis=1)

    def _decoded(self, codes: Codes, rng: np.random.Generator, windows: dict[int, Window | None]) -> pl.DataFrame:
        return pl.DataFrame([c.decode(codes[j], rng, windows.get(j)) for j, c in enumerate(self._columns)])

    def schema(self) -> dict[str, pl.DataType]:
        return {c.name: c.margin.dtype for c in self._columns}

    def conditions(self, axes: Sequence[str]) -> bool:
        return set(axes) <= {c.name for c in self._columns}

    def generate(self, request: Request) -> pl.DataFrame:
        rng = request.rng()
        drawn = self._answer(request, rng)
        if drawn is None:
            return pl.DataFrame(schema=self.schema())
        donors, windows = drawn
        return self._decoded(self._codes(donors), rng, windows)

    def origins(self, request: Request) -> Origins:
        """The answer again with the row of train that gave each value, the world each row lives in, and of each value the
        fold of its donors, the node of the tree it was drawn from, and how many donors that has."""
        rng, told = request.rng(), Places()
        drawn = self._answer(request, rng, told)
        if drawn is None:
            told.begin(np.zeros(0, np.int64), (len(self._columns), 0))
            drawn = np.zeros((len(self._columns), 0), np.int32), {}
        donors, windows = drawn
        names = [c.name for c in self._columns]
        values = {
            name: pl.DataFrame({"fold": told.fold[j], "leaf": told.node[j], "donors": told.donors[j]})
            for j, name in enumerate(names)
        }
        rows = pl.DataFrame({name: self._learned[donors[j]] for j, name in enumerate(names)})
        made = self._decoded(self._codes(donors), rng, windows)
        return Origins(made, rows, values, pl.DataFrame({"world": told.world}))

    def _answer(
        self, request: Request, rng: np.random.Generator, told: Places | None = None
    ) -> tuple[NDArray[np.int32], dict[int, Window | None]] | None:
        asked: dict[int, Mask] = {}
        windows: dict[int, Window | None] = {}
        for j, column in enumerate(self._columns):
            if column.name in request.cell.where:
                held = column.within(request.cell.where[column.name])
                if held is None:
                    return None
                asked[j], windows[j] = held
        order = [*(j for j in self._order if j in asked), *(j for j in self._order if j not in asked)]
        donors = self._model.draw(order, request.n, rng, asked, told)
        return None if donors is None else (donors, windows)

    def impute(self, frame: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
        """The frame with its missing values drawn given what is known of each row. frame: columns of train.

        By chained equations (`Worlds.completed`, at the first call): right where values are missing at random given what
        is known. A column of which no value can be made stays missing; levels never seen stay, and tell nothing.
        """
        if not self._columns or not frame.height:
            return frame
        values = [c.present()[self._model.codes[j]] for j, c in enumerate(self._columns)]
        able = [v.any() for v in values]
        if self._whole is None:
            holes = np.stack([~v & a for v, a in zip(values, able, strict=True)])
            self._whole = self._model.completed(self._order, holes)
        missing = np.stack([_missing(frame[c.name]) & a for c, a in zip(self._columns, able, strict=True)])
        codes, rng = encode(self._columns, frame), self._rng("impute", seed)
        self._whole.impute(self._order, codes, missing, rng)
        made = self._decoded(codes, rng, {})
        filled = [
            frame[c.name].zip_with(pl.Series(~m), made[c.name]) for c, m in zip(self._columns, missing, strict=True)
        ]
        return frame.with_columns(filled)

    def remove(self, rows: Sequence[int]) -> dict[str, list[Any]]:
        """Takes records out of the fitted model: no value comes from them any more. rows: their numbers in train.

        Levels that fewer than `rare` of the others hold are forgotten by name. Splits stay where they are: each
        was chosen by at least a leaf's rows, between pieces that at least `crowd` records held. Answers the levels left.
        """
        gone = np.isin(self._learned, np.asarray(rows, np.int64))
        if gone.all():
            raise Refusal("tabular.forest: remove: no record would be left")
        left, self._columns = forget(self._model, self._columns, gone, self.rare)
        left.codes = _filled(left.codes, self._columns)
        self._worlds, self._whole, self._learned = left, None, self._learned[~gone]
        return still_held(left, self._columns, self.rare)

    def save(self, folder: Path) -> None:
        margins = {f"{j}.{k}": v for j, c in enumerate(self._columns) for k, v in c.margin.arrays().items()}
        np.savez(folder / "forest.npz", learned=self._learned, **self._model.arrays(), **margins)  # type: ignore[arg-type]
        about = {
            "columns": [c.to_json() for c in self._columns],
            "order": self._order,
            "notes": self.notes,
            "worlds": self._model.to_json(),
        }
        (folder / "forest.json").write_text(json.dumps(about), "utf-8")

    def load(self, folder: Path) -> None:
        about = json.loads((folder / "forest.json").read_text("utf-8"))
        if "cut" not in about["worlds"]:
            raise Refusal(f"{folder}: a forest that another version saved; fit it again")
        with np.load(folder / "forest.npz") as arrays:
            parts = [{k: arrays[f"{j}.{k}"] for k in ("edges", "first", "last")} for j in range(len(about["columns"]))]
            self._worlds, self._learned = Worlds.load(about["worlds"], arrays), arrays["learned"]
        self._columns, self._whole = [Coded.load(c, p) for c, p in zip(about["columns"], parts, strict=True)], None
        self._order, self.notes = about["order"], about["notes"]


def _worlds(rows: int, columns: int) -> int:
    """More for small tables, where one split leaves little to grow on and a tree costs little; fewer for wide ones."""
    wanted = min(max(round(_ROWS / rows), 6), 16)
    return min(wanted, max(_TREES // max(columns, 1), 3))


def _missing(s: pl.Series) -> NDArray[np.bool_]:
    """NaN is missing too; an infinity is known, though nothing is learned from it."""
    return (s.is_nan().fill_null(True) if s.dtype.is_float() else s.is_null()).to_numpy()


def _filled(codes: Codes, columns: Sequence[Coded]) -> Codes:
    """A category of which no level is common enough has only what its margin makes instead."""
    for j, column in enumerate(columns):
        if not column.numeric and not codes[j].any():
            codes[j] = 1
    return codes


def _sentence(found: Attack, aim: float, privacy: str, chosen: bool) -> str:
    measured = f"membership inference on rows kept aside reaches an AUC of {found}"
    if found.auc <= aim:
        return f"{measured}; '{privacy}' aims at {aim}. Measured by one attack, not guaranteed"
    if found.low <= aim:
        return f"{measured}; '{privacy}' aims at {aim}: above it, within chance. Measured by one attack, not guaranteed"
    why = "with the leaf it was given" if chosen else "even at its coarsest"
    return f"{measured}, above the {aim} that '{privacy}' aims at, {why}: this table gives its rows away"
