"""Each text generator with a scripted model: what becomes a record, what does not and why, exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synthmill.cells import ANY, Cell
from synthmill.llm.model import Model
from synthmill.llm.question import Answer
from synthmill.plugins import Request, build, find
from synthmill.refusal import Refusal

PASSAGE = "The bridge was built in 1894 by Anna Kern. It spans the Elm and is 210 metres long. It was closed in 1967."
GIVEN = pl.DataFrame({"instruction": ["Name a river.", "Name a lake."]})
Speak = Callable[[str, int], Any]


def made(use: str, speak: Speak, given: pl.DataFrame | None = None, n: int = 2, **config: Any) -> pl.DataFrame:
    """speak: what the model says to (the last message, the sample's number)."""
    engine = Model("stub", engine=lambda m, p, s, i: speak(str(m[-1]["content"]), i))
    cls = find("generate", f"text.{use}")
    plugin = cls(model=engine, **config)
    return plugin.generate(Request(0, Cell(ANY, (), 0), 0, n if given is None else given.height, 1, given))


def said(**values: Any) -> Speak:
    return lambda _, __: json.dumps(values)


def errors(frame: pl.DataFrame) -> list[str | None]:
    return frame["_error"].to_list() if "_error" in frame.columns else [None] * frame.height


@pytest.fixture
def document(tmp_path: Path) -> str:
    (tmp_path / "bridge.txt").write_text(PASSAGE)
    return str(tmp_path / "bridge.txt")


@pytest.fixture
def long_document(tmp_path: Path) -> str:
    parts = [f"Part {i} tells of bridge number {i}. It was built in {1800 + i} by somebody. " * 3 for i in range(4)]
    (tmp_path / "long.txt").write_text("\n\n".join(parts))
    return str(tmp_path / "long.txt")


def test_self_instruct_shows_seeds_and_does_not_repeat_them(tmp_path: Path) -> None:
    rows = [
        {"id": f"s{i}", "instruction": f"Old task number {i}!", "instances": [{"input": f"in {i}", "output": ""}]}
        for i in range(4)
    ]
    (tmp_path / "s.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    seen = []

    def speak(question: str, _: int) -> str:
        seen.append(question)
        if "Invent a new task" not in question and "cannot be used" not in question:
            return "An answer."
        shown = re.findall(r"^- (.*?!)", question, re.M)
        new = shown[0].lower().replace("!", "") if shown and shown[0].endswith("0!") else "A quite new task."
        return json.dumps({"instruction": new, "input": ""})

    frame = made("self_instruct", speak, n=4, seeds=str(tmp_path / "s.jsonl"), shots=1)
    assert "(Input: in " in seen[0]
    assert frame["_parents"].list.join("").sort().to_list() == ["s0", "s1", "s2", "s3"]
    done = {p[0]: e for p, e in zip(frame["_parents"], errors(frame), strict=True)}
    assert done == {"s0": None, "s1": None, "s2": None, "s3": None}, "repaired: the second question shows no task"
    assert set(frame["output"]) == {"An answer."}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"question": "Who built the bridge?", "answer": "Anna Kern", "evidence": [1]}, None),
        (
            {"question": "Who built the bridge?", "answer": "Anna Kern", "evidence": [2]},
            "only 0% of the answer's words",
        ),
        ({"question": "Who built the bridge?", "answer": "Anna Kern", "evidence": [4]}, "'evidence' is 4, not a whole"),
        (
            {"question": "What does sentence 1 say of it?", "answer": "1894", "evidence": [1]},
            "speaks of a sentence's number",
        ),
    ],
)
def test_document_qa_by_sentence(document: str, values: dict[str, Any], error: str | None) -> None:
    frame = made("document_qa", said(**values), n=1, documents=document)
    if error:
        assert error in errors(frame)[0]
        return
    assert frame["evidence"].to_list() == [["The bridge was built in 1894 by Anna Kern."]]
    assert frame["context"].to_list() == [PASSAGE]
    assert frame["kind"].to_list() == ["single"]
    assert frame["_parents"].to_list() == [["bridge.txt"]]


