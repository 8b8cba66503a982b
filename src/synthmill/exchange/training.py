"""Records in the forms that trainers of language models read. Columns are matched by what text generators call them.

The forms are those of TRL (`messages`, `prompt`/`completion`, `prompt`/`chosen`/`rejected`, `text`), of ShareGPT
(`conversations` with `from` and `value`) and of Alpaca (Taori et al., 2023). Everything is a polars expression, so that a
run of any size passes through in pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from synthmill.refusal import Refusal, choices

ID = "id"
"""The record's `_id`, which `synthmill trace` takes."""

OPTIONAL = ("system", "context", "input")
ROLES = ("messages", "prompt", "completion", "chosen", "rejected", "text", *OPTIONAL)
ALIASES = {"instruction": "prompt", "output": "completion"}

_PAIR, _PREFERENCE = ("prompt", "completion"), ("prompt", "chosen", "rejected")
FORMATS: dict[str, tuple[tuple[str, ...], ...]] = {
    "messages": (("messages",), _PAIR),
    "prompt-completion": (_PAIR, ("messages",)),
    "preference": (_PREFERENCE,),
    "sharegpt": (("messages",), _PAIR),
    "alpaca": (_PAIR,),
    "text": (("text",),),
}
"""Format -> the sets of roles that are enough for it, the first that there are columns for."""

_PLAIN = ("prompt-completion", "preference")
"""Those that hold plain texts where they are not asked for messages."""

_PROMPTS = ("evolved", "prompt", "instruction", "question", "exercise")
_SHAPES: tuple[dict[str, str], ...] = (
    {"messages": "messages"},
    {"prompt": "evolved", "completion": "output"},
    {"prompt": "instruction", "input": "input", "completion": "output"},
    {"prompt": "question", "context": "context", "completion": "answer"},
    {"prompt": "exercise", "completion": "solution"},
    *({"prompt": p, "completion": c} for p in _PROMPTS for c in ("completion", "output", "response", "answer")),
    {"prompt": "instruction", "completion": "text"},
    {"prompt": "text", "completion": "rewritten"},
    {"prompt": "text", "completion": "label"},
    *({"prompt": p, "input": "input", "chosen": "chosen", "rejected": "rejected"} for p in _PROMPTS),
    *({"prompt": p, "input": "input", "completion": "chosen"} for p in _PROMPTS),
    *({"text": t} for t in ("text", "rewritten", "completion")),
)
"""What generators call things, surest first. An optional role is left out where its column is not there."""

_FUNCTION = pl.Struct({"name": pl.String, "arguments": pl.String})
_CALLS = pl.List(pl.Struct({"id": pl.String, "type": pl.String, "function": _FUNCTION}))


@dataclass(frozen=True)
class Mapped:
    """Which column plays which role. columns: role -> column; chat: texts become messages."""

    format: str
    columns: dict[str, str]
    chat: bool = False

    def __str__(self) -> str:
        return ", ".join(f"{role}={column}" for role, column in self.columns.items())


def mapped(
    format: str, columns: Mapping[str, pl.DataType], given: Mapping[str, str] | None = None, chat: bool = False
) -> Mapped:
    """given: role -> column, "" for a role that is to be left out; what it does not say is inferred from the columns' names.

    Raises Refusal: no such format, role or column, nothing to infer a needed role from, a column that holds no text.
    """
    if format not in FORMATS:
        raise Refusal(f"--format: '{format}' is none; {choices(format, FORMATS)}")
    if chat and format not in _PLAIN:
        raise Refusal(f"--chat: {format} has one form only; it is for prompt-completion and preference")
    said = _given(format, given or {}, columns)
    named = {r: c for r, c in said.items() if c}
    needs = [n for n in FORMATS[format] if named.keys() - set(OPTIONAL) <= set(n)]
    found = next((f for need in needs if (f := _inferred(need, columns, named))), None)
    if found is None:
        raise Refusal(f"--format {format}: {_missing(needs, columns, named)}")
    found = {r: c for r, c in found.items() if said.get(r, c)}
    if "messages" in found or (format in _PLAIN and not chat):
        useless = set(OPTIONAL) if "messages" in found else {"system"}
        refused = next((r for r in named if r in useless), None)
        if refused is not None:
            raise Refusal(
                f"--columns: {refused}: {'messages hold it already' if 'messages' in found else 'needs --chat'}"
            )
        found = {r: c for r, c in found.items() if r not in useless}
    for role, column in found.items():
        _held(format, role, column, columns[column])
    return Mapped(format, {r: found[r] for r in ROLES if r in found}, chat or "messages" in found)


