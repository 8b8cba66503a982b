"""How the generators of a spec become one: a chain completes rows step by step, a mix shares the requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from .cells import Cell, Level
from .frame import seed_of
from .lineage import TRACED, Source, config_digest, traced, version_of
from .origins import Origins
from .plugins import Request, blamed, build
from .refusal import Refusal
from .schema import MODELLED, Schema
from .spec import Use
from .tables.plan import Plan

Fitter = Callable[[Any, pl.DataFrame, Schema], Any]
"""Fits a plugin and returns it, or its equal that was fitted elsewhere."""


@dataclass
class Step:
    """One generator with the name and configuration it was declared with."""

    use: str
    config: dict[str, Any]
    plugin: Any
    plan: Plan | None = None

    def fit(self, train: pl.DataFrame, schema: Schema, keep: Sequence[str], fitted: Fitter) -> None:
        """Learns train; in the space of a plan (`tables/plan.py`), where constraints are declared that it does not
        draw by itself (`constrains`). keep: columns to be asked for in cells."""
        self.plan = None
        if schema.constraints and not getattr(self.plugin, "constrains", False):
            keep = [*keep, *(t for t in [getattr(self.plugin, "target", None)] if t)]
            self.plan = Plan.of(schema.constraints, train, schema, keep)
            train, schema = self.plan.encode(train), self.plan.schema
        self.plugin = fitted(self.plugin, train, schema)

    def schema(self) -> Any:
        return self.plan.types if self.plan else self.plugin.schema()

    def conditions(self, axes: Sequence[str]) -> bool:
        own = list(axes) if self.plan is None else self.plan.able(axes)
        return own is not None and hasattr(self.plugin, "conditions") and bool(self.plugin.conditions(own))

    def generate(self, request: Request) -> Any:
        if self.plan is None:
            return self.plugin.generate(request)
        parts = [self.plugin.generate(r) for r in _in_plan(request, self.plan)]
        if len(parts) == 1 and not isinstance(parts[0], pl.DataFrame):
            return parts[0]
        made = pl.concat(parts, how="diagonal") if parts else pl.DataFrame(schema=self.plan.schema.dtypes())
        errors = [made["_error"]] if "_error" in made.columns else []
        return self.plan.decode(made).with_columns(errors)

    def origins(self, request: Request) -> Origins | None:
        """Where the values of `generate(request)` come from; None from a generator that cannot tell."""
        if not hasattr(self.plugin, "origins"):
            return None
        if self.plan is None:
            found: Origins = self.plugin.origins(request)
            return found
        parts = [self.plugin.origins(r) for r in _in_plan(request, self.plan) or [replace(request, n=0)]]
        found = Origins.joined(parts)
        return replace(found, made=self.plan.decode(found.made), computed=self.plan.computed())

    def source(self, depth: int, parents: tuple[str, ...]) -> Source:
        licence = getattr(self.plugin, "licence", None)
        own = (*(parents if hasattr(self.plugin, "fit") else ()), *getattr(self.plugin, "parents", ()))
        plain = {
            k: v if isinstance(v, str | int | float | bool | list | dict | None) else repr(v)
            for k, v in self.config.items()
        }
        return Source(self.use, version_of(self.plugin), plain, config_digest(plain), depth, own, licence)


class Maker:
    """All generators of a spec as one. Either a single first step or several that share requests, then completing steps."""

    def __init__(self, firsts: list[Step], shares: list[float], then: list[Step], source: str = "spec") -> None:
        self.firsts, self.shares, self.then, self.source = firsts, shares, then, source
        self._order: list[str] | None = None

    @property
    def steps(self) -> list[Step]:
        return [*self.firsts, *self.then]

    @property
    def kind(self) -> str:
        return "io" if any(getattr(s.plugin, "kind", "cpu") == "io" for s in self.steps) else "cpu"

    @property
    def size(self) -> int | None:
        """Rows per request the slowest step prefers."""
        wishes = [s.plugin.request_size for s in self.steps if getattr(s.plugin, "request_size", None)]
        return min(wishes, default=None)

    @property
    def parents_depth(self) -> list[int]:
        """Of the deepest seed or document that each step starts from by itself."""
        return [s.plugin.parents_depth for s in self.steps if hasattr(s.plugin, "parents_depth")]

    @property
    def needs_real(self) -> bool:
        return any(hasattr(s.plugin, "fit") for s in self.steps)

    def conditions(self, axes: Sequence[str]) -> bool:
        if not axes:
            return True
        return all(s.conditions(axes) for s in self.firsts)

    def fit(
        self,
        train: pl.DataFrame,
        schema: Schema,
        target: str | None = None,
        fitting: Fitter | None = None,
        axes: Sequence[str] = (),
    ) -> None:
        """target: for generators that work class by class and were not given their own. fitting: how a plugin is fitted
        (None: here, however long it takes). axes: columns of which cells will be asked; they lead where a generator
        has an order of columns and was not given its own."""
        fitted = fitting or _plainly
        modelled = schema.modelled
        for step in self.firsts:
            if target is not None and getattr(step.plugin, "target", "") is None:
                step.plugin.target = target
                step.config["target"] = target
            if axes and getattr(step.plugin, "lead", ()) is None:
                step.plugin.lead = tuple(axes)
                step.config["lead"] = list(axes)
            if hasattr(step.plugin, "fit"):
                with self._blamed(step):
                    if not modelled:
                        raise Refusal("the real data has no column a table model can learn")
                    step.fit(train.select(modelled), schema.select(modelled), axes, fitted)
        self._order = schema.names
        self._add_identity(schema)
        for step in self.then:
            if hasattr(step.plugin, "fit"):
                with self._blamed(step):
                    step.plugin = fitted(step.plugin, train, schema)

    @property
    def notes(self) -> list[str]:
        """What the fitted generators have to say about what they learned."""
        return [f"{s.use}: {note}" for s in self.steps for note in getattr(s.plugin, "notes", ())]

    def _add_identity(self, schema: Schema) -> None:
        """Identifiers and personal data are made up afresh, unless a declared generator makes those columns."""
        missing = [c for c in schema.of("identifier", "personal") if c not in self.schema()]
        if (
            missing
            and all(hasattr(s.plugin, "fit") for s in self.firsts)
            and not any(s.use == _IDENTITY for s in self.then)
        ):
            self.then.insert(0, Step(_IDENTITY, {}, build("generate", {"use": _IDENTITY})))

    def schema(self) -> dict[str, pl.DataType]:
        """Columns in the real data's order where there is one, else as made."""
        made: dict[str, pl.DataType] = {}
        for step in self.steps:
            made |= self._declared_by(step)
        if self._order is None:
            return made
        return {
            c: made[c] for c in [*(c for c in self._order if c in made), *(c for c in made if c not in self._order)]
        }

    def columns(self, real: Schema | None) -> dict[str, pl.DataType]:
        """What will be made, as far as it is known before fitting: real data's columns where a step learns them."""
        kinds = (*MODELLED, "identifier", "personal") if self.needs_real else ()
        known = {c.name: c.polars for c in real or () if c.kind in kinds}
        for step in self.steps:
            if not hasattr(step.plugin, "fit"):
                known |= self._declared_by(step)
        return known

    def _blamed(self, step: Step) -> AbstractContextManager[None]:
        return blamed(f"{self.source}: generate: {step.use}")

    def _declared_by(self, step: Step) -> dict[str, pl.DataType]:
        with self._blamed(step):
            made = step.schema()
            if not isinstance(made, Mapping):
                raise Refusal(f"schema() answers {type(made).__name__}, not a mapping of columns to types", 1)
            for column in made:
                if str(column).startswith("_"):
                    raise Refusal(f"schema(): column '{column}': names with a leading underscore are the line's own", 1)
            return dict(made)

    def member(self, ordinal: int, cell: int) -> int:
        """Which first step answers: a low-discrepancy sequence, so that shares hold over any stretch of requests."""
        if len(self.firsts) == 1:
            return 0
        u = (0.5 + (ordinal + 1) * 0.6180339887498949 + cell * 0.7548776662466927) % 1.0
        total = 0.0
        for j, share in enumerate(self.shares):
            total += share / sum(self.shares)
            if u < total:
                return j
        return len(self.shares) - 1

    def generate(self, request: Request) -> pl.DataFrame:
        member = self.member(request.ordinal, request.cell.index)
        frame = self._step(self.firsts[member], request, member)
        for j, step in enumerate(self.then):
            frame = self._complete(step, request, frame, len(self.firsts) + j)
        return frame

    def _complete(self, step: Step, request: Request, frame: Any, place: int) -> pl.DataFrame:
        """The rows with a further step's columns. Rows that failed already are not shown to it; what steps tell of a row
        beside its columns (`_error`, `_asked`, `_parents`) is kept from all of them."""
        if not isinstance(frame, pl.DataFrame):
            raise ValueError(f"{step.use} was given {type(frame).__name__}, not a polars.DataFrame")
        sound = frame["_error"].is_null() if "_error" in frame.columns else None
        rows = frame if sound is None or sound.all() else frame.filter(sound)
        given = rows.drop(c for c in ("_error", *TRACED) if c in rows.columns)
        added = self._step(step, replace(request, given=given, n=rows.height), place)
        if added.height != rows.height:
            raise ValueError(f"{step.use} completed {added.height} of {rows.height} rows")
        told = [_both(rows, added, c) for c in TRACED if c in rows.columns or c in added.columns]
        done = rows.with_columns(added.get_columns()).with_columns(told)
        if rows.height == frame.height:
            return done
        at = pl.Series("_at", sound).arg_true()
        lost = (
            frame.with_row_index("_at")
            .filter(~pl.Series(sound))
            .with_columns(traced(frame, c).filter(~pl.Series(sound)) for c in [t.name for t in told])
        )
        both = pl.concat([done.with_columns(at.cast(pl.UInt32).alias("_at")), lost], how="diagonal_relaxed")
        return both.sort("_at").drop("_at")

    @staticmethod
    def _step(step: Step, request: Request, place: int) -> pl.DataFrame:
        made: pl.DataFrame = step.generate(_seeded(step, request, place))
        return made

    def origins(self, request: Request) -> tuple[Origins, list[str]] | None:
        """Where the values of `generate(request)` come from, and which columns these are: those of the first step that no
        later one makes. None where the first step cannot tell."""
        member = self.member(request.ordinal, request.cell.index)
        step = self.firsts[member]
        found = step.origins(_seeded(step, request, member))
        if found is None:
            return None
        later = {c for s in self.then for c in s.schema()}
        return found, [c for c in step.schema() if c not in later]

    def save(self, folder: Path, private: Path) -> None:
        """Fitted state of every step, those that hold real rows apart."""
        for j, step in enumerate(self.steps):
            if hasattr(step.plugin, "save"):
                target = (private if _is_private(step) else folder) / f"{j}-{step.use}"
                target.mkdir(parents=True, exist_ok=True)
                with self._blamed(step):
                    step.plugin.save(target)
                    if step.plan:
                        tables = private / target.name
                        tables.mkdir(parents=True, exist_ok=True)
                        step.plan.save(target, tables)

    def load(self, folder: Path, private: Path, order: Sequence[str] | None) -> None:
        self._order = list(order) if order is not None else None
        for j, step in enumerate(self.steps):
            if hasattr(step.plugin, "load"):
                source = (private if _is_private(step) else folder) / f"{j}-{step.use}"
                with self._blamed(step):
                    step.plugin.load(source)
                    step.plan = Plan.load(source, private / source.name) if Plan.kept_in(source) else None

    def declared(self) -> list[Use]:
        """The generators as configuration, from which `maker` builds an equal one."""
        first: list[Use] = [{"use": s.use, **s.config} for s in self.firsts]
        if len(first) > 1:
            first = [{"mix": [{**u, "share": w} for u, w in zip(first, self.shares, strict=True)]}]
        return [*first, *({"use": s.use, **s.config} for s in self.then)]


