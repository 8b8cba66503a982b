"""`audit`: every attack on any synthetic file, of any tool, with a control set, floors and ceilings."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from synthmill import __version__
from synthmill.auditing import Work, attacked
from synthmill.documents.audit import audit_page
from synthmill.documents.findings import Finding, findings
from synthmill.evaluation import Evaluation
from synthmill.frame import payload
from synthmill.plugins import find, known
from synthmill.real import Real, shared_rows
from synthmill.refusal import Refusal, choices
from synthmill.run import atomic, sentences
from synthmill.schema import MODELLED, Column
from synthmill.spec import Use
from synthmill.tables.exposed import ROWS

from .make import Observer
from .score import anchor_of, table_of

VERSION = 1
ATTACKS = tuple(n for n in known("measure") if n.startswith("attack."))
LISTED = 100
_Names = tuple[str, str, str]
"""The file, the real table and the holdout, as a sentence calls them."""
_NAMED = 12
"""Columns that a sentence names; beyond, it counts them."""
_SHARED = 0.5
"""Of the held-out rows, beyond chance: one that shares more of them with train is no control set."""


@dataclass(frozen=True)
class Audit:
    """data: what audit.json holds. folder: with audit.json, audit.html and private/exposed.parquet."""

    evaluation: Evaluation
    findings: tuple[Finding, ...]
    data: dict[str, Any]
    folder: Path

    @property
    def leaks(self) -> tuple[str, ...]:
        """The attacks that found a leak."""
        return tuple(f.attack for f in self.findings if f.status == "leak")


def audit(
    synthetic: Any,
    train: Any,
    holdout: Any,
    out: str | Path | None = None,
    *,
    attacks: Sequence[str | Use] = ATTACKS,
    secret: Sequence[str] = (),
    aux: Sequence[str] = (),
    link: tuple[Sequence[str], Sequence[str]] | None = None,
    generator: str | Use | None = None,
    target: str | None = None,
    entity: str | None = None,
    listed: int = LISTED,
    seed: int = 0,
    workers: int | None = None,
    observer: Observer | None = None,
) -> Audit:
    """Attacks `synthetic` with the real rows it was made from (`train`) and real rows it has not seen (`holdout`).

    synthetic, train, holdout: files, or polars, pandas or Arrow tables. attacks: names (`membership` or
    `attack.membership`) or mappings with `use` and options. secret, aux: columns that attribute inference guesses, and from
    which. link: the columns of the two files that linkability joins. generator: the maker of the file, for LiRA. listed: how many
    of the most exposed records go to `private/exposed.parquet`. workers: processes that attack; they change nothing but the
    time it takes. Columns that one of the tables lacks are left out, and `data["left_out"]` says so.
    Raises Refusal when fewer than two columns can be compared, a name is not known, or the folder holds something else.
    """
    observer = observer or Observer()
    uses = _uses(attacks, secret, aux, link, generator)
    if listed < 0:
        raise Refusal(f"--exposed: {listed} is negative")
    names = _named(synthetic, "the file"), _named(train, "the real table"), _named(holdout, "the holdout")
    anchor = anchor_of(train, holdout, target, entity, seed, shared=True)
    _check_control(anchor, names[2])
    anchor, table, left_out = _compared(anchor, table_of(synthetic), names)
    _check_columns(anchor, names, (*secret, *aux, *([target] if target else ()), *(c for side in link or () for c in side)))  # fmt: skip
    folder = _folder(out, synthetic)
    observer.say("attacking")
    work = Work(table, anchor, tuple(uses), seed, listed)
    made, shown, looked = attacked(work, workers, observer.say)
    data = _record(made, anchor, uses, names, left_out, (shown.height, looked), seed)
    found = tuple(findings({m["name"]: m for m in data["measures"]}))
    data["findings"] = [asdict(f) for f in found]
    _write(folder, data, shown)
    return Audit(made, found, data, folder)


def _uses(attacks: Sequence[str | Use], secret: Any, aux: Any, link: Any, generator: Any) -> list[Use]:
    uses: list[Use] = []
    for given in attacks:
        use: Use = {"use": given} if isinstance(given, str) else dict(given)
        name = str(use.get("use", ""))
        if f"attack.{name}" in ATTACKS:
            use["use"] = f"attack.{name}"
        elif name not in ATTACKS and ":" not in name:
            raise Refusal(
                f"--attacks: '{name}' is no attack; {choices(name, [a.removeprefix('attack.') for a in ATTACKS])}"
            )
        uses.append(use)
    if not uses:
        raise Refusal(f"--attacks: none is named; {choices('', [a.removeprefix('attack.') for a in ATTACKS])}")
    if generator:
        find("generate", generator if isinstance(generator, str) else str(generator.get("use", "")), "--generator")
    options = {
        "attack.inference": {"secrets": list(secret), "known": list(aux)},
        "attack.linkability": {"left": list(link[0]), "right": list(link[1])} if link else {},
        "attack.lira": {"generator": generator} if generator else {},
    }
    for use in uses:
        use |= {k: v for k, v in options.get(use["use"], {}).items() if v}
    return uses


def _compared(anchor: Real, table: pl.DataFrame, names: _Names) -> tuple[Real, pl.DataFrame, list[str]]:
    """What the three tables share: the anchor with a schema of only that, the file's columns that are real, and what was
    left out, as sentences. Train keeps all its columns, so that exposed records are shown whole."""
    file, train, holdout = names
    own = payload(table)
    there = [c.name for c in anchor.schema if c.name in own]
    made = [c for c in own if c not in there and c not in anchor.lacking]
    schema = anchor.schema.select([c.name for c in anchor.schema if c.name in own or not _taken(c)])
    lost = [c.name for c in anchor.schema if c.name not in schema]
    if len(schema.modelled) < 2:
        shared = f"only '{schema.modelled[0]}'" if schema.modelled else "no column that can be attacked"
        hint = choices((made or own)[0], anchor.schema.modelled)
        raise Refusal(f"{file}: shares {shared} with {train} and {holdout}; an audit needs 2 columns. {hint}")
    whole = len(anchor.schema.modelled)
    found = [
        (lost, f"{file} lacks {{}}: attacked are {len(schema.modelled)} of {whole} columns, and what the others would give away is not known"),
        (anchor.lacking, f"{holdout} lacks {{}}: without a control nothing can be said of what {train} has there"),
        (made, f"{train} lacks {{}}: what {file} has there was not attacked"),
        ([c for c in anchor.extra if c not in made], f"{train} lacks {{}}: what {holdout} has there was not used"),
    ]  # fmt: skip
    said = [text.format(_listed(left)) for left, text in found if left]
    return replace(anchor, schema=schema), table.select(there), said


def _taken(column: Column) -> bool:
    """Whether an attack looks at it: identifiers and nested columns only stay so that records are shown whole."""
    return column.kind in (*MODELLED, "personal", "text")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more columns"


def _check_control(anchor: Real, holdout: str) -> None:
    """A control set of the table's own rows finds nothing, whatever the file is."""
    shared = shared_rows(anchor.train, anchor.holdout)
    if shared > _SHARED:
        raise Refusal(
            f"--holdout: {shared:.0%} of {holdout} are rows of the table itself; "
            "the control set has to be real rows that the file was not made from"
        )


