"""audit.html: every attack's result in plain words, with its numbers beneath. Nothing on it comes from a single record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .findings import ATTACKS, DCR, Finding, about_dcr, findings, headline, stand_in, title
from .intervals import axis, figures, ideal_of, plot, row
from .page import Section, shell
from .proof import single
from .words import count, esc, number, plural, share, words_of

STATUS = {"leak": "leak", "trace": "trace", "hint": "hint", "clear": "nothing found", "unknown": "not measured"}
_MARK = {"leak": "missed", "trace": "trace", "hint": "trace", "clear": "held", "unknown": "trace"}
_FRAME = {"leak": "unreleased", "trace": "unjudged", "hint": "unjudged", "clear": "released", "unknown": "unjudged"}


def audit_page(data: Mapping[str, Any]) -> str:
    """The whole document. data: what audit.json holds."""
    measures = {m["name"]: m for m in data["measures"]}
    found = findings(measures)
    sections: list[Section] = [_section(f, measures) for f in found]
    if said := about_dcr(measures, found):
        sections.append(("dcr", "What DCR is worth", "The number most tools report, beside what the attacks found.", _dcr(said, measures)))  # fmt: skip
    sections.append(("how", "How it was done", "Sizes, samples and what was left out.", _how(data)))
    footer = (
        f"Written by synthmill {esc(data['versions']['synthmill'])}. Nothing on this page names a single real record; the list of "
        "the most exposed ones is in the folder private beside it, which is not to be handed on."
    )
    return shell(f"{esc(data['name'])}: privacy audit", _head(data, measures, found), sections, footer)


def _head(data: Mapping[str, Any], measures: Mapping[str, dict[str, Any]], found: list[Finding]) -> str:
    status, line = headline(found)
    listed = "".join(
        f'<li class="{_MARK[f.status]}"><b>{esc(title(f.attack))}: {STATUS[f.status]}.</b> {esc(f.sentence, 800)}</li>'
        for f in found
    )
    sizes = data["sizes"]
    lead = (
        f"{plural(sizes['synthetic'], 'synthetic row')} attacked with {count(sizes['train'])} real rows that may have been learned "
        f"from, and {count(sizes['holdout'])} that were not."
    )
    return (
        f'<header id="top"><p class="over">Privacy audit</p><h1>{esc(data["name"])}</h1>'
        f'<div class="verdict {_FRAME[status]}"><p>{esc(line, 1200)}</p>{_left_out(data)}<p class="lead">{lead}</p>'
        f'<ul class="bars-list">{listed}</ul></div><p class="lead">{_READING}</p></header>'
    )


def _left_out(data: Mapping[str, Any]) -> str:
    """Beside the verdict, since it is a verdict on the columns that are left."""
    return "".join(f'<p class="left-out"><b>Left out.</b> {esc(s, 800)}.</p>' for s in data["left_out"])


_READING = (
    "A leak is a number that is surely worse than for people who were not in the table, by more than a slack of its own; a trace "
    "is one that is surely worse, by less; a hint one beyond its 95% interval, which chance may explain. Every attack is also made on held-out people, on copied rows (it must find those) and on "
    "fresh real rows (it must not)."
)
_MARKS = (
    '<p class="legend"><span class="floor">floor: training rows copied</span>'
    '<span class="ceiling">ceiling: fresh real rows</span></p>'
)


def _section(f: Finding, measures: Mapping[str, dict[str, Any]]) -> Section:
    attack = ATTACKS.get(f.attack)
    told = f"{esc(attack.question)} The attacker holds {esc(attack.model)}." if attack else "An attack of your own."
    extra = f'<p class="lead">{esc(stand_in(measures), 800)}</p>' if f.attack == "attack.lira" else ""
    if f.attack == "attack.inference":
        extra = _secrets(measures)
    shown = "".join(single(measures[n]) for n in f.measures)
    verdict = f"<p><b>{STATUS[f.status].capitalize()}.</b> {esc(f.sentence, 800)}</p>"
    return f"m-{esc(f.attack)}", esc(title(f.attack)), told, verdict + _MARKS + shown + extra


def _secrets(measures: Mapping[str, dict[str, Any]]) -> str:
    secrets = (measures.get("attack.inference.mean", {}).get("detail") or {}).get("secrets") or {}
    rows = "".join(
        f"<tr><td>{esc(name, 40)}</td><td>{share(s['attack'])}</td><td>{share(s['control'])}</td>"
        f"<td>{share(s['baseline'])}</td><td>{number(s['risk'])}</td></tr>"
        for name, s in secrets.items()
    )
    head = "<tr><th>secret</th><th>guessed, in the table</th><th>guessed, not in it</th><th>guessed blindly</th><th>risk</th></tr>"
    table = f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    return f"<h3>Secret by secret</h3>{table}" if rows else ""


def _dcr(said: str, measures: Mapping[str, dict[str, Any]]) -> str:
    m = measures[DCR]
    ideal = ideal_of(m)
    chart = plot([("synthetic", m)], axis([m], [ideal] if ideal is not None else []), ideal, m["better"])
    words = words_of(DCR)
    return f"<p>{esc(said, 1200)}</p>{_MARKS}{row(esc(words.title), esc(words.what), chart, figures(m))}"


def _how(data: Mapping[str, Any]) -> str:
    facts = {
        "synthetic file": esc(data["name"]),
        "real table": esc(data["train"]),
        "control": esc(data["holdout"]),
        "columns attacked": esc(", ".join(data["columns"]), 2000),
        "not attacked": esc(", ".join(data["not_attacked"]), 800) or "none",
        "seed": str(data["seed"]),
    }
    listed = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in facts.items())
    notes = "".join(f"<li>{esc(n, 600)}</li>" for n in data["notes"][:50])
    sampled = "".join(f"<li>{esc(s, 600)}</li>" for s in data["sampled"])
    return f'<dl>{listed}</dl><ul class="look">{notes}{sampled}</ul>'
