"""Every text generator once with a real model, a few requests each: how many candidates became records, and what was wrong
with the others. No check is among them, so a record here is one that has the right form and whatever its generator
demands by itself; whether it is good is a judge's question.

    python bench/text_generators.py --data FOLDER [--only NAME ...] [--base-url URL] [--out bench/results/text-generators]

data: a folder with docs/documents.jsonl.gz (id, title, text), self_instruct_seeds/seed_tasks.jsonl and
sms_spam/SMSSpamCollection (label, tab, text). Results are written after every generator, and a repetition goes on from the
journal. Without a URL the embedded model is used.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import polars as pl

import synthmill
from synthmill.refusal import Refusal
from synthmill.spec import parse_spec

MODEL = "qwen2.5-coder-1.5b"
PROMPTS = """Why is the sky blue? One sentence.
Name three uses of vinegar in the house.
What is the difference between weather and climate? Two sentences.
How many legs has a spider? Answer in a sentence.
Give one reason to learn to swim.
Explain in one sentence what inflation is.
"""
TOOL = {"name": "weather", "description": "the weather in a city now",
        "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}}  # fmt: skip
TOPIC = {"topic": ["percentages", "tides", "photosynthesis"]}


def jobs(data: Path, work: Path) -> dict[str, dict[str, Any]]:
    """Specs without their name and model, in order of worth."""
    docs = {"documents": str(data / "docs" / "documents.jsonl.gz"), "size": 600}
    seeds = str(data / "self_instruct_seeds" / "seed_tasks.jsonl")
    prompts = {"seeds": str(work / "prompts.txt"), "column": "text"}
    facets = {"topic": ["cooking", "law", "travel"]}
    return {
        "document_qa": {"generate": {"use": "text.document_qa", **docs}},
        "self_instruct": {"generate": {"use": "text.self_instruct", "seeds": seeds, "facets": facets, "answers": False}},
        "distill": {"generate": {"use": "text.distill", **prompts, "samples": 2, "logprobs": True}},
        "preference, pairs": {"generate": {"use": "text.preference", **prompts}},
        "rewrite": {"generate": {"use": "text.rewrite", **docs}},
        "label": {"generate": {"use": "text.label", "seeds": str(work / "sms.csv"), "labels": {"spam": "advertising or fraud", "ham": "anything else"}}},
        "conversation": {"generate": {"use": "text.conversation", "facets": facets}},
        "evolve": {"generate": {"use": "text.evolve", **prompts}},
        "backtranslate": {"generate": {"use": "text.backtranslate", **docs}},
        "textbook": {"generate": {"use": "text.textbook", "facets": TOPIC, "words": 80}},
        "exercise_text": {"generate": {"use": "text.exercise_text", "facets": TOPIC}},
        "taxonomy": {"generate": {"use": "text.taxonomy", "root": "first aid", "answers": False}},
        "constitution": {"generate": {"use": "text.constitution", **prompts}},
        "table_text": {"real": {"path": str(work / "sms.csv"), "holdout": 0.5, "columns": {"text": "text", "label": "categorical"}},
                       "cover": {"axes": {"label": ["spam"]}, "quota": 3, "max_attempts": 2},
                       "generate": ["tabular.independent", {"use": "text.table_text", "columns": {"text": "an SMS"}, "shots": 3}]},
        "persona": {"generate": {"use": "text.persona", **docs}},
        "document_qa, quote": {"generate": {"use": "text.document_qa", "cite": "quote", **docs}},
        "document_qa, multi_hop": {"generate": {"use": "text.document_qa", "kinds": ["multi_hop"], **docs}},
        "document_qa, unanswerable": {"generate": {"use": "text.document_qa", "kinds": ["unanswerable"], **docs}},
        "preference, scores": {"generate": {"use": "text.preference", **prompts, "judging": "scores"}},
        "conversation, tools": {"generate": {"use": "text.conversation", "turns": 1, "tools": [TOOL], "facets": {"topic": ["the weather in a city", "a recipe"]}}},
    }  # fmt: skip


def run(name: str, job: dict[str, Any], model: dict[str, Any], work: Path, rows: int) -> dict[str, Any]:
    """One generator through the line; what it asked, what was accepted, why the rest was not."""
    uses = job["generate"] if isinstance(job["generate"], list) else [job["generate"]]
    uses = [u if isinstance(u, str) or not u["use"].startswith("text.") else {**u, "model": model} for u in uses]
    slug = name.replace(", ", "-")
    spec = {"name": slug, "cover": {"total": rows, "max_attempts": 2}, "fill": {"size": rows}, **job, "generate": uses,
            "engine": {"timeout": 7200}}  # fmt: skip
    start = time.monotonic()
    try:
        made = synthmill.make(parse_spec(spec), work / "runs" / slug)
    except Refusal as e:
        seen = _rejected(work / "runs" / slug)
        return {"name": name, "accepted": 0, "candidates": len(seen), "reasons": seen or [str(e)], "tokens": None,
                "seconds": round(time.monotonic() - start)}  # fmt: skip
    rejected = _rejected(made.run.root)
    spent = made.run.manifest.get("spending") or []
    tokens = sum(s["completion_tokens"] for s in spent), sum(s["prompt_tokens"] for s in spent)
    example = {c: v for c, v in made.data.row(0, named=True).items() if c[0] != "_"} if made.accepted else {}
    return {"name": name, "accepted": made.accepted, "candidates": made.accepted + len(rejected),
            "reasons": rejected, "tokens": tokens, "seconds": round(time.monotonic() - start), "example": example}  # fmt: skip


def _rejected(root: Path) -> list[str]:
    parts = sorted((root / "rejected").glob("*.parquet"))
    return [r for p in parts for r in pl.read_parquet(p).filter(pl.col("_status") == 2)["_reason"].to_list()]


def page(results: list[dict[str, Any]], note: str) -> str:
    lines = ["# Text generators with a small model", "", note, "",
             "| generator | accepted | candidates | answer tokens | what was wrong with the others |", "|---|---|---|---|---|"]  # fmt: skip
    for r in results:
        why = "; ".join(dict.fromkeys(str(w)[:110].replace("|", "/").replace("\n", " ") for w in r["reasons"]))
        name = r["name"] + (f" ({r['note']})" if r.get("note") else "")
        lines.append(
            f"| {name} | {r['accepted']} | {r['candidates']} | {r['tokens'][0] if r['tokens'] else ''} | {why} |"
        )
    lines += ["", "The first record of each:", ""]
    for r in results:
        if r.get("example"):
            shown = {
                k: (v[:300] + " ...") if isinstance(v, str) and len(v) > 300 else v for k, v in r["example"].items()
            }
            lines += [
                f"**{r['name']}**",
                "",
                "```json",
                json.dumps(shown, indent=1, ensure_ascii=False, default=str),
                "```",
                "",
            ]
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--only", nargs="*")
    p.add_argument("--rows", type=int, default=3)
    p.add_argument("--base-url")
    p.add_argument("--work", type=Path, default=Path("runs/text-generators"))
    p.add_argument("--out", type=Path, default=Path("bench/results/text-generators"))
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    (a.work / "prompts.txt").write_text(PROMPTS)
    lines = (a.data / "sms_spam" / "SMSSpamCollection").read_text("utf-8").split("\n")[:400]
    pl.DataFrame([dict(zip(("label", "text"), x.split("\t", 1), strict=True)) for x in lines if "\t" in x]).write_csv(
        a.work / "sms.csv"
    )
    model = {"model": MODEL, "max_tokens": 300, "deadline": 7000, "context": 2048, "slots": 4, "retries": 0}
    model |= {"base_url": a.base_url, "concurrency": 4} if a.base_url else {}
    out = a.out.with_suffix(".json")
    results = json.loads(out.read_text()) if out.exists() else []
    for name, job in jobs(a.data.resolve(), a.work.resolve()).items():
        if a.only and name not in a.only:
            continue
        result = run(name, job, model, a.work, a.rows)
        results = [r for r in results if r["name"] != name] + [result]
        out.write_text(json.dumps(results, indent=1, ensure_ascii=False, default=str) + "\n")
        note = (f"`bench/text_generators.py`, {MODEL} (4 bit, llama.cpp), {a.rows} records asked of each and at most two "
                "candidates for each. No check: what is counted is form and what a generator demands by itself.")  # fmt: skip
        a.out.with_suffix(".md").write_text(page(results, note) + "\n")
        print(
            f"{name}: {result['accepted']} of {result['candidates']}, {result['seconds']} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
