"""What texts are for: a language model tuned on them, judged on held-out real texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Better, Evidence, Measure
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables import scores
from synthmill.tables.encode import NUMERIC, Floats
from synthmill.tables.interval import UNKNOWN, Estimate, entities, measured, resamples, seeds

from ._arms import MEASURES, Arms, at_most, class_for_class, mixed
from .text import names_of, texts_of

if TYPE_CHECKING:
    from ._tuned import Judged, Tuner

_AT = "utility.lm"
_LEAST = 20
_LABELS = 20
"""Each is read in the place of a record's own; with more of them accuracy is left unmeasured."""
_ARMS = ("untrained", *MEASURES)
Quantity = Literal["bits", "accuracy"]


@dataclass
class LmUtility:
    """A small language model is tuned on four training sets and faces the same held-out real texts.

    Tuned by LoRA on all linear layers, with as many steps for every set, so that none has more compute than another; each
    record is its text and, where the run has a target of labels, `target: label` after it.

    bits_...: bits per byte of the held-out texts, comparable between models; detail `loss`: nats per token. accuracy_...:
    share of the held-out texts whose likeliest label is the right one. untrained: the model as it is. real, synthetic,
    blend: tuned on these rows. oversampled: real texts repeated, class for class, as in the blend (without labels the same
    as real: steps are equal). gap: what synthetic texts alone lose against real ones; blend_gain: what the blend
    gains on the better of real and oversampled. Floors: of bits the untrained model, of accuracy the commonest label.

    model: a folder with weights, a GGUF file, or a known open model (`synthmill models`); nothing is downloaded. length: tokens
    of a text that are read. held: the most held-out texts. Intervals are paired over held-out entities; they do not hold
    the luck of one tuning.

    Sources: Hu et al., LoRA (2021), arXiv:2106.09685; the arms of `utility`.
    """

    model: str = "smollm2-135m"
    columns: list[str] | None = None
    steps: Annotated[int, Field(ge=1)] = 40
    batch: Annotated[int, Field(ge=1)] = 8
    length: Annotated[int, Field(ge=8)] = 128
    rate: Annotated[float, Field(gt=0)] = 5e-4
    rank: Annotated[int, Field(ge=1)] = 8
    held: Annotated[int, Field(ge=20)] = 200

    measures: ClassVar[tuple[str, ...]] = tuple(f"{q}_{a}" for q in ("bits", "accuracy") for a in _ARMS)
    as_made: ClassVar[bool] = True

    def suits(self, train: pl.DataFrame, schema: Schema, target: str | None) -> None:
        """Raises Refusal where there is no text, no such model, or not what tunes it."""
        from ._tuned import needed, source

        if not names_of(self.columns, train, schema, _AT):
            raise Refusal(f"{_AT}: there is no column of text in the real data")
        needed()
        source(self.model)

    def measure(self, evidence: Evidence) -> list[Measure]:
        names = names_of(self.columns, evidence.train, evidence.schema, _AT)
        task = _Task(evidence, names, self.held) if names else None
        if task is None or len(task.held) < _LEAST:
            why = f"fewer than {_LEAST} held-out texts" if names else "there is no column of text"
            return [_unknown(name, why) for name in self.measures]
        from ._tuned import Setting, Tuner, needed

        needed()
        setting = Setting(self.steps, self.batch, self.length, self.rate, self.rank)
        tuner = Tuner(self.model, setting, f"\n{evidence.target}:" if task.labels else "")
        found = task.judged(tuner)
        return [*task.measures("bits", found), *task.measures("accuracy", found)]


def _unknown(name: str, why: str) -> Measure:
    return measured(name, [UNKNOWN], _better(name), note=why)


def _better(name: str) -> Better:
    if name.endswith("_gap"):
        return "lower"
    return "higher" if name.startswith("accuracy") or name.endswith("_gain") else "lower"


