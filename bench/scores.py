"""Six numbers about a synthetic table, by the definitions that results/peers.md is stated in.

shapes, trends: sdmetrics' quality scores (0.32) against train, in percent; its trends count only pairs that depend
strongly on each other, `trends_all` all of them. c2st_auc: out-of-fold AUC of boosted trees, at most 5,000 synthetic
against as many held-out rows (Lopez-Paz & Oquab, 2017); 0.5 is perfect. tstr: trained on synthetic, tested on held-out: AUC, or R2 where the target is a number. mia: AUC of a 1-NN
density-ratio membership attack (van Breugel et al., 2023, with nearest neighbours); 0.5 is private. mia_tpr1: its true
positive rate at 1% false positives.

These are yardsticks for comparing generators: one draw, no interval of its own. `synthmill evaluate` is what users have.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl
from anchors import Meta
from numpy.typing import NDArray

Floats = NDArray[Any]

_C2ST_ROWS = 5_000
_FOLDS = 5
_ATTACKED = 3_000
_SHOWN = 40_000
_STRONG = 0.5, 0.3
_SOFTENED = 1e-3
"""Added to distances before their logarithm, so that an exact copy is far ahead but not infinitely."""


@contextmanager
def one_thread() -> Iterator[None]:
    """For what is measured on a busy machine: OpenMP's threads wait for each other by spinning."""
    import sklearn.ensemble  # noqa: F401  limits hold for libraries that are loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def scores(
    synthetic: pl.DataFrame, train: pl.DataFrame, holdout: pl.DataFrame, meta: Meta, seed: int, attacks: int = 1
) -> dict[str, float]:
    """All of them, and `lost`: synthetic rows left out because a number is missing that train never misses.

    seed: which rows C2ST and the attack look at; shapes, trends and tstr see all. attacks: over how many draws of
    candidates and references the attack's two numbers are means; the expectation is that of one, the noise less.
    """
    made = aligned(synthetic, train, meta)
    whole = [c for c in meta.numbers if not train[c].null_count()]
    kept = made.drop_nulls(whole)
    if kept.height < _FOLDS:
        raise ValueError(f"{kept.height} of {made.height} synthetic rows have all the numbers that train always has")
    auc, rate = np.mean([mia(kept, train, holdout, meta, seed * attacks + i) for i in range(attacks)], axis=0)
    strong, every = trends(kept, train, meta)
    return {
        "c2st_auc": c2st(kept, train, holdout, meta, seed),
        "mia": float(auc),
        "mia_tpr1": float(rate),
        "tstr": utility(kept, train, holdout, meta),
        "shapes": 100 * shapes(kept, train, meta),
        "trends": 100 * strong,
        "trends_all": 100 * every,
        "lost": float(made.height - kept.height),
    }


def aligned(frame: pl.DataFrame, train: pl.DataFrame, meta: Meta) -> pl.DataFrame:
    """Train's columns: dates as train has them, other numbers as Float64, categories as train spells them (`1.0` -> `1`)."""
    columns = []
    for name in train.columns:
        s, like = frame[name], train[name]
        if name in meta.categories:
            columns.append(_respelled(s.cast(pl.String).str.strip_chars(), like))
        elif like.dtype.is_temporal():
            text = s.str.slice(0, 10).str.to_date(strict=False) if s.dtype == pl.String else s
            columns.append(text.cast(like.dtype, strict=False))
        else:
            number = s.cast(pl.Float64, strict=False)
            columns.append(number.set(number.is_nan() | number.is_infinite(), None))
    return pl.DataFrame(columns)


def _respelled(s: pl.Series, like: pl.Series) -> pl.Series:
    known = set(like.unique())
    unknown = [v for v in s.unique().drop_nulls() if v not in known]
    by_number = {number: v for v in known if (number := _number(v)) is not None}
    return s.replace({v: by_number.get(_number(v), v) for v in unknown}) if unknown else s


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _values(s: pl.Series) -> Floats:
    """(n,) float64 with NaN for missing; dates as days."""
    s = s.to_physical() if s.dtype.is_temporal() else s
    return s.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _codes(parts: list[pl.Series], like: pl.Series) -> list[NDArray[np.int64]]:
    """Codes by frequency in train, ties by text; a missing value is -1, one that train lacks comes after all others."""
    ranked = like.drop_nulls().value_counts().sort(["count", like.name], descending=[True, False])[like.name]
    new = pl.concat([p.rename("").drop_nulls() for p in parts]).unique().sort()
    every = pl.concat([ranked.rename(""), new.filter(~new.is_in(ranked.implode()))])
    at = dict(zip(every, range(len(every)), strict=True))
    return [p.replace_strict(at, default=-1, return_dtype=pl.Int64).to_numpy() for p in parts]


