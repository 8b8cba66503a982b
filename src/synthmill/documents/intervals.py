"""Dots with intervals on a shared axis, floor and ceiling marked. Positions are percentages, so any width fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .words import esc, interval, number, words_of

Row = tuple[str, dict[str, Any]]
"""A CSS class (whose colour) and a measure."""


def axis(measures: Sequence[dict[str, Any]], marks: Sequence[float] = ()) -> tuple[float, float]:
    """The span that shows everything there is to see, with some air."""
    keys = ("value", "low", "high", "floor", "ceiling")
    seen = [float(m[k]) for m in measures for k in keys if m.get(k) is not None] + list(marks)
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    pad = 0.08 * (high - low) or 0.05
    span = low - pad, high + pad
    return (max(0.0, span[0]), min(1.0, span[1])) if low >= 0 and high <= 1 else span


def plot(rows: Sequence[Row], span: tuple[float, float], ideal: float | None = None, better: str = "none") -> str:
    """One line per row; what is unknown leaves its line empty."""
    low, high = span

    def at(x: float) -> str:
        return f"{100 * (min(max(x, low), high) - low) / (high - low):.2f}%"

    height = 26 * len(rows)
    parts = [f'<svg class="plot" height="{height}" role="img" aria-label="{esc(_spoken(rows))}">']
    if ideal is not None:
        parts.append(f'<line class="ideal" x1="{at(ideal)}" x2="{at(ideal)}" y1="0" y2="{height}"/>')
    for i, (colour, m) in enumerate(rows):
        y = 26 * i + 13
        parts.append(f'<line class="rail" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        for mark, shape in (("floor", "M-4 -10H4L0 -4Z"), ("ceiling", "M-4 10H4L0 4Z")):
            if m.get(mark) is not None:
                title = f"<title>{mark} {number(m[mark])}</title>"
                parts.append(
                    f'<svg x="{at(m[mark])}" y="{y}" overflow="visible"><path class="{mark}" d="{shape}">{title}</path></svg>'
                )
        if m.get("value") is None:
            continue
        parts.append(f'<g class="{colour}"><title>{esc(number(m["value"]))} ({esc(interval(m))})</title>')
        if m.get("low") is not None and m.get("high") is not None:
            parts.append(f'<line class="span" x1="{at(m["low"])}" x2="{at(m["high"])}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle cx="{at(m["value"])}" cy="{y}" r="5"/></g>')
    return "".join(parts) + "</svg>" + _scale(span, better)


def _spoken(rows: Sequence[Row]) -> str:
    return "; ".join(f"{words_of(m['name']).title} {number(m.get('value'))} ({interval(m)})" for _, m in rows)


def _scale(span: tuple[float, float], better: str) -> str:
    hint = {"higher": "better →", "lower": "← better", "half": "0.5 is ideal"}.get(better, "")
    return f'<div class="scale"><span>{number(span[0])}</span><span>{hint}</span><span>{number(span[1])}</span></div>'


def ideal_of(m: dict[str, Any]) -> float | None:
    """Where a dashed line helps the eye; where more is better, the ceiling is what can be had."""
    return 0.0 if m["name"].endswith("_gain") else {"half": 0.5, "lower": 0.0}.get(m["better"])


def figures(m: dict[str, Any]) -> str:
    """The number, its interval, and what it is between."""
    if m.get("value") is None:
        return f"<b>not known</b><small>{esc(m.get('note') or 'could not be measured')}</small>"
    marks = "".join(f"<small>{k} {number(m[k])}</small>" for k in ("floor", "ceiling") if m.get(k) is not None)
    return f"<b>{number(m['value'])}</b><small>{interval(m) or 'interval unbounded'}</small>{marks}"


def row(title: str, what: str, chart: str, shown: str, note: str = "", more: str = "") -> str:
    """title, what and more (below the rest) are HTML already."""
    small = f'<p class="fine">{esc(note)}</p>' if note else ""
    return (
        f'<div class="measure"><div><h4>{title}</h4><p>{what}</p>{small}</div>'
        f'<div class="chart">{chart}</div><div class="figures">{shown}</div>{more}</div>'
    )