@pytest.mark.parametrize(
    ("answer", "named", "left"),
    [
        ("Anna Kern", [1, 3], [1]),
        ("Anna Kern", [3, 1], [1]),
        ("in 1894 and closed in 1967", [1, 3], [1, 3]),
        ("no", [1, 3], [1, 3]),
    ],
)
def test_evidence_that_adds_nothing_to_the_proof_is_left_out(
    document: str, answer: str, named: list[int], left: list[int]
) -> None:
    speak = said(question="What of the bridge over the Elm?", answer=answer, evidence=named)
    frame = made("document_qa", speak, n=1, documents=document)
    sentences = [f"{s}." for s in PASSAGE.rstrip(".").split(". ")]
    assert frame["evidence"].to_list() == [[sentences[k - 1] for k in left]]


@pytest.mark.parametrize(
    ("quotation", "found"),
    [("built  in 1894 by ANNA KERN", "built in 1894 by Anna Kern"), ("built in 1895 by Anna Kern", None)],
)
def test_document_qa_by_quotation(document: str, quotation: str, found: str | None) -> None:
    speak = said(question="Who built the bridge?", answer="Anna Kern", evidence=[quotation])
    frame = made("document_qa", speak, n=1, documents=document, cite="quote")
    if found:
        assert frame["evidence"].to_list() == [[found]]
    else:
        assert errors(frame) == ["the evidence 'built in 1895 by Anna Kern' is not in the passage, word for word"]


def test_document_qa_over_two_passages(long_document: str) -> None:
    seen: list[str] = []

    def speak(question: str, _: int) -> str:
        seen.append(question)
        numbers = [int(x) for x in re.findall(r"^\[(\d+)\] Part", question, re.M)]
        return json.dumps(
            {
                "evidence_1": numbers[:1],
                "evidence_2": numbers[-1:],
                "question": "Which bridges are there?",
                "answer": "bridge number",
            }
        )

    frame = made("document_qa", speak, n=3, documents=long_document, size=260, kinds=["multi_hop"])
    assert errors(frame) == [None] * 3
    assert all(len(set(e)) == 2 for e in frame["evidence"])
    assert "Passage 1:" in seen[0]
    assert "Passage 2:" in seen[0]
    first = said(question="Which bridges are there?", answer="bridge number", evidence_1=[1], evidence_2=[1])
    one = made("document_qa", first, n=1, documents=long_document, size=260, kinds=["multi_hop"])
    assert errors(one)[0].startswith("'evidence_2' is 1, not a whole number from")
    with pytest.raises(Refusal, match="none is long enough for two passages"):
        made("document_qa", speak, documents=long_document, size=5_000, kinds=["multi_hop"])


@pytest.mark.parametrize(("answerable", "error"), [("no", None), ("yes", "the passage answers it")])
def test_document_qa_that_cannot_be_answered(document: str, answerable: str, error: str | None) -> None:
    def speak(question: str, _: int) -> str:
        asked = "Does the text answer" in question or '"answerable"' in question
        return json.dumps({"answerable": answerable, "reply": ""} if asked else {"question": "What did it cost?"})

    frame = made("document_qa", speak, n=1, documents=document, kinds=["unanswerable"])
    assert errors(frame) == [error]
    if not error:
        assert frame.select("answer", "evidence").rows() == [("", [])]


@pytest.mark.parametrize(("reply", "ok"), [("It was Anna Kern.", True), ("Nobody knows.", False)])
def test_document_qa_confirmed(document: str, reply: str, ok: bool) -> None:
    def speak(question: str, _: int) -> str:
        if '"answerable"' in question:
            return json.dumps({"answerable": "yes", "reply": reply})
        return json.dumps({"question": "Who built the bridge?", "answer": "Anna Kern", "evidence": [1]})

    frame = made("document_qa", speak, n=1, documents=document, confirm=True)
    assert errors(frame) == [None if ok else "asked again, the answer is another: Nobody knows."]
    assert "reply" not in frame.columns


def test_distill_keeps_all_samples_and_the_likeliest_first() -> None:
    def speak(_: str, sample: int) -> Answer:
        told = {"content": [{"token": "a", "logprob": lp} for lp in ([-2.0, -4.0] if sample == 0 else [-1.0, -1.0])]}
        return Answer(f"answer {sample}", "stop", 1, 2, logprobs=told)

    frame = made("distill", speak, GIVEN, samples=2, logprobs=True)
    assert frame["output"].to_list() == ["answer 1"] * 2
    assert frame["outputs"].to_list() == [["answer 0", "answer 1"]] * 2
    assert frame["logprob"].to_list() == [-1.0, -1.0]
    assert frame["instruction"].equals(GIVEN["instruction"])
    assert made("distill", speak, GIVEN)["output"].to_list() == ["answer 0"] * 2
    none = made("distill", lambda _, __: "said", GIVEN, logprobs=True)
    assert set(errors(none)) == {"the endpoint tells no log-probabilities"}


