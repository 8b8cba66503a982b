"""What an audit's numbers say, in plain words. Reads measures as JSON data, so that terminal and page say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .words import number

Status = Literal["leak", "trace", "hint", "clear", "unknown"]
Size = Literal["weak", "plain", "strong"]
Measures = Mapping[str, dict[str, Any]]

SURE = 1.5
"""A finding needs the private value to lie 1.5 half-widths of the 95% interval away (99.7%): with twenty measures on a
harmless table, one in twenty would otherwise cry wolf."""

SLACK = {"auc": 0.02, "tpr_1pct": 0.01, "tpr_01pct": 0.005, "memorised": 0.5, "dcr_share": 0.02}
RISK = 0.02
"""How far from private is a leak rather than a trace, per measure; risks and shares: 0.02."""
STRONG = 5
"""How many slacks from private are strong; one at most is weak, what lies between is plain."""

DCR = "attack.copies.dcr_share"
SOURCE = 'Yao, Krčo, Ganev and de Montjoye, "The DCR Delusion", ESORICS 2025, arXiv:2505.01524'


@dataclass(frozen=True)
class Attack:
    """title, the question an attacker asks, what they hold, and the sentence of the result for each measure."""

    title: str
    question: str
    model: str
    sentences: Mapping[str, str]


@dataclass(frozen=True)
class Finding:
    """One attack's result. status, size: of its worst measure; size: "" where nothing was found; sentence: of that
    measure, and of the others that are not what a private table would give; measures: full names."""

    attack: str
    status: Status
    size: Size | Literal[""]
    sentence: str
    measures: tuple[str, ...]


_HELD = "the synthetic file, and some people of the same kind who were not in the table"
_AUC = "A member is ranked above a stranger {value:.1%} of the time (a coin: 50%)."
_TPR = "{value:.1%} of members are found while accusing {chance:.1%} of strangers."
_RATES = {"auc": _AUC, "tpr_1pct": _TPR, "tpr_01pct": _TPR}

ATTACKS: dict[str, Attack] = {
    "attack.membership": Attack(
        "Membership, by density",
        "Was this person in the table?",
        _HELD,
        {f"{kind}_{m}": text for kind in ("nearest", "kernel") for m, text in _RATES.items()},
    ),
    "attack.lira": Attack(
        "Membership, with shadow models (LiRA)",
        "Does the file look as if this person had been in its making?",
        "the synthetic file, people of the same kind, and a generator to rerun on them",
        _RATES,
    ),
    "attack.singling_out": Attack(
        "Singling out",
        "Is there a description that fits exactly one person?",
        "the synthetic file alone",
        {
            "multivariate": "Of descriptions of one synthetic row, {attack:.1%} fit exactly one person of the table; {control:.1%} would fit one who was not in it.",
            "univariate": "Of single values that stand out in the file, {attack:.1%} fit exactly one person of the table; {control:.1%} would fit one who was not in it.",
        },
    ),
    "attack.linkability": Attack(
        "Linkability",
        "Do these two records from two files belong to one person?",
        "the synthetic file and two halves of people's columns",
        {"risk": "Of people in the table {attack:.1%} are linked by it, of others {control:.1%}."},
    ),
    "attack.inference": Attack(
        "Attribute inference",
        "What is this person's secret, given the rest?",
        "the synthetic file and most columns of a person",
        {
            "mean": "Of secrets of people in the table {attack:.1%} are guessed, of others' {control:.1%}.",
            "worst": "Where it is worst ({secret}), {attack:.1%} of people in the table have it guessed, of others {control:.1%}.",
        },
    ),
    "attack.outliers": Attack(
        "Reconstruction of outliers",
        "Are the people unlike anybody else in the file?",
        "the synthetic file alone",
        {
            "reconstructed": "{attack:.1%} of the {outliers} loneliest records are rebuilt; {control:.1%} of as lonely ones who were not in the table.",
            "memorised": "{value:.0f} of the {outliers} loneliest records stand in the file nearer than chance can explain.",
        },
    ),
    "attack.copies": Attack(
        "Copies",
        "Is a synthetic row somebody's real one?",
        "the synthetic file alone",
        {
            "exact": "{synthetic:.2%} of synthetic rows equal a real one; of fresh real rows {holdout:.2%} do.",
            "near": "{synthetic:.1%} of synthetic rows are nearly a real one; of fresh real rows {holdout:.1%} are.",
        },
    ),
    "attack.subsets": Attack(
        "Pieces of records",
        "Are synthetic rows glued together from real people's columns?",
        "the synthetic file alone",
        {
            "piece": "On {columns}, {train:.1%} of synthetic rows equal a row of the table, {holdout:.1%} one of as many who were not in it.",
            "value": "In {columns}, {train:.1%} of values are one of the table's, {holdout:.1%} one of as many other people's.",
        },
    ),
}


def findings(measures: Measures) -> list[Finding]:
    """One per attack that was made, in the order of ATTACKS; attacks of others' making follow."""
    by_attack: dict[str, list[str]] = {}
    for name in measures:
        if name != DCR:
            by_attack.setdefault(name.rpartition(".")[0], []).append(name)
    known = [a for a in ATTACKS if a in by_attack]
    return [_finding(a, by_attack[a], measures) for a in [*known, *(a for a in by_attack if a not in ATTACKS)]]


