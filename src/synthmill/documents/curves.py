"""Curves over generations: the median as a line, the mean dotted, lowest to highest of all repeats as a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .words import esc, number

WIDTH, HEIGHT = 300, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 8, 22


@dataclass(frozen=True)
class Curve:
    """colour: a CSS class; points: t, median, mean, low, high, n."""

    colour: str
    label: str
    points: Sequence[dict[str, Any]]


def span(curves: Sequence[Curve], marks: Sequence[float] = ()) -> tuple[float, float]:
    """What there is to see, with some air; within 0 and 1 where everything lies there."""
    seen = [float(p[k]) for c in curves for p in c.points for k in ("low", "high")] + list(marks)
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    pad = 0.06 * (high - low) or 0.05
    if low >= 0 and high <= 1:
        return max(0.0, low - pad), min(1.0, high + pad)
    return low - pad, high + pad


def figure(title: str, curves: Sequence[Curve], limits: tuple[float, float], last: int, ideal: float | None) -> str:
    """A chart with its title, for a page."""
    return f'<figure class="panel"><figcaption>{esc(title)}</figcaption>{chart(title, curves, limits, last, ideal)}</figure>'


def chart(
    title: str, curves: Sequence[Curve], limits: tuple[float, float], last: int, ideal: float | None, place: str = ""
) -> str:
    """An SVG of fixed proportions. ideal: a dashed line, what real rows reach. Empty curves are left out.

    place: attributes that put it somewhere in another SVG.
    """
    low, high = limits

    def x(t: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (t - 1) / max(1, last - 1)

    def y(v: float) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (high - min(max(v, low), high)) / (high - low)

    def path(points: Sequence[dict[str, Any]], key: str) -> str:
        return " ".join(f"{x(p['t']):.1f},{y(p[key]):.1f}" for p in points)

    parts = [
        f'<svg class="curves" {place}viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{esc(_spoken(title, curves), 900)}">'
    ]
    for v in (low, (low + high) / 2, high):
        parts.append(f'<line class="rail" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>')
        parts.append(f'<text class="at" x="{_LEFT - 5}" y="{y(v) + 3.5:.1f}" text-anchor="end">{number(v, 2)}</text>')
    for t in sorted({1, (1 + last) // 2, last}):
        parts.append(f'<text class="at" x="{x(t):.1f}" y="{HEIGHT - 7}" text-anchor="middle">{t}</text>')
    if ideal is not None:
        parts.append(
            f'<line class="ideal" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(ideal):.1f}" y2="{y(ideal):.1f}"/>'
        )
    for c in (c for c in curves if c.points):
        back = path(list(reversed(c.points)), "high")
        parts.append(f'<g class="{c.colour}"><polygon class="band" points="{path(c.points, "low")} {back}"/>')
        parts.append(f'<polyline class="mean" points="{path(c.points, "mean")}"/>')
        parts.append(f'<polyline class="median" points="{path(c.points, "median")}"/>')
        for p in c.points:
            told = f"{c.label}, generation {p['t']}: median {number(p['median'])}, mean {number(p['mean'])}, {number(p['low'])} to {number(p['high'])} of {p['n']}"
            dot = f'<circle cx="{x(p["t"]):.1f}" cy="{y(p["median"]):.1f}" r="2.2"><title>{esc(told, 300)}</title></circle>'
            parts.append(dot)
        parts.append("</g>")
    return "".join(parts) + "</svg>"


def _spoken(title: str, curves: Sequence[Curve]) -> str:
    ends = (
        f"{c.label} {number(c.points[0]['median'])} to {number(c.points[-1]['median'])}" for c in curves if c.points
    )
    return f"{title}, median from the first to the last generation: " + "; ".join(ends)
