"""A fitted generator to keep: `fit(frame).sample(1000)`, saved and loaded without pickle."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from synthmill.cells import ANY, Bin, Cell, Level, holds
from synthmill.compose import Maker, maker
from synthmill.constraints import Unique, check_types, parse
from synthmill.cover import level as typed_level
from synthmill.fitting import Fitting
from synthmill.frame import digest, rng_of, row_keys, seed_of
from synthmill.lineage import depth_after
from synthmill.plugins import Request, relative_to
from synthmill.provenance import maker_of
from synthmill.real import Real, from_frame
from synthmill.refusal import Refusal, choices
from synthmill.run import Run, atomic, sentences
from synthmill.schema import Schema
from synthmill.spec import Use
from synthmill.tables import dates
from synthmill.tables.holes import Conflict, fill
from synthmill.tables.read import from_any, read

VERSION = 1
TIMEOUT = 3600.0
"""Seconds that fitting may take, as in a spec's `engine`."""
FITTING = Fitting(TIMEOUT, key="timeout={}")
FEWEST = 10
"""Different rows below which a model can hardly do other than repeat them; `sample` has no checks that would notice."""
STRIDE, SEEDS = 64, 65_536
"""Samples of different seeds number their requests STRIDE apart, so that identifiers made under them differ."""
ATTEMPTS = 200
"""Rows tried per row wanted, where the generator cannot condition on what `where` asks."""


