"""The command line of what a run can tell of its records (trace), and of what leaves it."""

from __future__ import annotations

import argparse
from typing import Any

from synthmill.refusal import Refusal

from .handing import handing


def tracing(verbs: Any, verb: Any) -> None:
    """Adds the verb. verb: what the command line adds a verb with."""
    p = verb(verbs, "trace", _trace, "one record's whole story, or what every real record gave to a run")
    p.add_argument("run_dir", metavar="RUN")
    p.add_argument("id", nargs="?", metavar="ID")
    p.add_argument("--json", action="store_true")
    p.add_argument(
        "--private", action="store_true", help="also write which real records gave its values, under the run's private/"
    )
    p.add_argument(
        "--contributions",
        action="store_true",
        help="write what every real record gave to the run, to private/contributions.parquet",
    )

    handing(verbs, verb)


def _trace(a: argparse.Namespace) -> None:
    from synthmill.verbs.contributions import contributions
    from synthmill.verbs.trace import trace

    from . import console

    if not a.id and not a.contributions:
        raise Refusal("trace: which record? Give an ID (the column _id of data/), or --contributions for all of them")
    if a.contributions and (a.id or a.private):
        raise Refusal("trace: --contributions is of all records; an ID and --private are of one")
    if a.id:
        console.traced(trace(a.run_dir, a.id, a.private), as_json=a.json)
        return
    with console.counting(a.json) as count:
        found = contributions(a.run_dir, progress=lambda done, of: count(done, of, "requests", None))
    console.contributed(found, as_json=a.json)
