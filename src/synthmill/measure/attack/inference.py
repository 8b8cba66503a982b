"""Attribute inference: the rest of a record, from what is known of a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from synthmill.plugins import Evidence, Measure
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema
from synthmill.tables.encode import is_numeric, numbers
from synthmill.tables.interval import Floats, seeds
from synthmill.tables.membership import Targets, unknown
from synthmill.tables.risk import Rates, excess, rates, risk
from synthmill.tables.space import Points, Space, nearest

_SYNTHETIC = 40_000
_CLOSE = 0.05
_MOMENT = 0.01
_SECRETS = 16


@dataclass
class Inference:
    """Attribute inference (Giomi et al., 2023): a person's secret, read off the synthetic row most like them.

    For each of `secrets` the attacker knows the columns `known` of a person, finds the nearest synthetic row by them and
    takes its value for the secret. A guess is right when it is equal; for a number within 5% of the guess, for a moment
    within 1% of train's range. Per secret, the risk is the success rate on train rows beyond that on held-out ones, over what there
    was to gain: what the table tells of everybody (the weather of the data) is on both sides and cancels. 0 is private.

    `mean`: over the secrets. `worst`: of the secret that was worst on one half of the targets, measured on the other
    half, so that picking it adds no bias. Baseline: the value of a random synthetic row.
    secrets: by default every modelled column (beyond 16: the first 16). known: by default all other columns. targets:
    the most train and the most held-out rows. Beyond 40,000 synthetic rows a random sample is searched.
    """

    secrets: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    targets: Annotated[int, Field(ge=10)] = 1_000
    measures: ClassVar[tuple[str, ...]] = ("mean", "worst")
    references: ClassVar[tuple[str, ...]] = ("bootstrap", "fresh")

    def measure(self, evidence: Evidence) -> list[Measure]:
        secrets = self._secrets(evidence.schema)
        rng = evidence.rng("attack.inference")
        t = Targets.draw(evidence, self.targets, 0.0, rng)
        if t.n < 4 or not secrets or len(evidence.schema.modelled) < 2 or not evidence.synthetic.height:
            return [unknown(m, "needs 4 train rows, 4 held-out ones and 2 columns") for m in self.measures]
        rows = evidence.train[t.train], evidence.holdout[t.strangers]
        spaces = [Space.fit(evidence.train, evidence.schema.select([n])) for n in evidence.schema.modelled]
        tried = []
        for table in seeds(evidence):
            made = table[np.sort(rng.permutation(table.height)[:_SYNTHETIC])]
            placed = [{s.names[0]: s.embed(f) for s in spaces} for f in (made, *rows)]
            tried.append([self._tried(s, rows, made, placed, evidence) for s in secrets])
        chance = [_chance(s, rows[0], evidence, rng) for s in secrets]
        found = [[rates(a, c, t.w_in, t.w_out) for a, c in table] for table in tried]
        first = [risk(s, [f], t.n, b, {}) for s, f, b in zip(secrets, found[0], chance, strict=True)]
        told = {m.name: {"risk": m.value, "low": m.low, "high": m.high, **m.detail} for m in first}
        mean = [(np.mean([f[0] for f in table], axis=0), np.mean([f[1] for f in table], axis=0)) for table in found]
        detail: dict[str, Any] = {"targets": len(t.strangers), "secrets": told}
        return [
            risk("mean", mean, t.n, float(np.mean(chance)), detail),
            self._worst(secrets, tried, chance, t, rng),
        ]

    def _secrets(self, schema: Schema) -> tuple[str, ...]:
        for key, given in (("secrets", self.secrets), ("known", self.known)):
            for name in given:
                if name not in schema.modelled:
                    raise Refusal(f"attack.inference: {key}: there is no column '{name}' to compare; {choices(name, schema.modelled)}")  # fmt: skip
        secrets = self.secrets or tuple(n for n in schema.modelled if schema[n].kind != "constant")[:_SECRETS]
        return tuple(s for s in secrets if set(self._known(schema, s)))

    def _known(self, schema: Schema, secret: str) -> list[str]:
        return [n for n in self.known or schema.modelled if n != secret]

    def _tried(
        self,
        secret: str,
        rows: tuple[pl.DataFrame, pl.DataFrame],
        made: pl.DataFrame,
        placed: list[dict[str, Points]],
        evidence: Evidence,
    ) -> tuple[Floats, Floats]:
        """1 where the guess is right: of train rows, of held-out ones. placed: of `made` and `rows`, each column's axes."""
        known = self._known(evidence.schema, secret)
        base, *asked = (np.concatenate([p[n] for n in known], axis=1) for p in placed)
        guessed = [made[secret].gather(nearest(points, base)[1][:, 0]) for points in asked]
        a, b = (
            right(r[secret], g, evidence.schema, evidence.train[secret]) for r, g in zip(rows, guessed, strict=True)
        )
        return a, b

    def _worst(
        self, secrets: tuple[str, ...], tried: Any, chance: list[float], t: Targets, rng: np.random.Generator
    ) -> Measure:
        n = len(t.strangers)
        chosen = np.arange(n) % 2 == 0
        chosen = chosen[rng.permutation(n)]

        def side(pair: tuple[Floats, Floats], mask: Any) -> Rates:
            return rates(pair[0][mask], pair[1][mask], t.w_in[:, mask], t.w_out[:, mask])

        risks = [float(excess(*side(pair, chosen))[0]) for pair in tried[0]]
        worst = int(np.argmax(risks))
        found = [side(table[worst], ~chosen) for table in tried]
        return risk("worst", found, max(2, t.n // 2), chance[worst], {"secret": secrets[worst], "targets": n // 2})


def right(secret: pl.Series, guess: pl.Series, schema: Schema, train: pl.Series) -> Floats:
    """(n,) 1 where the guess counts as knowing the secret; missing is known when it is guessed."""
    nothing = (secret.is_null() & guess.is_null()).to_numpy()
    if not is_numeric(schema, secret.name):
        same = (secret.cast(pl.String) == guess.cast(pl.String)).fill_null(False).to_numpy()
        return (same | nothing).astype(np.float64)
    truth, said = numbers(secret), numbers(guess)
    if schema[secret.name].kind == "datetime":
        span = numbers(train)
        wide = float(np.nanmax(span) - np.nanmin(span)) if (~np.isnan(span)).any() else 0.0
        near = np.full(len(said), _MOMENT * wide)
    else:
        near = _CLOSE * np.abs(said)
    with np.errstate(invalid="ignore"):
        return ((np.abs(truth - said) <= near) | nothing).astype(np.float64)


def _chance(secret: str, rows: pl.DataFrame, evidence: Evidence, rng: np.random.Generator) -> float:
    drawn = evidence.synthetic[secret].gather(rng.integers(evidence.synthetic.height, size=rows.height))
    return float(right(rows[secret], drawn, evidence.schema, evidence.train[secret]).mean())
