"""Makes the transcripts in README.md and docs/ anew: what a command prints there is what it prints now.

Run: `python bench/transcripts.py`, a minute; then read the diff, for the prose around a transcript speaks of its numbers.
Pages: README.md (`make demo`), docs/tutorial.md, docs/verbs/{preview,fit-sample,trace}.md. The tutorial's run is made in a
temporary folder, as its reader would.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from synthmill.data import adult

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
DEMO = (
    "fidelity.shapes", "fidelity.trends", "detection.c2st", "coverage.tails", "utility.synthetic", "utility.real",
    "utility.blend", "utility.blend_gain", "privacy.membership", "privacy.tpr_at_1pct_fpr",
)  # fmt: skip
LESSON = (
    "fidelity.shapes", "fidelity.trends", "detection.c2st", "coverage.beta_recall", "coverage.tails", "utility.synthetic",
    "utility.gap", "utility.real", "utility.blend_gain", "privacy.membership", "privacy.near_copies",
)  # fmt: skip


def said(folder: Path, *words: str) -> str:
    """What the command prints, progress left out. A missed bar (exit code 3) is no failure here."""
    command = [sys.executable, "-m", "synthmill.cli", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"})
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def excerpt(text: str, measures: tuple[str, ...]) -> str:
    """Of the table of measures those named, and no notes on single measures."""
    lines = text.splitlines()
    rows = {line: m[1] for line in lines if (m := re.match(r"  (\w+\.\w+) +\S", line))}
    notes = tuple(f"  {name}: " for name in rows.values())
    return "\n".join(x for x in lines if rows.get(x, measures[0]) in measures and not x.startswith(notes))


def put(page: Path, before: str, text: str, after: str) -> None:
    """Replaces what stands on the page between two pieces of text."""
    pattern = re.compile(re.escape(before) + r".*?" + re.escape(after), re.S)
    whole, n = pattern.subn(lambda _: before + text + after, page.read_text("utf-8"), count=1)
    if not n:
        raise SystemExit(f"{page}: there is no {before!r}")
    page.write_text(whole, "utf-8")


def console(page: Path, command: str, text: str) -> None:
    put(page, f"$ {command}\n", text, "\n```")


def readme() -> None:
    demo = said(ROOT, "make", "recipes/adult/spec.yaml", "--out", "runs/adult", "--fresh")
    put(ROOT / "README.md", "ends like this (excerpt):\n\n```\n", excerpt(demo, DEMO), "\n```")


def lesson(folder: Path) -> None:
    adult().write_csv(folder / "my.csv")
    block = re.search(r'```yaml title="spec.yaml"\n(.*?)```', TUTORIAL.read_text("utf-8"), re.S)
    assert block
    spec = folder / "spec.yaml"
    spec.write_text(block[1])
    taste = said(folder, "preview", "spec.yaml", "-n", "1")
    for page in (TUTORIAL, ROOT / "docs" / "verbs" / "preview.md"):
        console(page, "synthmill preview spec.yaml -n 1", taste)
    console(TUTORIAL, "synthmill make spec.yaml", excerpt(said(folder, "make", "spec.yaml"), LESSON))
    spec.write_text(block[1].replace('utility.gap: "<= 0.02"', 'utility.gap: "<= 0.05"'))
    again = said(folder, "make", "spec.yaml", "--quiet")
    console(TUTORIAL, "synthmill make spec.yaml --quiet", again[again.index("\nfidelity.shapes >=") + 1 :])


def model(folder: Path) -> None:
    page = ROOT / "docs" / "verbs" / "fit-sample.md"
    fitted = said(folder, "fit", "my.csv", "-o", "model")
    put(page, "$ synthmill fit my.csv -o model\n", fitted, "\n$ synthmill sample model -n 1000")
    rows = said(folder, "sample", "model", "-n", "2", "--where", "income='>50K'", "--where", "age>=60")
    console(page, "synthmill sample model -n 2 --where income='>50K' --where 'age>=60'", rows)


def story(folder: Path) -> None:
    """An accepted record, most of its columns left out."""
    first = pl.read_parquet(folder / "runs" / "my" / "data" / "*.parquet")["_id"][0]
    text = said(folder, "trace", "runs/my", first)
    for start, end in (("fnlwgt", "relationship"), ("capital_gain", "income")):
        text = re.sub(rf"  {start}:.*?(?=  {end}:)", "  ...\n", text, flags=re.S)
    console(ROOT / "docs" / "verbs" / "trace.md", "synthmill trace runs/my ID", text)


def main() -> None:
    readme()
    with tempfile.TemporaryDirectory() as name:
        for part in (lesson, model, story):
            part(Path(name))


if __name__ == "__main__":
    main()
