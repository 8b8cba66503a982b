"""The command line of judges: how far one agrees with people."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any


def judging(verbs: Any, verb: Any) -> None:
    """Adds the verb. verb: what the command line adds a verb with."""
    p = verb(
        verbs, "judge-check", _judge_check, "how far a judge agrees with people who judged the same pairs of answers"
    )
    p.add_argument("data", help="labelled pairs (.jsonl, .csv, .parquet, ...)")
    p.add_argument("--judge", metavar="FILE", help="YAML of a check 'prefer' or 'judge', or a spec with one")
    p.add_argument("--model", help="or a model, as a judge with everything else at its default")
    p.add_argument("--base-url", metavar="URL", help="of that model")
    p.add_argument("--key", metavar="NAME", help="environment variable with its key")
    p.add_argument("--verdicts", metavar="COLUMN", help="or a column with verdicts of a judge that was asked already")
    p.add_argument("--prompt", default="prompt", metavar="COLUMN", help="column of the prompt (default: prompt)")
    p.add_argument("--input", metavar="COLUMN", help="column to add to the prompt")
    p.add_argument("--a", default="a", metavar="COLUMN", help="column of one answer (default: a)")
    p.add_argument("--b", default="b", metavar="COLUMN", help="column of the other (default: b)")
    p.add_argument(
        "--labels", default="label", metavar="COLUMN,COLUMN", help="a column for each annotator (default: label)"
    )
    p.add_argument("--values", metavar="a=1,b=2,tie=0", help="what labels say (default: a, b, tie or 1, 2, 0)")
    p.add_argument("--writers", metavar="COLUMN,COLUMN", help="columns that tell which model wrote a and b")
    p.add_argument("--limit", type=int, help="only so many pairs, drawn by the seed")
    p.add_argument(
        "--injected", type=int, default=0, metavar="N", help="also: N pairs whose worse answer gives the judge orders"
    )
    p.add_argument(
        "--least", type=float, help="exit code 3 unless agreement is at least this at the interval's lower end"
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument(
        "--workspace", default="runs", metavar="FOLDER", help="where the journal of answers is (default: runs)"
    )
    p.add_argument("-o", "--out", default="judge-check.json", help="report to write (default: judge-check.json)")


def _judge_check(a: argparse.Namespace) -> int:
    from pathlib import Path

    from synthmill.refusal import Refusal
    from synthmill.verbs.judge_check import Columns, judge_check

    named = [n for n, v in (("--judge", a.judge), ("--model", a.model), ("--verdicts", a.verdicts)) if v is not None]
    if len(named) != 1:
        raise Refusal(f"judge-check: give one of --judge, --model and --verdicts, not {' and '.join(named) or 'none'}")
    writers = a.writers.split(",") if a.writers else None
    if writers is not None and len(writers) != 2:
        raise Refusal(f"judge-check: --writers: '{a.writers}': two columns are expected, such as model_a,model_b")
    more = {"values": _values(a.values)} if a.values else {}
    columns = Columns(
        a.prompt, a.a, a.b, a.labels.split(","), a.input, tuple(writers) if writers else None, a.verdicts, **more
    )
    model = {"model": a.model, "temperature": 0, "base_url": a.base_url, "key": a.key}
    judge = {"model": {k: v for k, v in model.items() if v is not None}} if a.model else a.judge
    found = judge_check(a.data, judge, columns, a.limit, a.injected, a.seed, a.workspace)
    try:
        Path(a.out).write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as e:
        raise Refusal(f"{a.out}: cannot be written: {(e.strerror or str(e)).lower()}") from None
    print(f"{found.pairs:,} pairs" + (f", {found.left_out:,} rows left out" if found.left_out else ""))
    for m in found.measures:
        shown = m.note if not math.isfinite(m.value) else f"{m.value:6.3f} ({m.low:.3f}..{m.high:.3f})"
        print(f"  {m.name:15} {shown}")
    for fault, n in sorted(found.faults.items(), key=lambda f: -f[1])[:5]:
        print(f"  no verdict {n:,} times: {fault}")
    print(found.sentence)
    return 3 if a.least is not None and not found["agreement"].low >= a.least else 0


def _values(text: str) -> dict[str, list[str]]:
    from synthmill.refusal import Refusal

    sides = {"a": "one", "b": "two", "tie": "same"}
    found: dict[str, list[str]] = {s: [] for s in sides.values()}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if name not in sides or not equals:
            raise Refusal(f"judge-check: --values: '{part}' is not of the form a=1, b=2 or tie=0")
        found[sides[name]].append(value)
    return found
