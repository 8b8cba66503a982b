"""Scatter plots in small panels as one SVG, with labels that do not lie on each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

WIDTH, HEIGHT, GAP, LEFT, TOP = 330, 250, 62, 56, 44
SMALL = 6.2
"""Width of a letter of a label."""


@dataclass(frozen=True)
class Point:
    """dx, dy: half the length of its error bars. own: in the colour of ours. line: joined to the next such point."""

    label: str
    x: float
    y: float
    dx: float = 0.0
    dy: float = 0.0
    own: bool = False
    line: bool = False


@dataclass(frozen=True)
class Panel:
    """mark: a height worth a dashed line. worst: the side of y on which far points may be cut to the edge."""

    title: str
    heading: str
    points: Sequence[Point]
    mark: float | None
    worst: Literal["high", "low"]
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)


def draw(panels: Sequence[Panel], across: str) -> str:
    """Panels of the same heading share a row."""
    headings = list(dict.fromkeys(p.heading for p in panels))
    columns = max((sum(p.heading == h for p in panels) for h in headings), default=1)
    width, height = LEFT + columns * (WIDTH + GAP), TOP + len(headings) * (HEIGHT + GAP + 14)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="{escape(_spoken(panels))}">',
        f'<rect width="{width}" height="{height}" rx="10" fill="#fbfaf7"/>',
    ]
    for row, heading in enumerate(headings):
        y = TOP + row * (HEIGHT + GAP + 14)
        for column, panel in enumerate(p for p in panels if p.heading == heading):
            x = LEFT + column * (WIDTH + GAP)
            parts.append(f'<g transform="translate({x} {y})">{_panel(panel, across)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _spoken(panels: Sequence[Panel]) -> str:
    return "; ".join(f"{p.title}, {p.heading}: " + ", ".join(f"{q.label} {q.y:.3f} at {q.x:.3f}" for q in p.points) for p in panels)  # fmt: skip


def _span(values: Sequence[float], floor: float = 0.02) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.08 * max(high - low, floor)
    return low - pad, high + pad


def _window(panel: Panel) -> tuple[tuple[float, float], tuple[float, float]]:
    """Everything across; up and down all of ours and the better half of the others, so that failures do not
    flatten the rest."""
    xs = [v for p in panel.points for v in (p.x - p.dx, p.x + p.dx)] + [0.5]
    others = sorted((p for p in panel.points if not p.own), key=lambda p: p.y, reverse=panel.worst == "low")
    kept = [*(p for p in panel.points if p.own), *others[: max(2, len(others) // 2)]]
    ys = [v for p in kept for v in (p.y - p.dy, p.y + p.dy)] + ([panel.mark] if panel.mark is not None else [])
    return _span(xs), _span(ys)


def _panel(panel: Panel, across: str) -> str:
    frame = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff" stroke="#c9c6bd"/>'
    title = f'<text y="-10" font-weight="600" fill="#333">{escape(panel.title)}: {escape(panel.heading)}</text>'
    under = f'<text x="{WIDTH / 2}" y="{HEIGHT + 34}" text-anchor="middle" fill="#555">{escape(across)}</text>'
    if not panel.points:
        return (
            frame
            + title
            + f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle" fill="#777">not measured</text>'
        )
    (x0, x1), (y0, y1) = _window(panel)
    parts = [frame, title, under, _ticks((x0, x1), True), _ticks((y0, y1), False)]

    def at(x: float, y: float) -> tuple[float, float]:
        y = min(max(y, y0), y1)
        return WIDTH * (x - x0) / (x1 - x0), HEIGHT * (1 - (y - y0) / (y1 - y0))

    if panel.mark is not None:
        y = at(x0, panel.mark)[1]
        parts.append(f'<line x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#888" stroke-dasharray="4 4"/>')
    joined = [at(p.x, p.y) for p in panel.points if p.line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in joined)
    parts.append(f'<polyline points="{path}" fill="none" stroke="#e07a1f" stroke-width="1.5"/>')
    for (a, b), (c, d) in itertools.pairwise(joined):
        along = [(a + (c - a) * t / 20, b + (d - b) * t / 20) for t in range(21)]
        panel.boxes.extend((x - 2, y - 2, x + 2, y + 2) for x, y in along)
    panel.boxes.extend((x - 6, y - 6, x + 6, y + 6) for x, y in (at(p.x, p.y) for p in panel.points))
    for p in panel.points:
        cut = not y0 <= p.y <= y1
        colour = "#e07a1f" if p.own else "#1f77c8"
        x, y = at(p.x, p.y)
        (left, low), (right, high) = at(p.x - p.dx, p.y - p.dy), at(p.x + p.dx, p.y + p.dy)
        bars = f"M{left:.1f} {y:.1f}H{right:.1f}" + ("" if cut else f"M{x:.1f} {low:.1f}V{high:.1f}")
        parts.append(f'<path d="{bars}" stroke="{colour}" opacity="0.6"/>')
        fill = "#fff" if cut else colour
        told = f"{escape(p.label)}: {p.y:.3f} at {p.x:.3f}"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}"><title>{told}</title></circle>'
        )
        parts.append(_label(f"{p.label} ({p.y:.3f})" if cut else p.label, x, y, panel.boxes, colour))
    return "".join(parts)


def _label(text: str, x: float, y: float, boxes: list[tuple[float, float, float, float]], colour: str) -> str:
    """Beside its point where that is free, else the first free place around it, else farther out with a thread."""
    wide = SMALL * len(text)
    for out in (0, 14, 28, 42, 56, 70):
        for dx, dy in ((8, 0), (-8 - wide, 0), (-wide / 2, -13), (-wide / 2, 13), (8, -12), (8, 12), (-8 - wide, -12)):
            a, b = x + dx + (out if dx > 0 else -out if dx < -wide / 2 else 0), y + dy + (out if dy > 0 else -out)
            box = (a, b - 6, a + wide, b + 6)
            if a < 2 or a + wide > WIDTH - 2 or b < 8 or b > HEIGHT - 8 or any(_meet(box, o) for o in boxes):
                continue
            boxes.append(box)
            thread = f'<path d="M{x:.1f} {y:.1f}L{min(max(x, a), a + wide):.1f} {b:.1f}" stroke="{colour}" opacity="0.4"/>' if out else ""  # fmt: skip
            return f'{thread}<text x="{a:.1f}" y="{b + 4:.1f}" fill="#333">{escape(text)}</text>'
    return ""  # no room: the title of the point still says it


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _ticks(span: tuple[float, float], across: bool) -> str:
    step = next(
        s for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0) if (span[1] - span[0]) / s <= 6
    )
    digits = 3 if step < 0.01 else 2
    parts = []
    for k in range(int(span[0] / step) - 1, int(span[1] / step) + 2):
        value = k * step
        if not span[0] <= value <= span[1]:
            continue
        share = (value - span[0]) / (span[1] - span[0])
        if across:
            x = WIDTH * share
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT}" y2="{HEIGHT + 4}" stroke="#888"/>')
            parts.append(
                f'<text x="{x:.1f}" y="{HEIGHT + 16}" text-anchor="middle" fill="#555">{value:.{digits}f}</text>'
            )
        else:
            y = HEIGHT * (1 - share)
            parts.append(f'<line x1="-4" x2="0" y1="{y:.1f}" y2="{y:.1f}" stroke="#888"/>')
            parts.append(f'<text x="-7" y="{y + 4:.1f}" text-anchor="end" fill="#555">{value:.{digits}f}</text>')
    return "".join(parts)
