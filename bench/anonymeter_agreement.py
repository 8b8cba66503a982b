"""Do our three attacks of Giomi et al. agree with anonymeter's? Both on the same rows, columns and numbers of tries.

Run: `python bench/anonymeter_agreement.py PYTHON`, where PYTHON is the interpreter of an environment of its own in which
`pip install "anonymeter>=1,<2"` was done; anonymeter is never a dependency. Results: bench/results/anonymeter.md.

Adult is read from ../shared/data/tabular where it is there and else from the shipped sample; train and control are of equal
size, because anonymeter's correction for unequal sizes is a fitted curve and ours is exact. Files: train rows drawn
again, half of them so and half fresh, light noise on every number, and fresh rows; rows
that are there twice are kept once, because which of two equal rows is nearest is up to each side. Each side is repeated over SEEDS
seeds, and the mean risks are compared by their standard errors.
"""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ADULT = HERE.parent.parent / "shared" / "data" / "tabular" / "adult_train.csv"
ROWS, TRIES, SEEDS = 2_500, 500, 3
COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "marital_status",
    "occupation",
    "sex",
    "capital_gain",
    "hours_per_week",
    "income",
]
LEFT, RIGHT = (
    ["age", "education", "marital_status", "fnlwgt"],
    ["workclass", "occupation", "sex", "hours_per_week", "capital_gain"],
)
SECRETS = ["fnlwgt", "occupation", "income"]


def files(folder: Path) -> list[str]:
    """train.csv, control.csv and one file per planted leak; their names."""
    import numpy as np
    import polars as pl

    from synthmill.data import adult

    real = (pl.read_csv(ADULT) if ADULT.is_file() else adult()).select(COLUMNS).unique(maintain_order=True)
    real = real.sample(fraction=1, shuffle=True, seed=1)
    n = min(ROWS, real.height // 3)
    train, control, fresh = real[:n], real[n : 2 * n], real[2 * n : 3 * n]
    copied = train.sample(n, with_replacement=True, seed=2)
    rng = np.random.default_rng(3)
    noisy = copied.with_columns(
        (pl.col(c) + pl.Series(rng.integers(-2, 3, n) * (50 if c == "fnlwgt" else 1))).clip(0)
        for c in ("age", "fnlwgt", "hours_per_week")
    )
    made = {
        "copied": copied,
        "half copied": pl.concat([copied[: n // 2], fresh[: n // 2]]),
        "noisy": noisy,
        "fresh": fresh,
    }
    for name, frame in {"train": train, "control": control, **made}.items():
        frame.unique(maintain_order=True).write_csv(folder / f"{name}.csv")
    return list(made)


def ours(folder: Path, name: str, seed: int) -> dict[str, list[float]]:
    """attack -> [risk, attack rate, control rate]."""
    import polars as pl
    from threadpoolctl import threadpool_limits

    from synthmill.plugins import Evidence, build
    from synthmill.real import from_frame
    from synthmill.tables.align import align

    real = from_frame(pl.read_csv(folder / "train.csv"), holdout=pl.read_csv(folder / "control.csv"))
    table = align(pl.read_csv(folder / f"{name}.csv"), real.train, real.schema)[0]
    evidence = Evidence(table, real.train, real.holdout, real.schema, seed)
    uses: dict[str, tuple[dict[str, Any], str]] = {
        "singling out, multivariate": ({"use": "attack.singling_out", "columns": 4, "queries": TRIES}, "multivariate"),
        "singling out, univariate": ({"use": "attack.singling_out", "columns": 4, "queries": TRIES}, "univariate"),
        "linkability": ({"use": "attack.linkability", "left": LEFT, "right": RIGHT, "targets": TRIES}, "risk"),
    } | {f"inference of {s}": ({"use": "attack.inference", "secrets": [s], "targets": TRIES}, "mean") for s in SECRETS}
    out = {}
    with threadpool_limits(1):
        for attack, (use, measure) in uses.items():
            m = next(m for m in build("measure", use).measure(evidence) if m.name == measure)
            out[attack] = [m.value, m.detail["attack"], m.detail["control"]]
    return out


THEIRS = """
import json, sys, warnings, random
import numpy as np, pandas as pd
warnings.simplefilter("ignore")
from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator
folder, name, seed, tries, left, right, secrets = json.loads(sys.argv[1])
np.random.seed(seed); random.seed(seed)
ori, con, syn = (pd.read_csv(f"{folder}/{f}.csv") for f in ("train", "control", name))
def rates(e):
    r = e.results()
    raw = lambda k, n: k / n
    a, c = raw(r.n_success, r.n_attacks_ori), raw(r.n_control, r.n_attacks_control)
    return [(a - c) / (1 - c) if c < 1 else 0.0, a, c]
out = {}
for mode in ("multivariate", "univariate"):
    e = SinglingOutEvaluator(ori=ori, syn=syn, control=con, n_attacks=tries, n_cols=4, max_attempts=40000, seed=seed)
    e.evaluate(mode=mode)
    out[f"singling out, {mode}"] = rates(e)
e = LinkabilityEvaluator(ori=ori, syn=syn, control=con, n_attacks=tries, aux_cols=(left, right), n_neighbors=1); e.evaluate(n_jobs=1)
out["linkability"] = rates(e)
for s in secrets:
    e = InferenceEvaluator(ori=ori, syn=syn, control=con, aux_cols=[c for c in ori.columns if c != s], secret=s, regression=pd.api.types.is_numeric_dtype(ori[s]), n_attacks=tries)
    e.evaluate(n_jobs=1); out[f"inference of {s}"] = rates(e)
print(json.dumps(out, default=float))
"""


def theirs(python: str, folder: Path, name: str, seed: int) -> dict[str, list[float]]:
    given = json.dumps([str(folder), name, seed, TRIES, LEFT, RIGHT, SECRETS])
    done = subprocess.run([python, "-c", THEIRS, given], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(python: str) -> None:
    version = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('anonymeter'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    lines = [
        "# Beside anonymeter",
        "",
        f"`python bench/anonymeter_agreement.py PYTHON`: synthmill {importlib.metadata.version('synthmill')} and anonymeter {version},",
        f"Adult, {ROWS:,} train and as many control rows, {TRIES:,} tries, mean of {SEEDS} seeds. z: difference of the risks over the",
        "standard error that both sides' seeds show (at least 0.01).",
        "",
        "| file | attack | risk here | risk there | z | rates here | rates there |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        for name in files(folder):
            mine = [ours(folder, name, s) for s in range(SEEDS)]
            other = [theirs(python, folder, name, s) for s in range(SEEDS)]
            for attack in mine[0]:
                a, b = ([r[attack] for r in side] for side in (mine, other))
                x, y = ([statistics.fmean(v) for v in zip(*side, strict=True)] for side in (a, b))
                error = max(0.01, sum(statistics.variance([r[0] for r in side]) / SEEDS for side in (a, b)) ** 0.5)
                lines.append(
                    f"| {name} | {attack} | {x[0]:.3f} | {y[0]:.3f} | {(x[0] - y[0]) / error:+.1f} | {x[1]:.3f} / {x[2]:.3f} | {y[1]:.3f} / {y[2]:.3f} |"
                )
                print(lines[-1], flush=True)
    (HERE / "results" / "anonymeter.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
