"""`audit`: every attack on any synthetic file, of any tool, with a control set, floors and ceilings."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from synthmill import __version__
from synthmill.documents.audit import audit_page
from synthmill.documents.findings import Finding, findings
from synthmill.evaluation import Evaluation, evaluate
from synthmill.frame import payload
from synthmill.plugins import Evidence, find, known
from synthmill.real import Real, shared_rows
from synthmill.refusal import Refusal, choices
from synthmill.run import atomic, sentences
from synthmill.spec import Use
from synthmill.tables.align import align
from synthmill.tables.exposed import ROWS, exposed

from .make import Observer
from .score import anchor_of, table_of

VERSION = 1
ATTACKS = tuple(n for n in known("measure") if n.startswith("attack."))
LISTED = 100
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
    observer: Observer | None = None,
) -> Audit:
    """Attacks `synthetic` with the real rows it was made from (`train`) and real rows it has not seen (`holdout`).

    synthetic, train, holdout: files, or polars, pandas or Arrow tables. attacks: names (`membership` or
    `attack.membership`) or mappings with `use` and options. secret, aux: columns that attribute inference guesses, and from
    which. link: the columns of the two files that linkability joins. generator: the maker of the file, for LiRA. listed: how many
    of the most exposed records go to `private/exposed.parquet`.
    Raises Refusal when the tables cannot be compared, a name is not known, or the folder holds something else.
    """
    observer = observer or Observer()
    uses = _uses(attacks, secret, aux, link, generator)
    if listed < 0:
        raise Refusal(f"--exposed: {listed} is negative")
    anchor = anchor_of(train, holdout, target, entity, seed)
    _check_control(anchor, holdout)
    _check_columns(anchor, (*secret, *aux, *(c for side in link or () for c in side)))
    table = table_of(synthetic)
    table = table.select(payload(table))
    folder = _folder(out, synthetic)
    made = evaluate(table, anchor, uses, seed=seed, progress=lambda what: observer.say(f"attacking: {what}"))
    observer.say("looking for the most exposed records")
    shown, looked = _exposed(table, anchor, listed, seed)
    data = _record(made, anchor, uses, (synthetic, train, holdout), (shown.height, looked), seed)
    found = tuple(findings({m["name"]: m for m in data["measures"]}))
    data["findings"] = [{"attack": f.attack, "status": f.status, "sentence": f.sentence} for f in found]
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


def _check_control(anchor: Real, holdout: Any) -> None:
    """A control set of the table's own rows finds nothing, whatever the file is."""
    shared = shared_rows(anchor.train, anchor.holdout)
    if shared > _SHARED:
        name = _name(holdout) if isinstance(holdout, str | Path) else "the holdout"
        raise Refusal(
            f"--holdout: {shared:.0%} of {name} are rows of the table itself; "
            "the control set has to be real rows that the file was not made from"
        )


def _check_columns(anchor: Real, named: Sequence[str]) -> None:
    for name in named:
        if name not in anchor.schema.modelled:
            kind = f"is {anchor.schema[name].kind} and cannot be attacked" if name in anchor.schema else "is no column"
            raise Refusal(f"'{name}' {kind} of {anchor.source}; {choices(name, anchor.schema.modelled)}")


def _folder(out: str | Path | None, synthetic: Any) -> Path:
    folder = Path(out) if out is not None else Path("runs") / f"audit-{_name(synthetic).split('.')[0]}"
    if folder.exists() and not (folder.is_dir() and ((folder / "audit.json").is_file() or not any(folder.iterdir()))):
        raise Refusal(f"{folder}: is there and holds no audit; choose another with --out")
    return folder


def _name(given: Any) -> str:
    return Path(given).name if isinstance(given, str | Path) else "synthetic"


def _exposed(table: pl.DataFrame, anchor: Real, most: int, seed: int) -> tuple[pl.DataFrame, int]:
    train, holdout = (f.select(payload(f)) for f in (anchor.train, anchor.holdout))
    aligned = align(table, train, anchor.schema)[0]
    if not anchor.schema.modelled:
        return train.clear(), 0
    return exposed(Evidence(aligned, train, holdout, anchor.schema, seed, entity=anchor.entity), most)


def _record(
    made: Evaluation, anchor: Real, uses: list[Use], given: tuple[Any, Any, Any], listed: tuple[int, int], seed: int
) -> dict[str, Any]:
    schema = anchor.schema
    return {
        "version": VERSION,
        "name": _name(given[0]),
        "train": _name(given[1]) if isinstance(given[1], str | Path) else "a table",
        "holdout": _name(given[2]) if isinstance(given[2], str | Path) else "a table",
        "seed": seed,
        "versions": {"synthmill": __version__},
        "attacks": uses,
        "columns": schema.modelled,
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
