"""The embedded engine: tokens a second by slots, beside xllamacpp called directly, and whether company changes an answer.

    python bench/embedded.py [--model smollm2-135m] [--tokens 48] [--questions 16] [-o bench/results/embedded.json]

Tokens a second depend on what else the machine does (its load is written down); tokens per CPU second hardly do.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from meter import metered

from synthmill.llm.channel import close
from synthmill.llm.embedded import cores
from synthmill.llm.known import locate
from synthmill.llm.llama import load
from synthmill.llm.model import Model
from synthmill.llm.question import Question


def questions(n: int) -> list[Question]:
    """Of different lengths, so that one's prompt is read while others are being answered."""
    return [
        Question(
            ({"role": "user", "content": "Please. " * (5 * (i % 8)) + f"Write a story about {i} animals."},), seed=i
        )
        for i in range(n)
    ]


def rate(tokens: int, cost: dict[str, Any]) -> dict[str, float]:
    return {
        "tokens": tokens,
        "tokens_per_second": round(tokens / cost["wall_s"], 1),
        "tokens_per_cpu_second": round(tokens / max(cost["cpu_s"], 1e-9), 1),
        "peak_mb": round(cost["peak_mb"]),
        "load": round(os.getloadavg()[0], 1),
    }


def ours(name: str, slots: int, n: int, tokens: int) -> dict[str, float]:
    model = Model(name, slots=slots, context=1024, max_tokens=tokens, deadline=3600)
    model.ask(questions(1))  # the model is loaded
    with metered() as cost:
        answers = model.ask(questions(n))
    close()
    return rate(sum(a.completion_tokens for a in answers), cost)


def direct(name: str, slots: int, n: int, tokens: int) -> dict[str, float]:
    """The same questions to the library in this process, `slots` at once."""
    server = load({"model": str(locate(name)), "slots": slots, "context": 1024, "threads": cores()})
    todo, done, lock = questions(n), [], threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not todo:
                    return
                q = todo.pop(0)
            said = server.handle_chat_completions(
                {"messages": list(q.messages), "seed": q.seed, "max_tokens": tokens, "temperature": 0.7}
            )
            done.append(said["usage"]["completion_tokens"])

    with metered() as cost:
        workers = [threading.Thread(target=work) for _ in range(slots)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
    return rate(sum(done), cost)


def company(name: str, slots: int, n: int, tokens: int, cached: bool) -> dict[str, int]:
    """How many of n answers, asked with all slots full, are what they are alone: texts, and every token's probability."""
    extra = {"logprobs": True} | ({"cache_prompt": True} if cached else {})
    model = Model(name, slots=slots, context=1024, max_tokens=tokens, deadline=3600, extra=extra)
    alone = [model.ask([q])[0] for q in questions(n)]
    together = model.ask(questions(n))
    close()
    pairs = list(zip(alone, together, strict=True))
    return {
        "answers": n,
        "same_text": sum(a.text == b.text for a, b in pairs),
        "same_probabilities": sum(a.logprobs == b.logprobs for a, b in pairs),
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="smollm2-135m")
    p.add_argument("--tokens", type=int, default=48)
    p.add_argument("--questions", type=int, default=16)
    p.add_argument("--slots", type=int, default=8)
    p.add_argument("-o", "--out", type=Path, default=Path("bench/results/embedded.json"))
    a = p.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the child has it
    found: dict[str, Any] = json.loads(a.out.read_text()) if a.out.exists() else {}
    mine = found[a.model] = {"cores": cores(), "tokens_each": a.tokens, "begun": time.strftime("%Y-%m-%d %H:%M")}
    tasks = {
        f"ours, {a.slots} slots": lambda: ours(a.model, a.slots, a.questions, a.tokens),
        f"xllamacpp itself, {a.slots} slots": lambda: direct(a.model, a.slots, a.questions, a.tokens),
        "ours, 1 slot": lambda: ours(a.model, 1, max(2, a.questions // 4), a.tokens),
        "in company": lambda: company(a.model, a.slots, a.questions, a.tokens, False),
        "in company, cache_prompt": lambda: company(a.model, a.slots, a.questions, a.tokens, True),
    }
    for name, task in tasks.items():
        mine[name] = task()
        print(f"{a.model}: {name}: {mine[name]}", flush=True)
        a.out.write_text(json.dumps(found, indent=1) + "\n")
    os._exit(0)  # the library's own threads do not end by themselves


if __name__ == "__main__":
    main()