@pytest.mark.parametrize(
    ("first", "swapped", "error"),
    [("A", "B", None), ("B", "A", None), ("A", "A", "the judge prefers answer A in either order")],
)
def test_preference_in_pairs(first: str, swapped: str, error: str | None) -> None:
    def speak(question: str, sample: int) -> str:
        if "Which answer is better" in question:
            return json.dumps({"reason": "answer A beats answer B", "better": (first, swapped)[sample]})
        return ("good", "bad")[sample]

    frame = made("preference", speak, GIVEN.head(1))
    assert errors(frame) == [error]
    if not error:
        best = ("good", "bad") if first == "A" else ("bad", "good")
        order = ("chosen", "rejected") if first == "A" else ("rejected", "chosen")
        reason = "The {} answer beats the {} answer".format(*order)
        assert frame.select("chosen", "rejected", "margin", "reason").rows() == [(*best, 1.0, reason)]


def test_preference_keeps_what_an_answer_has_to_fulfil(tmp_path: Path) -> None:
    checks = [
        [{"id": "no_comma"}],
        [{"id": "number_words", "num_words": 9}, {"id": "number_words", "relation": "at most"}],
    ]
    lines = [json.dumps({"instruction": f"Say {i}", "checks": c, "other": 1}) for i, c in enumerate(checks)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))

    def speak(question: str, sample: int) -> str:
        judged = {"reason": "why", "better": "AB"[sample]}
        return json.dumps(judged) if "Which answer is better" in question else ("good", "bad")[sample]

    frame = made("preference", speak, seeds=str(tmp_path / "prompts.jsonl"), keep=["checks"], n=2).sort("instruction")
    kept = [[{k: v for k, v in c.items() if v is not None} for c in row] for row in frame["checks"].to_list()]
    assert kept == checks
    assert "other" not in frame.columns


def test_preference_by_points() -> None:
    def speak(question: str, sample: int) -> str:
        if "How many points" in question:
            return json.dumps(
                {
                    "reason": "why",
                    "points": {"answer 0": 5, "answer 1": 9, "answer 2": 2}[
                        question.split("Answer:\n")[1].split("\n")[0]
                    ],
                }
            )
        return f"answer {sample}"

    frame = made("preference", speak, GIVEN, judging="scores", answers=3)
    assert frame.select("chosen", "rejected", "margin").rows() == [("answer 1", "answer 2", 7.0)] * 2
    close = made("preference", speak, GIVEN.head(1), judging="scores", answers=3, least=8)
    assert errors(close)[0].endswith("less than 8 apart")
    assert set(errors(made("preference", lambda _, __: "same", GIVEN))) == {"the answers are the same"}


def test_rewrite(document: str) -> None:
    new = "Somebody called Kern put up a crossing over the Elm, of some length, and decades later it was shut again."
    frame = made("rewrite", lambda _, __: new, n=3, documents=document)
    assert frame["text"].to_list() == [PASSAGE] * 3
    assert sorted(frame["style"]) == ["educational", "paraphrase", "simplify"]
    assert frame["rewritten"].to_list() == [new] * 3
    assert errors(made("rewrite", lambda _, __: PASSAGE, n=1, documents=document))[0].startswith("100% of its runs")
    short = made("rewrite", lambda _, __: "A bridge.", n=1, documents=document)
    assert errors(short) == ["the new text has 0.1 times the words of the original, not 0.3 to 3"]
    assert short["text"].to_list() == [PASSAGE]
    assert short["rewritten"].to_list() == ["A bridge."]
    with pytest.raises(Refusal, match="'translate' needs to know into what"):
        made("rewrite", said(), documents=document, styles=["translate"])


