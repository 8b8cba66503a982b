"""`init`: a commented spec from the user's own table. Everything in it is a proposal to read and change."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from .real import from_frame
from .refusal import Refusal, choices
from .schema import Column, Schema
from .tables.interval import entities
from .tables.personal import COMMON
from .tables.read import read
from .tables.relations import discover

_TARGETS = (
    "target", "label", "class", "outcome", "y", "income", "churn", "churned", "default", "fraud", "is_fraud", "response",
    "diagnosis", "survived", "species", "status", "death", "price", "salary",
)  # fmt: skip
_CLASSES = 10
"""A target of whole numbers with no more values than this is taken for classes."""
_LEVELS = 12
"""An axis with more levels than this is no proposal any more."""
_NAMED = 10
"""A group of fewer people (rows, unless a key repeats) is not named in the spec: specs are shown around."""
_RARE = 0.05
_PROOF = 800
"""With fewer held-out rows the gap to a real table's model is mostly chance."""
_TELLING = 0.75
"""An attack that scores better than this has found out who took part; a laxer bar would promise nothing."""
_CONSTRAINTS = 24
"""More of them than this nobody reads."""


def propose(
    path: str | Path,
    *,
    table: str | None = None,
    target: str | None = None,
    out: str | Path | None = None,
    cover: Sequence[str] | None = None,
) -> str:
    """The text of a spec for a table. out: where it will be written; the table's path is made relative to that.
    cover: the lines of that section, for who knows better which records are needed.

    Numbers in it are rounded outwards and small groups are not named, so that no single record can be read from it.
    Raises Refusal for a table that cannot be read and a target that is not there.
    """
    frame = read(path, table)
    if target is not None and target not in frame.columns:
        raise Refusal(f"--target: there is no column '{target}' in {path}; {choices(target, frame.columns)}")
    real = from_frame(frame, target=target, holdout=None, accept_synthetic=True)
    train, schema = real.train, real.schema
    guess, why = (target, "as you said") if target else _target(schema)
    if guess is not None and schema[guess].kind == "integer" and train[guess].n_unique() <= _CLASSES:
        schema = from_frame(frame, columns={str(guess): "categorical"}, holdout=None, accept_synthetic=True).schema
    parts = [
        _head(path, table, out, train, schema, guess, why, real.depth),
        _constraints(train, schema),
        cover if cover is not None else _cover(train, schema, guess),
        _generate(schema),
        _verify(schema),
        _rest(guess, train.height),
    ]
    return "\n".join(itertools.chain.from_iterable(parts)) + "\n"


def _head(path: str | Path, table: str | None, out: str | Path | None, train: pl.DataFrame, schema: Schema,
          target: str | None, why: str, depth: int) -> Iterator[str]:  # fmt: skip
    shown = str(path)
    if "://" not in shown:
        folder = Path(out).parent if out is not None else Path()
        shown = Path(os.path.relpath(shown, folder)).as_posix()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", table or Path(shown).name.split(".")[0]).strip("-._") or "data"
    yield f"# {name}: {train.height:,} rows, {train.width} columns. A proposal: read it, change what you know better, then"
    yield "# `synthmill preview` shows ten candidates and `synthmill make` does it all. Paths are relative to this file."
    yield f"name: {name}"
    yield "seed: 1"
    yield ""
    yield "real:"
    yield f"  path: {yaml_value(shown)}"
    if table:
        yield f"  table: {yaml_value(table)}"
    if target:
        yield f"  target: {yaml_value(target)}  # {why}"
        if (
            schema[target].kind == "categorical"
            and schema[target].polars.is_integer()
            and len(schema[target].levels) > 2
        ):
            yield f"  columns: {{{yaml_value(target)}: categorical}}  # classes, not quantities: it has few values"
    else:
        yield "  # target: column  # what a model would predict; none was found to guess"
    if entity := _entity(train, schema):
        yield f"  entity: {yaml_value(entity)}  # rows with the same {entity} stay together when some are held out"
    yield "  holdout: 0.2  # never seen by anything that learns; or the path of your own held-out file"
    if depth:
        yield "  # accept_synthetic: true  # some of these rows were made, not measured: is that meant?"
    marks = [c.name for c in schema if c.kind == "categorical" and "?" in c.levels]
    if marks:
        yield f"  # missing: ['?']  # if '?' means 'not known' (in {', '.join(marks)})"
    yield "  # Read as (change with `columns: {name: kind}`):"
    width = max(len(c.name) for c in schema)
    for c in schema:
        yield f"  #   {c.name:{width}}  {_summary(c, train[c.name])}"
    yield ""


