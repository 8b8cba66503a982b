"""Near duplicates among texts: how fast, how many are found, and what templates cost; and how much contamination is found.

Run: `python bench/duplicates_text.py PYTHON [--rows 200000]`, where PYTHON is the interpreter of an environment of its own
in which `pip install rensa datasketch` was done; neither is a dependency. Results: bench/results/duplicates_text.md.

Every tool gets the same texts in the same order, in a process of its own with one thread, and says of each whether it
repeats an earlier one; what it says is scored here. All compare sets of word pairs in lower case at a Jaccard similarity of
0.5, the peers with 128 permutations, 32 bands of 4, and candidates confirmed by their signatures, as their pages show it.
CPU seconds are those of the process between reading the texts and the last flag.

Strangers: texts of about 1 KB, spliced from spans of twelve words of ../shared/data (documents, wikitext, Shakespeare), with
copies in which every word was replaced with a chance of 5% or 10%. Templated: texts that share all but 5-30% of their words
with 199 or 19 others, with copies at 5%. Answers: the corpus of Clough and Stevenson, pupils' answers beside the
sources they were written from. Contamination: sentences of wikitext's test part, planted in texts of its other part.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
THRESHOLD, PERMUTATIONS, BANDS = 0.5, 128, 32
BATCH = 8192


# --- the tools: each reads a file of texts and answers flags; peers run in their own environment -----------------------


def ours(texts: list[str], size: int = BATCH) -> list[bool]:
    import polars as pl

    from synthmill.filter.duplicates import Duplicates

    check, flags = Duplicates(rate=0, text="text", near=THRESHOLD), []
    frame = pl.DataFrame({"text": texts})
    for start in range(0, frame.height, size):
        batch = frame[start : start + size]
        status = check.judge(batch).status
        check.remember(batch.filter(status == 0))
        flags += (status > 0).to_list()
    return flags


def ours_small(texts: list[str]) -> list[bool]:
    return ours(texts, 512)


def pairs(text: str) -> list[str]:
    parts = text.lower().split()
    return [f"{a} {b}" for a, b in zip(parts, parts[1:])] or parts  # noqa: B905, RUF007  as peers' users write it


def rensa(texts: list[str]) -> list[bool]:
    from rensa import RMinHash, RMinHashLSH

    index, kept, flags = RMinHashLSH(THRESHOLD, PERMUTATIONS, BANDS), {}, []
    for start in range(0, len(texts), BATCH):
        made = RMinHash.from_token_sets([pairs(t) for t in texts[start : start + BATCH]], PERMUTATIONS, 42)
        for i, sketch in enumerate(made, start):
            again = any(kept[j].jaccard(sketch) >= THRESHOLD for j in index.query(sketch))
            flags.append(again)
            if not again:
                kept[i] = sketch
                index.insert(i, sketch)
    return flags


def rensa_bands(texts: list[str]) -> list[bool]:
    """Its fastest way, all at once: flags both of a pair, and whatever shares a band."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(THRESHOLD, PERMUTATIONS, BANDS)
    matrix = RMinHash.digest_matrix_from_token_sets([pairs(t) for t in texts], PERMUTATIONS, 42)
    return list(index.insert_matrix_and_query_duplicate_flags(matrix))


def datasketch(texts: list[str]) -> list[bool]:
    from datasketch import MinHash, MinHashLSH

    index, kept, flags = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS)), {}, []
    for i, text in enumerate(texts):
        sketch = MinHash(num_perm=PERMUTATIONS, seed=42)
        sketch.update_batch([p.encode() for p in pairs(text)])
        again = any(kept[j].jaccard(sketch) >= THRESHOLD for j in index.query(sketch))
        flags.append(again)
        if not again:
            kept[i] = sketch
            index.insert(i, sketch)
    return flags


TOOLS = {"synthmill": ours, "synthmill, batches of 512": ours_small, "rensa": rensa, "rensa, bands alone": rensa_bands,
         "datasketch": datasketch}  # fmt: skip


def child(tool: str, source: str, target: str) -> None:
    texts = json.loads(Path(source).read_text("utf-8"))
    TOOLS[tool](texts[:50])  # what is loaded late is loaded
    before = time.process_time()
    flags = TOOLS[tool](texts)
    seconds = time.process_time() - before
    status = Path("/proc/self/status").read_text()  # getrusage also counts what the parent held when it forked
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    Path(target).write_text(json.dumps({"flags": flags, "seconds": seconds, "megabytes": peak}))


# --- the texts ----------------------------------------------------------------------------------------------------------


