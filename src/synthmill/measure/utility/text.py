"""What texts are for: a classifier trained on them, judged on held-out real texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from synthmill.plugins import Evidence, Measure
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables import scores
from synthmill.tables.encode import NUMERIC, Floats, Ints, codes
from synthmill.tables.interval import UNKNOWN, Estimate, entities, measured, resamples, seeds
from synthmill.texts.columns import TABULAR, joined, named

from ._arms import MEASURES, Arms, at_most, class_for_class, macro_auc, mixed

_AT = "utility.text"
_TRAIN = 50_000
_HOLDOUT = 20_000
_FEATURES = 200_000
_LEAST = 20
Table = tuple[pl.Series, Ints]


@dataclass
class TextUtility:
    """Four training sets of labelled texts face the same held-out real texts.

    The label is the run's target. The classifier is logistic regression (C = 100) on TF-IDF of runs of 2 to 5 letters
    within words, which needs no word list of any language; words it weighs are those of its own training set.

    real, synthetic, blend: trained on these rows. oversampled: real texts repeated until there are as many of each class as
    in the blend, so that what the blend gains is what synthetic *texts* tell, not what other shares of the classes do.
    `gap` = real - synthetic; `blend_gain` = blend - the better of real and oversampled. Without a blend, train and
    synthetic stacked stand for it.

    columns: default every column of text; a row's are joined. score: `auc` (macro one-against-rest with more than two
    classes), which sees the ranking alone; or `f1`, the mean over classes of F1 at the likeliest class, which anything
    moves that is added to a rare class, nonsense included. Detail `majority`: the score of always saying the commonest
    class of train. Floor: columns shuffled apart, so real texts under labels drawn at random. Ceiling: half of train in
    the synthetic rows' place. Intervals are paired over held-out entities; the luck of which texts were written is in
    them only where there are further draws. At most 50,000 training and 20,000 held-out texts are used. Unknown without a
    target of classes.

    Sources: the arms of `utility`; features as Cavnar & Trenkle (1994) use them.
    """

    columns: list[str] | None = None
    score: Literal["auc", "f1"] = "auc"

    measures: ClassVar[tuple[str, ...]] = MEASURES
    references: ClassVar[tuple[str, ...]] = ("independent", "fresh")
    as_made: ClassVar[bool] = True

    def suits(self, train: pl.DataFrame, schema: Schema, target: str | None) -> None:
        """Raises Refusal where the real data has no text or no label."""
        if why := self._lacks(train, schema, target):
            raise Refusal(f"{_AT}: {why}")

    def measure(self, evidence: Evidence) -> list[Measure]:
        why = self._lacks(evidence.train, evidence.schema, evidence.target) or _thin(evidence)
        if why:
            return [measured(m, [UNKNOWN], "lower" if m == "gap" else "higher", note=why) for m in self.measures]
        task = _Task(evidence, names_of(self.columns, evidence.train, evidence.schema, _AT), self.score)
        synthetic = [task.judged(t) for t in task.made]
        arms = Arms(task.judged(task.train), synthetic, task.judged(task.blend), task.judged(task.oversampled))
        return arms.measures(evidence.reference, task.measured)

    def _lacks(self, train: pl.DataFrame, schema: Schema, target: str | None) -> str:
        if not names_of(self.columns, train, schema, _AT):
            return "there is no column of text in the real data"
        if target is None:
            return "no target is declared: name the column of labels in real.target"
        if target not in schema or schema[target].kind in NUMERIC:
            return f"the target '{target}' is no column of labels"
        return ""


def names_of(columns: list[str] | None, train: pl.DataFrame, schema: Schema, at: str) -> list[str]:
    """The columns of text asked for, or all. Raises Refusal for one that is not there."""
    types = {c: t for c, t in train.schema.items() if columns is not None or c not in schema.of(*TABULAR)}
    return named(columns, types, f"{at}: columns")


def texts_of(frame: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """(n,) String: a row's texts joined; null where there is none."""
    there = [n for n in names if n in frame.columns]
    if not there:
        return pl.Series("text", [None] * frame.height, pl.String)
    whole = joined(frame, there)
    return whole.set(whole.str.strip_chars() == "", None)


