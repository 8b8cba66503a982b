"""Does a classifier of texts gain from records of its rare class that a language model wrote in the manner of the few real ones?

Run: `python recipes/rare-class-text/run.py FILE`. FILE: labelled texts, by default $SYNTHMILL_DATA. The SMS Spam Collection
(a label, a tab, a message on each line) is known by its form; of any other table --target, --rare and --text say what is
what.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

import synthmill
from synthmill.evaluation import evaluate
from synthmill.plugins import Measure
from synthmill.real import from_frame
from synthmill.refusal import Refusal, choices
from synthmill.tables.read import read
from synthmill.verbs.make import Result

HERE = Path(__file__).resolve().parent
KNOWN = ("ham", "spam")


def options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=os.environ.get("SYNTHMILL_DATA"))
    parser.add_argument("--target", default="label", help="the column of classes (default: label)")
    parser.add_argument("--rare", default="spam", help="the class that is rare (default: spam)")
    parser.add_argument("--text", default="text", help="the column of texts (default: text)")
    parser.add_argument("--about", default="the whole text message, as a stranger would send it to many people",
                        help="what a text of the rare class is, for the model")  # fmt: skip
    parser.add_argument(
        "--keep", type=int, default=40, help="rare texts to learn from (default 40); the others are held out"
    )
    parser.add_argument("--quota", type=int, default=40, help="accepted texts of the rare class (default 40)")
    parser.add_argument("--topics", nargs="+", help="what the written texts are about (default: ten subjects of spam)")
    parser.add_argument("--seconds", type=float, help="stop writing after so long, with fewer texts")
    parser.add_argument("--model", help="who writes: a known open model, a GGUF file, or a name at --base-url")
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint")
    parser.add_argument("--key", help="NAME of the environment variable with the endpoint's key")
    parser.add_argument("--out", default="runs/rare-class-text")
    return parser.parse_args(words)


def texts(given: argparse.Namespace) -> pl.DataFrame:
    """The labelled texts as columns `label` and `text`, one of those that differ in case, digits and punctuation alone."""
    if given.file is None:
        raise Refusal(
            "FILE: which texts? For example the SMS Spam Collection (UCI 228, CC BY 4.0), or a table of your own"
        )
    path = Path(given.file)
    lines = path.read_text("utf-8", errors="replace").split("\n") if path.is_file() and not path.suffix else []
    if lines and lines[0].partition("\t")[0] in KNOWN:
        rows = [dict(zip(("label", "text"), line.split("\t", 1), strict=True)) for line in lines if "\t" in line]
        table = pl.DataFrame(rows)
    else:
        table = read(path)
        for flag, column in (("--target", given.target), ("--text", given.text)):
            if column not in table.columns:
                raise Refusal(f"{flag}: '{column}' is not a column; {choices(column, table.columns)}")
        table = table.select(pl.col(given.target).cast(pl.String).alias("label"), pl.col(given.text).alias("text"))
        if table["text"].dtype != pl.String:
            raise Refusal(f"--text: '{given.text}' holds {table['text'].dtype}, no texts")
    same = pl.col("text").str.to_lowercase().str.replace_all(r"\d", "0").str.replace_all(r"[^\p{L}\p{N}]+", " ")
    return table.drop_nulls().unique(same, keep="first", maintain_order=True)


def split(table: pl.DataFrame, rare: str, keep: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train: half of the common texts and `keep` rare ones. Holdout: all others, so that the rare class is judged well."""
    levels = table["label"].unique().sort().to_list()
    if rare not in levels:
        raise Refusal(f"--rare: '{rare}' is no label; {choices(rare, levels)}")
    shuffled = table[np.random.default_rng(7).permutation(table.height)]
    few, many = shuffled.filter(pl.col("label") == rare), shuffled.filter(pl.col("label") != rare)
    if few.height < keep + 20:
        raise Refusal(f"--rare: {few.height} texts of '{rare}' are too few to learn from {keep} and hold out 20")
    half = many.height // 2
    return pl.concat([few[:keep], many[:half]]), pl.concat([few[keep:], many[half:]])