def vocabulary() -> Any:
    import numpy as np

    with gzip.open(DATA / "docs" / "documents.jsonl.gz", "rt", encoding="utf-8") as f:
        found = [json.loads(line)["text"] for line in f]
    found += [(DATA / "wikitext2" / f"{part}.txt").read_text("utf-8") for part in ("test", "valid")]
    found.append((DATA / "tinyshakespeare" / "input.txt").read_text("utf-8"))
    return np.array([w for t in found for w in t.split()], object)


def edited(text: str, share: float, rng: Any, words: Any) -> str:
    parts = text.split()
    for i in (rng.random(len(parts)) < share).nonzero()[0]:
        parts[i] = str(words[rng.integers(len(words))])
    return " ".join(parts)


def shuffled(texts: list[str], origin: list[int], kind: list[str], rng: Any) -> dict[str, list[Any]]:
    """In random order. late: for each copy, which of the pair comes last, as all but the first are duplicates."""
    order = rng.permutation(len(texts)).tolist()
    place = {old: new for new, old in enumerate(order)}
    late = {max(place[i], place[o]): kind[i] for i, o in enumerate(origin) if o >= 0}
    first = {min(place[i], place[o]) for i, o in enumerate(origin) if o >= 0}
    return {"texts": [texts[i] for i in order], "late": [late.get(i, "") for i in range(len(order))],
            "first": [i in first for i in range(len(order))]}  # fmt: skip


def strangers(n: int, copies: int, rng: Any, words: Any) -> dict[str, list[Any]]:
    spans = rng.integers(0, len(words) - 12, (n, 15))
    texts = [" ".join(" ".join(words[s : s + 12]) for s in row)[:1000] for row in spans]
    origin, kind = [-1] * n, [""] * n
    for i in rng.choice(n, 2 * copies, replace=False).tolist():
        share = 0.05 if len(texts) < n + copies else 0.1
        texts.append(edited(texts[i], share, rng, words))
        origin.append(i)
        kind.append(f"{share:.0%}")
    return shuffled(texts, origin, kind, rng)


def templated(n: int, members: int, rng: Any, words: Any) -> dict[str, list[Any]]:
    texts: list[str] = []
    for _ in range(n):
        at = int(rng.integers(0, len(words) - 170))
        base, free = words[at : at + 170].copy(), rng.uniform(0.05, 0.3)
        slot, choice = base != base, rng.random(170) < 0.05
        while slot.mean() < free:
            begin = int(rng.integers(0, 165))
            slot[begin : begin + int(rng.integers(1, 6))] = True
        options = words[rng.integers(0, len(words), (170, 5))]
        for _ in range(members):
            row = base.copy()
            row[choice] = options[choice, rng.integers(0, 5, int(choice.sum()))]
            row[slot] = words[rng.integers(0, len(words), int(slot.sum()))]
            texts.append(" ".join(row))
    origin, kind = [-1] * len(texts), [""] * len(texts)
    for i in rng.choice(len(texts), len(texts) // 10, replace=False).tolist():
        texts.append(edited(texts[i], 0.05, rng, words))
        origin.append(i)
        kind.append("5%")
    return shuffled(texts, origin, kind, rng)


def answers() -> dict[str, list[Any]]:
    """The five sources first; late: how an answer was written."""
    folder = DATA / "plagiarism_short_answers"
    rows = [line.split(",") for line in (folder / "file_information.csv").read_text().split()[1:]]
    rows.sort(key=lambda r: (r[2] != "orig", r[0]))
    texts = [(folder / r[0]).read_text("utf-8", errors="replace") for r in rows]
    return {"texts": texts, "late": [r[2] for r in rows], "first": [False] * len(rows)}


# --- scoring ------------------------------------------------------------------------------------------------------------


def wilson(hits: int, n: int) -> str:
    """Share with its 95% interval (Wilson, 1927)."""
    if not n:
        return "none"
    p, z = hits / n, 1.96
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    return f"{p:.4f} [{low:.4f}, {high:.4f}]"


def measured(tool: str, python: str, corpus: dict[str, list[Any]], folder: Path) -> dict[str, Any]:
    source, target = folder / "texts.json", folder / "flags.json"
    source.write_text(json.dumps(corpus["texts"]))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")
    command = [
        python if "synthmill" not in tool else sys.executable,
        __file__,
        "--child",
        tool,
        str(source),
        str(target),
    ]
    subprocess.run(command, check=True, env={**os.environ, **threads})
    return json.loads(target.read_text())


def scored(tool: str, python: str, corpus: dict[str, list[Any]], folder: Path, both: bool) -> list[str]:
    """Cells of a row: texts per CPU second, MB, precision, recall of each kind. both: it flags both of a pair."""
    got = measured(tool, python, corpus, folder)
    flags, late = got["flags"], corpus["late"]
    right = sum(bool(k) or (both and f) for k, f, flag in zip(late, corpus["first"], flags, strict=True) if flag)
    cells = [
        tool,
        f"{len(flags):,}",
        f"{len(flags) / got['seconds']:,.0f}",
        f"{got['megabytes']:,.0f}",
        wilson(right, sum(flags)),
    ]
    for kind in sorted({k for k in late if k}, key=lambda k: int(k[:-1])):
        mine = [f for k, f in zip(late, flags, strict=True) if k == kind]
        cells.append(wilson(sum(mine), len(mine)))
    return cells


def contamination(rng: Any, folder: Path) -> list[list[str]]:
    """Rows: what was done to an item, how many were found."""
    import polars as pl

    from synthmill.filter.decontaminate import Decontaminate

    def lines(part: str) -> list[str]:
        text = (DATA / "wikitext2" / f"{part}.txt").read_text("utf-8")
        return [s.strip() for s in text.replace("\n", " . ").split(" . ")]

    items = list(
        dict.fromkeys(s for s in lines("test") if 12 <= len(re.findall(r"\w+", s)) <= 60 and "<unk>" not in s)
    )[:1500]
    other = " ".join(lines("valid")).split()
    path = folder / "items.jsonl"
    path.write_text("\n".join(json.dumps({"question": s}) for s in items))
    check = Decontaminate(files=str(path))

    def context(n: int) -> str:
        at = int(rng.integers(0, len(other) - n))
        return " ".join(other[at : at + n])

    words = [w for s in items for w in s.split()]
    disguises = {
        "verbatim": lambda s: s,
        "upper case": str.upper,
        "other punctuation": lambda s: s.replace(" ", ", "),
        "other white space": lambda s: s.replace(" ", "\n  "),
        "inside a text of 300 words": lambda s: f"{context(150)} {s} {context(150)}",
        "one word in twenty replaced": lambda s: edited(s, 0.05, rng, words),
        "one word in ten replaced": lambda s: edited(s, 0.1, rng, words),
        "one word in five replaced": lambda s: edited(s, 0.2, rng, words),
    }
    rows = []
    for name, disguise in disguises.items():
        found = check.judge(pl.DataFrame({"text": [disguise(s) for s in items]})).status
        rows.append([name, wilson(int((found == 1).sum()), len(items))])
    clean = check.judge(pl.DataFrame({"text": [context(170) for _ in range(5000)]})).status
    rows.append(["clean: 170 words of the other part", wilson(int((clean == 1).sum()), len(clean))])
    return rows


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(r)} |" for r in [head, ["---"] * len(head), *rows])


