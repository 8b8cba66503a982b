"""The report of a collapse experiment: curves by regime and real share, and what they come to in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .curves import HEIGHT, WIDTH, Curve, chart, figure, span
from .words import MEASURES, Words, esc, number, plural, share, words_of

OWN: dict[str, Words] = {
    "lab.levels": Words("Levels that survive", "Share of the levels two or more train rows hold that a generation still shows. What is lost once is lost for all that learn from it alone."),
    "lab.spread": Words("Spread of the numbers", "Median over columns of a generation’s standard deviation over train’s. Falling to 0: everybody becomes the same. Above 1: it inflates."),
    "utility.synthetic": Words("Usefulness", "Score on held-out real rows of a model trained on the generation alone."),
}  # fmt: skip
FIRST = ("coverage.tails", "lab.levels", "utility.synthetic", "detection.c2st")
"""What the sentences speak of."""
REGIMES = {
    "replace": "each generation learns from the last one alone",
    "accumulate": "it learns from the real data and everything made so far",
    "accumulate-subsample": "as accumulate, but from a sample of it that never grows",
}


def page(found: Mapping[str, Any]) -> str:
    """The whole document, from the experiment's summary alone."""
    style = "".join(Path(__file__).with_name(n).read_text() for n in ("style.css", "lab.css"))
    kinds = sorted({a["verified"] for a in found["arms"]})
    body = "".join(_section(found, v) for v in kinds) + _table(found)
    links = "".join(f'<a href="#{_anchor(v)}">{_title(v)}</a>' for v in kinds)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{esc(found['name'])}: collapse</title><style>{style}</style></head><body>{_head(found)}"
        f'<nav aria-label="Contents"><div><a href="#top">Summary</a>{links}<a href="#last">Last generation</a></div></nav>'
        f"<main>{body}</main><footer>Every number is of tables that synthmill made and judged on held-out real rows.</footer>"
        "</body></html>"
    )


def _head(found: Mapping[str, Any]) -> str:
    uses = " + ".join(esc(_use(u)) for u in found["generate"])
    real = found["real_table"]
    told = (
        f"{uses}, trained on its own output for {plural(found['generations'], 'generation')} of {found['rows']:,} rows, "
        f"{plural(found['repeats'], 'repeat')}, starting from {found['rows']:,} of the {real['train']:,} training rows of "
        f"{esc(real['source'])}; judged on {real['holdout']:,} held-out rows."
    )
    sentences = "".join(f"<li>{s}</li>" for s in sentences_of(found))
    regimes = "".join(f"<dt>{esc(r)}</dt><dd>{esc(w)}</dd>" for r, w in REGIMES.items() if r in _regimes(found))
    return (
        f'<header id="top"><p class="over">Collapse experiment</p><h1>{esc(found["name"])}</h1><p class="lead">{told}</p>'
        f'<ul class="look">{sentences}</ul><dl>{regimes}</dl><h3>How to read the curves</h3><p class="narrow">{_READ}</p></header>'
    )


_READ = (
    "Solid lines are medians over repeats, dotted lines means, bands reach from the lowest to the highest repeat; the "
    "dashed grey line is what the real rows themselves reach. Colours are real shares: how much of what each generation "
    "adds is real rows. <b>Look at the median: the mean alone hides collapse.</b> Where most repeats lose what they had "
    "and a few overshoot, the mean can stay where it began; for a Gaussian with an unbiased variance it stays there "
    "exactly, for ever, while almost every single chain shrinks to a point. Bands that widen are a warning by themselves."
)


def _use(use: Mapping[str, Any]) -> str:
    return "mix of " + ", ".join(str(m["use"]) for m in use["mix"]) if "mix" in use else str(use["use"])


