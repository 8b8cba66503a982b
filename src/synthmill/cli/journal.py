"""The command line of language models: the journal of their answers, judges, and open models."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .judging import judging
from .models import open_models


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
    judging(verbs, verb)


def _journal(a: argparse.Namespace) -> None:
    from synthmill.verbs.journal import export, overview, prune

    if a.export:
        print(f"{export(a.folder, a.export, a.account):,} answers written to {a.export}")
    if a.prune:
        print(f"{prune(a.folder, a.errors, a.account, a.model, a.days):,} answers forgotten")
    if not a.export and not a.prune:
        _told(overview(a.folder), a.json)


def _told(found: Any, as_json: bool) -> None:
    if as_json:
        json.dump(found.to_json(), sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    rate = (
        ""
        if found.hit_rate is None
        else f", {found.hit_rate:.1%} of {found.asked + found.remembered:,} questions found"
    )
    answers = sum(line["answers"] for line in found.lines)
    print(f"{found.path}: {answers:,} answers, {found.size / 1e6:,.1f} MB{rate}")
    for line in found.lines:
        cost = "cost not known" if line["money"] is None else f"cost {line['money']:,.4g}"
        print(
            f"  {line['run'] or '(no run)'}, {line['stage']}, {line['model']}: {line['answers']:,} answers, {line['errors']:,} errors, "
            f"{line['refusals']:,} refusals, {line['prompt_tokens']:,} tokens in, {line['completion_tokens']:,} out, {cost}"
        )
