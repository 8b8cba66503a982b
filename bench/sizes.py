"""What the forest costs where tables are usual, wide and long: the figures of docs/forest.md.

Run: `python bench/sizes.py [PART ...]`: `usual` (Adult's 39,073 train rows, from `--data`: what the fit says, how long it takes,
and a first condition and a removal after it), `wide` (300 columns, 5,000 rows), `long` (5 million rows drawn from
the Adult sample that comes along). Each runs in a process of its own, once. Results: bench/results/sizes.json; the page's figures are then written
anew, and a test holds them to that file.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anchors
import numpy as np
import polars as pl
from meter import metered

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "sizes.json"
PAGE = HERE.parent / "docs" / "forest.md"
LONG, WIDE = 5_000_000, (5_000, 300)

SAID = (
    ("usual", "after a fit of 39,000 rows of Adult: {told} Where cells"),
    ("usual", "kept in memory: {condition} of one core for 39,000 rows of Adult and one condition"),
    ("usual", "`remove` takes {removal} where fitting took {fit}. Taken out"),
    ("wide", "300 columns and 5,000 rows took {fit} of one core and {memory}. * Beyond"),
    ("long", "5 million rows of Adult took {fit} of one core and {memory}, the table itself"),
)
"""Pieces of the page, and the part whose figures they hold."""


def adult(rows: int) -> pl.DataFrame:
    from synthmill.data import adult

    sample = adult()
    return sample[np.random.default_rng(0).integers(0, sample.height, rows)]


def usual(data: Path) -> dict[str, Any]:
    import synthmill

    train = anchors.load("adult", data).train
    synthmill.fit(train.head(500), "tabular.forest").sample(10)  # what is imported late is no cost of the fit
    with metered() as cost:
        model = synthmill.fit(train, "tabular.forest")
    told = next(note for note in model.notes if "membership" in note).removeprefix("tabular.forest: ")
    first = _cpu(lambda: model.sample(10, where={"occupation": "Sales"}))
    again = _cpu(lambda: model.sample(10, where={"occupation": "Sales"}))
    removal = _cpu(lambda: model.remove([17, 18]))
    return {"told": told, "cpu_s": cost["cpu_s"], "condition_s": first - again, "removal_s": removal}


def wide(_: Path) -> dict[str, Any]:
    """Half numbers, half categories of 2 to 20 levels, all of them noisy functions of ten hidden causes."""
    rng, (rows, columns) = np.random.default_rng(0), WIDE
    causes = rng.normal(size=(rows, 10))
    made = causes @ rng.normal(size=(10, columns)) + rng.normal(size=(rows, columns))
    levels = [0 if j % 2 else int(rng.integers(2, 21)) for j in range(columns)]
    named = [
        pl.Series(f"n{j}", np.round(made[:, j], 2))
        if not k
        else pl.Series(f"c{j}", np.searchsorted(np.quantile(made[:, j], np.arange(1, k) / k), made[:, j]).astype(str))
        for j, k in enumerate(levels)
    ]
    return _fitted(pl.DataFrame(named))


def long(_: Path) -> dict[str, Any]:
    return _fitted(adult(LONG))


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {"usual": usual, "wide": wide, "long": long}


def _fitted(train: pl.DataFrame) -> dict[str, Any]:
    """peak_mb: of the whole process, the table in it."""
    from synthmill.plugins import build
    from synthmill.tables.infer import infer

    schema = infer(train)
    names = schema.modelled
    with metered() as cost:
        build("generate", {"use": "tabular.forest"}).fit(train.select(names), schema.select(names))
    return {"cpu_s": cost["cpu_s"], "peak_mb": cost["peak_mb"]}


def _cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def figures(found: dict[str, Any]) -> dict[str, str]:
    """As the page writes them."""
    names = {"cpu_s": "fit", "condition_s": "condition", "removal_s": "removal"}
    out = {name: _seconds(found[key]) for key, name in names.items() if key in found}
    if "peak_mb" in found:
        mb = found["peak_mb"]
        out["memory"] = f"{mb / 1000:.1f} GB" if mb >= 950 else f"{round(mb, -1):.0f} MB"
    return out | ({"told": found["told"]} if "told" in found else {})


def _seconds(x: float) -> str:
    if x < 0.1:
        return f"{max(1, round(x * 1000, 0 if x < 0.01 else -1)):.0f} milliseconds"
    return f"{x:.0f} seconds" if x >= 9.5 else f"{x:.1f} seconds"


def written(page: str, results: dict[str, Any]) -> str:
    """The page with the results' figures; its line breaks stay."""
    for part, text in SAID:
        around, names = re.split(r"\{\w+\}", text), re.findall(r"\{(\w+)\}", text)
        pieces = ["(" + r"\s+".join(map(re.escape, re.split(r"\s+", piece))) + ")" for piece in around]
        found = re.findall("(.{1,250}?)".join(pieces), page, re.S)
        if len(found) != 1:
            raise SystemExit(f"{PAGE}: {len(found)} places for {text!r}")
        new, values = list(found[0]), figures(results[part])
        new[1::2] = [values[name] for name in names]
        page = page.replace("".join(found[0]), "".join(new))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=anchors.FOLDER, help="where Adult lies")
    parser.add_argument("--alone", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(PARTS[given.alone](given.data)))
        return
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    for part in given.parts or PARTS:
        done = subprocess.run(
            [sys.executable, __file__, "--alone", part, "--data", str(given.data)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        results[part] = json.loads(done.stdout)
        print(f"{part}: {results[part]}", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    PAGE.write_text(written(PAGE.read_text("utf-8"), results), "utf-8")


if __name__ == "__main__":
    main()
