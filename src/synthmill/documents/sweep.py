"""The report of a sweep: every share and regime with its score, and which to use, if any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .intervals import axis, figures, plot, row
from .words import esc, number, plural, share


def page(found: Mapping[str, Any]) -> str:
    """The whole document, from `sweep.json` alone."""
    style = Path(__file__).with_name("style.css").read_text()
    kind = "released" if found["recommended"] else "unjudged"
    headline = f"Recommended: {esc(found['recommended'])}" if found["recommended"] else "Recommended: no synthetic data"
    baseline = _measure("real rows alone", found["baseline"])
    scores = [_measure(m["regime"], m["score"]) for m in found["mixes"]]
    gains = [_measure(m["regime"], m["gain"]) for m in found["mixes"]]
    body = _rows(found, scores, baseline, "score") + _rows(found, gains, None, "gain")
    verified = "what passed the checks" if found["verified"] else "unverified"
    rows = found["rows"]
    told = (
        f"{rows['train']:,} real rows to train on, {rows['holdout']:,} held out; the target is {esc(found['target'])}; "
        f"synthetic rows from {plural(found['draws'], 'draw')} of the generator, {verified}."
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{esc(found['name'])}: how much to blend</title><style>{style}</style></head><body>"
        f'<header id="top"><p class="over">Blend sweep</p><h1>{esc(found["name"])}</h1><div class="verdict {kind}">'
        f'<p>{headline}</p><p class="lead">{esc(found["why"], 400)}</p></div><p class="lead">{told}</p></header>'
        f"<main>{body}</main><footer>Scores are of held-out real rows.</footer></body></html>"
    )


def _measure(name: str, values: Any) -> dict[str, Any]:
    return {"name": name, "value": values[0], "low": values[1], "high": values[2], "better": "higher"}


def _rows(found: Mapping[str, Any], measures: list[dict[str, Any]], baseline: dict[str, Any] | None, what: str) -> str:
    known = [m for m in [*measures, *([baseline] if baseline else [])] if m["value"] is not None]
    if not known:
        return ""
    ideal = baseline["value"] if baseline else 0.0
    span = axis(known, [ideal])
    title, lead = {
        "score": (f"Score ({esc(found['score'])})", "Trained on the mix, judged on held-out real rows. The dashed line is real rows alone."),
        "gain": ("Gain", "Over the better of real rows alone and real rows repeated to the same size. The intervals hold for all mixes at once: only one that lies above 0 is a gain for sure."),
    }[what]  # fmt: skip
    lines = [row("Real rows alone", "", plot([("real", baseline)], span, ideal), figures(baseline))] if baseline else []
    for mix, m in zip(found["mixes"], measures, strict=True):
        sizes = f"{mix['real']:,} real + {mix['synthetic']:,} synthetic"
        colour = "blend" if m["low"] is not None and m["low"] > 0 and what == "gain" else "synthetic"
        chart = plot([(colour, m)], span, ideal) if m["value"] is not None else number(None)
        lines.append(row(f"{esc(mix['regime'])}, {share(mix['share'])}", sizes, chart, figures(m)))
    return f'<section><h2>{title}</h2><p class="lead">{lead}</p>{"".join(lines)}</section>'