@pytest.mark.parametrize(
    ("use", "axis", "value", "error"),
    [
        ("document_qa", "kind", "triple", "kind: 'triple' is none of single, multi_hop, unanswerable"),
        ("rewrite", "style", "translate", "style: 'translate' needs to know into what; give a facet 'language'"),
    ],
)
def test_a_cell_may_ask_for_what_cannot_be_and_nobody_is_asked(
    document: str, use: str, axis: str, value: str, error: str
) -> None:
    asked: list[str] = []
    engine = Model("stub", engine=lambda m, p, s, i: asked.append(str(m)) or "nothing")
    plugin = find("generate", f"text.{use}")(model=engine, documents=document)
    frame = plugin.generate(Request(0, Cell(0, ((axis, value),), 2), 0, 2, 1))
    assert errors(frame) == [error] * 2
    assert not asked


def test_rewrite_into_another_language() -> None:
    seen = []

    def speak(question: str, _: int) -> str:
        seen.append(question)
        return "Nenne einen Fluss."

    frame = made("rewrite", speak, GIVEN, column="instruction", styles=["translate"], facets={"language": ["German"]})
    assert "Translate it into German." in seen[0]
    assert frame["language"].to_list() == ["German"] * 2


@pytest.mark.parametrize(
    ("votes", "label", "confidence", "error"),
    [
        (["spam", "spam", "ham"], "spam", 2 / 3, None),
        (["ham", "ham", "ham"], "ham", 1.0, None),
        (["spam", "ham", "?"], None, None, "the answers are divided: {'spam': 1, 'ham': 1}"),
        (["spam", "?", "?"], None, None, "1 of 3 answers could be read; the first: "),
    ],
)
def test_label(votes: list[str], label: str | None, confidence: float | None, error: str | None) -> None:
    def speak(_: str, sample: int) -> str:
        return json.dumps({"label": votes[sample]})

    frame = made("label", speak, pl.DataFrame({"text": ["win!"]}), labels=["spam", "ham"])
    assert (errors(frame)[0] or "")[:60] == (error or "")[:60]
    if not error:
        assert frame.select("label", "confidence").rows() == [(label, confidence)]
        assert frame["votes"][0] == {"spam": votes.count("spam"), "ham": votes.count("ham")}


def test_label_shows_examples(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["x!", "y"], "label": ["spam", "ham"]}).write_csv(tmp_path / "e.csv")
    seen = []

    def speak(question: str, _: int) -> str:
        seen.append(question)
        return json.dumps({"label": "ham"})

    config: dict[str, Any] = {"labels": ["spam", "ham"], "examples": str(tmp_path / "e.csv")}
    made("label", speak, pl.DataFrame({"text": ["win!"]}), **config)
    assert "Text: x!\nLabel: spam" in seen[0]
    with pytest.raises(Refusal, match="'spam' is not among the labels"):
        made("label", speak, labels=["a", "b"], examples=str(tmp_path / "e.csv"))
    with pytest.raises(Refusal, match="two or more different labels"):
        made("label", speak, labels=["a"])


def test_conversation() -> None:
    def speak(question: str, _: int) -> str:
        if "first message" in question:
            return "Hello?"
        return "And then?" if "What does the person write next?" in question else f"About {question[:9]}"

    frame = made("conversation", speak, n=1, facets={"topic": ["tea"]})
    told = [(m["role"], m["content"]) for m in frame["messages"][0]]
    assert told == [
        ("user", "Hello?"),
        ("assistant", "About Hello?"),
        ("user", "And then?"),
        ("assistant", "About And then?"),
    ]
    begun = made("conversation", speak, GIVEN.head(1), column="instruction", turns=1)
    assert [m["content"] for m in begun["messages"][0]] == ["Name a river.", "About Name a ri"]


TOOL = {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}}


@pytest.mark.parametrize(("tool", "arguments", "roles"), [
    ("weather", {"city": "Lima"}, ["user", "assistant", "tool", "assistant"]), ("none", {}, ["user", "assistant"]), ("weather", {"town": 1}, None)])  # fmt: skip
def test_conversation_with_tools(tool: str, arguments: dict[str, Any], roles: list[str] | None) -> None:
    def speak(question: str, _: int) -> str:
        if "Which tool" in question or '"tool"' in question:
            return json.dumps({"tool": tool})
        if "fits this schema" in question:
            return json.dumps(arguments)
        return '{"sky": "clear"}' if "The result:" in question else "Words."

    frame = made("conversation", speak, n=1, turns=1, tools=[TOOL])
    if roles is None:
        assert errors(frame) == ["arguments: 'city' is a required property"]
        return
    messages = frame["messages"][0].to_list()
    assert [m["role"] for m in messages] == roles
    if tool != "none":
        (call,) = json.loads(messages[1]["tool_calls"])
        assert call["function"] == {"name": "weather", "arguments": '{"city": "Lima"}'}
        assert messages[2]["content"] == '{"sky": "clear"}'


