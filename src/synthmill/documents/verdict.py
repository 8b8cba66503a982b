"""The headline: released or not, what was missed, what deserves a look."""

from __future__ import annotations

from typing import Any

from .distributions import most_apart, pairs_most_apart
from .facts import Facts
from .words import clip, count, interval, number, plural, share, words_of


def status(facts: Facts) -> tuple[str, str]:
    """(released | unreleased | unjudged, headline)."""
    bars, missed = facts.bars, facts.missed
    if not bars:
        return "unjudged", "No release bars were set, so nothing was promised and nothing was judged."
    if not missed:
        return "released", f"Released: {'the bar holds' if len(bars) == 1 else f'all {len(bars)} bars hold'}."
    return "unreleased", f"Not released: {len(missed)} of {plural(len(bars), 'bar')} missed."


def bar_line(facts: Facts, bar: dict[str, Any]) -> str:
    """One bar in words, with the distance to it."""
    m, op, limit = facts.measures.get(bar["name"], {}), *str(bar["bar"]).split()
    text = f"{words_of(bar['name']).title}: must be {_sign(op)} {limit}; "
    if m.get("value") is None:
        return text + f"not known, which counts as missed ({m.get('note') or 'it was not measured'})."
    text += f"measured {number(m['value'])} ({interval(m) or 'interval unbounded'})"
    if bar["held"]:
        return text + "."
    asked = (facts.spec.get("release") or {}).get(bar["name"]) or {}
    end = m["value"] if asked.get("at") == "estimate" else m["high" if op.startswith("<") else "low"]
    if end is None:
        return text + "; too few held-out records to bound it."
    decides = "" if end == m["value"] else f"; the unfavourable end, {number(end)}, decides"
    return f"{text}{decides}; missed by {number(abs(end - float(limit)))}."


def _sign(op: str) -> str:
    return {"<=": "≤", ">=": "≥"}.get(op, op)


def outcome(facts: Facts) -> str:
    """How much was made of what was asked."""
    external = facts.manifest.get("external")
    if external:
        return f"{plural(external['rows'], 'record')} made elsewhere, judged against held-out real records."
    if not facts.cells:
        return ""
    text = f"{count(facts.accepted)} of {plural(facts.asked, 'record')} asked were accepted"
    if facts.made:
        text += f", out of {plural(facts.made, 'candidate')} made"
    lacking = [c for c in facts.cells if c["short"]]
    if not lacking:
        return text + "; no cell is short."
    return text + f"; {count(facts.short)} short in {plural(len(lacking), 'cell')} of {len(facts.cells)}."


def worth_a_look(facts: Facts) -> list[str]:
    """What a careful reader would go to first; empty when nothing stands out."""
    return [*_filling(facts), *_likeness(facts), *_proof(facts)][:8]


def _filling(facts: Facts) -> list[str]:
    out = []
    worst = sorted((c for c in facts.cells if c["short"]), key=lambda c: -c["short"])[:3]
    if worst:
        named = ", ".join(f"{clip(c['label'], 60)} ({count(c['short'])} missing)" for c in worst)
        out.append(f"Cells that stayed short: {named}.")
    errors = sum(s.errors for s in facts.stations)
    if errors:
        where = ", ".join(s.name for s in facts.stations if s.errors)
        out.append(f"{plural(errors, 'candidate')} could not be made or judged because of errors in {where}.")
    if facts.state.get("stopped"):
        out.append(f"Filling stopped early: {clip(facts.state['stopped'], 200)}.")
    return out


def _likeness(facts: Facts) -> list[str]:
    if not facts.profile:
        return []
    out = []
    apart = [(n, d) for n, d in most_apart(facts.profile["columns"]) if d >= 0.05]
    if apart:
        out.append("Columns most unlike the real ones: " + ", ".join(f"{clip(n, 40)} ({share(d)} apart)" for n, d in apart) + ".")  # fmt: skip
    pairs = [p for p in pairs_most_apart(facts.profile["pairs"], 2) if abs(p[2] - p[3]) >= 0.1]
    for a, b, real, made in pairs:
        how = "weaker" if made < real else "stronger"
        out.append(
            f"{clip(a, 40)} and {clip(b, 40)} are tied {how} than in real data ({number(made, 2)}, real {number(real, 2)})."
        )
    return out


_SIGNS = {
    "detection.c2st": ("low", 0.6, "A classifier tells synthetic from real records with AUC {value}."),
    "utility.gap": ("low", 0.0, "A model trained on synthetic data alone loses {value} against one trained on real."),
    "privacy.membership": ("low", 0.5, "The membership attack does better than guessing: AUC {value}."),
    "privacy.exact_copies": (
        "low",
        0.0,
        "There are more exact copies of training rows than chance explains ({value}).",
    ),
    "privacy.near_copies": ("low", 0.0, "Synthetic rows lie closer to training rows than chance explains ({value})."),
}


def _proof(facts: Facts) -> list[str]:
    """Findings that the whole interval supports."""
    out = []
    for name, (end, limit, sentence) in _SIGNS.items():
        m = facts.measures.get(name)
        if m and m.get(end) is not None and m[end] > limit:
            out.append(sentence.format(value=number(m["value"])))
    gain = facts.measures.get("utility.blend_gain")
    if gain and gain.get("high") is not None and gain["high"] < 0:
        out.append(
            f"The blend loses {number(-gain['value'])} against the best of the real rows, as they are or repeated: "
            "these synthetic rows do not help."
        )
    unknown = [words_of(n).title for n, m in facts.measures.items() if m.get("value") is None]
    if unknown:
        out.append("Could not be measured: " + ", ".join(unknown[:6]) + ".")
    return out
