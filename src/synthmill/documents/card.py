"""README.md: the dataset card. Its YAML tells `datasets.load_dataset` which files are the data and what types they have."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from .facts import Facts
from .features import features
from .proof import families
from .verdict import bar_line, outcome, status, worth_a_look
from .words import FAMILIES, UNFILTERED, clip, count, interval, number, share, words_of

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))  # fmt: skip


def card(facts: Facts) -> str:
    import yaml

    head = yaml.safe_dump(header(facts), sort_keys=False, allow_unicode=True, width=1000)
    parts = [_intro(facts), _made(facts), _measured(facts), _limits(facts), _loading(facts)]
    return f"---\n{head}---\n\n" + "\n\n".join(p for p in parts if p) + "\n"


def header(facts: Facts) -> dict[str, Any]:
    """What the hub and the `datasets` library read."""
    spec = facts.spec
    released = status(facts)[0]
    return {
        "pretty_name": facts.name,
        **_licence(spec.get("licence")),
        "size_categories": [next((s for n, s in _SIZES if facts.accepted < n), "10M<n<100M")],
        "tags": ["synthetic", "synthmill", *(["unreleased"] if released == "unreleased" else [])],
        "configs": [{"config_name": "default", "data_files": "data/*.parquet"}],
        "dataset_info": {"config_name": "default", "features": features(facts)},
    }


def _licence(given: str | None) -> dict[str, str]:
    """The hub knows licences by short names; any other is declared as `other` with its name."""
    if not given:
        return {}
    short = re.sub(r"[\s_]+", "-", given.strip().lower())
    if re.fullmatch(r"(cc-by(-(nc|sa|nd))*-[\d.]+|cc0-1\.0|apache-2\.0|mit|odc-by|odbl|pddl|cdla-[\w.-]+)", short):
        return {"license": short}
    return {"license": "other", "license_name": clip(given, 80)}


def plain(text: object, length: int = 120) -> str:
    """Untrusted text in Markdown: one line, nothing that the reader would take for markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", clip(str(text), length))


def code(text: object) -> str:
    """In a code span only a backtick has a meaning."""
    return "`" + clip(str(text), 60).replace("`", "'") + "`"


def _intro(facts: Facts) -> str:
    kind, headline = status(facts)
    shown = f"**UNRELEASED.** {headline}" if kind == "unreleased" else headline
    bars = "\n".join(f"- {'held' if b['held'] else '**missed**'}: {plain(bar_line(facts, b), 600)}" for b in facts.bars)
    return (
        f"# {plain(facts.name)}\n\nSynthetic records made by synthmill. {shown}\n\n"
        f"{outcome(facts)[:1].upper()}{outcome(facts)[1:]}" + (f"\n\n## Release\n\n{bars}" if bars else "")
    )


def _made(facts: Facts) -> str:
    m, real = facts.manifest, facts.manifest.get("real")
    makers = ", ".join(f"{code(g['use'])} (version {code(g['version'])})" for g in m.get("generators", []))
    lines = [f"- Generator: {makers or 'not recorded'}, seed {(m.get('spec') or {}).get('seed', 0)}"]
    if real:
        licence = plain(real["licence"]) if real.get("licence") else "not stated"
        lines.append(
            f"- Learned from {plain(real['source'])} ({count(real['train'])} training rows; {count(real['holdout'])} more "
            f"were held out to judge the result), digest `{real['digest']}`, licence: {licence}"
        )
    for s in facts.stations:
        if s.failed + s.errors:
            lines.append(f"- {code(s.name)} took out {count(s.failed)} candidates, errors {count(s.errors)}")
    lines.append(f"- Accepted {count(facts.accepted)} of {count(facts.made)} candidates; run `{m['digest'][:12]}`")
    columns = ", ".join(code(c) for c in facts.columns if not c.startswith("_"))
    return (
        "## How it was made\n\n"
        + "\n".join(lines)
        + f"\n\nColumns: {columns}. `_id` names the record and the run that made it, `_origin` is always `synthetic`, "
        "`_depth` counts the generations between it and real data."
    )


def _measured(facts: Facts) -> str:
    rows = []
    for name, measures in families(facts).items():
        for m in measures:
            if m["name"].endswith(UNFILTERED) or m.get("value") is None:
                continue
            title = plain(words_of(m["name"]).title)
            cells = (title, number(m["value"]), interval(m) or "–", number(m.get("floor")), number(m.get("ceiling")))
            rows.append(f"| {FAMILIES.get(name, (plain(name), ''))[0]} | " + " | ".join(cells) + " |")
    if not rows:
        return ""
    head = "| | Measure | Value | 95% interval | Floor | Ceiling |\n|---|---|---|---|---|---|\n"
    told = "Measured against held-out real rows. Floor: a table known to be bad. Ceiling: fresh real rows.\n\n"
    explained = "\n".join(
        f"- {plain(words_of(m).title)}: {words_of(m).what}"
        for m, found in facts.measures.items()
        if found.get("value") is not None and not m.endswith(UNFILTERED) and words_of(m).what
    )
    return f"## Measures\n\n{told}{head}" + "\n".join(rows) + f"\n\n{explained}"


def _limits(facts: Facts) -> str:
    known = [*worth_a_look(facts), *facts.notes]
    lines = [f"- {plain(k, 500)}" for k in known]
    nested = [c for c, t in facts.columns.items() if isinstance(t, pl.List | pl.Struct)]
    if nested:
        lines.append(f"- Nested columns ({', '.join(plain(c, 40) for c in nested)}) are not covered by the measures.")
    kept = share(facts.accepted / facts.made) if facts.made else "–"
    lines += [
        f"- {kept} of the candidates were admitted; what the checks do not test is as the generator made it.",
        "- These are not records of real people or events; conclusions about the world need real data.",
        "- Low privacy scores on the attacks above do not prove that no attack can succeed.",
    ]
    return "## Known limits\n\n" + "\n".join(lines)


def _loading(facts: Facts) -> str:
    return (
        "## Loading\n\n```python\nfrom datasets import load_dataset\n\n"
        'data = load_dataset("path/to/this/folder", split="train")\n```\n\n'
        '```python\nimport polars as pl\n\ndata = pl.read_parquet("path/to/this/folder/data/*.parquet")\n```\n\n'
        "The full report is in `report.html`."
    )