def _finding(attack: str, names: list[str], measures: Measures) -> Finding:
    ranked = sorted(names, key=lambda n: (_ORDER[status_of(measures[n])], -strength(measures[n])))
    worst, status = measures[ranked[0]], status_of(measures[ranked[0]])
    if status == "unknown":
        return Finding(attack, status, "", f"Not measured: {worst.get('note') or 'unknown'}.", tuple(names))
    if status == "clear":
        return Finding(attack, status, "", sentence(worst), tuple(names))
    said = [sentence(worst), f"That is a {size_of(worst)} {status}{_DOUBT.get(status, '')}.", *_wrong(worst)]
    if also := [measures[n] for n in ranked[1:] if status_of(measures[n]) in FOUND]:
        said.append(f"Also {', '.join(map(_brief, also))}.")
    return Finding(attack, status, size_of(worst), " ".join(said), tuple(names))


_ORDER = {"leak": 0, "trace": 1, "hint": 2, "clear": 3, "unknown": 4}
FOUND: tuple[Status, ...] = ("leak", "trace", "hint")
_DOUBT = {"hint": ", which chance may explain: up to one number in 20 of a private file lies as far off"}


def _brief(m: Mapping[str, Any]) -> str:
    """A measure with its number and its size, for an enumeration."""
    below = ", wrong more often than chance" if _inverted(m) else ""
    return f"{str(m['name']).rpartition('.')[2]} {number(m['value'])} ({size_of(m)} {status_of(m)}{below})"


def _inverted(m: Mapping[str, Any]) -> bool:
    return m.get("better") == "half" and m["value"] < private_value(m)


def _wrong(m: Mapping[str, Any]) -> list[str]:
    """What an attack tells that is wrong more often than a coin."""
    if not _inverted(m) or status_of(m) not in FOUND:
        return []
    return [
        "The attack is wrong more often than chance: members lie farther from the table than strangers, as they do where records "
        "were filtered by their distance to real ones. An attacker who knows it turns the ranking round."
    ]


def status_of(m: Mapping[str, Any]) -> Status:
    """leak: surely farther from private than a slack; trace: surely not private; hint: private lies outside the 95%
    interval, but not surely; clear: it lies within. Where private is one half, both sides of it are judged."""
    if m.get("value") is None:
        return "unknown"
    end = m.get("high") if _inverted(m) else m.get("low")
    if end is None:
        return "clear"  # too few people to bound it: nothing can be said for sure
    reach, away = abs(m["value"] - end), _away(m)
    if away - SURE * reach > SLACK.get(_kind(m), RISK):
        return "leak"
    if away - SURE * reach > 0:
        return "trace"
    return "hint" if away - reach > 0 else "clear"


def _away(m: Mapping[str, Any]) -> float:
    """How far the value lies from private; negative where that is better than private."""
    away = float(m["value"]) - private_value(m)
    return abs(away) if _inverted(m) else away


def strength(m: Mapping[str, Any]) -> float:
    """How far the value lies from private, in slacks."""
    return _away(m) / SLACK.get(_kind(m), RISK) if m.get("value") is not None else 0.0