def _given(format: str, given: Mapping[str, str], columns: Mapping[str, pl.DataType]) -> dict[str, str]:
    useful = {r for need in FORMATS[format] for r in need} | (set(OPTIONAL) if format != "text" else set())
    out = {}
    for word, column in given.items():
        role = ALIASES.get(word, word)
        if role not in useful:
            known = [r for r in ROLES if r in useful]
            raise Refusal(f"--columns: {format} has no '{word}'; {choices(word, known)}")
        if column and column not in columns:
            mine = [c for c in columns if not c.startswith("_")]
            raise Refusal(f"--columns: {word}: no column '{column}'; {choices(column, mine)}")
        if not column and role not in OPTIONAL:
            raise Refusal(f"--columns: {word}: needs a column; only {', '.join(OPTIONAL)} can be left out")
        out[role] = column
    return out


def _inferred(
    need: tuple[str, ...], columns: Mapping[str, pl.DataType], given: Mapping[str, str]
) -> dict[str, str] | None:
    """A column for every role of `need`: what is given, the rest by the first shape that has all of it."""
    open_ = [r for r in need if r not in given]
    if not open_:
        return dict(given)
    for shape in _SHAPES:
        if all(shape.get(r) in columns for r in open_):
            more = [r for r in OPTIONAL if "prompt" in open_ and shape.get(r) in columns]
            system = {"system": "system"} if "system" in columns else {}
            return {**system, **{r: shape[r] for r in (*open_, *more)}, **given}
    return None


def _missing(needs: list[tuple[str, ...]], columns: Mapping[str, pl.DataType], given: Mapping[str, str]) -> str:
    """Which roles nothing was found for."""
    if not needs:
        return f"{' and '.join(given)} together are no set that it is made of"
    open_ = [[r for r in need if r not in given] for need in needs]
    lacking = [[r for r in mine if not any(s.get(r) in columns for s in _SHAPES)] or mine for mine in open_]
    roles = " or ".join(" and ".join(f"'{r}'" for r in lack) for lack in lacking)
    mine = [c for c in columns if not c.startswith("_")]
    example = f"--columns {lacking[0][0]}={mine[0] if mine else 'COLUMN'}"
    return f"which column is {roles}? Say it with {example}. {choices('', mine)}"


def _held(format: str, role: str, column: str, dtype: pl.DataType) -> None:
    if role == "messages":
        inner = dtype.inner if isinstance(dtype, pl.List) else None
        fields = {f.name for f in inner.fields} if isinstance(inner, pl.Struct) else set()
        if not {"role", "content"} <= fields:
            raise Refusal(f"--format {format}: column '{column}' holds no messages (lists of role and content)")
    elif dtype.is_nested() or dtype == pl.Binary:
        raise Refusal(f"--format {format}: column '{column}' is to be '{role}' and holds no text")


def converted(frame: pl.LazyFrame, plan: Mapped, keep: tuple[str, ...] = ()) -> pl.LazyFrame:
    """The rows that have all they need, in the form asked for, with `id` and the columns of `keep`."""
    last = [pl.col(c) for c in keep]
    return frame.filter(pl.all_horizontal(~e for e in lacks(plan, frame).values())).select(
        *_shaped(plan, frame), pl.col("_id").alias(ID), *last
    )


def lacks(plan: Mapped, frame: pl.LazyFrame) -> dict[str, pl.Expr]:
    """Role -> whether a row has nothing in it: such a row teaches nothing and is left out."""
    out = {}
    for role, column in plan.columns.items():
        if role == "messages":
            messages = pl.col(column)
            end = messages.list.last().struct.field("role")
            out[role] = (messages.list.len().fill_null(0) < 2) | (end != "assistant").fill_null(True)
        elif role not in OPTIONAL:
            out[role] = _text(column).is_null()
    return out


def _text(column: str) -> pl.Expr:
    """A text, null where there is nothing but blanks."""
    text = pl.col(column).cast(pl.String)
    return pl.when(text.str.strip_chars().str.len_bytes() > 0).then(text)


