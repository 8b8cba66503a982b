"""Table generators side by side: same split, same numbers, same machine. `python bench/peers.py --help`.

`python bench/peers.py` runs all models on the packaged sample; `--data adult default king_county` the tables of
`--folder`. Peers run in environments of their own, built from bench/envs/*.txt below `--envs`; none is a dependency.
One JSON line per model, table and seed is kept in results/peers.jsonl, and what is there is not run again unless it
failed: stop it when you like. `--again` measures anew what is named. At the end results/peers.json, results/peers.md
and docs/peers.md hold means and standard deviations of all lines, those of earlier calls too. What could not be run is a
line with its reason.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import page
import polars as pl
from anchors import FOLDER, Anchor, load, names
from scores import one_thread, scores, utility

HERE = Path(__file__).resolve().parent
ROWS = HERE / "results" / "peers.jsonl"
ATTACKS = 5
"""Membership attacks on each table of a model that gets few seeds; one where seeds average the noise of one."""
_GRACE = 15
"""Minutes by the clock, for each of its budget, after which a model is stopped: other work may hold the cores."""


@dataclass(frozen=True)
class Model:
    """env: of bench/envs, or "" for synthmill's own. use and options: of a plugin. slow: gets `--slow-seeds`."""

    name: str
    env: str = ""
    use: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    slow: bool = False


MODELS = [
    Model("fresh", use="fresh"),
    Model("independent", use="tabular.independent"),
    Model("bootstrap", use="tabular.bootstrap"),
    Model("cart", use="cart"),
    Model("copula", use="tabular.copula"),
    Model("smote", use="tabular.smote"),
    Model("forest", use="tabular.forest"),
    Model("forest-low", use="tabular.forest", options={"privacy": "low"}),
    Model("forest-strict", use="tabular.forest", options={"privacy": "strict"}),
    Model("sdv-copula", env="sdv"),
    Model("mostlyai", env="mostly", slow=True),
    Model("sdv-tvae", env="sdv", slow=True),
    Model("sdv-ctgan", env="sdv", slow=True),
]
BY_NAME = {m.name: m for m in MODELS}


class CannotRun(Exception):
    """One sentence for the table."""


def environment(name: str, folder: Path) -> Path:
    """The interpreter of a peer's environment, built on first use from its exact versions."""
    pins = HERE / "envs" / f"{name}.txt"
    place = folder / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:8]}"
    python = place / "bin" / "python"
    if not (place / "done").is_file():
        print(f"building {place}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        built = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(pins)],
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            raise CannotRun(f"its environment could not be built: {_last(built.stderr)}")
        (place / "done").touch()
    return python


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("WARNING")]
    return lines[-1][:200] if lines else "it said nothing"