def test_evolve() -> None:
    frame = made(
        "evolve",
        said(evolved="Name three rivers of Peru and say where each ends."),
        GIVEN,
        rounds=2,
        operations=["deepen"],
    )
    assert set(errors(frame)) == {"the task is the same as before"}, "the second round changes nothing"
    once = made("evolve", said(evolved="Name three rivers of Peru and say where each ends."), GIVEN)
    assert errors(once) == [None, None]
    assert all(len(o) == 1 for o in once["operations"])
    talk = made("evolve", said(evolved="The rewritten prompt asks for a river."), GIVEN)
    assert set(errors(talk)) == {"it talks about the task instead of being one"}
    leaked = made(
        "evolve",
        said(evolved="Name a river and add one requirement or constraint that makes it harder."),
        GIVEN,
        operations=["constraints"],
    )
    assert set(errors(leaked)) == {"it repeats what was said about how to change it"}
    long = made("evolve", said(evolved="word " * 60), GIVEN)
    assert set(errors(long)) == {"it has 60 words, more than 36"}
    with pytest.raises(Refusal, match=r"'harder' is not known; Choices: constraints"):
        made("evolve", said(), GIVEN, operations=["harder"])


def test_evolve_with_answers_leaves_out_apologies() -> None:
    def speak(question: str, _: int) -> str:
        return json.dumps({"evolved": "Name three rivers of Peru."}) if "evolved" in question else "I'm sorry, no."

    assert set(errors(made("evolve", speak, GIVEN, answers=True))) == {"the model cannot answer it"}


def test_backtranslate(document: str) -> None:
    good = made("backtranslate", said(instruction="Tell the history of the bridge at Elm."), n=1, documents=document)
    assert good.select("text", "instruction").rows() == [(PASSAGE, "Tell the history of the bridge at Elm.")]
    spoken = made("backtranslate", said(instruction="Summarise the text on a bridge."), n=1, documents=document)
    assert errors(spoken) == ["the instruction speaks of the text, which is its answer"]
    copied = made("backtranslate", said(instruction=PASSAGE), n=1, documents=document)
    assert errors(copied) == ["the instruction is the text itself"]


def test_textbook() -> None:
    frame = made("textbook", lambda _, __: "word " * 50, n=4, facets={"topic": ["tides"]}, words=60)
    assert errors(frame) == [None] * 4
    assert frame["audience"].n_unique() == 4
    short = made("textbook", lambda _, __: "word " * 20, n=1, facets={"topic": ["tides"]}, words=60)
    assert errors(short) == ["the answer has 20 words, fewer than 30"]
    with pytest.raises(Refusal, match="'topic' is required"):
        made("textbook", said())


def test_exercise_text() -> None:
    task = {
        "exercise": "A bridge of 210 metres has 7 equal parts. How long is each?",
        "solution": "210 / 7 = 30. Each is 30 metres.",
    }
    config = {"n": 1, "facets": {"topic": ["division"]}}
    assert errors(made("exercise_text", said(**task, answer="30 metres"), **config)) == [None]
    wrong = made("exercise_text", said(**task, answer="31 metres"), **config)
    assert errors(wrong) == ["the solution does not contain the answer, word for word"]


def test_taxonomy_grows_once_and_covers_every_leaf() -> None:
    grown = []

    def speak(question: str, _: int) -> str:
        divided = re.search(r'Divide "(.*)" into', question)
        if divided:
            grown.append(divided[1])
            return json.dumps({"parts": [f"{divided[1]} {i}" for i in "ab"]})
        return json.dumps({"instruction": "Do something of this subject."})

    frame = made("taxonomy", speak, n=8, root="tea", branches=2, levels=2, answers=False)
    assert sorted(grown) == ["tea", "tea a", "tea b"]
    assert frame["path"].value_counts()["count"].to_list() == [2] * 4
    assert set(frame["leaf"]) == {"tea a a", "tea a b", "tea b a", "tea b b"}
    known = made(
        "taxonomy",
        speak,
        n=3,
        root="tea",
        levels=0,
        tree={"green": ["sencha", "gunpowder"], "black": None},
        answers=False,
    )
    assert sorted(known["path"]) == ["tea > black", "tea > green > gunpowder", "tea > green > sencha"]
    with pytest.raises(ValueError, match="'tea' could not be divided: the answer is not JSON"):
        made("taxonomy", lambda _, __: "no", root="tea")


