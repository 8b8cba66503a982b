"""Judging by models: what is judged is quoted so that it cannot pass for an instruction, and verdicts are read strictly."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from synthmill.frame import digest, seed_of
from synthmill.refusal import Refusal, choices

from .forms import Choice, Form, Text, Unread, Values
from .model import Model
from .prompts import Prompt
from .question import Answer, Question

Side = Literal["one", "two", "same", ""]
""" "": neither, because the judge did not say so in both orders, or could not be read."""


@dataclass(frozen=True)
class Case:
    """What is judged. texts: by the name they are shown under; form: of the verdict; told: what else the prompt needs."""

    texts: Mapping[str, str]
    form: Form
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One verdict. values: None where there is none, and `fault` says why."""

    values: Values | None
    fault: str = ""


@dataclass(frozen=True)
class Ballot:
    """One judge's verdict on two texts, asked in both orders. first: with `one` in front; swapped: with `two` in front."""

    first: Side
    swapped: Side
    reason: str = ""
    fault: str = ""

    @property
    def side(self) -> Side:
        """What it says in either order; nothing where the verdict follows the place."""
        return self.first if self.first == self.swapped else ""


def mark_of(texts: Sequence[str]) -> str:
    """A code that opens and closes quoted texts: it depends on all of them, so nobody can write it into one beforehand."""
    salt = 0
    while True:
        mark = digest("mark", salt, list(texts))[:10]
        if not any(mark in t for t in texts):
            return mark
        salt += 1


_CONTROL = re.compile(
    r"(?P<open><|\[)(?P<rest>\|[^|<>\n]{1,40}\|>|｜[^｜<>\n]{1,40}｜>|/?s>|/?INST\]|</?SYS>>|(?:start|end)_of_turn>|(?:bos|eos|pad|unk)>)",
    re.IGNORECASE,
)


def tamed(text: str) -> str:
    """The text with a blank in every control token of a chat format, such as `<|im_end|>`, which engines may read as the
    end of the message it stands in."""
    return _CONTROL.sub(r"\g<open> \g<rest>", text)


class Panel:
    """One judge or several, each asked several times, with one prompt.

    The prompt is given `mark`, `texts` (name and text of each, in order), `form` and what a case tells.
    """

    def __init__(self, models: Sequence[Model], samples: int, prompt: Path, structured: bool = True) -> None:
        self.models, self.samples, self.structured = list(models), samples, structured
        self.prompt = Prompt(prompt)

    def ask(self, cases: Sequence[Case]) -> list[list[list[Reading]]]:
        """(cases, judges, samples): every verdict. What a case is asked depends on the case alone."""
        questions = [q for c in cases for q in self._questions(c)]
        read: list[list[list[Reading]]] = [[] for _ in cases]
        for model in self.models:
            answers = iter(model.ask(questions))
            for case, out in zip(cases, read, strict=True):
                out.append([_reading(next(answers), case) for _ in range(self.samples)])
        return read

    @property
    def identity(self) -> dict[str, Any]:
        """What decides a verdict beside the case."""
        models = [{"model": m.model, **m.parameters} for m in self.models]
        return {
            "judges": models,
            "samples": self.samples,
            "structured": self.structured,
            "prompt": digest(self.prompt.text),
        }

    def _questions(self, case: Case) -> list[Question]:
        texts = {name: tamed(text) for name, text in case.texts.items()}
        shown = {"mark": mark_of(list(texts.values())), "texts": [{"name": n, "text": t} for n, t in texts.items()]}
        messages = self.prompt({**shown, "form": case.form.shown(), **case.told})
        parameters = {"response_format": case.form.response_format()} if self.structured else {}
        seed = seed_of("judge", case.texts, case.told) >> 65
        return [Question(messages, seed, k, parameters) for k in range(self.samples)]