def run(model: Model, anchor: Anchor, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """A line of results: what the model's process cost and how its rows score."""
    with tempfile.TemporaryDirectory() as out:
        cost = produce(model, anchor, seed, args, Path(out))
        made = pl.read_csv(Path(out) / "made.csv", infer_schema=False)
    holdout = anchor.holdout
    if model.name == "fresh":
        from own import halves

        holdout = halves(holdout, seed)[1]
    with one_thread():
        found = scores(made, anchor.train, holdout, anchor.meta, seed, ATTACKS if model.slow else 1)
    return {**found, **cost, "rows": made.height}


def produce(model: Model, anchor: Anchor, seed: int, args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Runs the model in a process of its own; raises CannotRun with the reason if no rows come of it."""
    job: dict[str, Any] = {"model": model.name, "rows": anchor.train.height, "seed": seed, "out": str(out)}
    if model.env:
        python, script = environment(model.env, args.envs), "foreign.py"
        anchor.train.write_csv(out / "train.csv")
        kinds = {c: _kind(anchor, c) for c in anchor.train.columns}
        job |= {"train": str(out / "train.csv"), "kinds": kinds, "minutes": args.budget, "threads": args.threads}
    else:
        python, script = Path(sys.executable), "own.py"
        job |= {"data": anchor.meta.name, "folder": str(args.folder), "use": model.use, "options": model.options}
    (out / "job.json").write_text(json.dumps(job), "utf-8")
    before = _spent()
    process = subprocess.Popen(
        [str(python), str(HERE / script), str(out / "job.json")],
        env=_limited(args.threads), cwd=out, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        said = process.communicate(timeout=60 * _GRACE * args.budget)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise CannotRun(f"stopped after {_GRACE * args.budget:g} minutes by the clock") from None
    if process.returncode or not (out / "cost.json").is_file():
        raise CannotRun(_last(said))
    cost: dict[str, Any] = json.loads((out / "cost.json").read_text("utf-8"))
    return cost | {"process_cpu_s": _spent() - before}


def _spent() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _kind(anchor: Anchor, name: str) -> str:
    dtype = anchor.train[name].dtype
    if name in anchor.meta.categories:
        return "category"
    return "date" if dtype.is_temporal() else "whole" if dtype.is_integer() else "number"


def _limited(threads: int) -> dict[str, str]:
    """As many threads for every library, so that CPU seconds compare."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "RAYON")
    limits = {f"{n}_NUM_THREADS": str(threads) for n in names}
    return os.environ | limits | {"POLARS_MAX_THREADS": str(threads), "LOKY_MAX_CPU_COUNT": str(threads)}


def kept(path: Path = ROWS) -> list[dict[str, Any]]:
    """The latest line of each model, table and seed."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    rows = {_key(r): r for r in map(json.loads, lines)}
    return [rows[k] for k in sorted(rows)]


def keep(row: dict[str, Any], path: Path = ROWS) -> None:
    """Appended in one write, so that calls side by side do not lose each other's lines."""
    with path.open("a", encoding="utf-8") as f:
        f.write(json.dumps(row) + "\n")


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["data"], row["model"], row["seed"]


def measure(args: argparse.Namespace) -> None:
    done = {_key(r) for r in kept() if "failed" not in r and not args.again}
    for name in args.data:
        anchor, trtr = load(name, args.folder), None
        for model in (BY_NAME[m] for m in args.models):
            for seed in range(args.first, args.first + (args.slow_seeds if model.slow else args.seeds)):
                if (name, model.name, seed) in done:
                    continue
                if trtr is None:
                    with one_thread():
                        trtr = utility(anchor.train, anchor.train, anchor.holdout, anchor.meta)
                row: dict[str, Any] = {"data": name, "model": model.name, "seed": seed, "trtr": trtr}
                row |= {"train": anchor.train.height, "holdout": anchor.holdout.height}
                row |= {"task": anchor.meta.task, "threads": args.threads, "budget": args.budget}
                row["when"] = time.strftime("%Y-%m-%d")
                try:
                    row |= run(model, anchor, seed, args)
                except (CannotRun, ValueError) as e:
                    row["failed"] = str(e)
                keep(row)
                print(told(row), flush=True)
                if "failed" in row:
                    break  # the reason is the same under every seed


def told(row: dict[str, Any]) -> str:
    head = f"{row['data']} {row['model']} {row['seed']}: "
    if "failed" in row:
        return head + row["failed"]
    shown = ("c2st_auc", "mia", "tstr", "shapes", "trends", "cpu_s", "peak_mb")
    return head + ", ".join(f"{k} {row[k]:.4g}" for k in shown) + (f" ({row['note']})" if row.get("note") else "")


def arguments() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    p = argparse.ArgumentParser(description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--models", nargs="+", choices=list(BY_NAME), default=list(BY_NAME), metavar="MODEL",
                   help=", ".join(BY_NAME))  # fmt: skip
    p.add_argument("--data", nargs="+", default=["adult_sample"], help="tables (default: the packaged sample)")
    p.add_argument(
        "--folder", type=Path, default=FOLDER, help=f"where NAME_train.csv and the like are ({FOLDER.name}/)"
    )
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--first", type=int, default=0, help="the first seed, for one that nothing was tuned on")
    p.add_argument("--slow-seeds", type=int, default=1, help="for " + ", ".join(m.name for m in MODELS if m.slow))
    p.add_argument(
        "--budget", type=float, default=3, help="minutes of CPU for training per slow peer and seed (default: 3)"
    )
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--envs", type=Path, default=Path.home() / ".cache" / "synthmill-peers")
    p.add_argument("--again", action="store_true", help="measure anew what is kept already")
    p.add_argument("--page", action="store_true", help="write the pages from what is kept, run nothing")
    args = p.parse_args()
    for name in args.data:
        if name not in names(args.folder):
            p.error(f"--data {name}: not in {args.folder}; there are {', '.join(names(args.folder))}")
    return args


if __name__ == "__main__":
    chosen = arguments()
    ROWS.parent.mkdir(exist_ok=True)
    if not chosen.page:
        measure(chosen)
    page.write(kept(), [m.name for m in MODELS])
