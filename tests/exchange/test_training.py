"""Training formats: what every generator's columns become, what is left out, and what other libraries read of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import synthmill
from synthmill.exchange.training import FORMATS, converted, mapped
from synthmill.frame import digest
from synthmill.lineage import REQUESTS, ROWS
from synthmill.refusal import Refusal
from synthmill.run import Run
from synthmill.spec import parse_spec
from synthmill.verbs.export import Wanted

CALL = json.dumps([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "q\\"u"}'}}])
ASKED = {"instruction": ["a", "b"], "input": ["x", None], "output": ["one", "two"]}
TALK = [
    {"role": "user", "content": "hi", "tool_calls": None},
    {"role": "assistant", "content": "", "tool_calls": CALL},
    {"role": "tool", "content": "7", "tool_calls": None},
    {"role": "assistant", "content": "done", "tool_calls": None},
]


def rows(data: dict[str, list[Any]], format: str, keep: tuple[str, ...] = (), **how: Any) -> list[dict[str, Any]]:
    frame = pl.DataFrame({**data, "_id": [f"r-0-{i}" for i in range(len(next(iter(data.values()))))]})
    columns = {c: t for c, t in frame.schema.items() if c != "_id"}
    return converted(frame.lazy(), mapped(format, columns, **how), keep).collect().to_dicts()


def texts_run(root: Path, frame: pl.DataFrame, parts: int = 1, **manifest: Any) -> Run:
    """A finished run of the rows given."""
    run = Run.start(root, {"digest": digest("texts", frame.to_dicts()), "name": "texts"})
    size = -(-frame.height // parts)
    for k in range(parts):
        part = frame[k * size : (k + 1) * size]
        data = part.with_columns(
            pl.Series("_id", [f"{run.id}-{k}-{i}" for i in range(part.height)], pl.String),
            pl.lit("synthetic").alias("_origin"),
            pl.lit(run.id).alias("_run"),
            pl.lit(1, pl.UInt8).alias("_depth"),
        )
        none = pl.DataFrame(schema={**data.schema, "_status": pl.UInt8, "_check": pl.UInt8, "_reason": pl.String})
        lineage = {"rows": pl.DataFrame(schema=ROWS), "requests": pl.DataFrame(schema=REQUESTS)}
        run.add_part({"data": data, **lineage, "rejected": none, "private": none}, {})
    run.manifest.update(manifest)
    run.commit()
    run.close()
    return run


def test_instructions_in_every_format() -> None:
    user, said = {"role": "user", "content": "a\n\nx"}, {"role": "assistant", "content": "one"}
    assert rows(ASKED, "messages")[0] == {"messages": [user, said], "id": "r-0-0"}
    assert rows(ASKED, "prompt-completion")[0] == {"prompt": "a\n\nx", "completion": "\n\none", "id": "r-0-0"}
    assert rows(ASKED, "prompt-completion", chat=True)[0] == {"prompt": [user], "completion": [said], "id": "r-0-0"}
    human, gpt = {"from": "human", "value": "a\n\nx"}, {"from": "gpt", "value": "one"}
    assert rows(ASKED, "sharegpt")[0] == {"conversations": [human, gpt], "id": "r-0-0"}
    assert rows(ASKED, "alpaca") == [
        {"instruction": "a", "input": "x", "output": "one", "id": "r-0-0"},
        {"instruction": "b", "input": "", "output": "two", "id": "r-0-1"},
    ]
    assert rows({"text": [" a page "]}, "text") == [{"text": " a page ", "id": "r-0-0"}]


def test_preferences_plain_and_as_messages() -> None:
    data = {"instruction": ["q"], "chosen": ["yes"], "rejected": [" no"], "margin": [1.0]}
    assert rows(data, "preference") == [{"prompt": "q", "chosen": "\n\nyes", "rejected": " no", "id": "r-0-0"}]
    chat = rows(data, "preference", chat=True)[0]
    assert [chat[c][0]["content"] for c in ("prompt", "chosen", "rejected")] == ["q", "yes", " no"]
    assert [chat[c][0]["role"] for c in ("prompt", "chosen", "rejected")] == ["user", "assistant", "assistant"]
    assert rows(data, "alpaca")[0]["output"] == "yes"


def test_a_conversation_keeps_its_calls_of_tools() -> None:
    data = {"messages": [TALK], "topic": ["t"]}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "q\\"u"}'}}
    told = rows(data, "messages")[0]["messages"]
    assert [m["tool_calls"] for m in told] == [None, [call], None, None]
    halves = rows(data, "prompt-completion")[0]
    assert halves["prompt"] == told[:3]
    assert halves["completion"] == told[3:]
    turns = rows(data, "sharegpt")[0]["conversations"]
    assert [t["from"] for t in turns] == ["human", "function_call", "observation", "gpt"]
    assert json.loads(turns[1]["value"]) == {"name": "f", "arguments": {"a": 'q"u'}}


@pytest.mark.parametrize(
    ("columns", "format", "expected"),
    [
        (("evolved", "instruction", "output"), "alpaca", {"prompt": "evolved", "completion": "output"}),
        (("context", "question", "answer"), "messages",
         {"prompt": "question", "completion": "answer", "context": "context"}),
        (("exercise", "solution", "answer"), "messages", {"prompt": "exercise", "completion": "solution"}),
        (("instruction", "text"), "messages", {"prompt": "instruction", "completion": "text"}),
        (("text", "label"), "alpaca", {"prompt": "text", "completion": "label"}),
        (("text", "rewritten"), "messages", {"prompt": "text", "completion": "rewritten"}),
        (("messages", "instruction", "output"), "messages", {"messages": "messages"}),
        (("system", "prompt", "completion"), "messages",
         {"prompt": "prompt", "completion": "completion", "system": "system"}),
        (("instruction", "input", "chosen", "rejected"), "preference",
         {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected", "input": "input"}),
    ],
)  # fmt: skip
def test_columns_are_known_by_what_generators_call_them(
    columns: tuple[str, ...], format: str, expected: dict[str, str]
) -> None:
    kinds: dict[str, pl.DataType] = dict.fromkeys(columns, pl.String())
    if "messages" in kinds:
        kinds["messages"] = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    assert mapped(format, kinds).columns == expected


def test_what_is_given_wins_and_may_leave_something_out() -> None:
    data = {**ASKED, "q": ["Q", "R"]}
    assert rows(data, "messages", given={"prompt": "q"})[0]["messages"][0]["content"] == "Q"
    assert rows(data, "messages", given={"instruction": "q", "output": "output"})[0]["messages"][0]["content"] == "Q"
    assert rows(data, "messages", given={"input": ""})[0]["messages"][0]["content"] == "a"
    talk = {"messages": [TALK] * 2, **data}
    assert len(rows(talk, "messages", given={"prompt": "q", "completion": "output"})[0]["messages"]) == 2


def test_a_system_prompt_comes_first_where_a_row_has_one() -> None:
    data = {**ASKED, "system": ["Be brief.", " "]}
    assert [[m["role"] for m in r["messages"]] for r in rows(data, "messages")] == [
        ["system", "user", "assistant"],
        ["user", "assistant"],
    ]
    assert rows(data, "prompt-completion")[0]["prompt"] == "a\n\nx"


@pytest.mark.parametrize(
    ("data", "format", "how", "said"),
    [
        (ASKED, "chatml", {}, "--format: 'chatml' is none; Choices: messages"),
        (ASKED, "preference", {}, r"which column is 'chosen' and 'rejected'\? Say it with --columns chosen="),
        (ASKED, "messages", {"given": {"promt": "input"}}, "has no 'promt'; did you mean 'prompt'"),
        (ASKED, "messages", {"given": {"prompt": "inptu"}}, "no column 'inptu'; did you mean 'input'"),
        (ASKED, "messages", {"given": {"completion": ""}}, "only system, context, input can be left out"),
        (ASKED, "alpaca", {"chat": True}, "alpaca has one form only"),
        ({**ASKED, "system": ["s", "s"]}, "preference", {"given": {"system": "system"}}, "which column is"),
        ({**ASKED, "s": ["s", "s"]}, "prompt-completion", {"given": {"system": "s"}}, "system: needs --chat"),
        ({"messages": [TALK], "s": ["s"]}, "messages", {"given": {"system": "s"}}, "messages hold it already"),
        ({"messages": ["no list"]}, "messages", {}, "'messages' holds no messages"),
        ({"prompt": ["p"], "completion": [["x"]]}, "messages", {}, "'completion' is to be 'completion' and holds no text"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_the_choices(
    data: dict[str, Any], format: str, how: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        rows(data, format, **how)


def test_records_without_an_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"question": ["q", "r", "s"], "context": ["c"] * 3, "answer": ["a", "", None]})
    run = texts_run(tmp_path / "run", frame, parts=2)
    made = synthmill.export(run.root, tmp_path / "x.jsonl")
    assert (made.rows, made.left_out) == (1, {"completion": 2})
    (line,) = (tmp_path / "x.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == f"{run.id}-0-0"
    empty = texts_run(tmp_path / "empty", frame[1:])
    with pytest.raises(Refusal, match="no record has all that messages needs"):
        synthmill.export(empty.root, tmp_path / "y.jsonl")
    assert not (tmp_path / "y.jsonl").exists()


def test_a_chat_that_ends_with_the_person_is_left_out(tmp_path: Path) -> None:
    frame = pl.DataFrame({"messages": [TALK, TALK[:1], [], TALK[:3]]})
    made = synthmill.export(texts_run(tmp_path / "run", frame).root, tmp_path / "x.parquet")
    assert (made.rows, made.left_out) == (1, {"messages": 3})


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("format", FORMATS)
def test_datasets_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, ending: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    frame = pl.DataFrame(
        {**ASKED, "chosen": ["c", "d"], "rejected": ["e", "f"], "text": ["t", "ü"], "topic": ["law", "tea"]}
    )
    run = texts_run(tmp_path / "run", frame, parts=2)
    file = tmp_path / f"x.{ending}"
    synthmill.export(run.root, file, format, keep=["topic"])
    kind = {"jsonl": "json"}.get(ending, ending)
    data = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert data["id"][:] == [f"{run.id}-{k}-0" for k in (0, 1)]
    assert data["topic"][:] == ["law", "tea"]
    made = {c: data[c][:] for c in data.column_names if c not in ("id", "topic")}
    expected = rows(frame.to_dict(as_series=False), format)
    assert made == {c: [r[c] for r in expected] for c in made}


def test_the_same_bytes_twice_and_by_one_part_or_several(tmp_path: Path) -> None:
    frame = pl.DataFrame({"instruction": [f"q{i}" for i in range(5000)], "output": ["a"] * 5000})
    one, many = texts_run(tmp_path / "one", frame), texts_run(tmp_path / "many", frame, parts=7)
    for ending in ("jsonl", "parquet"):
        files = [tmp_path / f"{n}.{ending}" for n in "ab"]
        for file in files:
            synthmill.export(many.root, file)
        assert files[0].read_bytes() == files[1].read_bytes()
    synthmill.export(one.root, tmp_path / "one.parquet")
    drop = pl.all().exclude("id")
    assert (
        pl.read_parquet(tmp_path / "one.parquet")
        .select(drop)
        .equals(pl.read_parquet(tmp_path / "a.parquet").select(drop))
    )


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    run = texts_run(tmp_path / "run", pl.DataFrame(ASKED))
    with pytest.raises(Refusal, match=r"'\.csv' is not a kind of file for training"):
        synthmill.export(run.root, tmp_path / "x.csv")
    with pytest.raises(Refusal, match="cannot be written"):
        synthmill.export(run.root, tmp_path / "none" / "x.jsonl")
    with pytest.raises(Refusal, match="--keep: no column 'topc'"):
        synthmill.export(run.root, tmp_path / "x.jsonl", keep=["topc"])
    with pytest.raises(Refusal, match="'output' is in the format already"):
        synthmill.export(run.root, tmp_path / "x.jsonl", "alpaca", keep=["output"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    Run.start(tmp_path / "run", {"digest": digest("none")}).close()
    with pytest.raises(Refusal, match="is not finished; `synthmill make` continues it"):
        synthmill.export(tmp_path / "run", tmp_path / "x.jsonl")


def test_real_rows_of_a_blend_leave_only_when_allowed(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text(
        "".join(json.dumps({"text": f"real words number {i}", "label": "ab"[i % 2]}) + "\n" for i in range(60))
    )
    spec = {
        "name": "mixed", "real": {"path": str(tmp_path / "real.jsonl")}, "cover": {"total": 10},
        "generate": {"use": "tabular.bootstrap"}, "blend": {"real": 0.5},
    }  # fmt: skip
    synthmill.make(parse_spec(spec), tmp_path / "run")
    with pytest.raises(Refusal, match="add --include-real"):
        synthmill.export(tmp_path / "run", tmp_path / "x.jsonl", "text", {"text": "label"}, blend=True)
    made = synthmill.export(
        tmp_path / "run", tmp_path / "x.jsonl", "text", {"text": "label"}, blend=True, include_real=True
    )
    ids = [json.loads(line)["id"] for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert made.rows == len(ids) == 10 + sum("-" not in i for i in ids) > 10
    with pytest.raises(Refusal, match="a blend holds real rows"):
        synthmill.push(tmp_path / "run", "me/it", Wanted("text", blend=True))