def _both(first: pl.DataFrame, second: pl.DataFrame, column: str) -> pl.Series:
    """What two steps tell of the same rows, each thing once."""
    pairs = zip(traced(first, column), traced(second, column), strict=True)
    lists = [list(dict.fromkeys([*(() if a is None else a), *(() if b is None else b)])) for a, b in pairs]
    return pl.Series(column, lists, dtype=pl.List(pl.String))


def _is_private(step: Step) -> bool:
    """What was fitted on real records holds something of single ones, unless its author says that it does not."""
    return bool(getattr(step.plugin, "private_model", hasattr(step.plugin, "fit")))


def _plainly(plugin: Any, train: pl.DataFrame, schema: Schema) -> Any:
    plugin.fit(train, schema)
    return plugin


def _in_plan(request: Request, plan: Plan) -> list[Request]:
    """A cell on columns that a category stands for is that category's levels, each asked for at train's share."""
    asked = plan.asked(request.cell.where)
    if len(asked) == 1:
        return [replace(request, cell=_on(request.cell, asked[0][0]))]
    counts: Sequence[int] = (
        request.rng("plan").multinomial(request.n, [share for _, share in asked]).tolist() if asked else []
    )
    return [
        replace(request, cell=_on(request.cell, where), n=n, seed=seed_of(request.seed, i))
        for i, ((where, _), n) in enumerate(zip(asked, counts, strict=True))
        if n
    ]