def panel(
    model: Model | None,
    judges: Sequence[Model],
    samples: int,
    prompt: Path,
    structured: bool,
    at: str,
) -> Panel:
    """Raises Refusal for judges that could not but agree with each other."""
    if samples < 1:
        raise Refusal(f"{at}: samples: {samples} is less than 1")
    if judges and model is not None:
        raise Refusal(f"{at}: give 'model' or 'judges', not both")
    models = list(judges) or [model or Model(temperature=0)]
    alike = [digest(m.model, m.parameters) for m in models]
    twice = next((m for m, a in zip(models, alike, strict=True) if alike.count(a) > 1), None)
    if twice is not None:
        raise Refusal(f"{at}: judges: '{twice.model}' is there twice, and would give every verdict twice")
    fixed = next((m for m in models if samples > 1 and m.temperature == 0), None)
    if fixed is not None:
        raise Refusal(f"{at}: samples: at temperature 0 '{fixed.model}' gives one verdict {samples} times over; give it a temperature")  # fmt: skip
    return Panel(models, samples, prompt, structured)


def compare(
    panel: Panel, pairs: Sequence[tuple[str, str, str]], told: Mapping[str, Any], reasons: bool
) -> list[list[Ballot]]:
    """Ballots of every judge and sample on pairs of (question, one, two), each asked in both orders."""
    better = Choice(("A", "B", "same", "unsure"))
    form = Form(
        {"reason": Text("why, in at most 20 words", 1, 2_000), "better": better} if reasons else {"better": better}
    )
    cases = []
    for question, one, two in pairs:
        for a, b in ((one, two), (two, one)):
            texts = {"QUESTION": question, "ANSWER A": a, "ANSWER B": b}
            cases.append(Case({k: v for k, v in texts.items() if k != "QUESTION" or v}, form, told))
    read = panel.ask(cases)
    flat = [[r for judge in case for r in judge] for case in read]
    return [[_ballot(f, s) for f, s in zip(flat[i], flat[i + 1], strict=True)] for i in range(0, len(flat), 2)]


def elected(ballots: Sequence[Ballot]) -> Side:
    """What more than half of all ballots say; those that say nothing are counted."""
    side, n = Counter(b.side for b in ballots).most_common(1)[0]
    return side if 2 * n > len(ballots) else ""


def _ballot(first: Reading, swapped: Reading) -> Ballot:
    here: dict[Any, Side] = {"A": "one", "B": "two", "same": "same"}
    there: dict[Any, Side] = {"A": "two", "B": "one", "same": "same"}
    if first.values is None or swapped.values is None:
        return Ballot("", "", fault=first.fault or swapped.fault)
    sides = here.get(first.values["better"], ""), there.get(swapped.values["better"], "")
    fault = ""
    if "" in sides:
        fault = "the judge is unsure"
    elif sides[0] != sides[1]:
        place = {("one", "two"): "the first in either order", ("two", "one"): "the second in either order"}
        fault = f"the judge prefers {place.get(sides, 'one in one order and neither in the other')}"
    return Ballot(*sides, reason=str(first.values.get("reason", "")), fault=fault)


def _reading(answer: Answer, case: Case) -> Reading:
    if answer.error:
        return Reading(None, answer.error)
    if answer.finish == "length":
        return Reading(None, f"the verdict was cut off after {answer.completion_tokens} tokens")
    try:
        return Reading(case.form.read(_own(answer.text, case)))
    except Unread as e:
        return Reading(None, str(e))


def _own(said: str, case: Case) -> str:
    """The one JSON object with the form's keys that is the judge's own. One that stands in what is judged may be quoted
    from there, and of several nobody knows which is meant: neither is a verdict."""
    decoder = json.JSONDecoder(strict=False)
    found, at = [], said.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(said, at)
        except json.JSONDecodeError:
            at = said.find("{", at + 1)
            continue
        if isinstance(value, dict) and case.form.fields.keys() & value.keys():
            found.append(said[at:end])
        at = said.find("{", end)
    if not found:
        raise Unread("there is no verdict in what the judge said")
    judged = ["".join(t.split()) for t in case.texts.values()]
    own = [f for f in found if not any("".join(f.split()) in t for t in judged)]
    if not own:
        raise Unread("the verdict stands word for word in what was judged")
    if len(own) > 1:
        raise Unread(f"the judge gave {len(own)} verdicts")
    return own[0]


