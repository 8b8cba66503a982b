"""The lab's loop against what is known exactly: every expectation within four standard errors of the repeats.

The chains are those of `synthmill collapse`: `synthmill.lab.chain.generations` over whole tables. Independent columns
are independent repeats, so one chain of a wide table is hundreds of experiments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

from synthmill.cells import Cell
from synthmill.frame import rng_of
from synthmill.generate.lab.zipf import Zipf
from synthmill.guards import breakdown, wrong_share
from synthmill.lab.chain import Arm, Generation, Mill, generations
from synthmill.lab.regimes import Regime
from synthmill.plugins import Request, Verdicts
from synthmill.schema import Column, Schema

COLUMNS = 200


def within(values: Any, expected: float, errors: float = 4.0) -> None:
    """The mean of independent repeats (n,) lies within so many of its standard errors of the expectation."""
    x = np.asarray(values, np.float64)
    error = x.std(ddof=1) / np.sqrt(len(x))
    assert error < 0.2 * abs(expected), f"too few repeats to say anything: {error} around {expected}"
    assert abs(x.mean() - expected) <= errors * error, f"{x.mean()} +- {error}, expected {expected}"


def gaussians(regime: Regime, n: int, last: int, unbiased: bool = False, share: float = 0.0) -> list[np.ndarray]:
    """Variances fitted in generations 1..last: (COLUMNS,) each, from standard normals."""
    x = rng_of("gaussians", n).standard_normal((COLUMNS, n))
    real = pl.DataFrame({f"x{i:03d}": column for i, column in enumerate(x)})
    mill = Mill([{"use": "lab.gaussian", "unbiased": unbiased}], _numbers(real.columns), seed=5)
    chain = generations(mill, real, Arm(regime, share), last)
    return [np.array(list(_plugin(g).variance.values())) for g in chain]


def _numbers(names: list[str]) -> Schema:
    return Schema(tuple(Column(n, "decimal", "Float64") for n in names))


def _plugin(g: Generation | None) -> Any:
    assert g is not None
    return g.maker.firsts[0].plugin


@pytest.mark.parametrize(("n", "last"), [(10, 15), (100, 25)])
def test_a_gaussian_that_replaces_loses_its_variance(n: int, last: int) -> None:
    """E[s2] after T fits by maximum likelihood: (1 - 1/n)^T (Shumailov et al. 2024)."""
    variances = gaussians("replace", n, last)
    for t in (1, last // 2, last):
        within(variances[t - 1], (1 - 1 / n) ** t)


def test_the_mean_alone_hides_collapse() -> None:
    """With an unbiased variance the mean over repeats is a martingale: it stays at 1 while the median goes to 0."""
    variances = gaussians("replace", 20, 25, unbiased=True)
    within(variances[-1], 1.0, 4)
    assert np.median(variances[-1]) < 0.5
    assert np.median(gaussians("replace", 5, 25, unbiased=True)[-1]) < 0.01


@pytest.mark.parametrize("n", [10, 100])
def test_a_gaussian_that_accumulates_keeps_most_of_it(n: int) -> None:
    """E[s2] after T fits of the pool: product of 1 - 1/(n t^2), whose limit is sin(x)/x at x = pi/sqrt(n)."""
    last = 12
    variances = gaussians("accumulate", n, last)
    expected = np.prod([1 - 1 / (n * t**2) for t in range(1, last + 1)])
    within(variances[-1], float(expected))
    limit = np.sinc(1 / np.sqrt(n))  # numpy's sinc(y) is sin(pi y) / (pi y)
    assert limit < expected < limit * (1 + 1.2 / (n * last))


def test_accumulating_what_fits_in_memory_lies_between() -> None:
    """A subsample of the pool loses variance without end, but slower than replacement (Kazdan et al. 2024)."""
    n, last = 20, 15
    ends = {r: gaussians(r, n, last)[-1].mean() for r in ("replace", "accumulate-subsample", "accumulate")}
    assert ends["replace"] < ends["accumulate-subsample"] - 0.1 < ends["accumulate"] - 0.15


def test_a_real_share_stops_the_loss() -> None:
    """With half of each batch real the variance settles: v = (1-1/n)(v + 1)/2 + O(1/n), near 1 for large n."""
    without, held = gaussians("replace", 50, 20)[-1], gaussians("replace", 50, 20, share=0.5)[-1]
    assert without.mean() < 0.75 < 0.93 < held.mean()


ROWS, FEATURES = 60, 8


def regressions(regime: Regime, last: int, repeats: int) -> np.ndarray:
    """(repeats, last) squared error of the coefficients fitted in each generation; noise of variance 1."""
    out = np.zeros((repeats, last))
    names = [f"x{i}" for i in range(FEATURES)]
    mill = Mill([{"use": "lab.regression", "noise": 1.0}], _numbers([*names, "y"]), target="y", seed=5)
    for r in range(repeats):
        rng = rng_of("regressions", r)
        truth, x = rng.standard_normal(FEATURES), rng.standard_normal((ROWS, FEATURES))
        real = pl.DataFrame({**dict(zip(names, x.T, strict=True)), "y": x @ truth + rng.standard_normal(ROWS)})
        for t, g in enumerate(generations(mill, real, Arm(regime), last, repeat=r)):
            out[r, t] = ((_plugin(g).weights - truth) ** 2).sum()
    return out


def test_regression_errs_more_every_generation_if_it_replaces() -> None:
    """E|w - w0|^2 after t fits: t s^2 d / (N - d - 1)."""
    errors = regressions("replace", 6, 64)
    for t in (1, 3, 6):
        within(errors[:, t - 1], t * FEATURES / (ROWS - FEATURES - 1))


def test_regression_stays_below_its_bound_if_it_accumulates() -> None:
    """Never more than pi^2/6 of the first generation's error (Gerstgrasser et al. 2024)."""
    errors = regressions("accumulate", 6, 64)
    first = FEATURES / (ROWS - FEATURES - 1)
    within(errors[:, 0], first)
    mean, error = errors[:, -1].mean(), errors[:, -1].std(ddof=1) / 8
    assert first < mean < first * np.pi**2 / 6 + 4 * error
    assert mean < 0.5 * 6 * first  # replacement is at 6 times the first by now


