"""What was measured on held-out real data: usefulness in four arms, then every other measure by family."""

from __future__ import annotations

from typing import Any

from synthmill.profile import FEWEST

from .facts import Facts
from .intervals import Row, axis, figures, ideal_of, plot, row
from .words import FAMILIES, UNFILTERED, esc, interval, number, share, words_of

_RARITIES = 8
ARMS = {"real": "real", "synthetic": "synthetic", "blend": "blend", "oversampled": "again"}


def families(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    """Measures by the metric that took them, in the order of FAMILIES and then of the evaluation."""
    out: dict[str, list[dict[str, Any]]] = {}
    for m in facts.measures.values():
        first = m["name"].partition(".")[0]
        out.setdefault(m["name"].rpartition(".")[0] if first == "utility" else first, []).append(m)
    return {f: out[f] for f in [*(f for f in FAMILIES if f in out), *(f for f in out if f not in FAMILIES)]}


def family(name: str, measures: list[dict[str, Any]]) -> str:
    if name in ("utility", "utility.text"):
        return utility({m["name"].rpartition(".")[2]: m for m in measures})
    if name == "privacy":
        return privacy(measures)
    return "".join(single(m) for m in measures)


def rarities(facts: Facts) -> str:
    """Rare values that became rarer. Only those that many people share: the rest would name single ones."""
    sizes = (facts.evaluation or {}).get("sizes", {})
    tails = facts.measures.get("coverage.tails", {}).get("detail", {}).get("tails", [])
    if (facts.manifest.get("real") or {}).get("entity"):
        return ""  # rows are counted, and many of them may be one person's
    shown = [t for t in tails if t["real"] * sizes.get("holdout", 0) >= FEWEST and t["synthetic"] < t["real"]]
    shown.sort(key=lambda t: (t["synthetic"] / t["real"], t["column"], t["tail"]))
    rows = "".join(
        f"<tr><td>{esc(t['column'], 40)}</td><td>{esc(t['tail'], 40)}</td><td>{share(t['real'])}</td><td>{share(t['synthetic'])}</td></tr>"
        for t in shown[:_RARITIES]
    )
    head = "<tr><th>column</th><th>rare value</th><th>held-out real</th><th>synthetic</th></tr>"
    table = f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    return f"<h3>Rare values most lost</h3>{table}" if rows else ""


def single(m: dict[str, Any], colour: str = "synthetic") -> str:
    words = words_of(m["name"])
    ideal = ideal_of(m)
    chart = plot([(colour, m)], axis([m], [ideal] if ideal is not None else []), ideal, m["better"])
    return row(esc(words.title), esc(words.what), chart if m.get("value") is not None else "", figures(m), _note(m), _within(m))  # fmt: skip


def _within(m: dict[str, Any]) -> str:
    """What was found in each cell, where the measure is pooled over them; folded away."""
    cells = (m.get("detail") or {}).get("cells") or []
    if not cells:
        return ""
    rows = "".join(
        f"<tr><td>{esc(c['cell'], 80)}</td><td>{share(c['share'])}</td><td>{number(c['value'])}</td><td>{interval(c)}</td></tr>"
        for c in cells
    )
    head = "<tr><th>cell</th><th>share of real rows</th><th>value</th><th>95% interval</th></tr>"
    table = f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    return f"<details><summary>Pooled over {len(cells)} cells</summary>{table}</details>"


def _note(m: dict[str, Any]) -> str:
    return str(m.get("note") or "") if m.get("value") is not None else ""


def utility(measures: dict[str, dict[str, Any]]) -> str:
    """The arms share one axis: they faced the same held-out rows."""
    arms: list[Row] = [(c, measures[a]) for a, c in ARMS.items() if a in measures]
    known = [m for _, m in arms if m.get("value") is not None]
    if not known:
        why = next((m.get("note") for _, m in arms), "") or "it was not measured"
        return f'<p class="lead">Not measured: {esc(why)}.</p>'
    score = known[0].get("detail", {}).get("score", "score")
    meaning = {
        "AUC": "The score is the AUC: how often the model ranks a positive above a negative record; 0.5 is guessing, 1 is perfect.",
        "macro F1": "The score is the mean over classes of F1, the harmonic mean of precision and recall; 1 is perfect.",
        "R2": "The score is R²: the share of the target’s variance that the model explains; 1 is perfect.",
    }.get(score, "")
    span = axis(known)
    told = (
        f'<p class="lead">The same kind of model, trained four times, faces the same held-out real rows. {meaning}</p>'
    )
    rows = "".join(
        row(
            esc(words_of(m["name"]).title),
            esc(words_of(m["name"]).what),
            plot([(c, m)], span, None, "higher"),
            figures(m),
        )
        for c, m in arms
        if m.get("value") is not None
    )
    others = [m for a, m in measures.items() if a not in ARMS]
    return told + rows + "".join(single(m, "blend" if "blend" in m["name"] else "synthetic") for m in others)


def privacy(measures: list[dict[str, Any]]) -> str:
    """Each measure with the `copies` filter, and beneath it without: what the filter leaves out may tell as well."""
    open_ = {m["name"].removesuffix(UNFILTERED): m for m in measures if m["name"].endswith(UNFILTERED)}
    told = (
        '<p class="lead">Filled dots: the table as it is. Hollow dots: before the copies filter took rows out, '
        "since a hole where a person was can give that person away too.</p>"
        if open_
        else '<p class="lead">The copies filter took nothing out, so there is only one table to look at.</p>'
    )
    return told + "".join(_with_and_without(m, open_.get(m["name"])) for m in measures if not m["name"].endswith(UNFILTERED))  # fmt: skip


def _with_and_without(m: dict[str, Any], without: dict[str, Any] | None) -> str:
    if without is None or without.get("value") is None or m.get("value") is None:
        return single(m)
    words, ideal = words_of(m["name"]), ideal_of(m)
    span = axis([m, without], [ideal] if ideal is not None else [])
    chart = plot([("synthetic", m), ("synthetic hollow", without)], span, ideal, m["better"])
    shown = figures(m) + f"<small>before the filter {number(without['value'])}</small>"
    return row(esc(words.title), esc(words.what), chart, shown, _note(m), _within(m))