def _entity(train: pl.DataFrame, schema: Schema) -> str | None:
    """The first identifier that repeats: whoever it names must not be learned from and held out at once."""
    known = {n: train[n].drop_nulls() for n in schema.of("identifier")}
    return next((n for n, s in known.items() if s.n_unique() < len(s)), None)


def _summary(c: Column, s: pl.Series) -> str:
    known = {
        "categorical": f"{len(c.levels)} levels", "boolean": "", "constant": "one value", "identifier": f"made anew as {c.format}",
        "personal": _made_up(c.format), "text": c.note, "nested": c.note,
    }.get(c.kind, "")  # fmt: skip
    if c.low is not None and c.high is not None:
        low, high = outward(c, c.low), outward(c, c.high, up=True)
        known = f"within {low} to {high}" + (f", {c.digits} decimal{'s' * (c.digits > 1)}" if 0 < c.digits < 15 else "")
    if c.missing:
        known += f"{', ' if known else ''}{max(1, round(100 * c.missing))}% missing"
    return f"{c.kind:<12}{known}".rstrip()


def _made_up(form: str) -> str:
    return f"{form}: made up" + (", may coincide with a real one" if form in COMMON else ", never one of train")


def outward(c: Column, value: float, up: bool = False) -> str:
    """A bound rounded away from the data, so that it tells nobody's exact value: numbers to half a digit of the range."""
    assert c.low is not None
    assert c.high is not None
    if c.kind == "datetime":
        year = datetime.fromtimestamp(value / 1e6, UTC).year
        return f"{year + up}-01-01"
    digit = math.floor(math.log10(max(c.high - c.low, 1e-9)))
    step = max(10.0**digit / 2, 1.0 if c.kind == "integer" else 0.0)
    rounded = (math.ceil(value / step) if up else math.floor(value / step)) * step
    return f"{rounded:.{max(0, 1 - digit)}f}" if step < 1 else f"{rounded:.0f}"


def _target(schema: Schema) -> tuple[str | None, str]:
    if len(schema.modelled) < 2:
        return None, ""  # nothing to predict it from
    named = [c.name for wanted in _TARGETS for c in schema if c.name.lower() == wanted and c.name in schema.modelled]
    if named:
        return named[0], "a guess from its name"
    few = [c.name for c in schema if c.kind in ("categorical", "boolean") and 2 <= len(c.levels) <= 20]
    if few:
        return few[-1], "a guess: the last column with few values"
    return None, ""


def _cover(train: pl.DataFrame, schema: Schema, target: str | None) -> Iterator[str]:
    axes = [c for c in schema if _is_axis(c)]
    first = next((c for c in axes if c.name == target), None)
    who = pl.Series("who", entities(train, _entity(train, schema)))
    levels = _levels(train[first.name], who) if first else []
    yield "# How many records, of which kind. Cells that real data rarely shows are asked for like any other."
    yield "cover:"
    if first and len(levels) > 1:
        shares = ", ".join(f"{v} {_percent(p)}" for v, p in levels)
        yield "  axes:"
        yield f"    {yaml_value(first.name)}: {yaml_value([v for v, _ in levels])}  # among the real rows: {shares}"
        yield f"  quota: {max(100, min(5_000, int(round(train.height / len(levels), -2))))}  # accepted records per cell"
    else:
        yield f"  total: {max(100, min(10_000, int(round(train.height, -2))))}"
    rare = [(c, v, p) for c in axes if c is not first for v, p in _levels(train[c.name], who) if p < _RARE]
    if rare:
        yield "  # Rare groups, each a candidate for an axis of its own:"
        for c, v, p in sorted(rare, key=lambda r: r[2])[:8]:
            yield f"  #   {yaml_value(c.name)}: [{yaml_value(v)}]  # {_percent(p)}"
    yield ""


def _is_axis(c: Column) -> bool:
    return c.kind in ("categorical", "boolean") and not c.polars.is_float() and 2 <= len(c.levels) <= _LEVELS


def _levels(s: pl.Series, who: pl.Series) -> list[tuple[Any, float]]:
    """Levels that enough people have to be named, with their shares. who: whose each row is."""
    levels = pl.DataFrame({"level": s, "who": who}).drop_nulls("level").group_by("level")
    counts = levels.agg(pl.len(), people=pl.col("who").n_unique()).filter(pl.col("people") >= _NAMED).sort("level")
    return [(v, n / len(s)) for v, n, _ in counts.iter_rows()]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.01 else f"{100 * share:.1g}%"


