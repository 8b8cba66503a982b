"""report.html: one file that opens anywhere, without a network and without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .distributions import card, most_apart, pair_table
from .facts import Facts
from .filling import cells, funnel, lineage, times
from .heat import REAL, SYNTHETIC, heat_map
from .people import judges, people, spending
from .proof import families, family, rarities
from .texts import Texts, facets, lengths, repeats, samples
from .verdict import bar_line, outcome, status, worth_a_look
from .words import FAMILIES, clip, count, esc, number, plural, share

Section = tuple[str, str, str, str]
"""anchor, title, one line on what it tells, HTML."""


def page(facts: Facts) -> str:
    """The whole document."""
    texts = Texts.of(facts)
    sections = [*_filling(facts), *_texts(texts), *_judged(facts), *_likeness(facts), *_proof(facts), *_origin(facts)]
    version = esc((facts.manifest.get("versions") or {}).get("synthmill", ""))
    apart = "Nothing" if texts is None else "Beside the samples, which may say what a seed or document says, nothing"
    footer = (
        f"Written by synthmill {version}. {apart} on this page names or derives from a single real record: "
        "shares of real data rest on at least 10 records each."
    )
    return shell(f"{esc(facts.name)}: synthetic data report", _head(facts), sections, footer)


def shell(title: str, head: str, sections: Sequence[Section], footer: str) -> str:
    """One HTML file from its parts, HTML all of them; a section without content is left out."""
    sections = [s for s in sections if s[3]]
    links = "".join(f'<a href="#{a}">{t}</a>' for a, t, _, _ in sections)
    body = "".join(
        f'<section id="{anchor}"><h2>{heading}</h2><p class="lead">{what}</p>{content}</section>'
        for anchor, heading, what, content in sections
    )
    style = Path(__file__).with_name("style.css").read_text()
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head><body>"
        f'{head}<nav aria-label="Contents"><div><a href="#top">Summary</a>{links}</div></nav><main>{body}</main>'
        f"<footer>{footer}</footer></body></html>"
    )


def _head(facts: Facts) -> str:
    kind, headline = status(facts)
    bars = "".join(
        f'<li class="{"held" if b["held"] else "missed"}">{esc(bar_line(facts, b), 600)}</li>' for b in facts.bars
    )
    listed = f'<ul class="bars-list">{bars}</ul>' if bars else ""
    found = "".join(f"<li>{esc(s, 600)}</li>" for s in worth_a_look(facts))
    look = f'<h3>Worth a look</h3><ul class="look">{found}</ul>' if found else f"<p>{_QUIET[bool(facts.measures)]}</p>"
    return (
        f'<header id="top"><p class="over">Synthetic data report</p><h1>{esc(facts.name)}</h1>'
        f'<div class="verdict {kind}"><p>{headline}</p><p class="lead">{outcome(facts)}</p>{listed}</div>'
        f"{_tiles(facts)}{look}</header>"
    )


_QUIET = {True: "Nothing stands out.", False: "It was not compared with real data."}


def _tiles(facts: Facts) -> str:
    tiles = []
    if facts.cells:
        tiles.append((count(facts.accepted), f"of {count(facts.asked)} records accepted"))
    if facts.made:
        tiles.append((share(facts.accepted / facts.made), f"of {count(facts.made)} candidates admitted"))
    for name, label in _HEADLINES.items():
        m = facts.measures.get(name)
        if m and m.get("value") is not None:
            tiles.append((number(m["value"]), label))
    shown = "".join(f'<div class="tile"><b>{v}</b><span>{t}</span></div>' for v, t in tiles)
    return f'<div class="tiles">{shown}</div>' if shown else ""


_HEADLINES = {
    "fidelity.shapes": "column shapes, 1 is identical",
    "detection.c2st": "AUC of telling it from real, 0.5 is ideal",
    "utility.gap": "score lost when training on synthetic alone",
    "privacy.membership": "AUC of the membership attack, 0.5 is ideal",
}


def _filling(facts: Facts) -> list[Section]:
    if not facts.cells or not facts.made:
        return []
    what = "Each candidate is judged by every check in turn; what is rejected is made again until the quota is met."
    out = [("funnel", "Funnel", what, funnel(facts))]
    if len(facts.cells) > 1 or facts.short:
        n = plural(len(facts.cells), "cell")
        out.append(("cells", "Cells", f"A cell is a kind of record with a quota of its own; this run has {n}.", cells(facts)))  # fmt: skip
    return out


def _texts(texts: Texts | None) -> list[Section]:
    if texts is None:
        return []
    told = "A few records that passed every check beside a few that did not, drawn by chance; what private checks rejected is not among them."
    return [
        ("samples", "Samples", told, samples(texts)),
        ("facets", "Facets", "What was asked of the texts, and how many candidates of each kind passed; the lowest yield first.", facets(texts)),
        ("lengths", "Lengths", "How many words the texts have.", lengths(texts)),
        ("repeats", "Repetitions", "How often the same was said again.", repeats(texts)),
    ]  # fmt: skip


def _judged(facts: Facts) -> list[Section]:
    """What it cost and whom to believe; sections without content are left out."""
    return [
        ("cost", "Cost", "What language models were asked.", spending(facts)),
        ("judges", "Judges", "How far the judging models agree with people, measured by judge-check.", judges(facts)),
        ("people", "People", "What people said of records of this run.", people(facts)),
    ]


_LEGEND = '<p class="legend"><span class="real">real training rows</span><span class="synthetic">synthetic</span></p>'
_SOLO = '<p class="legend"><span class="synthetic">synthetic</span></p>'


def _likeness(facts: Facts) -> list[Section]:
    if not facts.profile or not facts.profile["columns"]:
        return []
    p = facts.profile
    told = "Every column, real against synthetic. “Apart” is the share of records that would have to change to make the two equal."  # fmt: skip
    if p["rows"]["real"] is None:
        told = "Every column as it was made; there is no real data to compare with."
    if p["weighted"]:
        told += " Cells had quotas of their own; here each counts at its share of the real data."
    if p["of"] > len(p["columns"]):
        told = f"The {len(p['columns'])} of {count(p['of'])} columns that differ most. " + told.removeprefix("Every column, ").capitalize()  # fmt: skip
    apart = ", ".join(f"{esc(n, 40)} ({share(d)})" for n, d in most_apart(p["columns"]))
    lead = f"<p>Furthest apart: {apart}.</p>" if apart else ""
    left = ", ".join(f"{esc(c['name'], 40)} ({esc(c['kind'])})" for c in p["left_out"][:30])
    note = f'<p class="fine">Not drawn, because their values are made up afresh or are no values to count: {left}.</p>' if left else ""  # fmt: skip
    few = '<p class="fine">Levels and bins with fewer than 10 records are merged with their neighbours.</p>'
    legend = _LEGEND if p["rows"]["real"] is not None else _SOLO
    cards = f'{lead}{legend}<div class="grid">{"".join(card(c) for c in p["columns"])}</div>{few}{note}'
    out = [("columns", "Columns", told, cards)]
    if len(p["pairs"]["names"]) > 1:
        out.append(("pairs", "Pairs", _PAIRS, _pairs(facts)))
    return out


_PAIRS = (
    "How strongly each pair of columns depends on each other, by Cramér’s V with bias correction, one measure for "
    "all kinds of columns (numbers are cut into eighths by rank). 0: not at all. 1: one tells the other."
)


def _pairs(facts: Facts) -> str:
    assert facts.profile is not None
    p = facts.profile["pairs"]
    grid = "heats large" if len(p["names"]) > 24 else "heats"  # labels must stay readable
    if p["real"] is None:
        return f'<div class="{grid}">{heat_map("Synthetic", p["synthetic"], p["names"], SYNTHETIC)}</div>'
    difference = [
        [s - r for r, s in zip(real, made, strict=True)] for real, made in zip(p["real"], p["synthetic"], strict=True)
    ]
    worst = max(0.1, *(abs(x) for row in difference for x in row))
    maps = [
        heat_map("Real", p["real"], p["names"], REAL),
        heat_map("Synthetic", p["synthetic"], p["names"], SYNTHETIC),
        heat_map("Synthetic − real", difference, p["names"], SYNTHETIC, worst),
    ]
    told = f"In the difference, orange is stronger than in real data and blue is weaker; full colour is {number(worst, 2)}."
    return f'<div class="{grid}">{"".join(maps)}</div><p class="fine">{told}</p><h3>Pairs that differ most</h3>{pair_table(p)}'


_MARKS = (
    '<p class="legend"><span class="floor">floor: a table known to be bad ({floor})</span>'
    '<span class="ceiling">ceiling: fresh real rows</span></p>'
)
_FLOORS = {
    "fidelity": "shapes: columns drawn uniformly; trends: columns shuffled",
    "utility": "shuffled columns in place of the rows an arm is about",
    "utility.text": "real texts under shuffled labels in place of the rows an arm is about",
    "utility.lm": "the model before it was tuned; of accuracy, the commonest label",
    "privacy": "training rows copied",
}


def _proof(facts: Facts) -> list[Section]:
    out = []
    for name, measures in families(facts).items():
        title, what = FAMILIES.get(name, (esc(clip(name, 40)), "A measure of your own."))
        content = family(name, measures) + (rarities(facts) if name == "coverage" else "")
        if any(m.get("floor") is not None or m.get("ceiling") is not None for m in measures):
            content = _MARKS.format(floor=_FLOORS.get(name, "columns shuffled")) + content
        out.append(
            (
                f"m-{esc(name)}",
                title,
                f"{what} Thick lines are 95% intervals, dashed lines mark 0 or pure chance.",
                content,
            )
        )
    return sorted(out, key=lambda s: not s[0].startswith("m-utility"))


def _origin(facts: Facts) -> list[Section]:
    out = [("origin", "Origin", "Who made these records, from what, and how to make them again.", lineage(facts))]
    if facts.manifest.get("times"):
        out.append(("time", "Time", "Where the time went.", times(facts)))
    if facts.notes:
        notes = "".join(f"<li>{esc(n, 600)}</li>" for n in facts.notes[:50])
        out.append(("notes", "Notes", "Warnings, and what was done differently from what was asked.", f'<ul class="look">{notes}</ul>'))  # fmt: skip
    return out
