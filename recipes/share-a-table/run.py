"""A table for strangers: made under `privacy: strict`, judged on held-out people, attacked, and only then copied to `send/`.

Run: `python recipes/share-a-table/run.py [FILE --target COLUMN]`; without a file on the Adult sample that comes with synthmill.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import yaml

import synthmill
from synthmill.cli import console
from synthmill.refusal import Refusal
from synthmill.spec import load_spec, parse_spec
from synthmill.verbs.audit import Audit
from synthmill.verbs.make import Result

HERE = Path(__file__).resolve().parent
SENT = ("README.md", "report.html", "evaluation.json", "croissant.json")
"""Of the run, beside `data/`. The rest is for whoever made it: private/, rejects, models, and a spec with its folders."""


def spec_file(file: str | None, target: str | None, out: Path) -> Path:
    """The recipe's spec; with another table in it, written to `out`, where one is given. What is wrong with it is refused
    before anything is written."""
    if out.exists() and not out.is_dir():
        raise Refusal(f"--out {out}: is a file")
    if file is None:
        if target:
            raise Refusal("--target: goes with a FILE; without one it is the Adult sample that is made")
        return HERE / "spec.yaml"
    whole = yaml.safe_load((HERE / "spec.yaml").read_text("utf-8"))
    real = {"path": file, "holdout": whole["real"]["holdout"]} | ({"target": target} if target else {})
    whole["real"] = real
    del whole["constraints"]  # those of Adult; `synthmill init` proposes yours
    if not target:
        whole["evaluate"].remove("utility")
    synthmill.check(parse_spec(whole))
    whole["real"] = real | {"path": os.path.relpath(file, out)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "spec.yaml").write_text(yaml.safe_dump(whole, sort_keys=False), "utf-8")
    return out / "spec.yaml"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--target", help="the column that models should predict")
    parser.add_argument("--out", default="runs/share-a-table")
    given = parser.parse_args()
    try:
        return shared(given.file, given.target, Path(given.out))
    except Refusal as e:
        print(f"run.py: {e}", file=sys.stderr)
        return e.code


def shared(table: str | None, target: str | None, out: Path) -> int:
    file = spec_file(table, target, out)
    spec = load_spec(file)[0]
    with console.watching(False) as observer:
        result = synthmill.make(file, out / "table", observer=observer, fresh=True)
        real = synthmill.check(file).real
        assert real is not None
        # the attacker knows how the table was made, so LiRA's shadow models are forests as well
        made = synthmill.audit(
            result.data, real.train, real.holdout, out / "audit", generator=spec.generate[0], target=spec.real.target,
            observer=observer,
        )  # fmt: skip
    console.made(result)
    console.audited(made)
    return sent(result, made, out)


def sent(result: Result, made: Audit, out: Path) -> int:
    """Copies what may leave the house, where the bars held and no attack found a leak; the exit code says which."""
    shutil.rmtree(out / "send", ignore_errors=True)
    missed = [b.sentence for b in result.bars if not b.held]
    if missed or made.leaks:
        print("\nnothing was put aside for sending:")
        for why in (*missed, *(f.sentence for f in made.findings if f.status == "leak")):
            print(f"  {why}")
        return 3
    (out / "send").mkdir()
    shutil.copytree(result.run.root / "data", out / "send" / "data")
    for file in (*(result.run.root / name for name in SENT), made.folder / "audit.html"):
        shutil.copy(file, out / "send" / file.name)
    print(f"\nmay be sent: {out / 'send'} (data, card, report.html, evaluation.json, croissant.json, audit.html)")
    if any(f.status in ("trace", "hint") for f in made.findings):
        print(
            "traces or hints of the real people show (above): whether they are small enough for who will read this is yours to decide"
        )
    if any(f.status == "unknown" for f in made.findings):
        print("some attacks could not be made (above): of those nothing is known")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
