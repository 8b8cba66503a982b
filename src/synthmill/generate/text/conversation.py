"""Conversations between a person and an assistant."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

import polars as pl

from synthmill.llm.forms import Choice, Fitting, Form, Plain
from synthmill.llm.model import Model
from synthmill.llm.question import Message
from synthmill.plugins import Request
from synthmill.refusal import Refusal

from ._core import Prompted, Task
from ._source import Row, Source

_AT = "text.conversation"
_NONE = "none"


@dataclass(kw_only=True)
class Conversation(Prompted):
    """Conversations of a person with an assistant, if wanted with tools.

    `messages` of `turns` exchanges: one model plays the person (`user`, default: `model`), the other the assistant.

    facets such as topic, persona, mood or language are told to the person, not to the assistant. column: where the first
    message is, in the rows it is given or in `seeds`; without either the person begins. system: what the assistant is
    told; it is no part of the messages. words: most of one message of the person.

    tools: functions the assistant may call, as `{name, description, parameters}` with a JSON schema of the parameters.
    Before it answers it says which it needs, if any; the arguments must fit the schema; the model makes up the result.
    Messages then have the roles `user`, `assistant`, `tool`, and calls are in `tool_calls` as OpenAI writes them (JSON).

    Sources: Ding et al., UltraChat (2023), arXiv:2305.14233; Xu et al., Baize (2023), arXiv:2304.01196; tools: Tang et
    al., ToolAlpaca (2023), arXiv:2306.05301.
    """

    turns: int = 2
    user: Model | None = None
    seeds: str | None = None
    column: str | None = None
    system: str = "You are a helpful assistant. You answer correctly and briefly."
    tools: list[dict[str, Any]] = field(default_factory=list)
    words: int = 120
    completes: ClassVar[bool] = True
    named: ClassVar[tuple[str, ...]] = (
        "conversation_user", "conversation_tool", "conversation_arguments", "conversation_result"
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise Refusal(f"{_AT}: turns: {self.turns} is less than 1")
        if self.seeds is not None and self.column is None:
            raise Refusal(f"{_AT}: column: which column of the seeds holds the first message?")
        for tool in self.tools:
            if not isinstance(tool.get("name"), str) or not isinstance(tool.get("parameters", {}), dict):
                raise Refusal(
                    f"{_AT}: tools: {tool!r}: expected {{name: ..., description: ..., parameters: a JSON schema}}"
                )
        self._tools = [{"description": "", "parameters": {}, **t} for t in self.tools]
        message: dict[str, pl.DataType] = {"role": pl.String(), "content": pl.String()}
        message |= {"tool_calls": pl.String()} if self.tools else {}
        source = Source.parse(_AT, self.column, self.seeds) if self.column else None
        self._begin({"messages": pl.List(pl.Struct(message))}, source=source)

    def _fill(self, request: Request, rows: list[Row]) -> None:
        for row in rows:
            row.values["messages"] = []
        for turn in range(self.turns):
            if turn or self.column is None:
                self._ask(request, rows, f"user {turn}", lambda r, turn=turn: self._person(r, turn), self.user)  # type: ignore[misc]
            for row in rows:
                if not row.error:
                    opening = self._text(row) if not turn and self.column else row.values.pop("said")
                    self._say(row, "user", opening)
            if self.tools:
                self._use_tools(request, rows, turn)
            self._ask(request, rows, f"assistant {turn}", self._assistant)
            for row in rows:
                if not row.error:
                    self._say(row, "assistant", row.values.pop("said"))

    def _say(self, row: Row, role: str, content: str, calls: str | None = None) -> None:
        said = {"role": role, "content": content} | ({"tool_calls": calls} if self.tools else {})
        row.values["messages"].append(said)

    def _person(self, row: Row, turn: int) -> Task:
        shape = Plain("said", (1, self.words))
        return self._task("conversation_user", row, shape, messages=row.values["messages"], turn=turn)

    def _assistant(self, row: Row) -> Task:
        """Asked as in a chat. What a tool answered is told in words, since chat formats of models differ in that role."""
        chat: list[Message] = [{"role": "system", "content": self.system}]
        for m in row.values["messages"]:
            if m["role"] == "tool":
                last = chat.pop()
                told = f"{last['content']}\n\n(A tool was called and answered: {m['content']})"
                chat.append({"role": "user", "content": told})
            elif not m.get("tool_calls"):
                chat.append({"role": m["role"], "content": m["content"]})
        return Task(tuple(chat), Plain("said"))

    def _use_tools(self, request: Request, rows: list[Row], turn: int) -> None:
        known = {t["name"]: t for t in self._tools}
        form = Form({"tool": Choice((*known, _NONE))})

        def ask(name: str, row: Row, shape: Any, **more: Any) -> Task:
            return self._task(name, row, shape, messages=row.values["messages"], tools=self._tools, **more)

        self._ask(request, rows, f"tool {turn}", lambda r: ask("conversation_tool", r, form))
        chosen = {r.at: r.values.pop("tool") for r in rows if not r.error}
        called = [r for r in rows if chosen.get(r.at, _NONE) != _NONE]
        self._ask(request, called, f"arguments {turn}",
                  lambda r: ask("conversation_arguments", r, Fitting("arguments", known[chosen[r.at]].get("parameters", {})), tool=known[chosen[r.at]]))  # fmt: skip
        for row in called:
            if not row.error:
                call = {"id": f"call_{turn}", "type": "function",
                        "function": {"name": chosen[row.at], "arguments": row.values.pop("arguments")}}  # fmt: skip
                self._say(row, "assistant", "", json.dumps([call], ensure_ascii=False))
        self._ask(request, called, f"result {turn}",
                  lambda r: ask("conversation_result", r, Plain("said", (1, 200)), call=r.values["messages"][-1]["tool_calls"]))  # fmt: skip
        for row in called:
            if not row.error:
                self._say(row, "tool", row.values.pop("said"))
