"""The recipes of text: with a scripted model that makes every kind of mistake, and in small with a real one."""

from __future__ import annotations

import importlib.util
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import synthmill
from synthmill.cli.main import main
from synthmill.frame import Status
from synthmill.llm.embedded import file_of
from synthmill.refusal import Refusal
from synthmill.texts.documents import documents
from synthmill.texts.evidence import locate
from synthmill.verbs.make import Result

RECIPES = Path(__file__).parent.parent / "recipes"
NOUNS = [
    "apples",
    "bridges",
    "chairs",
    "doors",
    "engines",
    "feathers",
    "gloves",
    "hammers",
    "islands",
    "jackets",
    "kettles",
    "ladders",
    "mirrors",
    "needles",
    "oranges",
    "pencils",
    "ropes",
    "saddles",
    "tables",
    "umbrellas",
    "violins",
    "wagons",
    "anchors",
    "baskets",
    "candles",
    "drums",
    "envelopes",
    "flutes",
    "guitars",
    "helmets",
]


def items(recipe: str, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECIPES / recipe / file).read_text("utf-8").splitlines()]


def made(
    recipe: str, folder: Path, model: str, monkeypatch: pytest.MonkeyPatch, speak: Any = None, **cover: Any
) -> Result:
    """The recipe as it is shipped, with another model; speak: what the stub says."""
    if speak is not None:
        monkeypatch.setattr("synthmill.llm.stub.plausible", speak)
    spec = yaml.safe_load((RECIPES / recipe / "spec.yaml").read_text("utf-8"))
    spec["models"]["writer"] |= {"model": model, "max_tokens": 24}
    file = folder / "spec.yaml"
    file.write_text(
        yaml.safe_dump({**spec, "base": str(RECIPES / recipe), "cover": {**spec["cover"], **cover}}), "utf-8"
    )
    return synthmill.make(file, folder / "run")


def told(result: Result) -> dict[str, int]:
    """Check -> how many it stopped."""
    manifest = result.run.manifest
    tally = zip(manifest["checks"], manifest["state"]["tally"], strict=True)
    return {name: t[Status.FAIL] + t[Status.ERROR] for name, t in tally}


def following(text: str, words: str) -> str:
    return " ".join(text.split(words)[1].strip(" ,.").split()[:4]).strip(" ,.")


def ask_of_documents(messages: Sequence[Mapping[str, Any]], parameters: Any, seed: int, index: int) -> str:
    """Questions on the numbered sentences; in turn sound, contaminated, unproven, on 'the passage', and circular."""
    said = str(messages[1]["content"])
    if "Does the text answer this question?" in said:
        passage, question = " ".join(said.split()).split(" Question: ")
        return json.dumps(
            {"answerable": "yes", "reply": following(passage, question.split("after '")[1].split("'")[0])}
        )
    numbered = re.findall(r"(?m)^\[(\d+)\] ((?:.|\n(?!\[\d|\n))+)", said)
    long = [(int(k), " ".join(s.split())) for k, s in numbered if len(s.split()) > 12]
    if not long:
        return "nothing to ask"
    k, sentence = long[seed % len(long)]
    first = " ".join(sentence.split()[:4]).strip(",.")
    answer, question = following(sentence, first), f"Which words, asked {seed % 9973} times, come after '{first}'?"
    kind = seed % 5
    if kind == 1:
        question = items("document-qa", "evaluation.jsonl")[seed % 6]["question"][:-1] + f", after '{first}'?"
    elif kind == 2:
        answer = "something else entirely"
    elif kind == 3:
        question = f"What does the passage say after '{first}'?"
    elif kind == 4:
        answer = first
    return json.dumps({"evidence": [k], "question": question, "answer": answer})


