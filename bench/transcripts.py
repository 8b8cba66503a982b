"""Makes the transcripts in README.md and docs/ anew: what a command prints there is what it prints now.

Run: `python bench/transcripts.py [PART ...]`, all in some minutes; then read the diff, for the prose around a transcript
speaks of its numbers. Parts and their pages: readme (README.md, `make demo`), tutorial (docs/tutorial.md,
docs/verbs/{preview,fit-sample,trace}.md), collapse and blend-sweep (their pages in docs/verbs), need (docs/verbs/need.md) and
audit (docs/audit.md). The last two are of the whole Adult table, and left as they are where `--data` has none. All are made in
temporary folders, as a reader would.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import fill

import anchors
import polars as pl

from synthmill.data import adult, adult_path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
WIDTH = 100
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
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "COLUMNS": str(WIDTH)}
    )
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


def readme(_: Path) -> None:
    demo = said(ROOT, "make", "recipes/adult/spec.yaml", "--out", "runs/adult", "--fresh")
    put(ROOT / "README.md", "ends like this (excerpt):\n\n```\n", excerpt(demo, DEMO), "\n```")


def lesson(folder: Path) -> None:
    adult().write_csv(folder / "my.csv")
    block = re.search(r'```yaml title="spec.yaml"\n(.*?)```', TUTORIAL.read_text("utf-8"), re.S)
    assert block
    spec = folder / "spec.yaml"
    spec.write_text(block[1])
    taste = said(folder, "preview", "spec.yaml", "-n", "1")
    for page in (TUTORIAL, DOCS / "verbs" / "preview.md"):
        console(page, "synthmill preview spec.yaml -n 1", taste)
    console(TUTORIAL, "synthmill make spec.yaml", excerpt(said(folder, "make", "spec.yaml"), LESSON))
    spec.write_text(block[1].replace('utility.gap: "<= 0.02"', 'utility.gap: "<= 0.05"'))
    again = said(folder, "make", "spec.yaml", "--quiet")
    console(TUTORIAL, "synthmill make spec.yaml --quiet", again[again.index("\nfidelity.shapes >=") + 1 :])


def model(folder: Path) -> None:
    page = DOCS / "verbs" / "fit-sample.md"
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
    console(DOCS / "verbs" / "trace.md", "synthmill trace runs/my ID", text)


def tutorial(folder: Path) -> None:
    for part in (lesson, model, story):
        part(folder)


def shown(folder: Path, page: Path, command: str) -> str:
    """Runs the command as the page has it, and puts what it says below it."""
    text = said(folder, *shlex.split(command)[1:])
    whole = page.read_text("utf-8")
    at = whole.index(f"$ {command}\n") + len(command) + 3
    end = min(i for i in (whole.find("\n$ ", at), whole.find("\n```", at)) if i >= 0)
    page.write_text(whole[:at] + text + whole[end:], "utf-8")
    return text


def of_the_page(page: Path, verb: str) -> list[str]:
    """The commands of a verb that the page shows."""
    return re.findall(rf"^\$ (synthmill {verb} .*)$", page.read_text("utf-8"), re.M)


def lab(verb: str, folder: Path) -> None:
    """Of recipes/adult."""
    text = (ROOT / "recipes" / "adult" / "spec.yaml").read_text("utf-8")
    (folder / "spec.yaml").write_text(re.sub(r"path: \S+", f"path: {adult_path()}", text, count=1))
    page = DOCS / "verbs" / f"{verb}.md"
    for command in of_the_page(page, verb):
        shown(folder, page, command)


def census(folder: Path, data: Path) -> anchors.Anchor:
    """The whole Adult table as train.csv and holdout.csv in `folder`."""
    anchor = anchors.load("adult", data)
    anchor.train.write_csv(folder / "train.csv")
    anchor.holdout.write_csv(folder / "holdout.csv")
    return anchor


def need(folder: Path, data: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    anchor = census(folder, data)
    meta = anchor.meta
    names = [c for c in meta.categories if c != meta.target]
    both = pl.concat([anchor.train, anchor.holdout])
    codes = both.select(*meta.numbers, *(pl.col(c).rank("dense").fill_null(0) for c in names)).to_numpy()
    n, categories = anchor.train.height, [c in names for c in (*meta.numbers, *names)]
    trees = HistGradientBoostingClassifier(random_state=0, categorical_features=categories)
    trees.fit(codes[:n], anchor.train[meta.target].to_numpy())
    guessed = pl.Series("prediction", trees.predict(codes[n:]).astype(str))
    anchor.holdout.with_columns(guessed).write_csv(folder / "test-with-predictions.csv")
    page = DOCS / "verbs" / "need.md"
    text = said(folder, *shlex.split(of_the_page(page, "need")[0])[1:])
    put(page, "of 9,769 others:\n\n```text\n", "\n".join(firsts(text)), "\n```")


def firsts(text: str) -> Iterator[str]:
    """Headings, and the first two lines below each."""
    below = 0
    for line in text.splitlines():
        below = below + 1 if line.startswith("  ") and not line.endswith(":") else 0
        if below < 3:
            yield line
        elif below == 3:
            yield "..."


def audit(folder: Path, data: Path) -> None:
    census(folder, data)
    said(folder, "fit", "train.csv", "-o", "model")
    said(folder, "sample", "model", "-n", "39073", "-o", "rows.csv")
    page, before = DOCS / "audit.md", _children()
    command = of_the_page(page, "audit")[0]
    text = said(folder, *shlex.split(command)[1:])
    spent = round((_children() - before) / 5) * 5
    console(page, command, "\n\n".join(worst(text)))
    put(page, "attacks on files of this\nsize take about ", f"{spent} seconds", " of one core")


def worst(text: str) -> Iterator[str]:
    """The headline, and the first two attacks that found as much as any."""
    blocks = text.split("\n\n")
    yield fill(blocks[0], WIDTH)
    for kind in ("leak", "trace", "hint", "nothing found"):
        if found := [b for b in blocks[1:] if b.startswith(f"{kind} ")]:
            yield from found[:2]
            return


def _children() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


PARTS: dict[str, Callable[[Path], None]] = {
    "readme": readme,
    "tutorial": tutorial,
    "collapse": lambda folder: lab("collapse", folder),
    "blend-sweep": lambda folder: lab("blend-sweep", folder),
}
LARGE: dict[str, Callable[[Path, Path], None]] = {"need": need, "audit": audit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join([*PARTS, *LARGE])}")
    parser.add_argument("--data", type=Path, default=anchors.FOLDER, help="where the larger tables lie")
    given = parser.parse_args()
    if unknown := set(given.parts) - {*PARTS, *LARGE}:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join([*PARTS, *LARGE])}")
    for part in given.parts or [*PARTS, *LARGE]:
        if part in LARGE and "adult" not in anchors.names(given.data):
            print(f"{part}: left as it is; {given.data} has no adult_train.csv")
            continue
        print(part, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            if part in LARGE:
                LARGE[part](Path(folder), given.data)
            else:
                PARTS[part](Path(folder))


if __name__ == "__main__":
    main()
