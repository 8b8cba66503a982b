"""Runs in the environment of Argilla and Label Studio's SDK: do their own readers take what `synthmill review` wrote?

`python bench/annotators.py FOLDER`: FOLDER holds `tasks.json` and `tasks.xml` (Label Studio), `records.json` and
`records.settings.json` (Argilla). Each is answered with what the tool's own classes write, to `tasks-back.json` and
`records-back.json`. No server is asked: Argilla's client is a stand-in.
"""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from unittest.mock import MagicMock

PEOPLE = [uuid.UUID(int=i) for i in (1, 2)]


def label_studio(folder: Path) -> dict[str, object]:
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((folder / "tasks.xml").read_text("utf-8"))
    interface.validate()
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
    right = all(interface.validate_task(t) for t in tasks)
    control = interface.get_control("verdict")
    for i, task in enumerate(tasks):
        task["annotations"] = []
        for person in (1, 2):
            region = control.label(["accept" if (i + person * (i % 3 == 0)) % 2 else "reject"])
            made = {
                "id": 10 * i + person,
                "completed_by": person,
                "was_cancelled": False,
                "result": [region._dict()],
            }
            right = right and interface.validate_annotation(made)
            task["annotations"].append(made)
    (folder / "tasks-back.json").write_text(json.dumps(tasks), "utf-8")
    return {"tool": "label-studio", "tasks": len(tasks), "valid": right}


def argilla(folder: Path) -> dict[str, object]:
    import argilla as rg
    from argilla.client import Argilla
    from argilla.records._io import JsonIO

    Argilla._get_default = classmethod(lambda cls: MagicMock())
    settings = rg.Settings.from_json(folder / "records.settings.json")
    settings.validate()
    records = JsonIO._records_from_json(folder / "records.json")
    questions = {q.name for q in settings.questions}
    fields = {f.name for f in settings.fields}
    right = all(set(r.fields) <= fields for r in records) and questions == {"verdict", "comment"}
    for i, record in enumerate(records):
        said = [rg.Response("verdict", "accept" if i % 2 else "reject", user_id=p) for p in PEOPLE]
        record._Record__responses = type(record.responses)(said, record)
    JsonIO.to_json(records, folder / "records-back.json")
    return {"tool": "argilla", "records": len(records), "valid": right}


def main() -> None:
    for reader in (label_studio, argilla):
        print(json.dumps(reader(Path(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