class _Task:
    """Every table as (text, label) records; rows without a text, or without a label where there are labels, are left out."""

    def __init__(self, e: Evidence, names: Sequence[str], held: int) -> None:
        self.rng, self.target, self.reference = e.rng("utility", "lm"), e.target, e.reference
        labelled = e.target is not None and e.target in e.schema and e.schema[e.target].kind not in NUMERIC
        self.by = e.target if labelled else None
        kept = at_most(self._whole(e.holdout, names), held, self.rng)
        self.groups = entities(kept, e.entity)
        self.w = resamples(self.groups, self.rng)
        self.n = int(self.groups.max(initial=-1)) + 1
        self.held = self._records(kept, names)
        self.train = self._records(self._whole(e.train, names), names)
        self.made = [self._records(self._whole(t, names), names) for t in seeds(e)]
        self.blend = self._records(self._whole(mixed(e), names), names)
        known = sorted({y for _, y in (*self.held, *self.train) if y is not None})
        self.labels = known if 2 <= len(known) <= _LABELS else []

    def _whole(self, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        there = texts_of(frame, names).is_not_null()
        return frame.filter(there & frame[self.by].is_not_null() if self.by else there)

    def _records(self, frame: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, str | None]]:
        labels = frame[self.by].cast(pl.String).to_list() if self.by else [None] * frame.height
        return list(zip(texts_of(frame, names).to_list(), labels, strict=True))

    @property
    def oversampled(self) -> list[tuple[str, str | None]]:
        place = {y: i for i, y in enumerate(dict.fromkeys(y for _, y in (*self.train, *self.blend)))}
        train, mix = (np.array([place[y] for _, y in t], np.int64) for t in (self.train, self.blend))
        return [self.train[i] for i in class_for_class(train, mix, self.rng)]

    def judged(self, tuner: Tuner) -> dict[str, list[Judged]]:
        """Every arm under the same seed: what differs between them is what they learn from."""
        seed = int(self.rng.integers(2**31))

        def of(records: list[tuple[str, str | None]] | None) -> Judged:
            return tuner.judged(records, self.held, self.labels, seed)

        real = of(self.train)
        return {
            "untrained": [of(None)],
            "real": [real],
            "synthetic": [of(t) for t in self.made],
            "blend": [of(self.blend)],
            "oversampled": [of(self.oversampled) if self.labels else real],
        }

    def measures(self, quantity: Quantity, found: dict[str, list[Judged]]) -> list[Measure]:
        if quantity == "accuracy" and not self.labels:
            why = f"more than {_LABELS} labels" if self.by else "no target of labels is declared"
            return [_unknown(f"accuracy_{a}", why) for a in _ARMS]
        values = {a: [self._estimate(quantity, j) for j in js] for a, js in found.items()}
        real, synthetic, blend, again = (values[a] for a in ("real", "synthetic", "blend", "oversampled"))
        arms = Arms(real[0], synthetic, blend[0], again[0], higher=quantity == "accuracy")
        out = [self._measured(quantity, "untrained", values["untrained"], found)]
        out += arms.measures(self.reference, lambda name, es: self._measured(quantity, name, es, found))
        floor = values["untrained"][0].value if quantity == "bits" else self._majority()
        arm = ("real", "synthetic", "blend", "oversampled")
        return [replace(m, floor=floor) if m.name.removeprefix(f"{quantity}_") in arm else m for m in out]

    def _measured(
        self, quantity: Quantity, arm: str, estimates: Sequence[Estimate], found: dict[str, list[Judged]]
    ) -> Measure:
        name = f"{quantity}_{arm}"
        top = 1.0 if quantity == "accuracy" else np.inf
        detail = {}
        if quantity == "bits" and arm in found:
            loss = measured("loss", [self._ratio(j.nats, j.tokens) for j in found[arm]], "lower", (0.0, np.inf))
            detail["loss"] = {"value": loss.value, "low": loss.low, "high": loss.high}
        lowest = -top if arm in ("gap", "blend_gain") else 0.0
        return measured(name, estimates, _better(name), (lowest, float(top)), detail)

    def _estimate(self, quantity: Quantity, j: Judged) -> Estimate:
        if quantity == "bits":
            return self._ratio(j.nats / np.log(2), j.size)
        assert j.right is not None
        return Estimate(scores.mean(j.right, self.w), self.n)

    def _ratio(self, above: Floats, below: Floats) -> Estimate:
        return Estimate((self.w @ above) / (self.w @ below), self.n)

    def _majority(self) -> float:
        """How often train's commonest label is right."""
        counts: dict[str | None, int] = {}
        for _, y in self.train:
            counts[y] = counts.get(y, 0) + 1
        commonest = max(sorted(counts, key=str), key=lambda y: counts[y])
        return float(np.mean([y == commonest for _, y in self.held]))