class Model:
    """A fitted generator. `sample` gives rows of the kind of frame that was fitted (polars, pandas or Arrow)."""

    def __init__(
        self, made: Maker, schema: Schema | None, depth: int, source: str, back: Any = None, first: int = 0
    ) -> None:
        """first: number of the first request; identifiers are numbered by it, so a run's model starts after the run's own."""
        self.maker, self.schema, self.depth, self.source, self.first = made, schema, depth, source, first
        self._back = back or (lambda frame: frame)

    @property
    def notes(self) -> list[str]:
        """What fitting found: for example how much a membership attack on it can tell."""
        return self.maker.notes

    def sample(self, n: int, where: Mapping[str, Any] | None = None, seed: int = 0) -> Any:
        """n rows, all within `where` (values, or Bin for ranges). The same seed gives the same rows.

        Raises Refusal when `where` names no column or value of the model, or when too few such rows turn up.
        """
        return self._back(self.draw(n, where, seed))

    def draw(self, n: int, where: Mapping[str, Any] | None = None, seed: int = 0) -> pl.DataFrame:
        if n < 0:
            raise Refusal(f"-n: {n} is negative")
        levels = self._levels(where or {})
        cell = Cell(0, tuple(levels.items()), n)
        able = self.maker.conditions(list(levels))
        asked = cell if able else Cell(ANY, (), n)
        size = self.maker.size or 20_000
        got, have, tried, k = [self._empty()], 0, 0, 0
        while have < n and tried <= ATTEMPTS * max(n, 100):
            share = 1.0 if able or not tried else max(have, 1) / tried
            m = int(min(size, max(1, (n - have) / share * (1.0 if able else 1.1))))
            seeded = seed_of("sample", seed, cell.label, k)
            number = self.first + (seed % SEEDS) * STRIDE + k
            rows = self.maker.generate(Request(number, asked, k, m, seeded))
            if "_error" in rows.columns:
                rows = rows.filter(pl.col("_error").is_null())
            if able and not rows.height and not tried:
                raise Refusal(f"--where {cell.label}: the model knows no such rows")
            got.append(rows.select(list(self.maker.schema())).filter(holds(levels)).head(n - have))
            have, tried, k = have + got[-1].height, tried + m, k + 1
        if have < n:
            raise Refusal(
                f"--where {cell.label}: {have} of {n} rows turned up in {tried:,} tries; such rows are too rare for this generator"
            )
        return pl.concat(got)

    def impute(self, frame: Any, seed: int = 0) -> Any:
        """The frame with its missing values drawn given what is known of each row; what is known stays. The same seed
        gives the same values. Columns that the model does not know are left as they are.

        Constraints of the model hold in what is drawn; where what is known of a row leaves no such value, it stays missing
        and a warning says in how many rows. Raises Refusal when the generator cannot, or when a column of the model is not
        in the frame.
        """
        table, back = from_any(frame)
        filled, conflicts = self.imputed(table, seed)
        for c in conflicts:
            warnings.warn(f"impute: {c.sentence}", stacklevel=2)
        return back(filled)

    def imputed(self, table: pl.DataFrame, seed: int = 0) -> tuple[pl.DataFrame, list[Conflict]]:
        """`impute` of a polars frame, and where values had to stay missing for a constraint's sake."""
        step = self.maker.firsts[0]
        if len(self.maker.firsts) > 1 or not hasattr(step.plugin, "impute"):
            raise Refusal(f"impute: {step.use} draws whole rows only; fit tabular.forest")
        columns = step.schema()
        for name, dtype in columns.items():
            if name not in table.columns:
                raise Refusal(f"impute: the table has no column '{name}'; {choices(name, table.columns)}")
            if table[name].dtype != dtype:
                table = table.with_columns(_cast(table[name], dtype))
        known, conflicts = table.select(list(columns)), list[Conflict]()
        if step.plan is None:
            filled = step.plugin.impute(known, seed)
        else:
            drawn = partial(_drawn, step.plugin, seed)
            filled, conflicts = fill(step.plan, known, drawn, rng_of("impute", seed))
        return table.with_columns(filled[c] for c in columns), conflicts

    def remove(self, rows: Sequence[int]) -> None:
        """Takes records out of the model, as far as its generators hold any: none of their values is drawn any more.

        rows: their numbers in the frame that was fitted, from 0. Raises Refusal when a generator cannot. Save it again after.
        """
        for step in self.maker.firsts:
            if not hasattr(step.plugin, "remove"):
                raise Refusal(f"remove: {step.use} cannot forget single records; fit it again without them")
        for step in self.maker.firsts:
            left = step.plugin.remove(rows)
            if step.plan:
                step.plan = step.plan.keeping(left)
        if self.schema is not None:  # it would name the levels of those who are gone
            self.schema = Schema(tuple(replace(c, levels=()) for c in self.schema), self.schema.constraints)

    def _empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.maker.schema())

    def _levels(self, where: Mapping[str, Any]) -> dict[str, Level]:
        columns, levels = self.maker.schema(), dict(where)
        for name, level in where.items():
            if name not in columns:
                raise Refusal(f"--where {name}: there is no such column; {choices(name, columns)}")
            if isinstance(level, Bin):
                continue
            if isinstance(level, datetime.date) and columns[name].is_temporal():
                raise Refusal(f"--where {name}: times are asked for as ranges, such as '{name}>={level}', not with '='")
            known = self.schema[name].levels if self.schema is not None and name in self.schema else ()
            levels[name] = typed_level(level, columns[name], f"--where {name}")
            if known and levels[name] not in known:
                raise Refusal(f"--where {name}: '{level}' is no value of it; {choices(level, known)}")
        return levels

    def save(self, folder: str | Path) -> Path:
        """A folder with `model.json` and the fitted arrays; what holds real rows lies under its `private/`."""
        folder = Path(folder)
        if folder.exists() and not (
            folder.is_dir() and ((folder / "model.json").exists() or not any(folder.iterdir()))
        ):
            raise Refusal(f"{folder}: is there and holds no model; choose another")
        made = folder.with_name(folder.name + ".tmp")
        try:
            with sentences(folder):
                made.mkdir(parents=True)
                self._write(made, folder)
                if folder.exists():
                    shutil.rmtree(folder)
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return folder

    def _write(self, folder: Path, final: Path) -> None:
        self.maker.save(folder / "models", folder / "private" / "models")
        about = {
            "version": VERSION,
            "generate": self.maker.declared(),
            "schema": self.schema.published() if self.schema else None,
            "depth": self.depth,
            "source": self.source,
            "base": Path(os.path.relpath(".", final)).as_posix(),
        }
        text = json.dumps(about, indent=1, default=str)
        atomic(folder / "model.json", lambda f: f.write(text.encode()))

    def export(self, frame: pl.DataFrame, *names: object) -> pl.DataFrame:
        """The rows with ids, origin and depth, so that nobody later takes them for real. names: what was asked for."""
        run = digest("sample", self.source, self.maker.declared(), *names)[:12]
        ids = pl.Series("_id", [f"{run}-0-{i}" for i in range(frame.height)], dtype=pl.String)
        return frame.with_columns(
            ids,
            pl.lit("synthetic").alias("_origin"),
            pl.lit(run).alias("_run"),
            pl.lit(self.depth, pl.UInt8).alias("_depth"),
        )