def test_constitution() -> None:
    def speak(question: str, _: int) -> str:
        if "Write the answer anew" in question:
            assert "Critique: It is rude." in question
            return "Politely: the Amazon."
        return "It is rude." if "where does the answer fall short" in question else "The Amazon, you fool."

    frame = made("constitution", speak, GIVEN, principles=["The answer is kind."])
    assert (
        frame.select("chosen", "rejected", "critique", "principle").rows()
        == [("Politely: the Amazon.", "The Amazon, you fool.", "It is rude.", "The answer is kind.")] * 2
    )
    assert set(errors(made("constitution", lambda _, __: "The same.", GIVEN))) == {
        "the revision is the first answer again"
    }


def test_table_text_shows_the_records_most_like_the_row() -> None:
    from synthmill.tables.infer import infer

    train = pl.DataFrame(
        {
            "label": ["spam", "ham"] * 20,
            "text": [f"real {'offer' if i % 2 == 0 else 'hello'} number {i}" for i in range(40)],
        }
    )
    schema = infer(train, {"text": "text", "label": "categorical"})
    seen = []

    def speak(question: str, _: int) -> str:
        seen.append(question)
        return json.dumps({"text": "a new message of its own"})

    plugin = build("generate", {"use": "text.table_text", "shots": 2})
    plugin.model = Model("stub", engine=lambda m, p, s, i: speak(m[-1]["content"], i))
    plugin.fit(train, schema)
    assert plugin.schema() == {"text": pl.String()}
    given = pl.DataFrame({"label": ["spam"]})
    frame = plugin.generate(Request(0, Cell(ANY, (), 0), 0, 1, 1, given))
    assert frame.select("label", "text").rows() == [("spam", "a new message of its own")]
    assert seen[0].count("real offer") == 2
    assert "real hello" not in seen[0]
    plugin.model = Model(
        "stub", engine=lambda m, p, s, i: json.dumps({"text": re.findall(r"real offer number \d+", m[1]["content"])[0]})
    )
    assert errors(plugin.generate(Request(0, Cell(ANY, (), 0), 0, 1, 1, given))) == ["the text is one of the examples"]
    assert not hasattr(build("generate", {"use": "text.table_text", "learns": False, "columns": {"note": "x"}}), "fit")


def test_persona(document: str) -> None:
    someone = "A retired engineer who photographs old bridges."
    frame = made("persona", lambda _, __: someone, n=1, documents=document)
    assert frame.select("text", "persona").rows() == [(PASSAGE, someone)]
    alone = made("persona", lambda _, __: someone, n=2, by="facets", facets={"age": [20, 60]})
    assert sorted(alone["age"]) == [20, 60]
    assert "text" not in alone.columns


@pytest.mark.parametrize(
    "use", ["distill", "preference", "evolve", "constitution", "backtranslate", "rewrite", "persona"]
)
def test_a_generator_without_anything_to_start_from_says_so(use: str) -> None:
    with pytest.raises(Refusal, match=f"text.{use}: what does it start from"):
        made(use, said())
    with pytest.raises(Refusal, match=f"text.{use}: column: the rows have no"):
        made(use, said(), pl.DataFrame({"other": ["x"]}))


def test_seeds_of_a_run_make_the_next_generation(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "manifest.json").write_text('{"digest": "0123456789abcdef"}')
    ours = {"_id": ["r-0-0"], "_origin": ["synthetic"], "_run": ["r"], "_depth": [2]}
    pl.DataFrame({"instruction": ["x"], **ours}).write_parquet(tmp_path / "data" / "00000.parquet")
    (tmp_path / "people.txt").write_text("a nurse")
    facets = {"facets": {"persona": {"from": str(tmp_path / "people.txt"), "column": "text"}}}
    for use in ("distill", "self_instruct"):
        plugin = build("generate", {"use": f"text.{use}", "seeds": str(tmp_path), **facets})
        assert plugin.parents_depth == 2
        assert [p.split(" sha256")[0] for p in plugin.parents] == ["people.txt", "run 0123456789ab"]