def _shaped(plan: Mapped, frame: pl.LazyFrame) -> list[pl.Expr]:
    columns, format = plan.columns, plan.format
    if format == "text":
        return [_text(columns["text"]).alias("text")]
    if format in ("messages", "sharegpt"):
        calls = "messages" in columns and _has_calls(frame, columns["messages"])
        if format == "sharegpt":
            return [_turns(plan, calls).alias("conversations")]
        return [_messages(plan, calls).alias("messages")]
    if format == "alpaca":
        input_ = [_text(columns[r]) for r in ("context", "input") if r in columns]
        joined = pl.concat_str(input_, separator="\n\n", ignore_nulls=True) if input_ else pl.lit("")
        return [
            *([_text(columns["system"]).alias("system")] if "system" in columns else []),
            _text(columns["prompt"]).alias("instruction"),
            joined.alias("input"),
            _text(columns["completion"]).alias("output"),
        ]
    if "messages" in columns:
        whole = _messages(plan, _has_calls(frame, columns["messages"]))
        return [whole.list.slice(0, whole.list.len() - 1).alias("prompt"), whole.list.tail(1).alias("completion")]
    ends = [r for r in ("completion", "chosen", "rejected") if r in columns]
    if not plan.chat:
        return [_asked(columns).alias("prompt"), *(_apart(_text(columns[r])).alias(r) for r in ends)]
    start = _list([*_system(columns), _message("user", _asked(columns))]).alias("prompt")
    return [start, *(_list([_message("assistant", _text(columns[r]))]).alias(r) for r in ends)]


def _asked(columns: Mapping[str, str]) -> pl.Expr:
    """What the model is shown: the context first, the prompt, its input."""
    parts = [_text(columns[r]) for r in ("context", "prompt", "input") if r in columns]
    return pl.concat_str(parts, separator="\n\n", ignore_nulls=True)


def _apart(end: pl.Expr) -> pl.Expr:
    """Trainers put prompt and completion together as they are: without a break between, the last word of the one and the
    first of the other become one."""
    return pl.when(end.str.contains(r"^\s")).then(end).otherwise(pl.concat_str([pl.lit("\n\n"), end]))


def _system(columns: Mapping[str, str]) -> list[pl.Expr]:
    return [_message("system", _text(columns["system"]))] if "system" in columns else []


def _message(role: str, content: pl.Expr) -> pl.Expr:
    return pl.struct(pl.lit(role).alias("role"), content.alias("content"))


def _list(messages: list[pl.Expr]) -> pl.Expr:
    """Without those that say nothing: a system prompt that a row does not have."""
    said = pl.element().struct.field("content").is_not_null()
    return pl.concat_list(messages).list.filter(said)


def _has_calls(frame: pl.LazyFrame, column: str) -> bool:
    inner = frame.collect_schema()[column].inner  # type: ignore[attr-defined]
    return "tool_calls" in {f.name for f in inner.fields}


def _messages(plan: Mapped, calls: bool) -> pl.Expr:
    """As chat templates read them; calls of tools as OpenAI writes them, their arguments one text of JSON."""
    columns = plan.columns
    if "messages" not in columns:
        ends = [_message("user", _asked(columns)), _message("assistant", _text(columns["completion"]))]
        return _list([*_system(columns), *ends])
    field = pl.element().struct.field
    parts = [field("role"), field("content")]
    parts += [field("tool_calls").str.json_decode(_CALLS).alias("tool_calls")] if calls else []
    return pl.col(columns["messages"]).list.eval(pl.struct(parts))


_FROM = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}


def _turns(plan: Mapped, calls: bool) -> pl.Expr:
    """ShareGPT's turns. A call of a tool is a `function_call` with name and arguments, its result an `observation`."""
    whole = _messages(Mapped(plan.format, plan.columns), False)
    if calls:
        whole = pl.col(plan.columns["messages"])
    field = pl.element().struct.field
    who, value = field("role").replace(_FROM), field("content")
    if calls:
        called = field("tool_calls")
        parts = ('{"name": "', _found(called, "name"), '", "arguments": ', _found(called, "arguments"), "}")
        told = pl.concat_str([pl.lit(p) if isinstance(p, str) else p for p in parts])
        who = pl.when(called.is_not_null()).then(pl.lit("function_call")).otherwise(who)
        value = pl.when(called.is_not_null()).then(told).otherwise(value)
    return whole.list.eval(pl.struct(who.alias("from"), value.alias("value")))


def _found(calls: pl.Expr, key: str) -> pl.Expr:
    return calls.str.json_path_match(f"$[0].function.{key}")
