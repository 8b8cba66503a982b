"""Does a rare class gain from synthetic records, and from those of the forest more than from SMOTE's or from repeating real ones?

Run: `python recipes/rare-class-table/run.py [FILE]`. FILE: any table with a rare class; without it $SYNTHMILL_DATA, and
without that the Adult sample that comes with synthmill, with most of its rare class held back. Credit card fraud
(columns Time, V1 to V28, Amount, Class) and Adult are known by their columns, others need --target and --rare.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

import synthmill
from synthmill.data import adult
from synthmill.plugins import Measure
from synthmill.refusal import Refusal, choices
from synthmill.tables.read import read
from synthmill.verbs.make import Result

HERE = Path(__file__).resolve().parent
KNOWN = {"Class": 1, "income": ">50K"}
RIVALS: dict[str, dict[str, Any]] = {
    "forest": {},  # the spec as it stands
    # SMOTE and repeated rows lie on or beside real ones, so `copies` would leave little of either
    "SMOTE": {"generate": {"use": "tabular.smote"}, "filter": []},
    "repeated": {"generate": {"use": "tabular.bootstrap"}, "filter": []},
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=os.environ.get("SYNTHMILL_DATA"))
    parser.add_argument("--target", help="the column of classes")
    parser.add_argument("--rare", help="the class that is rare")
    parser.add_argument(
        "--keep", type=int, default=60, help="rare records to learn from (default 60); the others are held out"
    )
    parser.add_argument("--quota", type=int, default=1000, help="accepted records of the rare class (default 1,000)")
    parser.add_argument("--out", default="runs/rare-class-table")
    return parser.parse_args()


def split(table: pl.DataFrame, target: str, rare: Any, keep: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train: half of the common rows and `keep` rare ones. Holdout: all others, so that the rare class is judged well."""
    order = np.random.default_rng(7).permutation(table.height)
    shuffled = table[order]
    few, many = shuffled.filter(pl.col(target) == rare), shuffled.filter(pl.col(target) != rare)
    if few.height < keep + 20:
        raise Refusal(f"{target}: {few.height} records of '{rare}' are too few to learn from {keep} and hold out 20")
    half = many.height // 2
    return pl.concat([few[:keep], many[:half]]), pl.concat([few[keep:], many[half:]])


def prepared(given: argparse.Namespace, out: Path) -> None:
    """Writes train, holdout and each arm's spec to `out`, once nothing is found wrong with any of them."""
    if out.exists() and not out.is_dir():
        raise Refusal(f"--out {out}: is a file")
    if given.keep < 1 or given.quota < 1:
        raise Refusal(f"--keep and --quota: {given.keep} and {given.quota}; both count records, at least 1")
    table = read(given.file) if given.file else adult()
    # the fraud sample has an index without a name, and rows that occur twice would be on both sides
    table = table.select(c for c in table.columns if c.strip()).unique(maintain_order=True)
    target, rare = classes(table, given.target, given.rare)
    common = [v for v in table[target].drop_nulls().unique().sort() if v != rare]
    train, holdout = split(table.filter(pl.col(target).is_not_null()), target, rare, given.keep)
    weights = {target: {rare: 4 * len(common), **dict.fromkeys(common, 1)}}
    cover = {"axes": {target: [rare, *common]}, "total": given.quota * 5 // 4, "weights": weights}
    real = {"target": target, "columns": {target: "categorical"}, "missing": ["?"]}
    with tempfile.TemporaryDirectory() as name:
        tried = Path(name)
        files = [arm_file(tried, arm, real, cover) for arm in RIVALS]
        for part, frame in (("train", train), ("holdout", holdout)):
            frame.write_parquet(tried / f"{part}.parquet")
        for file in files:
            synthmill.check(file)
        shutil.copytree(tried, out, dirs_exist_ok=True)
    shown = [int((part[target] == rare).sum()) for part in (train, holdout)]
    print(f"{target} = {rare}: {shown[0]} of {train.height:,} to learn from, {shown[1]} of {holdout.height:,} held out")


def classes(table: pl.DataFrame, target: str | None, rare: str | None) -> tuple[str, Any]:
    """The column of classes and the rare one, both as the table has them."""
    target = target or next((c for c in KNOWN if c in table.columns), None)
    if target is None:
        raise Refusal(f"--target: say which column holds the classes; {choices('', table.columns)}")
    if target not in table.columns:
        raise Refusal(f"--target: '{target}' is not a column; {choices(target, table.columns)}")
    levels = table[target].drop_nulls().unique().sort()
    known = KNOWN.get(target) if rare is None else rare
    if known is None:
        raise Refusal(f"--rare: say which value of '{target}' is rare; {choices('', levels)}")
    found = [v for v in levels if str(v) == str(known)]
    if not found:
        raise Refusal(f"--rare: '{known}' is no value of '{target}'; {choices(known, levels)}")
    return target, found[0]


def arm_file(folder: Path, name: str, real: dict[str, Any], cover: dict[str, Any]) -> Path:
    """An arm's whole spec, its tables beside it."""
    own = {"real": {"path": "train.parquet", "holdout": "holdout.parquet", **real}, "cover": cover}
    whole = {**yaml.safe_load((HERE / "spec.yaml").read_text("utf-8")), **own, **RIVALS[name]}
    if name != "forest":
        whole["release"] = {}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**whole, "name": name}, sort_keys=False), "utf-8")
    return file


