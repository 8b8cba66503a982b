"""What language models cost, how far a judge is to be trusted, and what people said of the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .facts import Facts
from .words import clip, count, esc, number, plural, share


def spending(facts: Facts) -> str:
    """Questions, tokens and money of each model in each stage. A price that is not known is no zero."""
    lines = facts.manifest.get("spending") or []
    if not lines:
        return ""
    rows = "".join(_spent(line) for line in lines)
    known = [line["money"] for line in lines if line["money"] is not None]
    total = number(sum(known)) if len(known) == len(lines) else "not known" if not known else f"{number(sum(known))} and what is not known"  # fmt: skip
    tokens = sum(line["prompt_tokens"] + line["completion_tokens"] for line in lines)
    each = f", {count(round(tokens / facts.accepted))} for each accepted record" if facts.accepted else ""
    names = ("stage", "model", "questions", "from the journal", "errors", "refusals", "tokens in", "tokens out", "cost")
    head = "".join(f"<th>{n}</th>" for n in names)
    lead = f'<p class="lead">{count(tokens)} tokens{each}; cost: {total}.</p>'
    return f'{lead}<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _spent(line: dict[str, Any]) -> str:
    keys = ("asked", "remembered", "errors", "refusals", "prompt_tokens", "completion_tokens")
    cells = "".join(f"<td>{count(line[k])}</td>" for k in keys)
    money = "not known" if line["money"] is None else number(line["money"])
    return f"<tr><td>{esc(line['stage'], 60)}</td><td>{esc(line['model'], 60)}</td>{cells}<td>{money}</td></tr>"


def judges(facts: Facts) -> str:
    """What `synthmill judge-check` measured of the judges among the checks (their `measured`)."""
    checks = [*(facts.spec.get("verify") or []), *(facts.spec.get("filter") or [])]
    named = [(c["use"], str(c["measured"])) for c in checks if isinstance(c, dict) and c.get("measured")]
    return "".join(_judge(use, *_report(facts, path)) for use, path in named)


def _report(facts: Facts, path: str) -> tuple[str, list[dict[str, Any]] | None]:
    """(the file's name, its measures; None where they cannot be read any more)."""
    import yaml

    try:
        base = (yaml.safe_load((facts.run.root / "spec.yaml").read_text("utf-8")) or {}).get("base", ".")
        told = json.loads((facts.run.root / base / path).read_text("utf-8"))
        return Path(path).name, [m for m in told["measures"] if isinstance(m, dict) and "name" in m]
    except (OSError, ValueError, KeyError, TypeError):
        return Path(path).name, None


def _judge(use: str, file: str, measures: list[dict[str, Any]] | None) -> str:
    title = f"<h3>{esc(use, 60)}</h3>"
    if measures is None:
        return f'{title}<p class="fine">{esc(file)} is not there any more, or is no report of judge-check.</p>'
    rows = "".join(
        f"<tr><td>{esc(m['name'], 40)}</td><td>{_span(m)}</td><td>{number(m.get('floor'))}</td><td>{number(m.get('ceiling'))}</td></tr>"
        for m in measures
        if m.get("value") is not None
    )
    head = "<tr><th>measure</th><th>value</th><th>without reading</th><th>people among themselves</th></tr>"
    return f'{title}<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def people(facts: Facts) -> str:
    """Agreement of people with each other and with every check, from `review.json`. Who they are is not shown, nor what
    they wrote."""
    file = facts.run.root / "review.json"
    if not file.is_file():
        return ""
    found = json.loads(file.read_text("utf-8"))
    lead = f"{plural(found['records'], 'record')} judged by {count(found['people'])} people."
    between = found["between people"]
    if between is None:
        lead += " No record was judged by two of them, so how far they agree is not known."
    else:
        chance = f", {share(between['chance'])} by chance alone" if between["chance"] is not None else ""
        lead += f" Of {plural(between['pairs'], 'pair')} of verdicts on one record {_span(between['agreement'])} agree{chance}; Krippendorff’s α {_span(between['alpha'])}"  # fmt: skip
        lead += f", Cohen’s κ {_span(between['kappa'])}." if "kappa" in between else "."
    rows = "".join(_checked(line) for line in found["with each check"])
    head = "<tr><th>what the run said</th><th>people agree</th><th>of</th><th>share</th></tr>"
    return (
        f'<p class="lead">{lead}</p><div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )


def _checked(line: dict[str, Any]) -> str:
    said = "accepted" if line["by"] is None else f"rejected by {esc(clip(line['by'], 60))}"
    ties = f" <small>{plural(line['ties'], 'tie')} left out</small>" if line["ties"] else ""
    return f"<tr><td>{said}{ties}</td><td>{count(line['agreed'])}</td><td>{count(line['records'])}</td><td>{_span(line['share'])}</td></tr>"


def _span(m: dict[str, Any]) -> str:
    if m.get("value") is None:
        return "not defined"
    if m.get("low") is None or m.get("high") is None:
        return f"{number(m['value'])} <small>(no interval)</small>"
    return f"{number(m['value'])} <small>({number(m['low'])} to {number(m['high'])})</small>"