def _on(cell: Cell, where: Mapping[str, Level]) -> Cell:
    return replace(cell, levels=tuple(where.items()))


def _seeded(step: Step, request: Request, place: int) -> Request:
    return replace(request, seed=seed_of(request.seed, step.use, place))


_IDENTITY = "tabular.identity"


def maker(uses: Sequence[Use], source: str = "spec") -> Maker:
    """Builds the generators that a spec declares. Raises Refusal naming the key that is wrong."""
    head, *rest = uses
    firsts, shares = (
        _mix(head, f"{source}: generate") if "mix" in head else ([_step_of(head, f"{source}: generate")], [1.0])
    )
    then = []
    for j, use in enumerate(rest, 1):
        at = f"{source}: generate.{j}"
        if "mix" in use:
            raise Refusal(f"{at}: 'mix' can only make the rows, so it comes first")
        step = _step_of(use, at)
        if not getattr(step.plugin, "completes", False):
            raise Refusal(
                f"{at}: {step.use} makes rows of its own; only the first generator of a chain does (or use 'mix')"
            )
        then.append(step)
    return Maker(firsts, shares, then, source)


def _mix(head: Use, at: str) -> tuple[list[Step], list[float]]:
    members = head["mix"]
    for key in head:
        if key != "mix":
            raise Refusal(f"{at}: unknown key '{key}' beside 'mix'; it belongs to one of the members")
    if not isinstance(members, list) or not members:
        raise Refusal(f"{at}.mix: {members!r}: expected a list of members such as {{use: tabular.copula, share: 2}}")
    steps, shares = [], []
    for j, given in enumerate(members):
        member = {"use": given} if isinstance(given, str) else given
        if not isinstance(member, dict) or "use" not in member:
            raise Refusal(f"{at}.mix.{j}: {member!r}: expected a member such as {{use: tabular.copula, share: 2}}")
        share = member.get("share", 1.0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < math.inf:
            raise Refusal(f"{at}.mix.{j}: share: {share!r} is not a positive number")
        steps.append(_step_of({k: v for k, v in member.items() if k != "share"}, f"{at}.mix.{j}"))
        shares.append(float(share))
    return steps, shares


def _step_of(use: Use, at: str) -> Step:
    return Step(str(use["use"]), {k: v for k, v in use.items() if k != "use"}, build("generate", use, at))