def sentences_of(found: Mapping[str, Any]) -> list[str]:
    """What became of the purest arm of each regime, and what the largest real share did for it."""
    out = []
    for verified in sorted({a["verified"] for a in found["arms"]}):
        for regime in _regimes(found):
            mine = [a for a in found["arms"] if a["regime"] == regime and a["verified"] == verified]
            mine.sort(key=lambda a: a["share"])
            parts = [p for p in (_change(m, mine[0]) for m in FIRST) if p]
            if parts:
                which = f"{regime}, {share(mine[0]['share'])} real" + (", verified" if verified else "")
                told = f"<b>{esc(which)}</b>: {'; '.join(parts)} (medians, first to last generation)"
                out.append(told + _helped(mine) + _ended(mine[0], found["repeats"]) + ".")
    return out


def _change(measure: str, arm: Mapping[str, Any]) -> str:
    points = arm["points"][measure]
    if len(points) < 2:
        return ""
    title = _words(measure).title
    return f"{esc(title[:1].lower() + title[1:])} {number(points[0]['median'])} to {number(points[-1]['median'])}"


def _helped(mine: Sequence[Mapping[str, Any]]) -> str:
    few, many = mine[0]["points"]["coverage.tails"], mine[-1]["points"]["coverage.tails"]
    if len(mine) < 2 or not few or not many:
        return ""
    return f"; with {share(mine[-1]['share'])} real rows tails end at {number(many[-1]['median'])}"


def _ended(arm: Mapping[str, Any], repeats: int) -> str:
    if not arm["ended"]:
        return ""
    return f"; {len(arm['ended'])} of {plural(repeats, 'chain')} ended early ({esc(arm['ended'][0], 200)})"


def _regimes(found: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(a["regime"] for a in found["arms"]))


def _anchor(verified: bool) -> str:
    return "verified" if verified else "unverified"


def _title(verified: bool) -> str:
    return "Verified" if verified else "Not verified"


def _words(measure: str) -> Words:
    return OWN.get(measure) or MEASURES.get(measure) or words_of(measure)


def legend(shares: Sequence[float]) -> str:
    spans = "".join(f'<span class="s{i % 6}">{share(s)} real</span>' for i, s in enumerate(shares))
    return f'<p class="legend">{spans}</p>'


def _section(found: Mapping[str, Any], verified: bool) -> str:
    arms = [a for a in found["arms"] if a["verified"] == verified]
    what = "Every candidate enters the next generation’s training data."
    if verified:
        checks = esc(", ".join(found["checks"]), 300)
        what = (
            f"Only what passes the spec’s checks ({checks}) enters; they were fitted once, on the real training rows."
        )
    rows = "".join(_row(found, arms, m) for m in found["measures"])
    taken = _acceptance(arms) if verified else ""
    return (
        f'<section id="{_anchor(verified)}"><h2>{_title(verified)}</h2><p class="lead">{what}{taken}</p>'
        f"{legend(_shares(found))}{rows}</section>"
    )


def _acceptance(arms: Sequence[Mapping[str, Any]]) -> str:
    """How much the checks let through, and whether that moved: a verifier that sees no drift cannot stop it."""
    first = [a["acceptance"][0]["median"] for a in arms if a["acceptance"]]
    last = [a["acceptance"][-1]["median"] for a in arms if a["acceptance"]]
    if not first:
        return ""
    return f" They accept {share(min(first))} of candidates in the first generation and {share(min(last))} to {share(max(last))} in the last."


def _shares(found: Mapping[str, Any]) -> list[float]:
    return sorted({float(a["share"]) for a in found["arms"]})


def _row(found: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], measure: str) -> str:
    charts = panels(found, arms, measure)
    if not charts:
        return ""
    words = _words(measure)
    return f'<h3>{esc(words.title)}</h3><p class="fine narrow">{esc(words.what, 400)}</p><div class="panels">{"".join(charts)}</div>'


def panels(found: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], measure: str) -> list[str]:
    """One chart per regime on a common scale, which is that of all arms of the experiment."""
    limits, real = _scale(found, measure)
    if limits is None:
        return []
    return [figure(r, _curves(found, arms, measure, r), limits, found["generations"], real) for r in _regimes(found)]


def _scale(found: Mapping[str, Any], measure: str) -> tuple[tuple[float, float] | None, float | None]:
    everything = [_curve(a, measure, _shares(found)) for a in found["arms"]]
    real = (found["real"].get(measure) or {}).get("median")
    if not any(c.points for c in everything):
        return None, real
    return span(everything, [real] if real is not None else []), real


