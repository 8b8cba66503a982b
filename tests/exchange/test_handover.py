"""Other people's tools, with their own code, take what leaves a run: see bench/handover.py, which also builds the 2 GB of
environments that these tests need."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"
ENVS = Path.home() / ".cache" / "synthmill-peers"
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not os.environ.get("SYNTHMILL_HEAVY"), reason="starts torch; set SYNTHMILL_HEAVY=1"),
]


@pytest.fixture(scope="module")
def handover() -> ModuleType:
    found = importlib.util.spec_from_file_location("handover", BENCH / "handover.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["handover"] = module
    found.loader.exec_module(module)
    return module


def python_of(env: str) -> Path:
    pins = (BENCH / "envs" / f"{env}.txt").read_bytes()
    place = ENVS / f"{env}-{hashlib.sha256(pins).hexdigest()[:8]}"
    if not (place / "done").is_file():
        pytest.skip(f"the environment {env} is not built; `python bench/handover.py` builds it")
    return place / "bin" / "python"


def test_trl_trains_on_every_format(handover: ModuleType, tmp_path: Path) -> None:
    python = python_of("trl")
    found = handover.trl(handover.made(tmp_path), python, tmp_path)
    assert [f for f in found if "error" in f] == []
    assert {f["file"] for f in found} == {file for _, _, file, _ in handover.EXPORTS}
    assert {f["trainer"] for f in found if "preference" in f["file"]} == {"DPOTrainer"}
    assert all(f["rows"] == 8 and f["loss"] > 0 for f in found)


def test_argilla_and_label_studio_read_and_answer(handover: ModuleType, tmp_path: Path) -> None:
    python = python_of("annotate")
    found = handover.people(handover.made(tmp_path), python, tmp_path)
    assert [f["tool"] for f in found] == ["label-studio", "argilla"]
    assert all(f["valid"] and f["read back"] == 8 for f in found)