def _drawn(plugin: Any, seed: int, frame: pl.DataFrame, draw: int) -> pl.DataFrame:
    made: pl.DataFrame = plugin.impute(frame, seed_of("impute", seed, draw))
    return made


def _cast(s: pl.Series, dtype: pl.DataType) -> pl.Series:
    if s.dtype == pl.String and dtype.is_temporal() and (fmt := dates.date_format(s)):
        s = dates.parse(s, fmt)  # as the model's own table was read
    try:
        return s.cast(dtype)
    except pl.exceptions.PolarsError as e:
        raise Refusal(f"impute: column '{s.name}' is {s.dtype}, the model's is {dtype}; a value does not fit") from e


def fit(
    frame: Any,
    generate: str | Use | Sequence[Use] = "tabular.forest",
    *,
    target: str | None = None,
    columns: Mapping[str, str] | None = None,
    constraints: Sequence[Mapping[str, Any]] = (),
    timeout: float | None = TIMEOUT,
) -> Model:
    """A model of a table (polars, pandas, Arrow). All rows are learned from: for a held-out evaluation use a spec.

    constraints: as in a spec; they hold in every row by construction. timeout: seconds that fitting a generator may take, None for no end.
    Raises Refusal for a table that no model can learn from, for wrong options, for a constraint that cannot be held by
    construction (a spec's check can reject what breaks it), and when fitting runs into the timeout.
    """
    table, back = from_any(frame)
    real = from_frame(table, target=target, columns=dict(columns or {}), holdout=None)
    if declared := parse(list(constraints)):
        check_types(declared, real.schema.dtypes())
        real = replace(real, schema=replace(real.schema, constraints=declared))
    return fit_real(real, generate, back, Fitting(timeout, key="timeout={}"))


def fit_real(
    real: Real,
    generate: str | Use | Sequence[Use],
    back: Any = None,
    fitting: Fitting = FITTING,
) -> Model:
    uses: list[Any] = [generate] if isinstance(generate, str | Mapping) else list(generate)
    made = maker([{"use": u} if isinstance(u, str) else u for u in uses], "fit")
    people = len(np.unique(row_keys(real.train)))
    if made.needs_real and people < FEWEST:
        raise Refusal(
            f"{people} different rows are too few to learn from: what comes out would be those rows; give {FEWEST} or more"
        )
    made.fit(real.train, real.schema, real.target, fitting)
    for c, why in (left for step in made.firsts if step.plan for left in step.plan.left):
        if not (isinstance(c, Unique) and set(c.columns) & set(real.schema.of("identifier"))):
            raise Refusal(
                f"constraints: '{c.text}' cannot be held while drawing: {why}; a spec's check rejects what breaks it"
            )
    return Model(made, real.schema, depth_after([real.depth]), real.digest, back)


def fit_file(
    path: str | Path,
    use: str | Use = "tabular.forest",
    table: str | None = None,
    target: str | None = None,
    timeout: float | None = TIMEOUT,
) -> Model:
    """timeout: as in `fit`."""
    real = from_frame(read(path, table), target=target, holdout=None)
    return fit_real(real, use, fitting=Fitting(timeout, key="--timeout {}"))


