"""Small multiples: each column's distribution, real against synthetic."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from .words import esc, number, share, tick


def card(column: dict[str, Any]) -> str:
    """One column: histogram or bars, what is missing, and how far the two are apart."""
    chart = _levels(column) if "levels" in column else _histogram(column)
    distance = column.get("distance")
    apart = f'<span title="share of records that would have to change">{share(distance)} apart</span>'
    head = f"<h4>{esc(column['name'], 48)}</h4>" + (apart if distance is not None else "")
    kind = {"nested": "records per row"}.get(column["kind"], column["kind"])
    return (
        f'<figure class="card"><header>{head}</header><p class="kind">{esc(kind)}</p>{chart}{_missing(column)}</figure>'
    )


def _missing(column: dict[str, Any]) -> str:
    real, made = column["missing"]["real"], column["missing"]["synthetic"]
    if not real and not made:
        return ""
    shown = f"real {share(real)}, " if real is not None else ""
    return f'<p class="fine">missing: {shown}synthetic {share(made)}</p>'


def _levels(column: dict[str, Any]) -> str:
    """Two bars a level, the rest of the levels together at the end."""
    real, made = column["real"], column["synthetic"]
    names = [*(esc(v, 40) for v in column["levels"]), "<i>all others</i>"]
    most = max([*(real or []), *made, 1e-9])
    rows = []
    for i, name in enumerate(names):
        r, s = real[i] if real else None, made[i]
        if i == len(names) - 1 and not r and not s:
            continue
        bars = "".join(
            f'<rect class="{side}" y="{y}" width="{100 * x / most:.1f}%" height="6" rx="1.5"/>'
            for side, y, x in (("real", 1, r), ("synthetic", 8, s))
            if x is not None
        )
        told = f"real {share(r)}, synthetic {share(s)}" if r is not None else f"synthetic {share(s)}"
        rows.append(
            f'<div class="level" title="{told}"><span>{name}</span>'
            f'<svg class="bars" height="15" aria-label="{told}">{bars}</svg><span class="num">{share(s)}</span></div>'
        )
    return "".join(rows)


def _histogram(column: dict[str, Any]) -> str:
    edges, kind, spike = column["edges"], column["kind"], column["spike"]
    real, made = column["real"], column["synthetic"]
    bins = len(edges) - 1
    apart = _spike(tick(spike, kind), real[-1] if real else None, made[-1]) if spike is not None else ""
    if bins < 1:
        return apart or '<p class="fine">too few values to draw</p>'
    dense = {s: _density(x[:bins], edges) for s, x in (("real", real), ("synthetic", made)) if x is not None}
    most = max(max(d) for d in dense.values()) or 1.0
    paths = []
    if "real" in dense:
        paths.append(f'<path class="real area" d="{_steps(dense["real"], edges, most)}Z"/>')
    paths.append(f'<path class="synthetic line" d="{_steps(dense["synthetic"], edges, most)}"/>')
    hover = "".join(
        f'<rect class="hover" x="{x:.2f}" width="{w:.2f}" height="100"><title>{t}</title></rect>'
        for x, w, t in _hovers(edges, kind, real, made)
    )
    svg = f'<svg class="hist" viewBox="0 0 100 100" preserveAspectRatio="none">{"".join(paths)}{hover}</svg>'
    middle = (edges[0] + edges[-1]) / 2
    labelled = kind == "decimal" or (kind != "datetime" and middle == int(middle))
    ends = "".join(f"<span>{tick(x, kind)}</span>" for x in (edges[0], *([middle] if labelled else []), edges[-1]))
    return f'{svg}<div class="scale">{ends}</div>{apart}'


def _spike(value: str, real: float | None, made: float) -> str:
    told = f"real {share(real)}, " if real is not None else ""
    return f'<p class="fine">set apart, not in the curve: exactly {value} in {told}synthetic {share(made)}</p>'


def _density(shares: Sequence[float], edges: Sequence[float]) -> list[float]:
    return [x / (b - a) for x, a, b in zip(shares, edges[:-1], edges[1:], strict=True)]


def _steps(density: Sequence[float], edges: Sequence[float], most: float) -> str:
    whole = edges[-1] - edges[0]
    path = "M0 100"
    for d, a, b in zip(density, edges[:-1], edges[1:], strict=True):
        y = 100 - 96 * d / most
        path += f"L{100 * (a - edges[0]) / whole:.2f} {y:.1f}L{100 * (b - edges[0]) / whole:.2f} {y:.1f}"
    return path + "L100 100"


def _hovers(
    edges: Sequence[float], kind: str, real: Sequence[float] | None, made: Sequence[float]
) -> list[tuple[float, float, str]]:
    whole, last = edges[-1] - edges[0], len(edges) - 2
    out = []
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        where = f"{tick(a, kind)} up to {tick(b, kind)}"
        if last and i == 0:
            where = f"below {tick(b, kind)}"
        elif last and i == last:
            where = f"{tick(a, kind)} or more"
        told = f"real {share(real[i])}, " if real else ""
        out.append((100 * (a - edges[0]) / whole, 100 * (b - a) / whole, f"{where}: {told}synthetic {share(made[i])}"))
    return out


def most_apart(columns: Sequence[dict[str, Any]], n: int = 3) -> list[tuple[str, float]]:
    known = [(str(c["name"]), float(c["distance"])) for c in columns if c.get("distance") is not None]
    return sorted(known, key=lambda c: (-c[1], c[0]))[:n]


def pairs_most_apart(pairs: dict[str, Any], n: int = 10) -> list[tuple[str, str, float, float]]:
    """(a, b, real, synthetic) of the pairs whose dependence differs most."""
    names, real, made = pairs["names"], pairs["real"], pairs["synthetic"]
    if real is None:
        return []
    found = [(names[i], names[j], real[i][j], made[i][j]) for i in range(len(names)) for j in range(i)]
    return sorted(found, key=lambda p: (-abs(p[2] - p[3]), p[0], p[1]))[:n]


def pair_table(pairs: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{esc(a, 40)}</td><td>{esc(b, 40)}</td><td>{number(r, 2)}</td><td>{number(s, 2)}</td>"
        f"<td>{'+' if s > r else ''}{number(s - r, 2)}</td></tr>"
        for a, b, r, s in pairs_most_apart(pairs)
    )
    head = "<tr><th>column</th><th>column</th><th>real</th><th>synthetic</th><th>difference</th></tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
