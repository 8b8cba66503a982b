"""How far two judges agree with people on PandaLM's test set (999 pairs of answers, three annotators): an open model of 1.5
billion parameters, asked here, and GPT-3.5, whose verdicts come with the data set (one order only).

    python bench/judge_check.py --data FOLDER [--limit 30] [--injected 10] [--out bench/results/judge_check]

data: the folder with testset-v1.json and gpt-3.5-turbo-testset-v1.json (github.com/WeOpenML/PandaLM, Apache-2.0). Answers
are kept in a journal, so that a repetition asks nothing again.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from synthmill.verbs.judge_check import Columns, JudgeCheck, judge_check

MODEL = "qwen2.5-coder-1.5b"
TOLD = {
    "agreement": "agrees with an annotator", "people": "annotators with each other", "kappa": "Cohen's kappa, with an annotator",
    "people_kappa": "Cohen's kappa, between annotators", "above_baseline": "agreement, less the best answer without reading",
    "below_people": "annotators' agreement, less the judge's", "verdicts": "pairs it gives a verdict on",
    "decided": "right where it and the annotator prefer one answer", "consistent": "ballots that say the same in both orders",
    "place": "ballots for the first place whatever stands there, less those for the second",
    "length": "prefers the longer answer, more often than people do", "own": "prefers its own model's answers, more often than people do",
    "misled": "prefers the worse answer more often once that gives orders",
}  # fmt: skip


def rows(data: Path) -> list[dict[str, Any]]:
    pairs = json.loads((data / "testset-v1.json").read_text("utf-8"))
    said = {r["idx"]: r["gpt_result"] for r in json.loads((data / "gpt-3.5-turbo-testset-v1.json").read_text("utf-8"))}
    return [{**{k: str(v) if k.startswith("response") else v for k, v in p.items()}, "input": str(p["input"] or ""), "gpt": str(said[p["idx"]]).replace("garbage", "")} for p in pairs]  # fmt: skip


def page(found: dict[str, JudgeCheck], asked: str) -> str:
    out = ["# Judges held against people", "", asked, ""]
    for name, check in found.items():
        out += [f"## {name}", "", f"{check.pairs:,} pairs. {check.sentence[:1].upper()}{check.sentence[1:]}.", ""]
        out += ["| measure | value | 95% interval | what |", "|---|---:|---:|---|"]
        for m in check.measures:
            value = f"{m.value:.3f}" if math.isfinite(m.value) else "unknown"
            interval = f"{m.low:.3f} to {m.high:.3f}" if math.isfinite(m.value) else m.note
            out.append(f"| `{m.name}` | {value} | {interval} | {TOLD[m.name]} |")
        bases = next(m for m in check.measures if m.name == "agreement").detail["baselines"]
        out += ["", "Without reading: " + ", ".join(f"{k} {v:.1%}" for k, v in bases.items()) + ".", ""]
        faults = sorted(check.faults.items(), key=lambda f: -f[1])
        out += ["No verdict: " + "; ".join(f"{f} ({n})" for f, n in faults) + ".", ""] if faults else []
    return "\n".join(out)


def main() -> None:
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--limit", type=int, default=30)
    p.add_argument("--injected", type=int, default=10)
    p.add_argument("--base-url")
    p.add_argument("--workspace", type=Path, default=Path("runs"))
    p.add_argument("--out", type=Path, default=Path("bench/results/judge_check"))
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pandalm.jsonl"
        file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows(a.data)), encoding="utf-8")
        columns = Columns("instruction", "response1", "response2", ("annotator1", "annotator2", "annotator3"), "input")
        recorded = Columns(**{**vars(columns), "verdict": "gpt"})
        found = {"GPT-3.5, as recorded": judge_check(file, columns=recorded)}
        model = {"model": MODEL, "temperature": 0, "max_tokens": 40, "slots": 2, "context": 4096, "deadline": 900}
        model |= {"base_url": a.base_url} if a.base_url else {}
        judge = {"use": "prefer", "reasons": False, "model": model}
        found[MODEL] = judge_check(file, judge, columns, a.limit, a.injected, workspace=a.workspace)
    asked = (
        f"Pairs of PandaLM's test set; {MODEL} (4 bits, on a CPU) saw {a.limit} of them, drawn by a seed, in both orders, at "
        f"temperature 0 and without giving reasons, and {a.injected} once more with an order planted in the worse answer. "
        "What the measures are: docs/judge.md. Written by `bench/judge_check.py`."
    )
    told = {k: v.to_json() for k, v in found.items()}
    a.out.with_suffix(".json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    a.out.with_suffix(".md").write_text(page(found, asked), encoding="utf-8")


if __name__ == "__main__":
    main()