WORDS, LINES, BOOKS = 400, 600, 60


def words(n: int) -> pl.DataFrame:
    """BOOKS independent columns, each of n words drawn by Zipf's law."""
    law = Zipf(levels=WORDS, exponent=1.0)
    return pl.DataFrame(
        [law.generate(Request(0, Cell(-1, (), 0), 0, n, 100 + i))["word"].alias(f"b{i:02d}") for i in range(BOOKS)]
    )


def _texts(frame: pl.DataFrame) -> Schema:
    return Schema(tuple(Column(n, "categorical", "String") for n in frame.columns))


def test_of_zipfs_words_as_many_survive_as_chance_lets() -> None:
    """sum(1 - (1 - p)^n) of the levels of shares p show in n rows: of the law, and of every corpus that is learned."""
    p = 1 / np.arange(1, WORDS + 1)
    p /= p.sum()
    real = words(LINES)
    within([real[c].n_unique() for c in real.columns], float((1 - (1 - p) ** LINES).sum()))
    before = real
    for g in generations(Mill([{"use": "lab.zipf"}], _texts(real), seed=5), real, Arm("replace"), 4):
        assert g is not None
        expected, seen = [], []
        for c in real.columns:
            share = before[c].value_counts()["count"].to_numpy() / before.height
            expected.append((1 - (1 - share) ** LINES).sum())
            seen.append(g.drawn.frame[c].n_unique())
        within(np.array(seen) - np.array(expected) + np.mean(expected), float(np.mean(expected)))
        before = g.drawn.frame


def test_diversity_shrinks_as_wright_says() -> None:
    """The chance that two draws differ, 1 - sum(p^2), falls by 1 - 1/n a generation of n rows (Wright 1931)."""
    n, last = 100, 12
    real = words(n)
    *_, end = generations(Mill([{"use": "lab.zipf"}], _texts(real), seed=6), real, Arm("replace"), last)
    assert end is not None

    def diversity(frame: pl.DataFrame) -> np.ndarray:
        shares = (frame[c].value_counts()["count"].to_numpy() / frame.height for c in frame.columns)
        return np.array([1 - (s**2).sum() for s in shares])

    ratio = diversity(end.drawn.frame) / diversity(real)
    within(ratio, (1 - 1 / n) ** last)


@dataclass
class Labels:
    """Answers that are wrong at the rate `eps`, whatever it is fitted on: the generator of the breakdown line."""

    eps: float = 0.3

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self.fitted = train.height

    def schema(self) -> dict[str, pl.DataType]:
        return {"x": pl.Float64(), "y": pl.Int64()}

    def generate(self, request: Request) -> pl.DataFrame:
        x = request.rng("x").standard_normal(request.n)
        wrong = request.rng("wrong").random(request.n) < self.eps
        return pl.DataFrame({"x": x, "y": np.where(wrong, -np.sign(x), np.sign(x)).astype(np.int64)})


@dataclass
class Verifier:
    """Accepts right answers at the rate `tpr` and wrong ones at `fpr`, decided by the row alone."""

    tpr: float
    fpr: float

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        x = frame["x"].to_numpy()
        luck = np.modf(np.abs(x) * 1e6)[0]
        return Verdicts.where(pl.Series(luck < np.where(np.sign(x) == frame["y"].to_numpy(), self.tpr, self.fpr)), "no")


@pytest.mark.parametrize(
    ("eps", "tpr", "fpr"), [(0.3, 0.7, 0.5), (0.6, 0.9, 0.2), (0.6, 0.7, 0.5), (0.45, 0.5, 0.7), (0.2, 0.5, 0.9)]
)
def test_the_verifiers_breakdown_line(eps: float, tpr: float, fpr: float) -> None:
    """Where eps FPR = (1 - eps) TPR half of what is accepted is wrong, and a learner turns round (Feng et al. 2024)."""
    real = pl.DataFrame({"x": np.linspace(-1, 1, 4000), "y": pl.Series(np.ones(4000), dtype=pl.Int64)})
    schema = Schema((Column("x", "decimal", "Float64"), Column("y", "integer", "Int64")))
    use = {"use": f"{__name__}:Labels", "eps": eps}
    arm = Arm("replace", 0.0, verified=True)
    g = next(generations(Mill([use], schema, seed=8, early=[Verifier(tpr, fpr)]), real, arm, 1))
    assert g is not None
    frame = g.drawn.frame
    wrong = (frame["x"].sign() != frame["y"]).to_numpy().astype(float)
    accepted = (1 - eps) * tpr + eps * fpr
    within(wrong, eps * fpr / accepted)
    assert g.drawn.acceptance == pytest.approx(accepted, abs=4 * np.sqrt(accepted / g.drawn.judged))
    assert wrong_share(g.drawn.acceptance, tpr, fpr) == pytest.approx(eps * fpr / accepted, abs=0.08)
    learned = float((frame["x"] * frame["y"]).sum())  # least squares through the origin has this sign
    assert breakdown(eps, tpr, fpr) == (eps * fpr >= (1 - eps) * tpr) == (learned < 0)