def _generate(schema: Schema) -> Iterator[str]:
    yield "generate: {use: tabular.forest}"
    if made := schema.of("identifier", "personal"):
        yield f"# {', '.join(made)}: made anew for every record (tabular.identity; `locale` says whose names)."
    if left := schema.of("text", "nested"):
        yield f"# {', '.join(left)}: not made; table models leave free text and nested records out."
    yield ""


def _constraints(train: pl.DataFrame, schema: Schema) -> Iterator[str]:
    found = discover(train, schema)
    if not found:
        return
    yield f"# Each holds in all {train.height:,} real rows, and is then drawn by construction; strike out what is chance."
    yield "constraints:"
    for c in found[:_CONSTRAINTS]:
        parts = (
            f"{k}: {yaml_value(v) if isinstance(v, list | str) else str(v).lower()}" for k, v in c.to_json().items()
        )
        yield f"  - {{{', '.join(parts)}}}"
    if len(found) > _CONSTRAINTS:
        yield f"  # and {len(found) - _CONSTRAINTS} more of their kind"
    yield ""


def _verify(schema: Schema) -> Iterator[str]:
    rules = list(_bounds(schema))
    yield "verify:"
    yield "  - use: schema"
    if rules:
        yield "  - use: rules  # each holds in every real row; strike out what is chance, add what you know"
        yield "    all:"
        for rule in rules:
            yield f"      - {yaml_value(rule)}"
    yield ""


def _bounds(schema: Schema) -> Iterator[str]:
    """Columns that are nowhere negative and come near enough to 0 for that to mean something."""
    for c in schema:
        if c.kind in ("integer", "decimal") and c.low is not None and c.high is not None and 0 <= c.low <= c.high / 4:
            yield f"{_column(c.name)} >= 0"


def _column(name: str) -> str:
    """A column in a rule: quoted, since any word may be one of SQL's own."""
    return '"' + name.replace('"', '""') + '"'


def _rest(target: str | None, rows: int) -> Iterator[str]:
    yield "filter:"
    yield "  - use: duplicates  # up to the real table's own rate"
    yield "  - use: copies      # nearer to a real record than real records are to one another"
    yield ""
    yield "blend: {real: 0.7}  # every real row stays; at most 30% synthetic beside them (try: synthmill blend-sweep)"
    yield ""
    yield "evaluate:  # on the held-out real rows"
    for use in ["fidelity", "detection", "coverage", *(["utility"] if target else []), "privacy"]:
        yield f"  - use: {use}"
    yield ""
    yield "release:  # bars; the unfavourable end of the 95% interval has to hold. Tighten or loosen them to your need"
    held = max(1, rows // 5)  # their own chance is about 1 / sqrt(n) of a shape
    yield f'  fidelity.shapes: ">= {min(0.9, max(0.5, math.floor(20 * (1 - 2 / math.sqrt(held))) / 20)):g}"'
    if target:
        # where nothing can be predicted the gap is pure chance: about 2 / sqrt(n) is the interval's half
        gap = f'utility.gap: "<= {math.ceil(100 * (0.05 + 2 / math.sqrt(held))) / 100:g}"'
        yield f"  {gap}" if held >= _PROOF else f"  # {gap}  # {_too_few(held)}"
    # half of a fifth of the rows are the attack's strangers; without any signal its AUC strays from 0.5 by 1 / sqrt(6 n),
    # and the interval's end by more
    worst = max(0.55, math.ceil(20 * (0.5 + 4.5 / math.sqrt(6 * max(1, rows // 10)))) / 20)
    if worst <= _TELLING:
        yield f'  privacy.membership: "<= {worst:g}"'
    else:
        yield f'  # privacy.membership: "<= {_TELLING:g}"  # {_too_few(held)}'


def _too_few(held: int) -> str:
    return f"about {held} held-out rows may be too few to prove it"


def yaml_value(value: Any) -> str:
    """A value as it may stand in one line of YAML: plain where that is safe, else in quotes."""
    if isinstance(value, list):
        return "[" + ", ".join(yaml_value(v) for v in value) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) and value.lower() not in _YAML_WORDS:
        return value
    if isinstance(value, str) and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False)


_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