@dataclass(frozen=True)
class Criterion:
    """about: what is asked; low, high: ends of the scale; weight: against the others; levels: what points mean; least:
    points below which nothing else helps."""

    name: str
    about: str
    low: int = 1
    high: int = 5
    weight: float = 1.0
    levels: Mapping[int, str] = field(default_factory=dict)
    least: int | None = None


def rubric(given: str | Mapping[str, Any], at: str) -> list[Criterion]:
    """Criteria from a sentence, or from names with a sentence or `{about, scale, weight, levels, least}` each."""
    if isinstance(given, str):
        given = {"quality": given}
    if not given:
        raise Refusal(f"{at}: criteria: there are none")
    return [_criterion(str(name), c, f"{at}: criteria.{name}") for name, c in given.items()]


def _criterion(name: str, given: Any, at: str) -> Criterion:
    if not re.fullmatch(r"[A-Za-z_]\w{0,39}", name) or name == "reason":
        raise Refusal(f"{at}: a criterion is named by one word other than 'reason'")
    given = {"about": given} if isinstance(given, str) else given
    known = ("about", "scale", "weight", "levels", "least")
    if not isinstance(given, Mapping):
        raise Refusal(f"{at}: {given!r} is neither a sentence nor a mapping with 'about'")
    for key in given:
        if key not in known:
            raise Refusal(f"{at}: unknown key '{key}'; {choices(key, known)}")
    about, weight = given.get("about"), given.get("weight", 1.0)
    if not isinstance(about, str) or not about.strip():
        raise Refusal(f"{at}: 'about' says what is asked, in a sentence")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e6:
        raise Refusal(f"{at}: weight: {weight!r} is no number above 0")
    low, high = _scale(given.get("scale", [1, 5]), at)
    levels = given.get("levels") or {}
    if not isinstance(levels, Mapping) or not all(
        _whole(k) and low <= k <= high and isinstance(v, str) for k, v in levels.items()
    ):
        raise Refusal(
            f"{at}: levels: expected what points from {low} to {high} mean, such as {{{low}: ..., {high}: ...}}"
        )
    least = given.get("least")
    if least is not None and (not _whole(least) or not low <= least <= high):
        raise Refusal(f"{at}: least: {least!r} is not on the scale from {low} to {high}")
    return Criterion(name, about.strip(), low, high, float(weight), dict(levels), least)


def _scale(given: Any, at: str) -> tuple[int, int]:
    if (
        not isinstance(given, list | tuple)
        or len(given) != 2
        or not all(map(_whole, given))
        or not 1 <= given[1] - given[0] <= 100
    ):
        raise Refusal(f"{at}: scale: {given!r}: expected two whole numbers, at most 100 apart, such as [1, 5]")
    return int(given[0]), int(given[1])


def _whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def trusted(report: Path, least: float, judge: str, at: str) -> None:
    """Raises Refusal unless a report of `synthmill judge-check` is about this very judge and its agreement with people
    is at least `least` at the interval's lower end. judge: the judge's digest."""
    try:
        told = json.loads(report.read_text("utf-8"))
        agreement = next(m for m in told["measures"] if m["name"] == "agreement")
        about, value, low = str(told["judge"]), agreement["value"], agreement["low"]
    except OSError as e:
        raise Refusal(f"{at}: {report}: {(e.strerror or str(e)).lower()}") from None
    except (ValueError, KeyError, TypeError, StopIteration):
        raise Refusal(f"{at}: {report}: is no report of `synthmill judge-check`") from None
    if about != judge:
        raise Refusal(
            f"{at}: {report}: is about another judge: its model, prompt, criteria or samples differ; run `synthmill judge-check` again"
        )
    if low is None or low < least:
        shown = "unknown" if value is None or low is None else f"{value:.1%}, and may be as low as {low:.1%}"
        raise Refusal(f"{at}: the judge's agreement with people is {shown}; at least {least:.0%} is wanted")