def _curves(found: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], measure: str, regime: str) -> list[Curve]:
    return [_curve(a, measure, _shares(found)) for a in arms if a["regime"] == regime]


def _curve(arm: Mapping[str, Any], measure: str, shares: Sequence[float]) -> Curve:
    return Curve(f"s{shares.index(float(arm['share'])) % 6}", f"{share(arm['share'])} real", arm["points"][measure])


def _table(found: Mapping[str, Any]) -> str:
    names = [m for m in found["measures"] if any(a["points"][m] for a in found["arms"])]
    head = "".join(f"<th>{esc(_words(m).title)}</th>" for m in names)
    real = "".join(f"<td>{number((found['real'].get(m) or {}).get('median'))}</td>" for m in names)
    rows = f"<tr><td>the real rows themselves</td><td></td>{real}</tr>"
    for a in found["arms"]:
        cells = "".join(f"<td>{_cell(a['points'][m])}</td>" for m in names)
        alive = max((p["n"] for m in names for p in a["points"][m][-1:] if p["t"] == found["generations"]), default=0)
        rows += f"<tr><td>{esc(a['label'])}</td><td>{alive} of {found['repeats']}</td>{cells}</tr>"
    return (
        '<section id="last"><h2>Last generation</h2><p class="lead">Median, and mean in brackets, over the repeats that '
        f'lived so long.</p><div class="wide"><table><thead><tr><th>arm</th><th>alive</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _cell(points: Sequence[Mapping[str, Any]]) -> str:
    return f"{number(points[-1]['median'])} ({number(points[-1]['mean'])})" if points else "–"


def drawing(found: Mapping[str, Any], measures: Sequence[str], verified: bool = False) -> str:
    """A standalone SVG of the curves, a row per measure and a column per regime, in colours of its own."""
    arms = [a for a in found["arms"] if a["verified"] == verified]
    regimes, shares = _regimes(found), _shares(found)
    parts, y = [], 46
    for measure in measures:
        limits, real = _scale(found, measure)
        if limits is None:
            continue
        parts.append(f'<text class="title" x="10" y="{y}">{esc(_words(measure).title)}</text>')
        for i, regime in enumerate(regimes):
            x = 10 + i * (WIDTH + 20)
            place = f'x="{x}" y="{y + 20}" width="{WIDTH}" height="{HEIGHT}" '
            curves = _curves(found, arms, measure, regime)
            parts.append(f'<text class="at" x="{x + 40}" y="{y + 16}">{esc(regime)}</text>')
            parts.append(chart(regime, curves, limits, found["generations"], real, place))
        y += HEIGHT + 48
    keys = "".join(
        f'<circle class="s{i % 6}" cx="{20 + 110 * i}" cy="18" r="5"/><text class="at" x="{30 + 110 * i}" y="22">{share(s)} real</text>'
        for i, s in enumerate(shares)
    )
    width = 10 + len(regimes) * (WIDTH + 20)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="system-ui, sans-serif" role="img" '
        f'aria-label="{esc(found["name"])}"><style>{_DRAWN}</style><rect width="{width}" height="{y}" fill="#ffffff"/>{keys}{"".join(parts)}</svg>\n'
    )


_DRAWN = "".join(
    f".s{i}{{fill:{c};stroke:{c}}}"
    for i, c in enumerate(("#c0392b", "#d9690c", "#1a8f6d", "#1f77c8", "#8a63c4", "#5b6672"))
) + (
    ".at{font-size:11px;fill:#5b6672}.title{font-size:15px;font-weight:600;fill:#1b2430}.rail{stroke:#eceae5}"
    ".ideal{stroke:#5b6672;stroke-dasharray:4 3}.band{opacity:.14;stroke:none}.median{fill:none;stroke-width:2}"
    ".mean{fill:none;stroke-width:1.4;stroke-dasharray:1.5 3}circle{stroke:none}"
)
