"""Metrics that ask models do so through the run's desk: its journal, its caps, its spending."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import synthmill
from server import Server
from synthmill.refusal import Refusal
from synthmill.spec import parse_spec


def spec(url: str, **more: Any) -> Any:
    data = {
        "name": "t",
        "models": {"one": {"model": "m", "base_url": url, "prices": {"input": 1, "output": 1}}},
        "cover": {"total": 8},
        "generate": {"use": "writers:Writer", "model": "one"},
        "evaluate": [{"use": "writers:Opinion", "model": "one"}],
        **more,
    }
    return parse_spec(data)


def real() -> pl.DataFrame:
    return pl.DataFrame({"topic": ["tea", "law"] * 20, "text": [f"a plain text of number {i}" for i in range(40)]})


def reply(body: dict[str, Any], n: int) -> str:
    return "yes it is" if "good?" in body["messages"][0]["content"] else f"text {body['seed']}"


def spending(result: synthmill.Result) -> dict[str, int]:
    return {line["stage"]: line["asked"] for line in result.run.manifest["spending"]}


def test_what_a_metric_asks_is_kept_and_booked(tmp_path: Path) -> None:
    with Server(reply) as s:
        made = synthmill.make(spec(s.url), tmp_path / "run", real())
        assert made.evaluation is not None
        measure = made.evaluation.get("opinion.yes")
        assert measure is not None
        assert measure.value == 1.0, measure.note
        assert spending(made) == {"writers:Writer": 8, "opinion": 8}
        asked = len(s.bodies)
        again = synthmill.make(spec(s.url), tmp_path / "run", real())
        assert len(s.bodies) == asked, "the journal knew all of it"
        assert spending(again) == spending(made)
        found = {line["stage"]: line["remembered"] for line in again.run.manifest["spending"]}
        assert found["opinion"] == 8


def test_caps_hold_for_metrics_and_leave_the_run_whole(tmp_path: Path) -> None:
    with Server(reply) as s:
        plain = synthmill.make(spec(s.url, evaluate=[]), tmp_path / "plain", real())
        [line] = plain.run.manifest["spending"]
        cap = line["prompt_tokens"] + line["completion_tokens"] + 600
        made = synthmill.make(spec(s.url, budget={"tokens": cap}), tmp_path / "other" / "run", real())
    assert made.accepted == 8
    assert made.evaluation is not None
    measure = made.evaluation.get("opinion.yes")
    assert measure is not None
    assert math.isnan(measure.value)
    assert "budget" in measure.note


def test_a_metrics_model_is_checked_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    other = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "key": "NO_SUCH_KEY"}
    uses = [{"use": "writers:Opinion", "model": other}]
    with Server(reply) as s, pytest.raises(Refusal, match=r"writers:Opinion: model: key: .*NO_SUCH_KEY is not set"):
        synthmill.make(spec(s.url, evaluate=uses), tmp_path / "run", real())
    assert not s.bodies
    assert not (tmp_path / "run").exists()
