"""Do texts differ from each other as much as real ones do, and do they cover what the real ones are about?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Better, Evidence, Measure
from synthmill.refusal import Refusal
from synthmill.schema import Schema
from synthmill.tables.interval import Estimate, entities, measured, resamples, seeds
from synthmill.texts import diversity as of
from synthmill.texts.columns import TABULAR, named, texts

_GROUPS = 20
_BETTER: dict[str, Better] = {
    "distinct_1": "higher", "distinct_2": "higher", "self_bleu": "lower", "compression": "lower", "vendi": "higher",
}  # fmt: skip


@dataclass
class Diversity:
    """Diversity of text, at one size for all: synthetic, real and repeated text are cut to as many rows and words.

    distinct_1, distinct_2: distinct n-grams over all. self_bleu: mean BLEU-4 of a text against all others. compression:
    bytes over compressed bytes. vendi: effective number of different texts, over their number. coverage: held-out texts
    that have a synthetic one as near as their fifth nearest held-out text, on TF-IDF vectors.
    columns: default every column of text; a row's columns are joined. rows, words: the most of each table.
    Ceiling: real text (train) of the same size; floor: a tenth of it, ten times over. Too much can be wrong as well: words
    drawn at random beat any writer, so look at both sides of the ceiling. Intervals: a jackknife over 20 groups of texts, with
    the spread between generator seeds; for self_bleu the other texts are taken as given. Coverage: the bootstrap.
    """

    columns: list[str] | None = None
    rows: Annotated[int, Field(ge=20)] = 500
    words: Annotated[int, Field(ge=100)] = 50_000

    measures: ClassVar[tuple[str, ...]] = (*_BETTER, "coverage")

    def suits(self, train: pl.DataFrame, schema: Schema, target: str | None) -> None:
        """Raises Refusal where real data has no text to compare with."""
        if not self._names(train, schema):
            raise Refusal("diversity: there is no column of text in the real data")

    def measure(self, evidence: Evidence) -> list[Measure]:
        names = self._names(evidence.train, evidence.schema)
        tables = [self._texts(t, names) for t in seeds(evidence)]
        real, held = self._texts(evidence.train, names), self._texts(evidence.holdout, names)
        n = min(self.rows, len(real), *map(len, tables)) if names else 0
        if n < _GROUPS:
            return [
                measured(m, [], _BETTER.get(m, "higher"), note=f"fewer than {_GROUPS} texts") for m in self.measures
            ]
        chosen = [self._drawn(t, n, evidence.rng("diversity", i)) for i, t in enumerate(tables)]
        fresh = self._drawn(real, n, evidence.rng("diversity", "real"))
        repeated = (fresh[: max(1, n // 10)] * 11)[:n]
        floor = self._drawn(repeated, n, evidence.rng("diversity", "floor"))
        least = min(self.words, *(sum(map(len, of.tokens(t))) for t in (*chosen, fresh)))
        space = of.Space(real[:20_000])
        found = [_statistics(t, least, space) for t in chosen]
        bounds = _statistics(floor, least, space), _statistics(fresh, least, space)
        note = f"{n:,} texts, {least:,} words a side"
        out = []
        for name, better in _BETTER.items():
            bottom, top = (float(b[name][0]) for b in bounds)
            out.append(replace(_interval(name, [f[name] for f in found], better, note), floor=bottom, ceiling=top))
        return [*out, self._coverage(evidence, chosen, fresh, floor, held, space)]

    def _names(self, train: pl.DataFrame, schema: Schema) -> list[str]:
        types = {c: t for c, t in train.schema.items() if self.columns is not None or c not in schema.of(*TABULAR)}
        return named(self.columns, types, "diversity: columns")

    def _texts(self, frame: pl.DataFrame, names: Sequence[str]) -> list[str]:
        parts = [texts(frame[c]) for c in names if c in frame.columns]
        joined = ["\n".join(p for p in row if p) for row in zip(*parts, strict=True)] if parts else []
        return [t for t in joined if t.strip()]

    def _drawn(self, held: list[str], n: int, rng: np.random.Generator) -> list[str]:
        return [held[i] for i in rng.permutation(len(held))[:n]]

    def _coverage(
        self,
        evidence: Evidence,
        chosen: list[list[str]],
        fresh: list[str],
        floor: list[str],
        held: list[str],
        space: of.Space,
    ) -> Measure:
        """Held-out texts are the units: entities where there are some, which needs a text in every row."""
        if len(held) < _GROUPS:
            return measured("coverage", [], "higher", note=f"fewer than {_GROUPS} held-out texts")
        rng = evidence.rng("diversity", "coverage")
        at = np.sort(rng.permutation(len(held))[: self.rows])
        owners = entities(evidence.holdout, evidence.entity)
        groups = owners[at] if len(owners) == len(held) else at
        groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        w = resamples(groups, rng)
        rows = space.embed([held[i] for i in at])

        def estimate(made: list[str]) -> Estimate:
            hit = of.covered(rows, space.embed(made))
            return Estimate((w * hit).sum(axis=1) / w.sum(axis=1), int(groups.max()) + 1)

        bottom, top = estimate(floor).value, estimate(fresh).value
        note = f"{len(at):,} held-out texts"
        return replace(
            measured("coverage", [estimate(c) for c in chosen], "higher", note=note), floor=bottom, ceiling=top
        )


def _statistics(
    chosen: list[str], most: int, space: of.Space
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Each statistic of the texts, then without each group of them: (1 + groups,)."""
    cut, left = [], most
    for tokens in of.tokens(chosen):
        cut.append(tokens[:left])
        left -= len(cut[-1])
    used = [" ".join(t) for t in cut]
    group = np.arange(len(chosen)) % _GROUPS
    bleu = of.self_bleu(cut)
    rows = space.embed(chosen)
    keep = [np.ones(len(chosen), bool), *(group != g for g in range(_GROUPS))]
    return {
        "distinct_1": of.distinct(cut, 1, group),
        "distinct_2": of.distinct(cut, 2, group),
        "self_bleu": np.array([bleu[k].mean() for k in keep]),
        "compression": np.array(
            [of.compression([u for u, inside in zip(used, k, strict=True) if inside]) for k in keep]
        ),
        "vendi": np.array([of.vendi(rows[np.flatnonzero(k)]) / k.sum() for k in keep]),
    }


def _interval(
    name: str, found: list[np.ndarray[tuple[int], np.dtype[np.float64]]], better: Better, note: str
) -> Measure:
    """The delete-a-group jackknife (Shao & Wu, 1989), and the spread between seeds as in every other metric."""
    from scipy.special import stdtrit

    values = [float(f[0]) for f in found]
    if not math.isfinite(values[0]):
        return measured(name, [], better, note=note)
    reach = 0.0
    for f in found:
        left = f[1:]
        reach += float(
            stdtrit(_GROUPS - 1, 0.975) * math.sqrt((_GROUPS - 1) / _GROUPS * ((left - left.mean()) ** 2).sum())
        )
    reach /= len(found)
    value, m = float(np.mean(values)), len(values)
    detail = {}
    if m > 1:
        detail["seeds"] = values
        reach = math.hypot(reach, float(stdtrit(m - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(m))
    lowest, highest = (1.0, math.inf) if name == "compression" else (0.0, 1.0)
    low, high = max(min(lowest, value), value - reach), min(max(highest, value), value + reach)
    return Measure(name, value, low, high, better, detail, note=note)