def test_document_qa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is accepted is proven by its document; contaminated, unproven and unfit candidates are stopped where they should be."""
    result = made("document-qa", tmp_path, "stub", monkeypatch, ask_of_documents)
    assert result.accepted == 12
    texts = {d.id: d.text for d in documents(RECIPES / "document-qa" / "documents")}
    for row in result.data.iter_rows(named=True):
        assert all(locate(e, texts[row["document"]]) for e in row["evidence"])
        assert row["answer"].lower() in " ".join(" ".join(row["evidence"]).split()).lower()
        assert not any(e["question"][:-1] in row["question"] for e in items("document-qa", "evaluation.jsonl"))
    stopped = told(result)
    assert all(stopped[c] for c in ("generator", "program", "format.2", "decontaminate")), stopped
    story = synthmill.trace(result.run.root, result.data["_id"][0])
    assert "First choose the sentence" in json.dumps(story, default=str)


def invent(messages: Sequence[Mapping[str, Any]], parameters: Any, seed: int, index: int) -> str:
    """New tasks; every third a shipped seed, every third of what is not there, or an item of the evaluation file."""
    said = str(messages[-1]["content"])
    if "Invent a new task" not in said:
        return f"This is a full answer to it, with {seed % 89} words more or less."
    kind, word = seed % 4, ", ".join(random.Random(seed).sample(NOUNS, 8))
    tasks = {
        1: items("self-instruct", "evaluation.jsonl")[seed % 6]["instruction"],
        2: f"Describe what you see in the attached picture of {word}.",
        3: items("self-instruct", "seeds.jsonl")[seed % 12]["instruction"],
    }
    return json.dumps({"instruction": tasks.get(kind, f"Sort {word} by how heavy they are."), "input": ""})


def test_self_instruct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = made("self-instruct", tmp_path, "stub", monkeypatch, invent, max_attempts=30)
    assert dict(result.data.group_by("topic").len().iter_rows()) == dict.fromkeys(
        ["cooking", "travel", "school", "health", "letters", "money"], 2
    )
    assert result.data["instruction"].str.starts_with("Sort ").all()
    stopped = told(result)
    assert all(stopped[c] for c in ("format", "memorized", "decontaminate")), stopped


def prefer(messages: Sequence[Mapping[str, Any]], parameters: Any, seed: int, index: int) -> str:
    """Answers of one and of many words; the judge likes the first word 'Good', or, for every fourth, the first place."""
    said = str(messages[-1]["content"])
    if "Which answer is better" not in said:
        length = 5 if index or seed % 3 else 60
        return (
            " ".join([("Plain", "Good")[index], f"answer number {seed % 9973}", *["about herbs"] * (length // 5)]) + "."
        )
    one, two = said.split("Answer A:\n")[1].split("Answer B:\n")
    blind = int(re.findall(r"number (\d+)", one + two)[0]) % 4 == 0
    return json.dumps({"reason": "it is good", "better": "A" if one.startswith("Good") or blind else "B"})


def test_preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    result = made("preferences", tmp_path, "stub", monkeypatch, prefer)
    assert result.accepted == 10
    assert result.data["chosen"].str.starts_with("Good").all()
    assert result.data["rejected"].str.starts_with("Plain").all()
    assert (result.data["chosen"].str.len_chars() * 3 >= result.data["rejected"].str.len_chars()).all()
    stopped = told(result)
    assert stopped["generator"], "verdicts that follow the place"
    assert stopped["instructions"], "chosen answers without what the prompt asks for"
    row = result.data.row(0, named=True)
    assert main(["trace", str(result.run.root), row["_id"]]) == 0
    shown = capsys.readouterr().out
    assert f"  user: {row['instruction']}\n" in shown, "what was asked, whole"
    assert f"  answer: {row['rejected']}\n" in shown
    assert main(["preview", str(tmp_path / "spec.yaml"), "-n", "12"]) == 0
    assert "of 12 candidates could not be made: the judge prefers answer" in capsys.readouterr().out


def test_a_small_model_makes_records_or_errors_with_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its judge mostly follows the place: then every candidate is an error, and the run says so."""
    pytest.importorskip("xllamacpp")
    try:
        file_of("smollm2-135m")
    except Refusal as e:
        pytest.skip(f"SmolLM2 is not in the cache: {e}")
    try:
        result = made("preferences", tmp_path, "smollm2-135m", monkeypatch, total=1, max_attempts=1)
    except Refusal as e:
        said = str(e)  # that of a run without a single usable candidate
    else:
        said = ""
    if said:
        assert re.search("every candidate failed|on every one of", said)
        assert "the first said:" in said
        return
    kept = [pl.read_parquet(p) for p in (tmp_path / "run").glob("**/rejected/*.parquet")]
    assert result.accepted + sum(f.height for f in kept) == 1
    assert result.run.manifest["spending"]


def own() -> Any:
    found = importlib.util.spec_from_file_location("own", RECIPES / "own.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_own_texts_take_the_place_of_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mill.txt").write_text((RECIPES / "document-qa" / "documents" / "weir.md").read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("synthmill.llm.stub.plausible", ask_of_documents)
    monkeypatch.setattr("sys.argv", ["own.py", "document-qa", "notes", "--records", "3", "--model", "stub"])
    assert own().main() == 0
    run = synthmill.Run.open("runs/own-document-qa")
    assert run.data()["document"].to_list() == ["mill.txt"] * 3
    spec = yaml.safe_load(Path("runs/own-document-qa.yaml").read_text("utf-8"))
    assert next(f for f in spec["filter"] if f["use"] == "memorized")["sources"] == [str(tmp_path / "notes")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["document-qu", "."], "'document-qu' is no recipe of text"),
        (["document-qa", "nothing"], "nothing: there is no such file"),
        (["document-qa", "empty"], "holds no document"),
        (["self-instruct", "prompts.csv"], "no seed has a column 'instruction'"),
        (["document-qa", "prompts.csv", "--model", "no-such-model"], "neither a known open model nor a file"),
        (["document-qa", "prompts.csv", "--model", "stub", "--records", "0"], "cover.total"),
        (["document-qa", "prompts.csv", "--model", "stub", "--not-in", "nothing"], "nothing: there is no such file"),
    ],
)
def test_bad_input_to_own_is_one_sentence_and_leaves_nothing(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "prompts.csv").write_text("text\nA sentence that is long enough.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["own.py", *words])
    assert own().main() == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not shown.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "prompts.csv"]
