"""Runs one generator of synthmill, or a yardstick, in a process of its own: `python own.py JOB.json`.

The job: model, use and options of a plugin (or use `cart` or `fresh`), data and folder of the real table, rows, seed,
out. Into the folder `out` go made.csv and cost.json, as from foreign.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from anchors import Anchor, load
from meter import metered

_REQUEST = 20_000
_LEAF = 5
_WARM = 500


def plugin(anchor: Anchor, job: dict[str, Any]) -> Callable[[], pl.DataFrame]:
    """A fitted generator's rows. `seed` goes to the requests, and to the generator itself where it has such a parameter."""
    from synthmill.cells import ANY, Cell
    from synthmill.frame import seed_of
    from synthmill.plugins import Request, build, find, parameters
    from synthmill.tables.infer import infer

    kinds = {c: _kind(anchor.train[c]) for c in anchor.train.columns}
    options = dict(job["options"])
    if job["use"] == "tabular.smote":
        options["target"] = _classes(anchor)
    if "seed" in parameters(find("generate", job["use"])):
        options["seed"] = job["seed"]
    schema = infer(anchor.train, kinds)
    columns = schema.select(schema.modelled)

    def make(rows: int = job["rows"], train: pl.DataFrame = anchor.train) -> pl.DataFrame:
        made = build("generate", {"use": job["use"], **options})
        made.fit(train.select(columns.names), columns)
        parts = []
        for k, start in enumerate(range(0, rows, _REQUEST)):
            n = min(_REQUEST, rows - start)
            parts.append(made.generate(Request(k, Cell(ANY, (), rows), k, n, seed_of("bench", job["seed"], k))))
        return pl.concat(parts)

    make(_WARM, anchor.train.head(_WARM))  # loads what is imported late, which the peers' costs do not hold either
    return make


def _kind(s: pl.Series) -> str:
    if s.dtype == pl.String:
        return "categorical"
    return "datetime" if s.dtype.is_temporal() else "integer" if s.dtype.is_integer() else "decimal"


def _classes(anchor: Anchor) -> str:
    """What SMOTE works within: the target, or, where that is a number, the whole category with the fewest levels."""
    if anchor.meta.task == "bin":
        return anchor.meta.target
    whole = [c for c in anchor.meta.categories if not anchor.train[c].null_count()]
    return min(whole, key=lambda c: (anchor.train[c].n_unique(), c))


def fresh(anchor: Anchor, job: dict[str, Any]) -> Callable[[], pl.DataFrame]:
    """The ceiling: half of the held-out rows. They are scored against the other half."""
    return lambda: halves(anchor.holdout, job["seed"])[0]


def halves(holdout: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    order = np.random.default_rng([seed, 3]).permutation(holdout.height)
    cut = holdout.height // 2
    return holdout[np.sort(order[:cut])], holdout[np.sort(order[cut:])]


def cart(anchor: Anchor, job: dict[str, Any]) -> Callable[[], pl.DataFrame]:
    """Plain sequential CART (Reiter, 2005; synthpop): one tree a column on those before it, a real donor from the leaf.

    Categories first, then numbers, each by their number of values; at least 5 rows a leaf. A missing number counts as
    below all others.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    train, rng = anchor.train, np.random.default_rng([job["seed"], 4])
    groups = (anchor.meta.categories, anchor.meta.numbers)
    order = sorted((c for g in groups for c in g), key=lambda c: train[c].n_unique())

    def make() -> pl.DataFrame:
        x = np.stack([_ordered(train[c]) for c in order], axis=1).astype(np.float32)
        made = np.empty((job["rows"], len(order)), np.float32)
        columns = {}
        for j, name in enumerate(order):
            if j == 0:
                donor = rng.integers(0, len(x), len(made))
            else:
                kind = DecisionTreeClassifier if name in anchor.meta.categories else DecisionTreeRegressor
                tree = kind(min_samples_leaf=_LEAF, random_state=job["seed"]).fit(x[:, :j], x[:, j])
                donor = _donors(tree.apply(x[:, :j]), tree.apply(made[:, :j]), rng)
            made[:, j] = x[donor, j]
            columns[name] = train[name].gather(donor)
        return pl.DataFrame(columns).select(train.columns)

    return make


def _ordered(s: pl.Series) -> np.ndarray[Any, Any]:
    if s.dtype == pl.String:
        return s.rank("dense").fill_null(0).to_numpy()
    x = s.to_physical().cast(pl.Float64)
    return x.fill_null(x.min() - 1).to_numpy()


def _donors(leaf: Any, wanted: Any, rng: np.random.Generator) -> Any:
    """A random row of each wanted leaf."""
    order = np.argsort(leaf, kind="stable")
    first, after = (np.searchsorted(leaf[order], wanted, side) for side in ("left", "right"))
    return order[first + (rng.random(len(wanted)) * (after - first)).astype(np.int64)]


def main(path: str) -> None:
    job = json.loads(Path(path).read_text("utf-8"))
    anchor = load(job["data"], Path(job["folder"]))
    make = {"cart": cart, "fresh": fresh}.get(job["use"], plugin)(anchor, job)
    with metered() as cost:
        made = make()
    cost["versions"] = {n: version(n) for n in ("synthmill", "scikit-learn", "polars")}
    out = Path(job["out"])
    made.write_csv(out / "made.csv")
    (out / "cost.json").write_text(json.dumps(cost), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
