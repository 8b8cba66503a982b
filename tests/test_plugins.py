from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import pytest
from pydantic import Field

from synthmill.plugins import FAMILIES, Request, Verdicts, build, describe, find, known, load_object, relative_to
from synthmill.refusal import MissingExtra, Refusal


@dataclass
class Dial:
    """Turns.

    It is here to be configured.
    """

    level: Annotated[float, Field(gt=0, lt=1)]
    mode: Literal["slow", "fast"] = "slow"
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.mode == "fast" and self.level > 0.5:
            raise ValueError("Fast dials stay below 0.5")


@dataclass
class Picky:
    """Needs a library."""

    def __post_init__(self) -> None:
        raise MissingExtra("picky", "moonbeams", "moon")


def test_fields_are_the_configuration() -> None:
    dial = build("verify", {"use": "test_plugins:Dial", "level": "0.25", "names": ["a"]})
    assert dial == Dial(0.25, names=["a"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, ["'level' is required"]),
        ({"level": 0.5, "lvl": 1}, ["unknown key 'lvl'", "did you mean 'level'?", "Choices: level, mode, names"]),
        ({"level": 2}, ["level: 2", "less than 1"]),
        ({"level": "high"}, ["level: 'high'", "number"]),
        ({"level": 0.5, "mode": "quick"}, ["mode: 'quick'", "'slow' or 'fast'"]),
        ({"level": 0.5, "names": ["a", 5]}, ["names.1: 5", "string"]),
        ({"level": 0.9, "mode": "fast"}, ["fast dials stay below 0.5"]),
    ],
    ids=str,
)
def test_wrong_configuration_is_one_sentence(config: dict[str, object], words: list[str]) -> None:
    with pytest.raises(Refusal) as e:
        build("verify", {"use": "test_plugins:Dial", **config}, "s.yaml: verify.0")
    said = str(e.value)
    assert said.startswith("s.yaml: verify.0: test_plugins:Dial: ")
    assert "\n" not in said
    for word in words:
        assert word in said


def test_a_missing_library_says_what_to_install() -> None:
    with pytest.raises(Refusal, match=r"needs moonbeams: pip install 'synthmill\[moon\]'"):
        build("verify", {"use": "test_plugins:Picky"})


def test_a_users_file_is_found_beside_the_spec(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Tick:\n    def judge(self, frame):\n        return None\n\nanswer = 42\n")
    with relative_to(tmp_path):
        assert find("verify", "mine.py:Tick").__name__ == "Tick"
        assert load_object("mine.py:answer", "here") == 42
        with pytest.raises(Refusal, match=r"mine\.py:answer is not a class"):
            find("verify", "mine.py:answer")
        with pytest.raises(Refusal, match="Tock"):
            find("verify", "mine.py:Tock")
    with pytest.raises(Refusal, match=r"mine\.py"):
        find("verify", "mine.py:Tick")


def test_a_users_file_that_does_not_run_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def oh(:\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    (tmp_path / "needs.py").write_text("import moonbeams\n")
    with relative_to(tmp_path):
        for name, word in [("broken", "SyntaxError"), ("raises", "ZeroDivisionError"), ("needs", "moonbeams")]:
            with pytest.raises(Refusal, match=word) as e:
                find("verify", f"{name}.py:Tick", "s.yaml: verify.0")
            assert "\n" not in str(e.value)


def test_every_family_lists_its_plugins() -> None:
    for family in FAMILIES:
        assert known(family)
        for name, line, _ in describe(family):
            assert not any(part.startswith("_") for part in name.split("."))
            assert line.endswith((".", ":"))
    lines = {name: parameters for name, _, parameters in describe("generate")}
    assert "k=5" in lines["tabular.smote"]


def test_streams_of_a_request_are_named() -> None:
    request = Request(0, None, 0, 1, 7)  # type: ignore[arg-type]
    draws = [request.rng().integers(1 << 60), request.rng("a").integers(1 << 60), request.rng("a", 1).integers(1 << 60)]
    assert len(set(draws)) == 3
    assert request.rng("a").integers(1 << 60) == draws[1]


def test_null_is_no_pass() -> None:
    verdicts = Verdicts.where(pl.Series([True, False, None]), "no")
    assert verdicts.status.to_list() == [0, 1, 1]
    assert verdicts.status.dtype == pl.UInt8
    assert Verdicts.errors(2, "why").status.to_list() == [2, 2]