def _features(parts: list[pl.DataFrame], train: pl.DataFrame, names: list[str], meta: Meta) -> list[Floats]:
    """One (n, names) matrix a part for trees; what train lacks counts as missing (NaN) among categories."""
    columns: list[list[Floats]] = [[] for _ in parts]
    for name in names:
        if name in meta.categories:
            width = train[name].drop_nulls().n_unique()
            found = [c.astype(float) for c in _codes([p[name] for p in parts], train[name])]
            found = [np.where((c < 0) | (c >= width), np.nan, c) for c in found]
        else:
            found = [_values(p[name]) for p in parts]
        for column, values in zip(columns, found, strict=True):
            column.append(values)
    return [np.stack(c, axis=1) for c in columns]


def _trees(kind: str, names: list[str], meta: Meta) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    learner = HistGradientBoostingClassifier if kind == "bin" else HistGradientBoostingRegressor
    categories = [i for i, n in enumerate(names) if n in meta.categories]
    return learner(max_iter=100, early_stopping=False, random_state=0, categorical_features=categories or None)


def c2st(made: pl.DataFrame, train: pl.DataFrame, holdout: pl.DataFrame, meta: Meta, seed: int) -> float:
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rng = np.random.default_rng([seed, 1])
    n = min(made.height, holdout.height, _C2ST_ROWS)
    sides = [_some(made, n, rng), _some(holdout.select(train.columns), n, rng)]
    x = np.concatenate(_features(sides, train, train.columns, meta))
    y = np.repeat([1, 0], n)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    guess = cross_val_predict(_trees("bin", train.columns, meta), x, y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, guess[:, 1]))


def utility(made: pl.DataFrame, train: pl.DataFrame, holdout: pl.DataFrame, meta: Meta) -> float:
    """Held-out AUC (0.5 where `made` has one class) or R2 of trees trained on `made`; with train as `made`, the TRTR."""
    from sklearn.metrics import r2_score, roc_auc_score

    names = [c for c in train.columns if c != meta.target]
    made = made.drop_nulls(meta.target)
    x, at = _features([made, holdout], train, names, meta)
    if meta.task == "reg":
        model = _trees("reg", names, meta).fit(x, _values(made[meta.target]))
        return float(r2_score(_values(holdout[meta.target]), model.predict(at)))
    positive = train[meta.target].value_counts().sort(["count", meta.target], descending=[True, False])[meta.target][1]
    y, truth = (f[meta.target].eq(positive).to_numpy().astype(int) for f in (made, holdout))
    if len(np.unique(y)) < 2:
        return 0.5
    return float(roc_auc_score(truth, _trees("bin", names, meta).fit(x, y).predict_proba(at)[:, 1]))


def mia(made: pl.DataFrame, train: pl.DataFrame, holdout: pl.DataFrame, meta: Meta, seed: int) -> tuple[float, float]:
    """(AUC, true positive rate at 1% false positives) of one attack; over seeds the AUC varies by about .007.

    The attacker holds the synthetic table and half of the held-out rows as a reference; the score of a candidate is the
    log ratio of its distances to the nearest reference and the nearest synthetic row. Candidates: train rows, and
    as many of the other held-out half.
    """
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng([seed, 2])
    order = rng.permutation(holdout.height)
    half = holdout.height // 2
    n = min(half, _ATTACKED, train.height)
    parts = [_some(made, _SHOWN, rng), _some(train, n, rng), holdout[order[:n]], holdout[order[half:]]]
    shown, members, others, reference = _embedded(parts, train, meta)
    candidates = np.concatenate([members, others])
    near, far = nearest(candidates, shown), nearest(candidates, reference)
    score = np.log(far + _SOFTENED) - np.log(near + _SOFTENED)
    bar = np.sort(score[n:])[-max(1, int(0.01 * n))]
    return float(roc_auc_score(np.repeat([1, 0], n), score)), float((score[:n] > bar).mean())