def _thin(evidence: Evidence) -> str:
    assert evidence.target is not None
    if evidence.holdout[evidence.target].drop_nulls().n_unique() < 2:
        return f"held-out rows show fewer than two values of '{evidence.target}'"
    if evidence.holdout.height < _LEAST:
        return f"fewer than {_LEAST} held-out texts"
    return ""


class _Task:
    """The texts and labels of every table, labels in one coding (0: unknown). A row without either is left out."""

    def __init__(self, e: Evidence, names: Sequence[str], score: str) -> None:
        assert e.target is not None
        self.rng, self.by = e.rng("utility", "text"), score
        made = seeds(e)
        frames = [e.holdout, e.train, *made, mixed(e)]
        limits = [_HOLDOUT, *[_TRAIN] * (len(frames) - 1)]
        read = [(texts_of(f, names), f[e.target]) for f in frames]
        kept = [
            at_most(f.filter(t.is_not_null() & y.is_not_null()), most, self.rng)
            for f, (t, y), most in zip(frames, read, limits, strict=True)
        ]
        labels = codes([f[e.target] for f in kept])[0]
        tables = [(texts_of(f, names), y) for f, y in zip(kept, labels, strict=True)]
        self.holdout, self.train, self.made, self.blend = tables[0], tables[1], tables[2 : 2 + len(made)], tables[-1]
        self.truth = self.holdout[1]
        self.classes = [int(c) for c in np.unique(self.truth)]
        self.groups = entities(kept[0], e.entity)
        self.w = resamples(self.groups, self.rng)
        self.n = int(self.groups.max(initial=-1)) + 1

    @property
    def oversampled(self) -> Table:
        x, y = self.train
        at = class_for_class(y, self.blend[1], self.rng)
        return x.gather(at), y[at]

    def judged(self, table: Table) -> Estimate:
        p, seen = _classify(*table, self.holdout[0])
        return Estimate(self._score(p, seen), self.n)

    def majority(self) -> float:
        labels, counts = np.unique(self.train[1], return_counts=True)
        if not len(labels):
            return float("nan")
        return float(self._score(np.ones((len(self.truth), 1)), labels[[counts.argmax()]])[0])

    def _score(self, p: Floats, seen: Ints) -> Floats:
        """p: (n, len(seen)) probabilities of the labels `seen`."""
        if self.by == "f1":
            guess = seen[p.argmax(axis=1)] if len(seen) else np.full(len(p), -1)
            return scores.macro_f1(self.truth, guess, self.w)
        known = np.zeros((len(p), len(self.classes)))
        for j, label in enumerate(self.classes):
            known[:, j] = p[:, seen == label].sum(axis=1)
        return macro_auc(self.truth, known, self.classes, self.w)

    def measured(self, name: str, estimates: Sequence[Estimate]) -> Measure:
        difference = name in ("gap", "blend_gain")
        detail: dict[str, Any] = {"score": "macro F1" if self.by == "f1" else "AUC"}
        if not difference:
            detail["majority"] = self.majority()
        span = (-1.0 if difference else 0.0, 1.0)
        return measured(name, estimates, "lower" if name == "gap" else "higher", span, detail)


def _classify(texts: pl.Series, labels: Ints, at: pl.Series) -> tuple[Floats, Ints]:
    """((len(at), k) probabilities, (k,) their labels) of a model trained on the texts; one label is always said."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(labels)
    if len(seen) < 2:
        return np.ones((len(at), len(seen))), seen
    vectors = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=_FEATURES, dtype=np.float64
    )
    x = vectors.fit_transform(texts.to_list())
    # with the default tolerance it stops where a single text more moves F1 by a hundredth
    model = LogisticRegression(C=100.0, max_iter=5_000, tol=1e-8).fit(x, labels)
    return model.predict_proba(vectors.transform(at.to_list())), model.classes_.astype(np.int64)
