"""The recipes of text with a real model on real texts: how many candidates became records, and which check stopped the others.

    python bench/text_recipes.py --data FOLDER [--only NAME ...] [--records N] [--base-url URL] [--out bench/results/text_recipes]

data: a folder with docs/documents.jsonl.gz and self_instruct_seeds/ (seed_tasks.jsonl, user_oriented_instructions.jsonl). Every
recipe is made as it is shipped, with these texts in place of its own samples; preferences has only its own. Results are
written after every recipe, and a repetition goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import polars as pl
import yaml

import synthmill
from synthmill.exchange.agreement import wilson
from synthmill.frame import Status

ROOT = Path(__file__).resolve().parent.parent
NOTE = (
    "`bench/text_recipes.py`, qwen2.5-coder-1.5b (4 bit, llama.cpp) on two cores that other work used as well. Every recipe as it is "
    "shipped, on real texts; a candidate is stopped by the first check that it fails, so the counts add up. "
    "What was accepted passed every check of its recipe; nobody has read more than the records shown here. "
    "The recipes' checks and prompts were chosen on outputs such as these, so yields are not those of an untouched setup, and "
    "a check added since would take out some of what is shown."
)


def own() -> Any:
    """recipes/own.py, which puts other texts into a recipe."""
    found = importlib.util.spec_from_file_location("own", ROOT / "recipes" / "own.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def jobs(data: Path) -> dict[str, tuple[str, list[str]]]:
    """Recipe -> its texts, and the evaluation files that must stay out."""
    seeds = data / "self_instruct_seeds"
    return {
        "document-qa": (str(data / "docs" / "documents.jsonl.gz"), []),
        "self-instruct": (str(seeds / "seed_tasks.jsonl"), [str(seeds / "user_oriented_instructions.jsonl")]),
        "preferences": (str(ROOT / "recipes" / "preferences" / "prompts.jsonl"), []),
    }


def run(name: str, given: argparse.Namespace, work: Path) -> dict[str, Any]:
    """One recipe through the line."""
    source, held = jobs(given.data.resolve())[name]
    said = argparse.Namespace(recipe=name, source=source, records=given.records, not_in=held, model=None,
                              base_url=given.base_url, key=None)  # fmt: skip
    whole = own().own(said)
    file = work / f"{name}.yaml"
    file.write_text(yaml.safe_dump(whole, sort_keys=False), "utf-8")
    start = time.monotonic()
    made = synthmill.make(file, work / name)
    seconds = round(time.monotonic() - start)
    parts = [pl.read_parquet(f) for f in sorted(made.run.root.glob("**/rejected/*.parquet"))]
    manifest = made.run.manifest
    checks = manifest["checks"]
    stopped = [(checks[r["_check"] or 0], r["_reason"]) for f in parts for r in f.iter_rows(named=True) if r["_status"] in (Status.FAIL, Status.ERROR)]  # fmt: skip
    shown = [{c: v for c, v in row.items() if c[0] != "_"} for row in made.data.head(3).iter_rows(named=True)]
    return {"name": name, "texts": Path(source).name, "model": whole["models"], "asked": given.records or made.accepted, "accepted": made.accepted,
            "candidates": made.accepted + sum(f.height for f in parts), "funnel": funnel(manifest), "reasons": stopped,
            "seconds": seconds, "examples": shown}  # fmt: skip


def funnel(manifest: dict[str, Any]) -> list[tuple[str, int, int]]:
    """(check, rejected, errors) of every check that stopped somebody."""
    rows = zip(manifest["checks"], manifest["state"]["tally"], strict=True)
    return [(name, t[Status.FAIL], t[Status.ERROR]) for name, t in rows if t[Status.FAIL] or t[Status.ERROR]]


def page(results: list[dict[str, Any]], note: str) -> str:
    lines = ["# The recipes of text with a small model", "", note, "",
             "| recipe | texts | accepted | candidates | yield (95%) | stopped by |", "|---|---|---|---|---|---|"]  # fmt: skip
    for r in results:
        share = wilson(r["accepted"], r["candidates"])
        by = ", ".join(f"{c} {f + e}{f' ({e} errors)' if e else ''}" for c, f, e in r["funnel"])
        yield_ = f"{share['value']:.0%} ({share['low']:.0%} to {share['high']:.0%})"
        lines.append(f"| {r['name']} | {r['texts']} | {r['accepted']} of {r['asked']} | {r['candidates']} | {yield_} | {by} |")  # fmt: skip
    for r in results:
        lines += [
            "",
            f"## {r['name']}",
            "",
            "Why candidates were stopped:" if r["reasons"] else "No candidate was stopped.",
            "",
        ]
        lines += [f"* {c}: {_cell(w)}" for c, w in r["reasons"]]
        lines += ["", "The first records:", ""]
        for row in r["examples"]:
            lines += ["```json", json.dumps(row, indent=1, ensure_ascii=False, default=str), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: object) -> str:
    said = " ".join(str(text).split())
    return said if len(said) <= 160 else f"{said[:157]}..."


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--only", nargs="*")
    p.add_argument("--records", type=int, default=10)
    p.add_argument("--base-url")
    p.add_argument("--work", type=Path, default=Path("runs/text-recipes"))
    p.add_argument("--out", type=Path, default=Path("bench/results/text_recipes"))
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    file = a.out.with_suffix(".json")
    results = json.loads(file.read_text()) if file.exists() else []
    for name in jobs(a.data):
        if a.only and name not in a.only:
            continue
        results = [r for r in results if r["name"] != name] + [run(name, a, a.work)]
        file.write_text(json.dumps(results, indent=1, ensure_ascii=False, default=str) + "\n")
        a.out.with_suffix(".md").write_text(page(results, NOTE))
        print(f"{name}: {results[-1]['accepted']} of {results[-1]['candidates']}", flush=True)


if __name__ == "__main__":
    main()