def prepared(given: argparse.Namespace, out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Writes train, holdout and the whole spec to `out`, once nothing is found wrong with any of them."""
    if out.exists() and not out.is_dir():
        raise Refusal(f"--out {out}: is a file")
    if given.keep < 1 or given.quota < 1:
        raise Refusal(f"--keep and --quota: {given.keep} and {given.quota}; both count texts, at least 1")
    train, holdout = split(texts(given), given.rare, given.keep)
    whole: dict[str, Any] = yaml.safe_load((HERE / "spec.yaml").read_text("utf-8"))
    said = {"model": given.model, "base_url": given.base_url, "key": given.key}
    whole["models"]["writer"] |= {k: v for k, v in said.items() if v is not None}
    whole["generate"][1]["columns"] = {"text": given.about}
    if given.topics:
        whole["generate"][1]["facets"] = {"topic": given.topics}
    if given.seconds is not None:
        whole["budget"] = {"seconds": given.seconds}
    whole["real"] = {"path": "train.parquet", "holdout": "holdout.parquet", "target": "label",
                     "columns": {"text": "text", "label": "categorical"}}  # fmt: skip
    whole["cover"] = {"axes": {"label": [given.rare]}, "quota": given.quota, "max_attempts": 6}
    whole["decontaminate"] = ["holdout.parquet"]
    with tempfile.TemporaryDirectory() as name:
        tried = Path(name)
        (tried / "spec.yaml").write_text(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), "utf-8")
        train.write_parquet(tried / "train.parquet")
        holdout.write_parquet(tried / "holdout.parquet")
        synthmill.check(tried / "spec.yaml")
        shutil.copytree(tried, out, dirs_exist_ok=True)
    shown = [int((part["label"] == given.rare).sum()) for part in (train, holdout)]
    print(f"{given.rare}: {shown[0]} of {train.height:,} to learn from, {shown[1]} of {holdout.height:,} held out")
    return train, holdout


def decided(result: Result, train: pl.DataFrame, holdout: pl.DataFrame) -> dict[str, Measure]:
    """The same arms by F1, which also depends on where the line between the classes comes to lie."""
    anchor = from_frame(train, holdout=holdout, target="label", columns={"text": "text", "label": "categorical"})
    assert result.blend is not None
    made = result.data.select("label", "text")
    uses = [{"use": "utility.text", "score": "f1"}]
    blend = result.blend.frame.select("label", "text")
    found = evaluate(made, anchor, uses, seed=7, blend=blend, anchored=result.blend.real)
    return {m.name.removeprefix("utility.text."): m for m in found.measures}


ARMS = (("real texts alone", "real"), ("real texts, repeated class for class", "oversampled"),
        ("real texts + written ones", "blend"), ("what the written ones add", "blend_gain"))  # fmt: skip


def told(auc: dict[str, Measure], f1: dict[str, Measure]) -> None:
    """The arms, and whether the written texts pay."""
    print(f"\n{'learned from':<40}{'AUC on held-out texts':>26}{'F1 on held-out texts':>26}")
    for label, name in ARMS:
        print(f"{label:<40}{_interval(auc[name]):>26}{_interval(f1[name]):>26}")
    print(
        f"{'always the commonest class':<40}{auc['real'].detail['majority']:>26.3f}{f1['real'].detail['majority']:>26.3f}\n"
    )
    print(verdict("AUC", auc["blend_gain"]), verdict("F1", f1["blend_gain"]), sep="\n")
    print("F1 moves with the line between the classes, which any text added to a rare class moves; the AUC does not.")


def verdict(score: str, gain: Measure) -> str:
    if gain.low > 0:
        return f"{score}: the written texts pay, beyond chance."
    if gain.high < 0:
        return f"{score}: the written texts do harm, beyond chance; the real ones are better alone or repeated."
    return f"{score}: plain real texts, alone or repeated, do as well: what is added makes no difference beyond chance."


def _interval(m: Measure) -> str:
    return f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})"


def main() -> int:
    given = options()
    out = Path(given.out)
    try:
        train, holdout = prepared(given, out)
        result = synthmill.make(out / "spec.yaml", out / "run", fresh=True)
        if result.evaluation is None or result.blend is None:
            raise Refusal(f"nothing was accepted; why is in {out / 'run'} (synthmill report)", 1)
        auc = {m.name.removeprefix("utility.text."): m for m in result.evaluation.measures}
        f1 = decided(result, train, holdout)
    except Refusal as e:
        print(f"run.py: {e}", file=sys.stderr)
        return e.code
    print(f"{result.accepted} of {given.quota} texts of '{given.rare}' accepted")
    told(auc, f1)
    print(f"report: {out / 'run' / 'report.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