def _embedded(parts: list[pl.DataFrame], train: pl.DataFrame, meta: Meta) -> list[Floats]:
    """float32: numbers over train's range (missing at its median), then one column a level of train."""
    columns: list[list[Floats]] = [[] for _ in parts]
    for name in meta.numbers:
        known = _values(train[name])
        low, high, middle = np.nanmin(known), np.nanmax(known), np.nanmedian(known)
        for column, part in zip(columns, parts, strict=True):
            x = _values(part[name])
            column.append(((np.where(np.isnan(x), middle, x) - low) / max(high - low, 1e-9))[:, None])
    for name in meta.categories:
        width = train[name].drop_nulls().n_unique()
        for column, codes in zip(columns, _codes([p[name] for p in parts], train[name]), strict=True):
            column.append(codes[:, None] == np.arange(width))
    return [np.concatenate(c, axis=1).astype(np.float32) for c in columns]


def nearest(a: Floats, b: Floats) -> Floats:
    """(len(a),) Euclidean distance of each row of a to its nearest row of b."""
    squares = (b * b).sum(axis=1)
    out = []
    for start in range(0, len(a), 1_000):
        some = a[start : start + 1_000]
        at = (squares - 2 * (some @ b.T)).argmin(axis=1)
        # float32 squares cancel near zero, where the attack is decided: the distance itself is taken anew
        out.append(np.linalg.norm(some.astype(np.float64) - b[at], axis=1))
    return np.concatenate(out)


def shapes(made: pl.DataFrame, train: pl.DataFrame, meta: Meta) -> float:
    """Mean over columns of 1 - Kolmogorov-Smirnov distance (numbers) or 1 - total variation (categories)."""
    from synthmill.tables import similarity

    w = np.ones((1, train.height))
    found = []
    for name in train.columns:
        if name in meta.categories:
            real, own = _codes([train[name], made[name]], train[name])
            found.append(similarity.tv_complement(real, w, [own])[0][0])
        else:
            found.append(_ks_complement(_values(train[name]), _values(made[name])))
    return float(np.mean(found))


def _ks_complement(real: Floats, made: Floats) -> float:
    """Over known values alone, as sdmetrics has it; 0 where the synthetic column holds none."""
    from scipy.stats import ks_2samp

    real, made = real[~np.isnan(real)], made[~np.isnan(made)]
    return 1 - float(ks_2samp(real, made, method="asymp").statistic) if len(made) else 0.0


def trends(made: pl.DataFrame, train: pl.DataFrame, meta: Meta) -> tuple[float, float]:
    """Mean over strong pairs, and over all, of 1 - half the difference of correlations (numbers), else 1 - total variation.

    Strong: a correlation above 0.5, or Cramer's V above 0.3, in train: what sdmetrics 0.32 counts. Total variation is of
    the joint table, numbers in ten bins between each table's own extremes. NaN where no pair is strong.
    """
    from synthmill.tables import similarity

    real_w, made_w = np.ones((1, train.height)), np.ones((1, made.height))
    numbers = {n: (_values(train[n]), _values(made[n])) for n in meta.numbers}
    bins = {n: tuple(similarity.binned(x) for x in pair) for n, pair in numbers.items()}
    bins |= {n: tuple(c + 1 for c in _codes([train[n], made[n]], train[n])) for n in meta.categories}
    found, strong = [], []
    for a, b in itertools.combinations(train.columns, 2):
        if a in numbers and b in numbers:
            tie, own = (
                similarity.correlation(numbers[a][i], numbers[b][i], w)[0] for i, w in enumerate((real_w, made_w))
            )
            if not np.isfinite(tie):
                continue
            # a column that the generator made constant keeps no correlation at all
            found.append(1 - abs(tie - own) / 2 if np.isfinite(own) else 0.0)
            strong.append(abs(tie) > _STRONG[0])
        else:
            first, second = similarity.joint(list(bins[a]), list(bins[b]))
            found.append(similarity.tv_complement(first, real_w, [second])[0][0])
            strong.append(similarity.cramers_v(bins[a][0], bins[b][0]) > _STRONG[1])
    kept = np.array(found)[np.array(strong)]
    return float(kept.mean()) if len(kept) else float("nan"), float(np.mean(found))


def _some(frame: pl.DataFrame, n: int, rng: np.random.Generator) -> pl.DataFrame:
    return frame if frame.height <= n else frame[rng.permutation(frame.height)[:n]]
