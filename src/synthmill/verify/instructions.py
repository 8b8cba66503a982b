"""Instructions: does an answer keep what can be computed of its instructions?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal, choices
from synthmill.texts.columns import answers, named, verdicts
from synthmill.texts.instructions import instruction, variants

_Checks = list[tuple[str, Callable[[str], str | None]]]


@dataclass
class Instructions:
    """An answer that breaks one of its instructions fails: IFEval's 25 (Zhou et al., 2023), under its names and arguments.

    column: the answer; of messages the last. all: instructions for every record, such as {id: number_words, num_words: 100}.
    given: a column with each record's own: a JSON text or a list of structs of that form, or IFEval's own JSON
    {"instruction_id_list": [...], "kwargs": [...]}. loose: pass too if the answer keeps it without its asterisks, its
    first or its last line (IFEval's loose accuracy).
    A record whose own instructions cannot be read, or has none, is an error; an empty answer fails.
    """

    column: str = "response"
    all: list[dict[str, Any]] | None = None
    given: str | None = None
    loose: bool = False

    def __post_init__(self) -> None:
        if not self.all and self.given is None:
            raise Refusal("instructions: either all: [...] or given: a column is needed")
        self._all = [instruction(i, f"instructions: all.{k}") for k, i in enumerate(self.all or ())]

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where `column` or `given` names another."""
        named([self.column], columns, "instructions: column")
        if self.given is not None and self.given not in columns:
            raise Refusal(f"instructions: given: no column '{self.given}'; {choices(self.given, columns)}")

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        texts = answers(frame[self.column])
        own = frame[self.given].to_list() if self.given is not None else [None] * frame.height
        faults: list[str | None] = []
        undecided: list[str | None] = []
        for text, asked in zip(texts, own, strict=True):
            try:
                checks = self._all + (_read(asked) if self.given is not None else [])
            except Refusal as e:
                faults.append(None)
                undecided.append(str(e))
                continue
            undecided.append(None if checks else "has no instructions")
            faults.append("there is no answer" if text is None or not text.strip() else self._fault(text, checks))
        return verdicts(faults, undecided)

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        good = ["one two three four", "a b c d e"]
        return pl.DataFrame({"response": good}), pl.DataFrame(
            {"response": ["one, two, three, four", "three words only", "", None]}
        )

    example_config = {"all": [{"id": "number_words", "num_words": 4}, {"id": "punctuation:no_comma"}]}

    def _fault(self, text: str, checks: _Checks) -> str | None:
        readings = variants(text) if self.loose else [text]
        for name, check in checks:
            found = [check(r) for r in readings]
            if None not in found:
                return f"{name}: {found[0]}"
        return None


def _read(given: Any) -> _Checks:
    """A record's own instructions. Raises Refusal where they are none."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as e:
            raise Refusal(f"its instructions are not JSON: {e}") from None
    if isinstance(given, Mapping) and "instruction_id_list" in given:
        names, arguments = given["instruction_id_list"], given.get("kwargs") or [{}] * len(given["instruction_id_list"])
        if len(names) != len(arguments):
            raise Refusal(f"its instructions: {len(names)} names with {len(arguments)} kwargs")
        given = [{**(a or {}), "id": n} for n, a in zip(names, arguments, strict=True)]
    if given is None:
        return []
    given = [given] if isinstance(given, Mapping) else given
    if not isinstance(given, list) or not all(isinstance(g, Mapping) for g in given):
        raise Refusal("its instructions are no list of mappings")
    return [instruction(g, "its instructions") for g in given]
