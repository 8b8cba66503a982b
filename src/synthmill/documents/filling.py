"""How the data came about: the funnel, the cells, the origin of everything, the time it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .facts import Facts, Station
from .words import clip, count, duration, esc, plural, share

_CELLS = 100


def funnel(facts: Facts) -> str:
    """From what was asked to what was admitted, and what each check took out."""
    made = max(1, facts.made)
    rows = [_step("Candidates made", facts.made, 0, made, "")]
    for s in facts.stations:
        taken = s.failed + s.errors
        if s.name not in ("generator", "cover") or taken:
            rows.append(_step(_name(s), s.entering - taken, taken, made, _taken(s, facts)))
    if facts.surplus:
        rows.append(_step("Surplus", facts.accepted, facts.surplus, made, f"{count(facts.surplus)} good records whose cell was already full; kept aside"))  # fmt: skip
    rows.append(_step("Admitted", facts.accepted, 0, made, f"{share(facts.accepted / made)} of what was made"))
    asked = f"{plural(facts.asked, 'record')} asked"
    short = f"{count(facts.short)} short" if facts.short else "nothing short"
    return f'<p class="lead">{asked}, {count(facts.accepted)} admitted, {short}.</p><div class="funnel">{"".join(rows)}</div>'


def _name(s: Station) -> str:
    return {"generator": "Generator’s own errors", "cover": "Outside every cell"}.get(s.name, esc(s.name, 60))


def _taken(s: Station, facts: Facts) -> str:
    """Counts, then the most frequent reasons."""
    if not s.failed and not s.errors:
        return "all passed"
    told = " · ".join(p for p in (f"{count(s.failed)} failed" if s.failed else "", f"{count(s.errors)} errors" if s.errors else "") if p)  # fmt: skip
    reasons = "".join(f"<li>{esc(r, 140)} <b>{count(n)}</b></li>" for r, n in s.reasons)
    listed = reasons or "<li>single records and reasons are kept private</li>"
    return f"{told}<ul>{listed}</ul>"


def _step(name: str, kept: int, taken: int, made: int, told: str) -> str:
    bars = (
        f'<rect class="kept" width="{100 * kept / made:.2f}%" height="14" rx="2"/>'
        f'<rect class="taken" x="{100 * kept / made:.2f}%" width="{100 * taken / made:.2f}%" height="14" rx="2"/>'
    )
    svg = f'<svg class="bars" height="14" role="img" aria-label="{count(kept)} left, {count(taken)} taken out">{bars}</svg>'
    return f'<div class="step"><b>{name}</b>{svg}<span class="num">{count(kept)}</span><div class="told">{told}</div></div>'


def cells(facts: Facts) -> str:
    """Quota, accepted and short per cell; with many cells those that stayed short come first."""
    shown = list(facts.cells)
    note = ""
    if len(shown) > _CELLS:
        shown = sorted(shown, key=lambda c: -c["short"])[:_CELLS]
        note = f'<p class="fine">{_CELLS} of {count(len(facts.cells))} cells are shown, the shortest first.</p>'
    rows = "".join(_cell(c) for c in shown)
    head = "<tr><th>cell</th><th></th><th>accepted</th><th>quota</th><th>short</th></tr>"
    return f'<div class="wide"><table class="cells"><thead>{head}</thead><tbody>{rows}</tbody></table></div>{note}'


def _cell(c: dict[str, Any]) -> str:
    full = min(100.0, 100 * c["accepted"] / max(1, c["quota"]))
    svg = f'<svg class="bars" height="10"><rect class="rail" width="100%" height="10" rx="2"/><rect class="kept" width="{full:.1f}%" height="10" rx="2"/></svg>'
    short = f'<b class="short">{count(c["short"])}</b>' if c["short"] else "–"
    return f"<tr><td>{esc(c['label'], 90)}</td><td>{svg}</td><td>{count(c['accepted'])}</td><td>{count(c['quota'])}</td><td>{short}</td></tr>"


def lineage(facts: Facts) -> str:
    """Who made the records, from what, under which seed."""
    m, real = facts.manifest, facts.manifest.get("real") or {}
    entries: list[tuple[str, str]] = [
        (f"Generator {i}" if len(m.get("generators", [])) > 1 else "Generator", _source(g))
        for i, g in enumerate(m.get("generators", []), 1)
    ]
    entries += [("What it said when fitted", esc(note, 400)) for note in m.get("learned", ())]
    if real:
        rows = f"{count(real['train'])} training rows, {count(real['holdout'])} held out and never seen by a generator"
        entries.append(("Real data", f"{esc(real['source'])}: {rows}"))
        entries.append(("Real data’s digest", _code(real["digest"])))
        entries.append(("Real data’s licence", esc(real.get("licence") or "not stated")))
    entries += [
        ("Licence of this data", esc(facts.spec.get("licence") or "not stated")),
        ("Generation depth", _depth(m.get("generators", []))),
        ("Seed", _code(facts.spec.get("seed", "–"))),
        ("Run digest", _code(m["digest"])),
        ("Checks", esc(", ".join(m.get("checks", [])[1:-1]) or "none", 300)),
        ("Fitted models", _models(m.get("models") or {})),
        ("Versions", esc(", ".join(f"{k} {v}" for k, v in (m.get("versions") or {}).items()))),
    ]
    if facts.blend:
        b = facts.blend
        entries.append(("Blend", f"{count(b['real'])} real and {count(b['synthetic'])} synthetic rows, {share(b['share'])} real; its real rows stay private"))  # fmt: skip
    rows = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in entries)
    return f'<dl>{rows}</dl><p class="fine">Every record’s own story: <code>synthmill trace RUN ID</code>.</p>'


def _source(g: dict[str, Any]) -> str:
    config = ", ".join(f"{k}: {v}" for k, v in (g.get("config") or {}).items()) or "defaults"
    return (
        f"<b>{esc(g['use'])}</b> version {_code(g['version'])}, configuration {_code(g['digest'])} ({esc(config, 200)})"
    )


def _depth(generators: Sequence[dict[str, Any]]) -> str:
    depth = max((int(g["depth"]) for g in generators), default=None)
    return f"{depth} (0 is real; every generation adds one)" if depth is not None else "–"


def _models(models: dict[str, str]) -> str:
    files = {f: d for f, d in models.items() if f != "saved"}
    listed = ", ".join(f"{esc(f, 60)} {_code(d[:12])}" for f, d in list(files.items())[:6])
    more = f" and {len(files) - 6} more files" if len(files) > 6 else ""
    return listed + more or "none"


def _code(text: object) -> str:
    return f"<code>{esc(text)}</code>"


def times(facts: Facts) -> str:
    """Seconds per stage of the line."""
    spent = {k: float(v) for k, v in (facts.manifest.get("times") or {}).items()}
    order = {s: i for i, s in enumerate(("fit", "fill", "blend", "evaluate", "profile", "report"))}
    most = max(spent.values(), default=0.0) or 1.0
    rows = "".join(
        f'<div class="step time"><b>{esc(clip(k, 30))}</b><svg class="bars" height="14"><rect class="kept" width="{100 * v / most:.1f}%" '
        f'height="14" rx="2"/></svg><span class="num">{duration(v)}</span></div>'
        for k, v in sorted(spent.items(), key=lambda kv: (order.get(kv[0], 9), kv[0]))
    )
    return f'<p class="lead">{duration(sum(spent.values()))} in all.</p><div class="funnel">{rows}</div>'