def _check_columns(anchor: Real, names: _Names, named: Sequence[str]) -> None:
    for name in named:
        if name not in anchor.schema.modelled:
            lacks = names[0] if name in anchor.train.columns else anchor.source
            kind = f"is {anchor.schema[name].kind} and cannot be attacked" if name in anchor.schema else "is no column"
            raise Refusal(f"'{name}' {kind} of {lacks}; {choices(name, anchor.schema.modelled)}")


def _folder(out: str | Path | None, synthetic: Any) -> Path:
    folder = Path(out) if out is not None else Path("runs") / f"audit-{_named(synthetic, 'synthetic').split('.')[0]}"
    if folder.exists() and not (folder.is_dir() and ((folder / "audit.json").is_file() or not any(folder.iterdir()))):
        raise Refusal(f"{folder}: is there and holds no audit; choose another with --out")
    return folder


def _named(given: Any, otherwise: str) -> str:
    return Path(given).name if isinstance(given, str | Path) else otherwise


def _record(
    made: Evaluation,
    anchor: Real,
    uses: list[Use],
    names: _Names,
    left_out: list[str],
    listed: tuple[int, int],
    seed: int,
) -> dict[str, Any]:
    schema = anchor.schema
    return {
        "version": VERSION,
        "name": names[0],
        "train": names[1],
        "holdout": names[2],
        "seed": seed,
        "versions": {"synthmill": __version__},
        "attacks": uses,
        "columns": schema.modelled,
        "left_out": left_out,
        "not_attacked": [f"{c.name} ({c.kind})" for c in schema if c.name not in schema.modelled],
        "sampled": _sampled(made, listed),
        "exposed": {"listed": listed[0], "looked_at": listed[1]},
        **made.to_json(),
        "notes": [*made.notes, *anchor.notes],
    }


def _sampled(made: Evaluation, listed: tuple[int, int]) -> list[str]:
    """How many people and rows each attack was tried on."""
    out = []
    told = {
        "attack.membership.nearest_auc": "membership: {members:,} members against {strangers:,} strangers; the attacker holds {reference:,} other held-out rows",
        "attack.lira.auc": "LiRA: {members:,} members against {strangers:,} strangers; {shadows} shadow models fitted on {fitted_on:,} rows each",
        "attack.singling_out.multivariate": "singling out: {queries:,} descriptions by several columns, tried on all rows",
        "attack.linkability.risk": "linkability: {targets:,} train and {targets:,} held-out rows",
        "attack.inference.mean": "inference: {targets:,} train and {targets:,} held-out rows",
        "attack.outliers.reconstructed": "outliers: {outliers:,} of the train rows, {control_outliers:,} of the held-out ones",
    }
    for name, text in told.items():
        m = made.get(name)
        if m is not None and m.detail:
            out.append(text.format(**m.detail))
    out.append(
        f"exposed records: the {listed[0]:,} most exposed of {listed[1]:,} train rows are listed in private/exposed.parquet"
    )
    if max(made.sizes["synthetic"], made.sizes["train"]) > ROWS:
        out.append(f"tables beyond {ROWS:,} rows were sampled where distances are taken")
    return out


def _write(folder: Path, data: dict[str, Any], shown: pl.DataFrame) -> None:
    """audit.json comes last: a folder without it is no audit."""
    with sentences(folder):
        private = folder / "private"
        private.mkdir(parents=True, exist_ok=True)
        os.chmod(private, 0o700)
        atomic(private / "exposed.parquet", lambda f: shown.write_parquet(f))
        page = audit_page(data)
        atomic(folder / "audit.html", lambda f: f.write(page.encode()))
        text = json.dumps(data, indent=1, ensure_ascii=False)
        atomic(folder / "audit.json", lambda f: f.write(text.encode()))
