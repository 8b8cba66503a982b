"""Every text generator with a model that really writes, the smallest there is: whatever it says becomes a record or an error
that says why, never an exception and never a row that is neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synthmill.cells import ANY, Cell
from synthmill.llm.model import Model
from synthmill.llm.pull import pull
from synthmill.plugins import Request, find, known
from synthmill.refusal import Refusal

GIVEN = pl.DataFrame({"text": ["The bridge was built in 1894 by Anna Kern. It spans the Elm and is 210 metres long."]})
TOPIC = {"facets": {"topic": ["tides"]}}
CONFIG: dict[str, dict[str, Any]] = {
    "self_instruct": {"answers": False, **TOPIC},
    "textbook": {"words": 20, **TOPIC},
    "exercise_text": TOPIC,
    "taxonomy": {"root": "cooking", "tree": ["soup"], "levels": 0, "answers": False},
    "label": {"labels": ["history", "sport"], "column": "text", "samples": 1},
    "conversation": {"turns": 1, "column": "text"},
    "table_text": {"learns": False, "columns": {"remark": "a short remark"}},
    "document_qa": {},
}
USES = [u.removeprefix("text.") for u in known("generate") if u.startswith("text.")]


@pytest.fixture(scope="module")
def model() -> Model:
    pytest.importorskip("xllamacpp")
    try:
        pull("smollm2-135m")
    except Refusal as e:
        pytest.skip(f"SmolLM2 is neither in the cache nor to be had: {e}")
    return Model("smollm2-135m", slots=4, context=1024, max_tokens=24, deadline=300)


@pytest.mark.parametrize("use", USES)
def test_what_a_small_model_says_is_a_record_or_an_error(use: str, model: Model, tmp_path: Path) -> None:
    (tmp_path / "bridge.txt").write_text(GIVEN["text"][0])
    cls: Any = find("generate", f"text.{use}")
    own = {"documents": str(tmp_path / "bridge.txt")} if use == "document_qa" else {"column": "text"}
    plugin = cls(model=model, **CONFIG.get(use, own), **(own if use == "document_qa" else {}))
    given = GIVEN if getattr(cls, "completes", False) else None
    frame = plugin.generate(Request(0, Cell(ANY, (), 0), 0, 1, 1, given))
    assert frame.height == 1
    error = frame["_error"][0] if "_error" in frame.columns else None
    made = {c: frame[c][0] for c in plugin.schema()}
    assert error or all(v is not None for v in made.values()), made
    assert not error or any(frame["_asked"][0]), "an error that nobody was asked for"
