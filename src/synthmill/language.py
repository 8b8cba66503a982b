"""The command line of language models: the journal of their answers, and open models."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .openmodels import open_models


def language(verbs: Any, verb: Any, outs: Any) -> None:
    """Adds the verbs. verb, outs: what the command line adds a verb, and where it writes, with."""
    p = verb(verbs, "journal", _journal, "what language models answered: size, hit rate and cost; prune; export")
    p.add_argument(
        "folder", nargs="?", default="runs", help="folder of the runs, or the journal's file (default: runs)"
    )
    p.add_argument("--json", action="store_true", help="as JSON")
    p.add_argument("--export", metavar="FILE", help="write every question and answer to a JSONL file")
    p.add_argument("--prune", action="store_true", help="forget answers that meet all of the conditions below")
    p.add_argument("--errors", action="store_true", help="only errors and refusals")
    p.add_argument("--run", dest="account", help="only of this run, named as the overview names it")
    p.add_argument("--model", help="only of this model")
    p.add_argument("--days", type=float, help="only what is older than so many days")

    open_models(verbs, verb)


def _journal(a: argparse.Namespace) -> None:
    from .verbs.journal import export, overview, prune

    if a.export:
        print(f"{export(a.folder, a.export, a.account):,} answers written to {a.export}")
    if a.prune:
        print(f"{prune(a.folder, a.errors, a.account, a.model, a.days):,} answers forgotten")
    if not a.export and not a.prune:
        _tell(overview(a.folder), a.json)


def _tell(found: Any, as_json: bool) -> None:
    if as_json:
        json.dump(found.to_json(), sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    from rich.markup import escape
    from rich.table import Table

    from .console import out

    rate = (
        ""
        if found.hit_rate is None
        else f", {found.hit_rate:.1%} of {found.asked + found.remembered:,} questions found"
    )
    answers = sum(line["answers"] for line in found.lines)
    out.print(f"{escape(str(found.path))}: {answers:,} answers, {found.size / 1e6:,.1f} MB{rate}")
    table = Table("run", "stage", "model", "answers", "errors", "refusals", "tokens in", "tokens out", "cost", box=None)
    for name in table.columns[:3]:
        name.no_wrap, name.overflow = True, "ignore"
    for line in found.lines:
        counts = [line[k] for k in ("answers", "errors", "refusals", "prompt_tokens", "completion_tokens")]
        cost = "not known" if line["money"] is None else f"{line['money']:,.4f}"
        names = (line["run"] or "(no run)", line["stage"], line["model"])
        table.add_row(*(escape(n) for n in names), *(f"{c:,}" for c in counts), cost)
    if found.lines:
        out.print(table)