def made(out: Path, name: str) -> Result:
    print(f"making {name}", flush=True)
    return synthmill.make(out / f"{name}.yaml", out / name, fresh=True)


def told(results: dict[str, Result]) -> None:
    """The arms, and who wins, surely or not."""
    found = {
        name: {m.name.removeprefix("utility."): m for m in r.evaluation.measures}
        for name, r in results.items()
        if r.evaluation
    }
    first = found["forest"]
    arms = [("real rows alone", first["real"], None), ("real rows, all oversampled", first["oversampled"], None)]
    arms += [(f"real rows + {name}", f["blend"], f["blend_gain"]) for name, f in found.items()]
    arms += [(f"{name} alone", f["synthetic"], None) for name, f in found.items()]
    print(f"\n{'learned from':<28}{'AUC on held-out rows':>26}   what it adds to the better of the first two")
    for label, m, gain in arms:
        print(f"{label:<28}{_interval(m):>26}   {_interval(gain) if gain else ''}".rstrip())
    print()
    gains = {name: f["blend_gain"] for name, f in found.items()}
    for line in (*verdict(gains), *(b.sentence for b in results["forest"].bars)):
        print(line)


def verdict(gains: dict[str, Measure]) -> list[str]:
    """Whether anything is worth adding to the real rows, and whether the forest is the thing to add."""
    pays = [n for n, g in gains.items() if g.low > 0]
    harms = [n for n, g in gains.items() if g.high < 0]
    lines = [
        f"Surely better than real rows alone: {', '.join(pays)}."
        if pays
        else "Plain real rows win: nothing that was added to them raises the AUC beyond chance."
    ]
    if harms:
        lines.append(f"Surely worse than real rows alone: {', '.join(harms)}.")
    best = max(gains, key=lambda n: gains[n].value)
    if best == "forest":
        sure = all(gains["forest"].low > g.high for n, g in gains.items() if n != "forest")
        lines.append(f"Of what was added the forest's records do most{'' if sure else ', but not beyond chance'}.")
    else:
        sure = gains[best].low > gains["forest"].high
        lines.append(f"{best} does more than the forest{'' if sure else ', but not beyond chance'}.")
    return lines


def _interval(m: Measure) -> str:
    return f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})"


def main() -> int:
    given = options()
    out = Path(given.out)
    try:
        prepared(given, out)
        results = {name: made(out, name) for name in RIVALS}
    except Refusal as e:
        print(f"run.py: {e}", file=sys.stderr)
        return e.code
    told(results)
    print(f"report of the forest's run: {out / 'forest' / 'report.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