def main() -> None:
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python")
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    rng, words = np.random.default_rng(7), vocabulary()
    versions = subprocess.run([given.python, "-c", "from importlib.metadata import version as v; print(v('rensa'), v('datasketch'))"],
                              capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    head = ["tool", "texts", "texts per CPU second", "peak MB", "precision", "recall, 5% of words", "recall, 10%"]
    parts = ["# Near duplicates among texts, side by side", "", f"`python bench/duplicates_text.py`; rensa {versions[0]}, datasketch {versions[1]}, "
             "one thread each, in the same call. Shares with 95% intervals (Wilson). What is compared with what is told at the head of the file.", ""]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large, small = strangers(given.rows, 2000, rng, words), strangers(20_000, 1000, rng, words)
        rows = [scored(t, given.python, small if t == "datasketch" else large, folder, "bands" in t) for t in TOOLS]
        parts += ["## Strangers and their copies", "", table(head, rows), ""]
        for title, n, members in (("200 texts of each template", 50, 200), ("20 texts of each template", 500, 20)):
            forms = templated(n, members, rng, words)
            rows = [scored(t, given.python, forms, folder, "bands" in t) for t in TOOLS]
            parts += [f"## Templated texts and copies of them: {title}", "", table(head[:-1], rows), ""]
        school, rows = answers(), []
        for tool in TOOLS:
            if "bands" in tool or "512" in tool:
                continue
            flags = measured(tool, given.python, school, folder)["flags"]
            kinds = [
                [f for k, f in zip(school["late"], flags, strict=True) if k == kind]
                for kind in ("cut", "light", "heavy", "non")
            ]
            rows.append([tool, *(f"{sum(k)} of {len(k)}" for k in kinds)])
        parts += ["## Answers that repeat an earlier one, by how they were written", "",
                  table(["tool", "cut from the source", "lightly revised", "heavily revised", "without it"], rows), ""]  # fmt: skip
        parts += [
            "## Contamination found by `decontaminate`",
            "",
            table(["item", "found"], contamination(rng, folder)),
            "",
        ]
    (HERE / "results" / "duplicates_text.md").write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