def size_of(m: Mapping[str, Any]) -> Size:
    """By the value alone, however sure it is."""
    slacks = strength(m)
    return "weak" if slacks <= 1 else "plain" if slacks < STRONG else "strong"


def private_value(m: Mapping[str, Any]) -> float:
    if m.get("better") == "half":
        return 0.5
    return float((m.get("detail") or {}).get("chance", 0.0))


def _kind(m: Mapping[str, Any]) -> str:
    last = str(m["name"]).rpartition(".")[2]
    return last.removeprefix("nearest_").removeprefix("kernel_")


def sentence(m: Mapping[str, Any]) -> str:
    attack, _, last = str(m["name"]).rpartition(".")
    text = ATTACKS[attack].sentences.get(last) if attack in ATTACKS else None
    if text is None:
        return f"{m['name']}: {number(m['value'])}."
    detail = {k: ", ".join(v) if isinstance(v, list) else v for k, v in (m.get("detail") or {}).items()}
    return text.format(**{**detail, "value": m["value"]})


def headline(found: list[Finding]) -> tuple[Status, str]:
    """The whole audit in a few words: the worst that was found, then what is smaller or less sure, then what is not known."""
    named: dict[Status, list[str]] = {s: [_titled(f) for f in found if f.status == s] for s in _SAID}
    clear = sum(f.status == "clear" for f in found)
    told = [(s, _SAID[s].format(", ".join(names))) for s, names in named.items() if names]
    missing = [t for s, t in told if s == "unknown"]
    told = [t for t in told if t[0] != "unknown"]
    if not told and not clear:
        return "unknown", " ".join(["Nothing could be measured.", *missing])
    said = [text for _, text in told]
    if not told or told[0][0] == "hint":
        n = len(named["hint"]) + clear
        tried = "the one attack" if n == 1 else f"any of {n} attacks"
        said = [f"No leak was found by {tried}.", *said, "That is no proof that there is none."]
    return told[0][0] if told else "clear", " ".join([*said, *missing])


_SAID: dict[Status, str] = {
    "leak": "This file gives people away: {}.",
    "trace": "Traces of the real people show, smaller than what counts as a leak here or not surely as large: {}.",
    "hint": "Beyond the 95% interval, but not surely: {}.",
    "unknown": "Not measured: {}.",
}


def _titled(f: Finding) -> str:
    return f"{title(f.attack)} ({f.size})" if f.size else title(f.attack)


def title(attack: str) -> str:
    return ATTACKS[attack].title if attack in ATTACKS else attack


def about_dcr(measures: Measures, found: list[Finding]) -> str:
    """What a distance to the closest record would have said, and what that is worth. Empty where it was not measured."""
    m = measures.get(DCR)
    if m is None or m.get("value") is None:
        return ""
    passed = _inverted(m) or status_of(m) not in FOUND
    said = "passes" if passed else "fails"
    leaks = [title(f.attack) for f in found if f.status == "leak"]
    what = (
        f"the attacks above find leaks all the same ({', '.join(leaks)})"
        if leaks
        else "it is the attacks above, not this number, that say so much"
    )
    if _inverted(m) and status_of(m) in FOUND:
        what = f"it lies below on purpose or by nature, as filtering by distance makes it, which is a mark of the real rows as well; {what}"
    verdict = f"; {what}" if passed else "; failing it is a bad sign, passing it would have been no good one"
    return (
        f"Judged by DCR alone this file {said}: {number(m['value'])} of its rows have their closest real record in the table "
        f"(0.5 is ideal){verdict}. The distance to the closest record is no privacy metric: files that pass it have been "
        f"found wide open to membership attacks ({SOURCE})."
    )


def stand_in(measures: Measures) -> str:
    """What it means that LiRA did not have the file's own generator. Empty where it had."""
    detail = (measures.get("attack.lira.auc") or {}).get("detail") or {}
    if not detail.get("stand_in"):
        return ""
    return (
        f"LiRA was run with a stand-in ({detail['generator']}), since the maker of the file was not named: it asks whether the "
        "table is to a record what a table of copied records would be. It finds memorising of any make, but not what only the "
        "true generator would leave behind; name that with --generator for the full attack."
    )
