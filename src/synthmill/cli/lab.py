"""The command line of the lab: collapse and blend-sweep."""

from __future__ import annotations

import argparse
from typing import Any

REGIMES = ("replace", "accumulate", "accumulate-subsample")
"""As in `lab.regimes`, which would load polars for `--help`; a test holds the two together."""


def experiments(verbs: Any, verb: Any, outs: Any) -> None:
    """Adds the verbs. verb, outs: what the command line adds a verb, and where it writes, with."""
    p = verb(verbs, "collapse", _collapse, "train a spec's generator on its own output, and watch what is lost")
    p.add_argument("spec")
    p.add_argument("--generations", type=int, default=10)
    p.add_argument("--repeats", type=int, default=5, help="chains of every arm, under other seeds (default: 5)")
    p.add_argument("--rows", type=int, help="of every generation (default: train's, at most 2,000)")
    p.add_argument("--regimes", nargs="+", default=list(REGIMES), metavar="REGIME", help=", ".join(REGIMES))
    p.add_argument("--shares", nargs="+", type=float, default=[0, 0.1, 0.3, 0.5], help="real shares of a generation")
    p.add_argument("--verified", choices=("both", "yes", "no"), default="both", help="are candidates checked first?")
    p.add_argument("--dry-run", action="store_true", help="say what it would cost, and do nothing")
    p.add_argument("--fresh", action="store_true", help="start anew even if an experiment is there")
    outs(p, "folder of the experiment (default: runs/<name>-collapse)")

    p = verb(verbs, "blend-sweep", _blend_sweep, "which share of synthetic data pays, if any")
    p.add_argument("spec")
    p.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.2, 0.3, 0.5], help="synthetic shares to try")
    p.add_argument("--regimes", nargs="+", default=list(REGIMES), metavar="REGIME", help=", ".join(REGIMES))
    p.add_argument("--draws", type=int, default=3, help="tables of the generator, under other seeds (default: 3)")
    p.add_argument("--unverified", action="store_true", help="mix in what the checks have not seen")
    outs(p, "folder of the report (default: runs/<name>-sweep)")


def _collapse(a: argparse.Namespace) -> None:
    from synthmill.verbs.collapse import collapse, price

    from . import console

    verified = {"both": None, "yes": True, "no": False}[a.verified]
    options = {"repeats": a.repeats, "rows": a.rows, "regimes": a.regimes, "shares": a.shares, "verified": verified}
    if a.dry_run:
        console.priced(price(a.spec, a.generations, **options))
        return
    with console.counting(a.quiet) as count:
        found = collapse(
            a.spec,
            a.generations,
            out=a.out,
            fresh=a.fresh,
            tick=lambda s: count(s.done, s.total, s.text, s.left),
            **options,
        )
    console.collapsed(found)


def _blend_sweep(a: argparse.Namespace) -> None:
    from synthmill.verbs.sweep import blend_sweep

    from . import console

    with console.counting(a.quiet) as count:
        found = blend_sweep(
            a.spec,
            out=a.out,
            shares=a.shares,
            regimes=a.regimes,
            draws=a.draws,
            verified=not a.unverified,
            tick=lambda done, total, text: count(done, total, text, None),
        )
    console.swept(found)
