"""The text side of a run: records that passed beside ones that did not, facets, lengths, and what was said twice.

Only of runs whose columns hold prose or messages. Where the generators learned from real records no record is shown, and where
they started from seeds or documents the columns that repeat these are not: a report names no single real record.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import polars as pl

from synthmill.frame import Status, payload, rng_of
from synthmill.plugins import find, parameters
from synthmill.refusal import Refusal

from .facts import Facts
from .words import clip, count, esc, share

_SAMPLES = 5
_LONG = 600
_WORDS = 4
"""A column whose values have more words than this on average is prose."""
_LOOKED = 2_000
_LEVELS = 12
_ALL = 200_000
"""Candidates that lengths and repetitions are counted over."""


@dataclass(frozen=True)
class Texts:
    """prose, chats: columns of text and of messages. accepted, rejected: payload, `_cell` and why; private rejects are not
    among them."""

    facts: Facts
    prose: tuple[str, ...]
    chats: tuple[str, ...]
    accepted: pl.DataFrame
    rejected: pl.DataFrame

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.prose, *self.chats)

    @classmethod
    def of(cls, facts: Facts) -> Texts | None:
        """None for a run without text."""
        makers = [str(g["use"]) for g in facts.manifest.get("generators", [])]
        if not facts.columns or not makers or all(m.startswith(_TABLES) for m in makers):
            return None
        columns = [c for c in facts.columns if not c.startswith("_")]
        head = _first(facts, "data").select([*columns, "_id"])
        rejected = _first(facts, "rejected")
        look = head if head.height else rejected
        prose = tuple(c for c in columns if facts.columns[c] == pl.String and _wordy(look[c].head(_LOOKED)))
        chats = tuple(c for c in columns if _is_chat(facts.columns[c]))
        if not prose and not chats:
            return None
        return cls(facts, prose, chats, head, rejected)


def _first(facts: Facts, kind: str) -> pl.DataFrame:
    """No more rows of a large run than are counted."""
    run = facts.run
    return pl.scan_parquet([run.path(kind, p) for p in range(run.manifest["parts"])]).head(_ALL).collect()


_TABLES = ("tabular.", "simulate.", "faker", "lab.")


def _wordy(s: pl.Series) -> bool:
    mean = s.drop_nulls().str.count_matches(r"\S+").mean()
    return isinstance(mean, float) and mean > _WORDS


def _is_chat(dtype: pl.DataType) -> bool:
    inner = dtype.inner if isinstance(dtype, pl.List) else None
    return isinstance(inner, pl.Struct) and {"role", "content"} <= {f.name for f in inner.fields}


def samples(texts: Texts) -> str:
    """Accepted records on the left, rejected ones with the check and its reason on the right."""
    facts = texts.facts
    if facts.manifest.get("real"):
        return '<p class="fine">No record is shown, because the generators learned from real ones. They are in <code>data/</code>.</p>'
    hidden = given(facts)
    columns = [c for c in texts.columns if c not in hidden]
    if not columns:
        return '<p class="fine">No record is shown, because all texts come from seeds or documents.</p>'
    good = [_sample(row, columns, "") for row in _drawn(texts.accepted, facts, None)]
    bad = [_sample(row, columns, _why(facts, row)) for row in _drawn(texts.rejected, facts, "_check")]
    none = '<p class="fine">None that may be shown.</p>'
    sides = f"<div><h3>Accepted</h3>{''.join(good) or none}</div><div><h3>Rejected</h3>{''.join(bad) or none}</div>"
    left = ", ".join(esc(c, 40) for c in texts.columns if c in hidden)
    note = f'<p class="fine">Not shown, because they repeat seeds or documents: {left}.</p>' if left else ""
    return f'<div class="sides">{sides}</div>{note}'


def given(facts: Facts) -> set[str]:
    """Columns that generators copy from seeds, documents and files of facets."""
    out: set[str] = set()
    for g in facts.manifest.get("generators", []):
        config = g.get("config") or {}
        if config.get("seeds") or config.get("documents"):
            said = [config.get(k, _default(g["use"], k)) for k in ("column", "input")]
            out |= {c for c in said if isinstance(c, str)}
        if config.get("documents"):
            out |= {"context", "document", "evidence", "text"}
        out |= {c for c, levels in (config.get("facets") or {}).items() if isinstance(levels, dict)}
    return out


def _default(use: str, key: str) -> Any:
    """What a generator reads where its configuration does not say; of one that is not at hand, what most call it."""
    try:
        found = parameters(find("generate", use)).get(key)
    except Refusal:
        return {"column": "text", "input": "input"}[key]
    return found.default if found is not None else None


def _drawn(frame: pl.DataFrame, facts: Facts, turn: str | None) -> Iterator[dict[str, Any]]:
    """The same few records every time; of rejected ones, by every check in turn."""
    if turn is not None:
        frame = frame.filter(pl.col("_status") == int(Status.FAIL))
    order = rng_of("samples", facts.run.id, turn or "").permutation(frame.height)
    frame = frame[[int(i) for i in order]]
    if turn is not None:
        frame = frame.with_columns(_turn=pl.int_range(pl.len()).over(turn)).sort("_turn", turn, maintain_order=True)
    yield from frame.head(_SAMPLES).iter_rows(named=True)


def _why(facts: Facts, row: dict[str, Any]) -> str:
    checks = facts.manifest.get("checks", [])
    by = checks[row["_check"]] if row["_check"] is not None else "quota"
    return f"<b>{esc(by, 60)}</b> {esc(facts.kind_of(row['_reason'] or ''), 200)}"


def _sample(row: dict[str, Any], columns: list[str], why: str) -> str:
    told = "".join(f"<dt>{esc(c, 40)}</dt><dd>{_value(row[c])}</dd>" for c in columns if row[c])
    reason = f'<p class="why">{why}</p>' if why else ""
    return f'<article class="sample">{reason}<dl>{told}</dl><p class="fine"><code>{esc(row["_id"], 40)}</code></p></article>'


def _value(value: Any) -> str:
    if isinstance(value, str):
        return esc(value, _LONG)
    turns = [m for m in value if m is not None]
    return "".join(f"<p><i>{esc(m['role'], 20)}</i> {esc(m['content'] or m.get('tool_calls') or '', _LONG // 2)}</p>" for m in turns[:6])  # fmt: skip


def facets(texts: Texts) -> str:
    """Value of each facet: accepted records, and the share of candidates that passed every check, with interval."""
    tables = [_facet(name, rows) for name, rows in _facet_rows(texts)]
    note = '<p class="fine">95% intervals (Wilson). Candidates kept private are counted where a facet is an axis of the cover.</p>'
    return "".join(tables) + note if tables else ""


def _facet_rows(texts: Texts) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    """(facet, [(value, candidates that passed, candidates)])."""
    facts = texts.facts
    ledger = facts.state.get("ledger") or {}
    axes: dict[str, dict[str, list[int]]] = {}
    judged, good = ledger.get("judged") or [], ledger.get("good") or []
    for cell, n, passed in zip(facts.cells, judged, good, strict=False):
        for axis, level in cell.get("levels") or []:
            at = axes.setdefault(str(axis), {}).setdefault(str(level), [0, 0])
            at[0], at[1] = at[0] + int(passed), at[1] + int(n)
    for axis, levels in axes.items():
        yield axis, [(v, k, n) for v, (k, n) in levels.items()]
    configs = [g.get("config") or {} for g in facts.manifest.get("generators", [])]
    named = [c for config in configs for c in (config.get("facets") or {})]
    columns = set(payload(texts.accepted))
    for name in dict.fromkeys([*named, "kind", "style", "principle"]):
        if name in axes or name not in columns or name in texts.columns or name in given(facts):
            continue
        passed = Counter(texts.accepted[name].cast(pl.String).drop_nulls())
        surplus = texts.rejected["_status"] == int(Status.SURPLUS)
        passed += Counter(texts.rejected.filter(surplus)[name].cast(pl.String).drop_nulls())
        failed = Counter(texts.rejected.filter(~surplus)[name].cast(pl.String).drop_nulls())
        yield name, [(v, passed[v], passed[v] + failed[v]) for v in sorted(passed | failed)]


def _facet(name: str, rows: list[tuple[str, int, int]]) -> str:
    shown = sorted(rows, key=lambda r: (r[1] / max(1, r[2]), r[0]))
    left = f'<p class="fine">The {_LEVELS} lowest of {count(len(rows))} values.</p>' if len(rows) > _LEVELS else ""
    lines = "".join(_yield(*row) for row in shown[:_LEVELS])
    head = f"<tr><th>{esc(name, 40)}</th><th></th><th>passed</th><th>candidates</th><th>yield</th></tr>"
    return f'<div class="wide"><table class="cells"><thead>{head}</thead><tbody>{lines}</tbody></table></div>{left}'


def _yield(value: str, passed: int, made: int) -> str:
    rate = passed / made if made else 0.0
    low, high = _wilson(passed, made)
    svg = f'<svg class="bars" height="10"><rect class="rail" width="100%" height="10" rx="2"/><rect class="kept" width="{100 * rate:.1f}%" height="10" rx="2"/></svg>'
    told = f"{share(rate)} <small>({share(low)} to {share(high)})</small>" if made else "–"
    return (
        f"<tr><td>{esc(value, 60)}</td><td>{svg}</td><td>{count(passed)}</td><td>{count(made)}</td><td>{told}</td></tr>"
    )


def _wilson(k: int, n: int) -> tuple[float, float]:
    if not n:
        return 0.0, 1.0
    p, z = k / n, 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


_EDGES = (1, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)


def lengths(texts: Texts) -> str:
    """Words of each text column, accepted against rejected."""
    failed = texts.rejected.filter(pl.col("_status") == int(Status.FAIL))
    cards = "".join(_length(c, _words(texts.accepted[c]), _words(failed[c])) for c in texts.columns)
    legend = (
        '<p class="legend"><span class="synthetic">accepted</span><span class="real">rejected by a check</span></p>'
    )
    return f'{legend}<div class="grid">{cards}</div>'


def _words(s: pl.Series) -> pl.Series:
    if s.dtype != pl.String:
        s = s.list.eval(pl.element().struct.field("content")).list.join(" ", ignore_nulls=True)
    return s.drop_nulls().str.count_matches(r"\S+")


def _length(name: str, accepted: pl.Series, rejected: pl.Series) -> str:
    sides = [(("synthetic", 1), _binned(accepted)), (("real", 8), _binned(rejected))]
    used = [i for i in range(len(_EDGES)) if any(b[i] for _, b in sides)]
    most = max((x for _, b in sides for x in b), default=0.0) or 1.0
    rows = []
    for i in range(used[0], used[-1] + 1) if used else ():
        bars = "".join(
            f'<rect class="{c}" y="{y}" width="{100 * b[i] / most:.1f}%" height="6" rx="1.5"/>' for (c, y), b in sides
        )
        last = i == len(_EDGES) - 1
        label = f"{_EDGES[i]:,} or more" if last else f"{_EDGES[i]:,}–{_EDGES[i + 1] - 1:,}"
        told = f"accepted {share(sides[0][1][i])}, rejected {share(sides[1][1][i])}"
        rows.append(f'<div class="level" title="{told}"><span>{label}</span><svg class="bars" height="15" aria-label="{told}">{bars}</svg><span class="num">{share(sides[0][1][i])}</span></div>')  # fmt: skip
    median = accepted.median()
    told = f"median {median:.0f} words" if isinstance(median, float) else "no words"
    return f'<figure class="card"><header><h4>{esc(name, 48)}</h4><span>{told}</span></header>{"".join(rows)}</figure>'


def _binned(n: pl.Series) -> list[float]:
    """Share of texts from each edge to the next."""
    from_ = [int((n >= e).sum()) for e in _EDGES] + [0]
    total = max(1, len(n))
    return [(a - b) / total for a, b in pairwise(from_)]


def repeats(texts: Texts) -> str:
    """Texts that candidates have word for word in common: how many clusters of which size, and the largest."""
    rows = []
    for c in texts.prose:
        told = pl.concat([texts.accepted[c], texts.rejected[c]]).drop_nulls().str.to_lowercase().str.strip_chars()
        if not len(told):
            continue
        sizes = told.value_counts()["count"]
        clusters = [
            int(((sizes >= a) & (sizes <= b)).sum()) for a, b in ((2, 2), (3, 5), (6, 20), (21, len(told) + 21))
        ]
        cells = "".join(f"<td>{count(n)}</td>" for n in (len(told), len(sizes), *clusters, max(sizes.to_list())))
        rows.append(f"<tr><td>{esc(c, 48)}</td>{cells}</tr>")
    names = ("column", "texts", "different", "twice", "3–5 times", "6–20", "more", "most")
    head = "".join(f"<th>{n}</th>" for n in names)
    note = '<p class="fine">Word for word, capitals and outer blanks aside, over accepted and rejected candidates; near ones are what the duplicates filter took out.</p>'
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    return f"{table}{_languages(texts)}{note}" if rows else ""


def _languages(texts: Texts) -> str:
    """What the language filter took candidates for, as its reasons tell."""
    checks = texts.facts.manifest.get("checks", [])
    if "language" not in checks:
        return ""
    mine = texts.rejected.filter(pl.col("_check") == checks.index("language"))["_reason"].drop_nulls()
    told = Counter(m[1] for r in mine if (m := re.search(r"(?:^|: )([\w-]+) \(probability", r)))
    listed = ", ".join(
        f"{esc(clip(k, 20))} {count(n)}" for k, n in sorted(told.items(), key=lambda kv: (-kv[1], kv[0]))[:12]
    )
    return f"<p>Taken out as written in: {listed}.</p>" if listed else ""