def load(folder: str | Path) -> Model:
    """A saved model, or the fitted generator of a run."""
    folder = Path(folder)
    if (folder / "manifest.json").is_file():
        run = Run.open(folder)
        if not run.manifest.get("models"):
            raise Refusal(f"{folder}: this run has no fitted generator; `synthmill make` it first")
        about = (run.manifest["real"] or {}).get("schema")
        depth, first = run.manifest["generators"][0]["depth"], (run.manifest["state"] or {}).get("ledger") or {}
        schema = Schema.from_json(about) if about else None
        return Model(maker_of(run), schema, depth, run.manifest["digest"], first=first.get("k", 0))
    if not (folder / "model.json").is_file():
        raise Refusal(f"{folder}: neither a saved model (model.json) nor a run (manifest.json)")
    about = _about(folder / "model.json")
    schema = Schema.from_json(about["schema"]) if about["schema"] else None
    with relative_to(folder / about.get("base", ".")):
        made = maker(about["generate"], str(folder))
    made.load(folder / "models", folder / "private" / "models", schema.names if schema else None)
    return Model(made, schema, about["depth"], about["source"])


def _about(file: Path) -> dict[str, Any]:
    try:
        about = json.loads(file.read_text("utf-8"))
    except ValueError:
        raise Refusal(f"{file}: damaged; it is not valid JSON") from None
    if not isinstance(about, dict) or about.get("version") != VERSION:
        raise Refusal(f"{file}: not a model of version {VERSION}; fit it again, or use the synthmill that made it")
    return about


_CONDITION = re.compile(r"^\s*(?P<name>[^=<>]+?)\s*(?P<op>>=|<=|=|<|>)(?P<value>.*)$", re.S)


def parse_where(conditions: Sequence[str], columns: Mapping[str, pl.DataType]) -> dict[str, Level]:
    """`income=>50K`, `age>=30`, `age<40` -> levels in the columns' own types; two bounds on a column make a range."""
    found: dict[str, Level] = {}
    for text in conditions:
        match = _CONDITION.match(text)
        if not match:
            raise Refusal(f"--where {text}: write for example income='>50K' or 'age>=30'")
        name, op, value = match["name"].strip('"'), match["op"], match["value"].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]  # as SQL writes text
        if name.endswith("!"):
            raise Refusal(f"--where {text}: '!=' cannot be asked for; conditions are =, <, <=, > and >=")
        if name not in columns:
            raise Refusal(f"--where {name}: there is no such column; {choices(name, columns)}")
        typed = _typed(name, value, columns[name])
        if name in found and (op == "=" or not isinstance(found[name], Bin)):
            raise Refusal(
                f"--where {text}: {name} is fixed already; only bounds go together, such as 'age>=30' and 'age<40'"
            )
        if op == "=":
            found[name] = typed
        else:
            if not columns[name].is_numeric() and columns[name] != pl.Date and columns[name] != pl.Datetime:
                raise Refusal(f"--where {text}: {name} is {columns[name]}; only '=' compares that")
            found[name] = _narrow(found.get(name), op, typed, columns[name])
    return found


def _typed(name: str, value: str, dtype: pl.DataType) -> Any:
    if dtype == pl.String:
        return value
    if dtype == pl.Boolean and value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        if dtype.is_temporal():
            return pl.Series([value]).str.to_datetime().cast(dtype)[0]
        return pl.Series([value]).cast(dtype, strict=True)[0]
    except pl.exceptions.PolarsError:
        raise Refusal(f"--where {name}: '{value}' does not read as {dtype}") from None


def _narrow(before: Level, op: str, value: Any, dtype: pl.DataType) -> Bin:
    low, high = (before.low, before.high) if isinstance(before, Bin) else (None, None)
    after = value
    if op in (">", "<="):
        if dtype.is_float():
            after = float(np.nextafter(value, np.inf))
        elif dtype.is_integer():
            after = value + 1
        else:
            after = value + (datetime.timedelta(days=1) if dtype == pl.Date else datetime.timedelta(microseconds=1))
    return Bin(after, high) if op in (">", ">=") else Bin(low, after)
