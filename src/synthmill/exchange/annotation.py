"""Records for people to judge, in the forms of Label Studio and of Argilla, and their verdicts read back.

Label Studio: a list of tasks `{data, predictions}`; exported (as JSON, with annotations) each has `annotations` with
`result` and `completed_by`. Argilla: the list that `dataset.records.to_json` writes and `from_json` reads: `{id, fields,
metadata, suggestions, responses}`. A labelling interface for the one and settings for the other go beside the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from synthmill.frame import digest
from synthmill.refusal import Refusal, choices

from .agreement import ACCEPT, REJECT

FORMATS = ("label-studio", "argilla")
QUESTION, COMMENT, ID = "verdict", "comment", "record_id"
_ASK = "Would you accept this record as training or test data?"
_VERDICTS = (ACCEPT, REJECT)


@dataclass(frozen=True)
class Item:
    """A record to judge. by: the check that rejected it, None where it was accepted; reason: what that said."""

    id: str
    values: dict[str, Any]
    by: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Opinion:
    """What one person said of one record. person: a name of our own for them."""

    record: str
    person: str
    verdict: str
    comment: str = ""


def shown(value: Any) -> str:
    """A value as people read it: messages as a conversation, other nested values as JSON."""
    if value is None:
        return ""
    if (
        isinstance(value, list)
        and value
        and all(isinstance(m, dict) and {"role", "content"} <= m.keys() for m in value)
    ):
        return "\n\n".join(f"{m['role']}: {m['content'] or m.get('tool_calls') or ''}" for m in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def written(format: str, items: Sequence[Item], columns: Sequence[str], tell: bool) -> tuple[str, str, str]:
    """(the tasks as JSON, what the tool has to be set up with, the ending of that file's name). tell: show the run's
    verdicts as suggestions; people then tend to agree with them."""
    keys = _keys(columns)
    if format == "label-studio":
        return _json([_task(i, keys, tell) for i in items]), _interface(keys), "xml"
    return _json([_record(i, keys, tell) for i in items]), _json(_settings(keys)), "settings.json"


def _json(what: Any) -> str:
    return json.dumps(what, ensure_ascii=False, indent=1) + "\n"


def _keys(columns: Sequence[str]) -> dict[str, str]:
    """Column -> a name that both tools take; those that are no plain word, or are ours, get a number."""
    out: dict[str, str] = {}
    for i, column in enumerate(columns):
        plain = re.fullmatch(r"[a-z][a-z0-9_]*", column) and column not in (ID, QUESTION, COMMENT, "suggested")
        out[column] = column if plain else f"column_{i}"
    return out


def _said(item: Item) -> str:
    return ACCEPT if item.by is None else REJECT


def _task(item: Item, keys: Mapping[str, str], tell: bool) -> dict[str, Any]:
    data = {ID: item.id, **{k: shown(item.values.get(c)) for c, k in keys.items()}}
    if not tell:
        return {"data": data}
    data["suggested"] = f"{item.by}: {item.reason}" if item.by else "accepted by every check"
    first = next(iter(keys.values()))
    result = {"from_name": QUESTION, "to_name": first, "type": "choices", "value": {"choices": [_said(item)]}}
    return {"data": data, "predictions": [{"model_version": "synthmill", "result": [result]}]}


def _interface(keys: Mapping[str, str]) -> str:
    texts = "".join(f'  <Header value={quoteattr(c)}/>\n  <Text name="{k}" value="${k}"/>\n' for c, k in keys.items())
    first = next(iter(keys.values()))
    options = "".join(f'    <Choice value="{v}"/>\n' for v in _VERDICTS)
    return (
        f"<View>\n{texts}  <Header value={quoteattr(_ASK)}/>\n"
        f'  <Choices name="{QUESTION}" toName="{first}" choice="single-radio" required="true">\n{options}  </Choices>\n'
        f'  <TextArea name="{COMMENT}" toName="{first}" placeholder="Why? (optional)" maxSubmissions="1"/>\n</View>\n'
    )


def _record(item: Item, keys: Mapping[str, str], tell: bool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": item.id,
        "fields": {k: shown(item.values.get(c)) for c, k in keys.items()},
        "metadata": {},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }
    if tell:
        out["suggestions"] = {QUESTION: {"value": _said(item), "score": None, "agent": item.by or "synthmill"}}
    return out


def _settings(keys: Mapping[str, str]) -> dict[str, Any]:
    """What `argilla.Settings.from_json` reads."""
    fields = [
        {"name": k, "title": c, "required": False, "settings": {"type": "text", "use_markdown": False}}
        for c, k in keys.items()
    ]
    fields[0]["required"] = True
    options = [{"value": v, "text": v, "description": None} for v in _VERDICTS]
    questions = [
        {"name": QUESTION, "title": _ASK, "required": True, "description": None,
         "settings": {"type": "label_selection", "options": options, "visible_options": None}},
        {"name": COMMENT, "title": "Why?", "required": False, "description": None,
         "settings": {"type": "text", "use_markdown": False}},
    ]  # fmt: skip
    return {"guidelines": _ASK, "fields": fields, "questions": questions, "metadata": [], "vectors": [],
            "allow_extra_metadata": True, "distribution": {"strategy": "overlap", "min_submitted": 2},
            "mapping": None}  # fmt: skip


def read(text: str, source: str) -> list[Opinion]:
    """Every verdict in what either tool exports; records nobody answered, skipped ones and drafts have none.

    People get names of our own, `person-` and six hex digits of what the tool calls them. Raises Refusal: no JSON, no export of
    either tool, a verdict that is none, a task without our id.
    """
    try:
        found = json.loads(text)
    except ValueError:
        raise Refusal(
            f"{source}: is no JSON; export from Label Studio as JSON, from Argilla with records.to_json"
        ) from None
    if not isinstance(found, list) or not all(isinstance(t, dict) for t in found):
        raise Refusal(f"{source}: expected a list of tasks or records")
    out: list[Opinion] = []
    for i, task in enumerate(found, 1):
        at = f"{source}: entry {i}"
        if "annotations" in task or "data" in task:
            out += _from_label_studio(task, at)
        elif "fields" in task or "responses" in task:
            out += _from_argilla(task, at)
        else:
            raise Refusal(f"{at}: is neither a task of Label Studio (data, annotations) nor a record of Argilla (fields, "
                          "responses); JSON-MIN and CSV exports leave out who said what")  # fmt: skip
    return out


def _from_label_studio(task: dict[str, Any], at: str) -> Iterator[Opinion]:
    record = (task.get("data") or {}).get(ID)
    if not isinstance(record, str):
        raise Refusal(f"{at}: data has no '{ID}'; these tasks were not handed out by a run")
    for annotation in task.get("annotations") or []:
        results = {r.get("from_name"): r.get("value") or {} for r in annotation.get("result") or []}
        if annotation.get("was_cancelled") or QUESTION not in results:
            continue
        chosen = results[QUESTION].get("choices") or [None]
        comment = (results.get(COMMENT) or {}).get("text") or ""
        who = annotation.get("completed_by")
        who = (who.get("id") or who.get("email")) if isinstance(who, dict) else who
        told = " ".join(map(str, comment)) if isinstance(comment, list) else str(comment)
        yield Opinion(record, _person(who, at), _verdict(chosen[0], at), told)


def _from_argilla(record: dict[str, Any], at: str) -> Iterator[Opinion]:
    name = record.get("id")
    if not isinstance(name, str):
        raise Refusal(f"{at}: the record has no 'id'")
    responses = record.get("responses") or {}
    comments = {c.get("user_id"): c.get("value") for c in responses.get(COMMENT) or []}
    for said in responses.get(QUESTION) or []:
        if said.get("status", "submitted") in ("draft", "discarded") or said.get("value") is None:
            continue
        who = said.get("user_id")
        yield Opinion(name, _person(who, at), _verdict(said["value"], at), str(comments.get(who) or ""))


def _person(who: Any, at: str) -> str:
    if who is None or who == "None":
        raise Refusal(f"{at}: a verdict without the person who gave it (completed_by, user_id)")
    return f"person-{digest('person', str(who))[:6]}"


def _verdict(said: Any, at: str) -> str:
    if said not in _VERDICTS:
        raise Refusal(f"{at}: {QUESTION}: '{said}' is none; {choices(said, _VERDICTS)}")
    return str(said)
