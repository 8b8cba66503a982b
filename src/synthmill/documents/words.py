"""Numbers for people, and every measure in plain words."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


def esc(text: object, length: int = 160) -> str:
    """Untrusted text as HTML, cut where it would fill the page."""
    return html.escape(clip(str(text), length))


def clip(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def count(n: int) -> str:
    return f"{n:,}"


def plural(n: int, one: str) -> str:
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def share(x: float | None) -> str:
    """0.0004 -> <0.1%; 0.1234 -> 12.3%."""
    if x is None:
        return "–"
    if 0 < x < 0.001:
        return "<0.1%"
    return f"{x:.0%}" if x in (0, 1) or (x >= 0.1 and abs(100 * x - round(100 * x)) < 0.05) else f"{x:.1%}"


def number(x: float | None, digits: int = 3) -> str:
    """Three decimals, one more below 0.01, thousands grouped; a missing number is a dash."""
    if x is None or not math.isfinite(x):
        return "–"
    if abs(x) >= 1000:
        return f"{x:,.0f}".replace("-", "−")
    places = max(0, digits - 2) if abs(x) >= 10 else digits + (digits > 2 and abs(x) < 0.01)
    text = f"{x:.{places}f}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def tick(x: float, kind: str) -> str:
    """The edge of a bin: a date, or a number without needless digits."""
    if kind == "datetime":
        try:
            moment = datetime.fromtimestamp(x / 1e6, UTC)
        except (OverflowError, ValueError, OSError):
            return f"{x:g}"
        return moment.strftime("%Y-%m-%d" if x % 86_400_000_000 == 0 else "%Y-%m-%d %H:%M")
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.6g}".replace("-", "−")


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@dataclass(frozen=True)
class Words:
    """title and one-line explanation of a measure."""

    title: str
    what: str


FAMILIES: dict[str, tuple[str, str]] = {
    "fidelity": ("Fidelity", "Does the synthetic table look like the real one, column by column and pair by pair?"),
    "detection": ("Detection", "Can anything tell synthetic records from real ones?"),
    "coverage": ("Coverage", "Is every synthetic record plausible, and is every kind of real record represented?"),
    "utility": ("Usefulness", "Does a model trained on this data do its work on real data it has never seen?"),
    "utility.text": (
        "Usefulness of the texts",
        "Does a classifier trained on these texts do its work on real texts it has never seen?",
    ),
    "utility.lm": (
        "Usefulness to a language model",
        "Does a language model tuned on these texts know real texts it has never seen better?",
    ),
    "privacy": ("Privacy", "What does the synthetic table give away about the people whose records it learned from?"),
    "attack": ("Attacks", "What does somebody find out about real people who holds the synthetic table and tries?"),
}

MEASURES: dict[str, Words] = {
    "fidelity.shapes": Words("Column shapes", "How alike each column’s distribution is, averaged; 1 is identical."),
    "fidelity.trends": Words(
        "Pair trends", "How alike the relation of each pair of columns is, averaged; 1 is identical."
    ),
    "detection.c2st": Words(
        "Telling them apart (C2ST AUC)",
        "A classifier is trained to tell synthetic from real. 0.5: it can only guess. 1: it always knows.",
    ),
    "detection.mmd": Words(
        "Distance of the two clouds (MMD)",
        "Maximum mean discrepancy: how far apart real and synthetic records lie as a whole. 0 is no distance.",
    ),
    "coverage.alpha_precision": Words(
        "Plausible records (α-precision)", "Whether synthetic records lie where real ones do; 1 is best."
    ),
    "coverage.beta_recall": Words(
        "Real kinds represented (β-recall)",
        "Whether real records have synthetic ones nearby. Even fresh real rows reach only about 0.5: see the ceiling.",
    ),
    "coverage.tails": Words(
        "Rare values kept", "Rare levels and extreme numbers: the share of them that is still there, averaged."
    ),
    "utility.real": Words("Real", "Trained on the real training rows: the yardstick."),
    "utility.synthetic": Words("Synthetic alone", "Trained on synthetic rows only."),
    "utility.blend": Words("Blend", "Trained on the blend of real and synthetic rows."),
    "utility.oversampled": Words("Real, repeated", "Real rows repeated until there are as many as in the blend."),
    "utility.gap": Words(
        "Gap of synthetic to real", "Score of real minus score of synthetic alone; 0 means nothing is lost."
    ),
    "utility.blend_gain": Words(
        "Gain of the blend",
        "Score of the blend minus the better of real and real repeated: what synthetic rows add.",
    ),
    "privacy.membership": Words(
        "Membership attack (AUC)",
        "An attacker guesses who was in the training data. 0.5: no better than a coin. 1: always right.",
    ),
    "privacy.tpr_at_1pct_fpr": Words(
        "Members found at 1% false alarms",
        "Of the training records, how many that attacker finds while accusing 1% of strangers; 0.01 is chance.",
    ),
    "privacy.dcr_share": Words(
        "Nearer to training than to held-out rows",
        "Share of synthetic records whose closest real record (DCR) is a training row; 0.5 is ideal.",
    ),
    "privacy.nndr": Words(
        "Nearest-neighbour ratio (NNDR)",
        "Distance to the nearest over the second nearest training row. Near 0: clings to one person. Compare the ceiling.",
    ),
    "privacy.exact_copies": Words(
        "Exact copies beyond chance", "Synthetic rows equal to a training row, minus the same share in held-out rows."
    ),
    "privacy.near_copies": Words(
        "Near copies beyond chance",
        "Synthetic rows closer to a training row than real rows are to each other, minus held-out rows’ own share.",
    ),
    "attack.membership.nearest_auc": Words("Nearest rows: AUC", "Members against strangers, by distances to the nearest rows. 0.5: a coin. 1: always right."),
    "attack.membership.nearest_tpr_1pct": Words("Nearest rows: members found at 1% false alarms", "0.01 is chance."),
    "attack.membership.nearest_tpr_01pct": Words("Nearest rows: members found at 0.1% false alarms", "0.001 is chance: these are the certain ones."),
    "attack.membership.kernel_auc": Words("Kernel densities: AUC", "The same, by kernel densities of the file and of the population. 0.5: a coin."),
    "attack.membership.kernel_tpr_1pct": Words("Kernel densities: members found at 1% false alarms", "0.01 is chance."),
    "attack.membership.kernel_tpr_01pct": Words("Kernel densities: members found at 0.1% false alarms", "0.001 is chance."),
    "attack.lira.auc": Words("LiRA: AUC", "Members against strangers, each judged against shadow models. 0.5: a coin. 1: always right."),
    "attack.lira.tpr_1pct": Words("LiRA: members found at 1% false alarms", "0.01 is chance."),
    "attack.lira.tpr_01pct": Words("LiRA: members found at 0.1% false alarms", "0.001 is chance: these are the certain ones."),
    "attack.singling_out.multivariate": Words("Risk by several columns", "Descriptions of one synthetic row that fit exactly one person, beyond what would fit a stranger. 0 is private."),
    "attack.singling_out.univariate": Words("Risk by one column", "The same for values that occur once and extremes. 0 is private."),
    "attack.linkability.risk": Words("Risk", "People whose two halves lead to one synthetic row, beyond strangers. 0 is private."),
    "attack.inference.mean": Words("Risk, mean of the secrets", "Secrets guessed from the other columns, beyond strangers’. 0 is private."),
    "attack.inference.worst": Words("Risk of the worst secret", "The column that is worst for half of the people, measured on the other half. 0 is private."),
    "attack.outliers.reconstructed": Words("Risk", "Lonely records with a synthetic row beside them, beyond as lonely strangers. 0 is private."),
    "attack.outliers.memorised": Words("Outliers memorised", "How many lonely records are in the file nearer than chance explains. 0 is private; one is a person."),
    "attack.copies.exact": Words("Exact copies beyond chance", "Synthetic rows equal to a real one, minus the same share of fresh real rows."),
    "attack.copies.near": Words("Near copies beyond chance", "Synthetic rows closer to a real one than real ones are to each other, minus fresh real rows’ share."),
    "attack.copies.dcr_share": Words("Nearer to the table than to others (DCR)", "Shown because files are handed over with it; 0.5 is ideal and proves nothing."),
    "attack.subsets.piece": Words("Pieces of people", "Synthetic rows that hold a real person’s values on a set of columns, beyond chance. 0 is private."),
    "attack.subsets.value": Words("Values of people", "The same on one column: rare real values that came along. 0 is private."),
}  # fmt: skip

UNFILTERED = "_unfiltered"


def words_of(name: str) -> Words:
    """A third party's measure is called by its name."""
    if name.endswith(UNFILTERED):
        base = words_of(name.removesuffix(UNFILTERED))
        return Words(f"{base.title}, before the copies filter", base.what)
    arm = name.replace("utility.text.", "utility.")
    return MEASURES.get(arm) or Words(name, "")


def interval(m: dict[str, Any]) -> str:
    """`0.912 to 0.934`, or nothing where it is unbounded."""
    if m.get("low") is None or m.get("high") is None:
        return ""
    return f"{number(m['low'])} to {number(m['high'])}"
