"""Fairness: whom the data shows, with which outcomes, and whom a model trained on it serves worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from synthmill.plugins import Better, Evidence, Measure
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables import boost, groups
from synthmill.tables.encode import Floats, Ints, encode, features
from synthmill.tables.groups import FEWEST, Attribute, Grouping
from synthmill.tables.interval import UNKNOWN, Estimate, entities, measured, resamples, seeds
from synthmill.tables.outcome import outcome
from synthmill.tables.scores import auc

_TRAIN, _HOLDOUT = 100_000, 20_000
_ARMS = ("real", "synthetic", "blend")
_ROWS: tuple[tuple[str, Better], ...] = (("balance", "higher"), ("parity", "lower"), ("impact", "higher"))
_MODELS: tuple[tuple[str, Better], ...] = (("odds", "lower"), ("accuracy_gap", "lower"), ("auc_gap", "lower"))


@dataclass
class Fairness:
    """Gaps between groups, before (real: train) and after (synthetic; blend where there is one), on the table as made.

    sensitive: columns whose combinations are the groups; a column of numbers with edges: {age: [25, 45, 65]}.
    positive: the favourable outcome of the target (default: the last of two in sorted order; a number: ">= 50000").

    Of the rows: `representation` (total variation between the groups' synthetic and held-out shares), `least_represented`
    (smallest ratio of those shares), `balance` (smallest share times the number of groups), `parity` (largest difference
    of the favourable outcome's rate, demographic parity) and `impact` (smallest over largest rate, disparate impact).
    Of boosted trees trained on each, on held-out real rows: `odds` (largest gap in true or false positive rates at
    probability one half, equalised odds), `accuracy_gap`, `auc_gap`. Details give every group and each attribute alone.
    A group of fewer than 10 held-out people is joined with the others; the true and false positive rates of one need 10
    held-out rows of that outcome. Gaps between more groups, or smaller ones, are larger by chance alone: compare with
    `real` and the ceiling. Sources: Hardt et al. (2016), equalised odds; Feldman et al. (2015), disparate impact.
    """

    measures: ClassVar[tuple[str, ...]] = (
        "representation", "least_represented",
        *(f"{m}_{a}" for m, _ in (*_ROWS, *_MODELS) for a in _ARMS),
    )  # fmt: skip
    references: ClassVar[tuple[str, ...]] = ("fresh",)
    as_made: ClassVar[bool] = True
    sensitive: list[str | dict[str, list[float]]]
    positive: str | int | float | bool | None = None

    def __post_init__(self) -> None:
        if not self.sensitive:
            raise Refusal("fairness: sensitive: [] names no column")

    def suits(self, train: pl.DataFrame, schema: Schema, target: str | None) -> None:
        """Raises Refusal where a sensitive column makes no groups, or `positive` is no value of the target."""
        for attribute in self.sensitive:
            groups.texts(attribute, [train], schema)
        outcome([train], schema, target, self.positive)

    def measure(self, evidence: Evidence) -> list[Measure]:
        made = seeds(evidence)
        arms = {"synthetic": made}
        if not evidence.reference:
            arms["real"] = [evidence.train]
            if evidence.blend is not None:
                arms["blend"] = [evidence.blend]
        if not evidence.holdout.height or not all(t.height for t in made):
            return [measured(m, [UNKNOWN], "none", note="no rows to compare") for m in self.measures]
        judged = _Judged(evidence, arms, list(self.sensitive), self.positive)
        out = [judged.representation(), judged.least_represented()]
        for name, better in _ROWS:
            out += [judged.of_rows(name, arm, better) for arm in arms]
        for name, better in _MODELS:
            out += [judged.of_models(name, arm, better) for arm in arms]
        order = list(self.measures)
        return sorted(out, key=lambda m: order.index(m.name))


class _Judged:
    """Every table's groups and outcomes in one coding. Tables: held-out, then each arm's."""

    def __init__(
        self, e: Evidence, arms: Mapping[str, list[pl.DataFrame]], sensitive: Sequence[Attribute], positive: Any
    ) -> None:
        self.e, self.arms = e, {}
        frames = [e.holdout]
        for arm, tables in arms.items():
            self.arms[arm] = range(len(frames), len(frames) + len(tables))
            frames += tables
        self.frames = frames
        self.people = entities(e.holdout, e.entity)
        each = [groups.texts(a, frames, e.schema) for a in sensitive]
        joint = [pl.select(pl.concat_str(*parts, separator=" & ")).to_series() for parts in zip(*each, strict=True)]
        self.groups = Grouping.of(joint, self.people)
        self.alone = {groups.named(a): Grouping.of(t, self.people) for a, t in zip(sensitive, each, strict=True)}
        self.outcomes, self.why = outcome(frames, e.schema, e.target, positive)
        self.note = self.groups.note
        self._counted: dict[tuple[int, int], Floats] = {}
        self._predicted: dict[str, list[Floats]] = {}
        self.held = self._held_out()

    def _counts(self, table: int, g: Grouping) -> Floats:
        """(1 + replicates, groups and nobody's, outcomes: unfavourable, favourable, unknown)."""
        key = (table, id(g))
        if key not in self._counted:
            y = self.outcomes[table] if self.outcomes else np.full(self.frames[table].height, 2)
            size = len(g.labels) + 1
            code = np.minimum(g.codes[table], size - 1) * 3 + y
            # what a blend or a made table holds has no entities of its own
            people = entities(self.frames[table], self.e.entity) if table in (0, *self.arms.get("real", ())) else None
            drawn = groups.tallies(code, size * 3, people, self.e.rng("fairness", table, *g.labels))
            self._counted[key] = drawn.reshape(-1, size, 3)
        return self._counted[key]

    def _shares(self, table: int, g: Grouping) -> Floats:
        """(1 + replicates, groups and the rest)."""
        counts = self._counts(table, g).sum(axis=2)
        return _ratio(counts, counts.sum(axis=1, keepdims=True))

    def representation(self) -> Measure:
        def distance(table: int, g: Grouping) -> Floats:
            answer: Floats = np.abs(self._shares(table, g) - self._shares(0, g)).sum(axis=1) / 2
            return answer

        shown = self._each(lambda t: _ratio(self._shares(t, self.groups)[0], self._shares(0, self.groups)[0]))
        detail = {"ratio": shown, "by": self._by(distance)}
        return self._measured("representation", distance, "lower", detail)

    def least_represented(self) -> Measure:
        def least(table: int, g: Grouping) -> Floats:
            ratio = _ratio(self._shares(table, g), self._shares(0, g))[:, : len(g.labels)]
            return _extreme(np.fmin, ratio)

        detail = {"share": self._each(lambda t: self._shares(t, self.groups)[0]), "by": self._by(least)}
        detail["share_real"] = self._labelled(self._shares(0, self.groups)[0])
        return self._measured("least_represented", least, "higher", detail, (0.0, np.inf))

    def of_rows(self, name: str, arm: str, better: Better) -> Measure:
        statistic = {"balance": self._balance, "parity": self._parity, "impact": self._impact}[name]
        if name != "balance" and self.why:
            return measured(f"{name}_{arm}", [UNKNOWN], better, note=self.why)
        values = self._shares if name == "balance" else self._rates
        table = self.arms[arm][0]
        shown = {"share" if name == "balance" else "rate": self._labelled(values(table, self.groups)[0])}
        return self._measured(f"{name}_{arm}", statistic, better, {**shown, "by": self._by(statistic, arm)}, arm=arm)

    def _balance(self, table: int, g: Grouping) -> Floats:
        shares = self._shares(table, g)[:, : len(g.labels)]
        return _extreme(np.fmin, shares) * len(g.labels)

    def _rates(self, table: int, g: Grouping) -> Floats:
        counts = self._counts(table, g)[:, : len(g.labels)]
        return _ratio(counts[:, :, 1], counts[:, :, :2].sum(axis=2))

    def _parity(self, table: int, g: Grouping) -> Floats:
        return _spread(self._rates(table, g))

    def _impact(self, table: int, g: Grouping) -> Floats:
        rates = self._rates(table, g)
        return _ratio(_extreme(np.fmin, rates), _extreme(np.fmax, rates))

    def of_models(self, name: str, arm: str, better: Better) -> Measure:
        if self.why or not self.outcomes:
            return measured(f"{name}_{arm}", [UNKNOWN], better, note=self.why)
        if arm not in self._predicted:
            self._predicted[arm] = self._fit(arm)
        known = self.held
        found = [_PER_GROUP[name](p, known.y, known.w, known.groups, self.groups) for p in self._predicted[arm]]
        short = [lab for lab, v in zip(self.groups.labels, found[0][0][0], strict=True) if np.isnan(v)]
        note = "; ".join(
            n for n in (self.note, f"too few held-out rows to judge {len(short)} groups" if short else "") if n
        )
        estimates = [Estimate(_gap(f), known.n) for f in found]
        names = ("true_positive", "false_positive") if name == "odds" else (name.removesuffix("_gap"),)
        detail = {n: self._labelled(part[0]) for n, part in zip(names, found[0], strict=True)}
        p = self._predicted[arm][0]
        by = {a: _PER_GROUP[name](p, known.y, known.w[:1], g.codes[0][known.at], g) for a, g in self.alone.items()}
        return measured(
            f"{name}_{arm}",
            estimates,
            better,
            detail={**detail, "by": {a: _plain(_gap(v)[0]) for a, v in by.items()}},
            note=note,
        )

    def _held_out(self) -> _Held:
        """Held-out rows whose outcome is known, no more than a model's judging takes."""
        rng = self.e.rng("fairness", "held out")
        at = np.flatnonzero(self.outcomes[0] < 2) if self.outcomes else np.zeros(0, np.int64)
        at = np.sort(rng.permutation(at)[:_HOLDOUT])
        people = np.unique(self.people[at], return_inverse=True)[1]
        y = self.outcomes[0][at] if self.outcomes else at
        return _Held(at, y, resamples(people, rng), self.groups.codes[0][at], int(people.max(initial=-1)) + 1)

    def _fit(self, arm: str) -> list[Floats]:
        """Probabilities of the favourable outcome for the held-out rows, one array per table of the arm."""
        e, held = self.e, self.held
        names = [n for n in e.schema.modelled if n != e.target]
        schema = e.schema.select(names)
        out = []
        for table in self.arms[arm]:
            rng, y = e.rng("fairness", "train", table), self.outcomes[table]
            at = np.sort(rng.permutation(np.flatnonzero(y < 2))[:_TRAIN])
            coded = encode([self.frames[0].select(names)[held.at], self.frames[table].select(names)[at]], schema)
            (x_held, x), categories = features(coded, names, schema)
            out.append(boost.classify(x, y[at], categories, x_held, [0, 1])[:, 1])
        return out

    def _measured(self, name: str, statistic: Callable[[int, Grouping], Floats], better: Better, detail: dict[str, Any],
                  span: tuple[float, float] = (0.0, 1.0), arm: str = "synthetic") -> Measure:  # fmt: skip
        if len(self.groups.labels) < 2:
            return measured(name, [UNKNOWN], better, note="fewer than two groups of 10 held-out people or more")
        n = int(self.people.max(initial=-1)) + 1
        estimates = [Estimate(statistic(t, self.groups), n) for t in self.arms[arm]]
        return measured(name, estimates, better, span, detail, self.note)

    def _by(self, statistic: Callable[[int, Grouping], Floats], arm: str = "synthetic") -> dict[str, Any]:
        """The same of each attribute alone."""
        table = self.arms[arm][0]
        return {a: _plain(statistic(table, g)[0]) for a, g in self.alone.items() if len(g.labels) > 1}

    def _each(self, values: Callable[[int], Floats]) -> dict[str, Any]:
        return self._labelled(values(self.arms["synthetic"][0]))

    def _labelled(self, values: Floats) -> dict[str, Any]:
        return {label: _plain(v) for label, v in zip(self.groups.labels, values, strict=False)}


@dataclass(frozen=True)
class _Held:
    """at: their places in the holdout; y: outcomes; w: (1 + replicates, n); groups: codes; n: people."""

    at: Ints
    y: Ints
    w: Floats
    groups: Ints
    n: int


def _ratio(a: Floats, b: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        answer: Floats = np.where(b > 0, a / b, np.nan)
    return answer


def _extreme(pick: Any, x: Floats) -> Floats:
    """Over groups (the last axis); what is unknown of some is decided by the others."""
    answer: Floats = pick.reduce(x, axis=-1)
    return answer


def _spread(x: Floats) -> Floats:
    known = np.isfinite(x).sum(axis=-1)
    return np.where(known > 1, _extreme(np.fmax, x) - _extreme(np.fmin, x), np.nan)


def _gap(parts: Sequence[Floats]) -> Floats:
    """The largest spread among some rates of the groups."""
    answer: Floats = np.fmax.reduce([_spread(p) for p in parts])
    return answer


def _odds(p: Floats, y: Ints, w: Floats, at: Ints, g: Grouping) -> list[Floats]:
    """(replicates, groups) true, then false positive rates; unknown for a group with too few held-out rows of that outcome."""
    out = []
    for truth in (1, 0):
        rates = np.full((len(w), len(g.labels)), np.nan)
        for i in range(len(g.labels)):
            rows = (at == i) & (y == truth)
            if rows.sum() >= FEWEST:
                rates[:, i] = _ratio(w[:, rows] @ (p[rows] >= 0.5).astype(np.float64), w[:, rows].sum(axis=1))
        out.append(rates)
    return out


def _accuracy(p: Floats, y: Ints, w: Floats, at: Ints, g: Grouping) -> list[Floats]:
    right = ((p >= 0.5) == (y == 1)).astype(np.float64)
    each = [_ratio(w[:, at == i] @ right[at == i], w[:, at == i].sum(axis=1)) for i in range(len(g.labels))]
    return [np.stack(each, axis=1)]


def _auc(p: Floats, y: Ints, w: Floats, at: Ints, g: Grouping) -> list[Floats]:
    rates = np.full((len(w), len(g.labels)), np.nan)
    for i in range(len(g.labels)):
        yes, no = ((at == i) & (y == t) for t in (1, 0))
        if min(yes.sum(), no.sum()) >= FEWEST:
            rates[:, i] = auc(p[yes], p[no], w[:, yes], w[:, no])
    return [rates]


_PER_GROUP: dict[str, Callable[[Floats, Ints, Floats, Ints, Grouping], list[Floats]]] = {
    "odds": _odds, "accuracy_gap": _accuracy, "auc_gap": _auc,
}  # fmt: skip


def _plain(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
