"""How much personal data does the filter `pii` find, and how much is none? On sentences of presidio-research.

Run: `python bench/pii.py DATA [PYTHON]`, where DATA holds presidio-research's `synth_dataset_v2.json` and `generated_large.json`
(MIT), and PYTHON is the interpreter of an environment of its own in which presidio-analyzer and polars were installed: Presidio is
then measured on the same sentences through our own wrapper, with its patterns and without a model. Results: bench/results/pii.md.

The patterns were written while looking at `synth_dataset_v2`; `generated_large` was first run when they were done (a
dozen of its values of each kind had been seen). Sentences of
both come from templates, many of them the same, so the second is a test of other values more than of other sentences: some of
the words near which a loose number counts as a phone's ("office", "answering at") are those of the templates.
A span counts as found where a finding of the same kind overlaps it; intervals are Wilson's, sentences taken as independent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FILES = {"synth_dataset_v2": "looked at", "generated_large": "run when done"}
Spans = list[tuple[str, int, int]]


def gold(record: dict[str, Any]) -> Spans:
    return [(s["entity_type"], s["start_position"], s["end_position"]) for s in record["spans"]]


def ours(texts: list[str]) -> list[Spans]:
    from synthmill.texts.identifiers import find

    return [[(f.entity, f.start, f.end) for f in find(t, reserved=True)] for t in texts]


def presidio(texts: list[str], entities: list[str]) -> list[Spans]:
    from synthmill.texts.names import Analyzer

    analyzer = Analyzer(None, "en")
    known = [e for e in entities if e in analyzer.entities()]
    return [[(f.entity, f.start, f.end) for f in analyzer.find(t, known, 0.4)] for t in texts]


def wilson(hits: int, of: int) -> tuple[float, float]:
    z, p = 1.959964, hits / of
    middle, reach = (p + z * z / (2 * of)), z * (p * (1 - p) / of + z * z / (4 * of * of)) ** 0.5
    return max(0.0, (middle - reach) / (1 + z * z / of)), min(1.0, (middle + reach) / (1 + z * z / of))


def said(hits: int, of: int) -> str:
    if not of:
        return "-"
    low, high = wilson(hits, of)
    return f"{hits / of:.3f} ({low:.3f} to {high:.3f})"


def counts(truth: list[Spans], found: list[Spans]) -> dict[str, Counter[str]]:
    """Per kind: spans there, found, findings made, right ones, and those with exactly the span's ends."""
    out: dict[str, Counter[str]] = {}
    for spans, findings in zip(truth, found, strict=True):
        for e, start, end in spans:
            row = out.setdefault(e, Counter())
            row["there"] += 1
            row["found"] += any(k == e and s < end and start < t for k, s, t in findings)
            row["exact"] += (e, start, end) in findings
        for e, start, end in findings:
            row = out.setdefault(e, Counter())
            row["made"] += 1
            row["right"] += any(k == e and s < end and start < t for k, s, t in spans)
    return out


def table(truth: list[Spans], found: list[Spans], kinds: list[str]) -> list[str]:
    rows = counts(truth, found)
    lines = ["| entity | spans | recall | precision | same ends |", "|---|---|---|---|---|"]
    for e in kinds:
        c = rows.get(e, Counter())
        if c["there"] or c["made"]:
            lines.append(
                f"| {e} | {c['there']} | {said(c['found'], c['there'])} | {said(c['right'], c['made'])} | {said(c['exact'], c['there'])} |"
            )
    there = [any(e in kinds for e, *_ in t) for t in truth]
    nothing = [not t for t in truth]
    hit = [bool(f) for f in found]
    lines.append(f"\nSentences that hold one of these: {sum(there)}, rejected {said(sum(h and t for h, t in zip(hit, there, strict=True)), sum(there))}. "
                 f"Sentences without any span: {sum(nothing)}, rejected {said(sum(h and n for h, n in zip(hit, nothing, strict=True)), sum(nothing))}.")  # fmt: skip
    return lines


def main(data: Path, python: str | None) -> None:
    from synthmill.texts.identifiers import ENTITIES

    out = ["# Personal data found", "", (__doc__ or "").split("\n\n")[0], "",
           "`python bench/pii.py DATA PYTHON`. 95% intervals (Wilson). The patterns were written while looking at the first file",
           "and first run on the second when they were done (a dozen of its values of each kind had been seen); both are made of",
           "templates, many of them the same,",
           "so phone numbers in other surroundings will be found less often than here. Presidio counts from a score of 0.4.", ""]  # fmt: skip
    for name, seen in FILES.items():
        records = json.loads((data / f"{name}.json").read_text("utf-8"))
        texts, truth = [r["full_text"] for r in records], [gold(r) for r in records]
        start = time.perf_counter()
        found = ours(texts)
        speed = sum(map(len, texts)) / (time.perf_counter() - start)
        everything = Counter(e for t in truth for e, *_ in t)
        looked = sum(n for e, n in everything.items() if e in ENTITIES)
        rest = ", ".join(f"{e} {n}" for e, n in everything.most_common() if e not in ENTITIES)
        out += [f"## `{name}` ({seen}), {len(texts):,} sentences", "", "### engine: patterns", ""]
        out += [*table(truth, found, list(ENTITIES)), f"About {speed / 1e6:.1f} million characters a second on one core.", "",
                f"Not looked for: {rest}. Of all {sum(everything.values()):,} spans {looked / sum(everything.values()):.0%} are of "
                "a kind that is looked for: names and places need a model.", ""]  # fmt: skip
        if python:
            shared = [e for e in ENTITIES if everything[e]]
            asked = json.dumps({"texts": texts, "entities": shared})
            environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "src")}
            done = subprocess.run(
                [python, __file__, "--presidio"], input=asked, capture_output=True, text=True, env=environment
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            answer = json.loads(done.stdout)
            theirs = [[(e, s, t) for e, s, t in f] for f in answer["found"]]
            out += [f"### engine: presidio {answer['version']}, no model", "", *table(truth, theirs, shared), ""]
    (HERE / "results" / "pii.md").write_text("\n".join(out) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--presidio"]:
        import importlib.metadata

        asked = json.load(sys.stdin)
        found = presidio(asked["texts"], asked["entities"])
        print(json.dumps({"found": found, "version": importlib.metadata.version("presidio-analyzer")}))
    else:
        main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
