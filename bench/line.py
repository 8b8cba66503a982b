"""What the line costs. Run: `python bench/line.py` (all) or `python bench/line.py overhead million forest copies latency evaluate`.

Each measurement runs in a process of its own and sets its time beside a yardstick taken in the same process: what the
bare generator, an unordered pool or a plain file write needs for the same rows. The ratio is what travels between
machines; seconds do not. Results: bench/results/line.md. The Adult measurements use ../shared/data/tabular where it is
there (39,073 real rows) and else the shipped sample, and say which.
"""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ADULT = HERE.parent.parent / "shared" / "data" / "tabular"


@dataclass
class Trivial:
    """Three uniform columns: what is left is the line's own work."""

    columns: int = 3

    def schema(self) -> dict[str, Any]:
        import polars as pl

        return {f"x{i}": pl.Float64() for i in range(self.columns)}

    def generate(self, request: Any) -> Any:
        import polars as pl

        values = request.rng().random((self.columns, request.n))
        return pl.DataFrame({f"x{i}": values[i] for i in range(self.columns)})


@dataclass
class Slow:
    """One record per call, after a log-normal wait: median 1 s, 99th percentile 30 s, times `scale`."""

    scale: float = 0.03
    kind = "io"
    request_size = 1

    def schema(self) -> dict[str, Any]:
        import polars as pl

        return {"x": pl.Float64()}

    def wait(self, request: Any) -> float:
        sigma = math.log(30) / 2.3263478740408408
        return self.scale * float(request.rng("wait").lognormal(0.0, sigma))

    def generate(self, request: Any) -> Any:
        import polars as pl

        time.sleep(self.wait(request))
        return pl.DataFrame({"x": request.rng().random(request.n)})


def filled(spec: dict[str, Any], folder: str) -> tuple[Any, float, float]:
    """(filling, seconds of fitting, seconds of filling) of a spec's run."""
    from synthmill.line import fill
    from synthmill.prepare import prepare
    from synthmill.run import Run
    from synthmill.spec import parse_spec
    from synthmill.verbs.make import identity

    prepared = prepare(parse_spec(spec))
    run = Run.start(Path(folder) / "run", identity(prepared))
    start = time.perf_counter()
    prepared.fit(run=run)
    fitted = time.perf_counter()
    filling = fill(prepared.job, run)
    done = time.perf_counter()
    run.close()
    return filling, fitted - start, done - fitted


def overhead(folder: str) -> dict[str, Any]:
    """1M rows of a trivial generator through the loop, beside generating and writing them without it."""
    import polars as pl

    from synthmill.cells import Cell
    from synthmill.plugins import Request

    n, size = 1_000_000, 20_000
    start = time.perf_counter()
    made = [Trivial().generate(Request(k, Cell(0, (), n), k, size, k)) for k in range(n // size)]
    pl.concat(made).write_parquet(Path(folder) / "bare.parquet")
    bare = time.perf_counter() - start
    filling, _, seconds = filled({"name": "b", "cover": {"total": n}, "generate": {"use": "line:Trivial"}}, folder)
    assert filling.ledger.accepted.sum() == n
    return {
        "what": "overhead: 1M trivial rows through the loop, on disk with lineage",
        "result": f"{n / seconds:,.0f} rows/s ({seconds:.2f} s)",
        "yardstick": f"generate and write without the line: {bare:.2f} s",
        "ratio": seconds / bare,
        "target": ">= 500,000 rows/s",
        "met": n / seconds >= 500_000,
    }


def real() -> tuple[dict[str, Any], str]:
    """A `real` section for Adult, and what it is."""
    if (ADULT / "adult_train.csv").is_file():
        return {
            "path": str(ADULT / "adult_train.csv"),
            "holdout": str(ADULT / "adult_test.csv"),
            "target": "income",
        }, "39,073 real rows"
    import synthmill.data

    return {"path": str(synthmill.data.adult_path()), "target": "income"}, "the shipped sample of 8,000"


def million(folder: str) -> dict[str, Any]:
    """1M Adult rows end to end: copula, schema, duplicates, copies, lineage, parts on disk."""
    return end_to_end(folder, "copula")


def forest(folder: str) -> dict[str, Any]:
    """The same with the default generator."""
    return end_to_end(folder, "forest")


def end_to_end(folder: str, use: str) -> dict[str, Any]:
    anchor, which = real()
    spec = {
        "name": "million",
        "real": anchor,
        "cover": {"total": 1_000_000},
        "generate": {"use": f"tabular.{use}"},
        "verify": [{"use": "schema"}],
        "filter": [{"use": "duplicates"}, {"use": "copies"}],
    }
    filling, fit, seconds = filled(spec, folder)
    job = filling.job
    start = time.perf_counter()
    for k in range(10):
        job.maker.generate(job.request(10_000 + k, 0, 10_000 + k, 20_000))
    bare = (time.perf_counter() - start) * 5
    return {
        "what": f"1M Adult rows end to end against {which}: fit, {use}, schema, duplicates, copies, lineage, parts",
        "result": f"{fit + seconds:.1f} s (fit {fit:.1f}), {int(filling.ledger.accepted.sum()):,} accepted of {int(filling.tally.sum()):,}",
        "yardstick": f"the {use} alone, 1M rows in this process: {bare:.1f} s",
        "ratio": (fit + seconds) / bare,
        "target": "<= 90 s, <= 1.5 GB",
        "met": fit + seconds <= 90 and peak() <= 1500,
    }


def copies(folder: str) -> dict[str, Any]:
    """The copies filter alone, 1M candidates; its yardstick is judging the same rows' schema."""
    import polars as pl

    from synthmill.filter.copies import Copies
    from synthmill.prepare import prepare
    from synthmill.spec import parse_spec
    from synthmill.verify.schema import SchemaCheck

    anchor, which = real()
    prepared = prepare(parse_spec({"name": "c", "real": anchor, "generate": {"use": "tabular.copula"}}))
    prepared.fit()
    source = prepared.real
    assert source is not None
    job = prepared.job
    rows = pl.concat([job.maker.generate(job.request(k, 0, k, 20_000)) for k in range(50)])
    check, plain = Copies(), SchemaCheck()
    start = time.perf_counter()
    check.fit(source.train, source.schema)
    check.judge(rows)
    seconds = time.perf_counter() - start
    plain.fit(source.train, source.schema)
    start = time.perf_counter()
    plain.judge(rows)
    other = time.perf_counter() - start
    return {
        "what": f"copies: fit and judge 1M candidates against {which}",
        "result": f"{seconds:.1f} s",
        "yardstick": f"schema on the same rows: {other:.2f} s",
        "ratio": seconds / other,
        "target": "<= 30 s",
        "met": seconds <= 30,
    }


def latency(folder: str) -> dict[str, Any]:
    """A slow generator with a long tail: ordered admission beside an unordered pool with as many workers."""
    workers, n = 32, 3200
    spec = {
        "name": "slow",
        "cover": {"total": n},
        "generate": {"use": "line:Slow"},
    }
    filling, _, seconds = filled(spec, folder)
    job = filling.job
    assert job.window >= 8 * workers
    requests = [job.request(k, 0, k, 1) for k in range(n)]
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(job.maker.generate, r) for r in requests]):
            done.result()
    unordered = time.perf_counter() - start
    return {
        "what": f"{n} calls, log-normal latency (median 30 ms, p99 0.9 s: 1 s and 30 s, scaled by 0.03), {workers} at once",
        "result": f"{seconds:.2f} s",
        "yardstick": f"an unordered pool of the same size: {unordered:.2f} s",
        "ratio": unordered / seconds,
        "target": ">= 0.7 of the unordered throughput",
        "met": unordered / seconds >= 0.7,
    }


def evaluate(folder: str) -> dict[str, Any]:
    """Every metric on Adult with three draws, floors and ceilings."""
    import polars as pl

    from synthmill.evaluation import evaluate as measure
    from synthmill.prepare import prepare
    from synthmill.spec import parse_spec
    from synthmill.verbs.make import further_draw

    anchor, which = real()
    prepared = prepare(parse_spec({"name": "e", "real": anchor, "generate": {"use": "tabular.copula"}}))
    prepared.fit()
    source = prepared.real
    assert source is not None
    tables = [further_draw(prepared.job, d, source.train.height) for d in range(3)]
    blend = pl.concat([source.train, tables[0].select(source.train.columns)])
    uses = [{"use": m} for m in ("fidelity", "detection", "coverage", "utility", "privacy")]
    start = time.perf_counter()
    made = measure(tables[0], source, uses, draws=tables[1:], blend=blend)
    seconds = time.perf_counter() - start
    plain = trees(source)
    return {
        "what": f"evaluate: {len(made.measures)} measures on Adult ({which}, as many synthetic), 3 draws, floors and ceilings",
        "result": f"{seconds:.1f} s",
        "yardstick": f"one boosted classifier of the target on the real training rows, one thread: {plain:.1f} s",
        "ratio": seconds / plain,
        "target": "<= 60 s",
        "met": seconds <= 60,
    }


def trees(source: Any) -> float:
    """Seconds that scikit-learn takes for one classifier of the size that evaluation trains many of."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    rows = source.train.drop(source.target).select(coded(source.train.drop(source.target))).to_numpy()
    start = time.perf_counter()
    with threadpool_limits(1):
        HistGradientBoostingClassifier(early_stopping=False).fit(rows, source.train[source.target].to_list())
    return time.perf_counter() - start


def coded(frame: Any) -> list[Any]:
    """Text as codes, so that trees can read it."""
    import polars as pl

    return [pl.col(c).rank("dense") if frame[c].dtype == pl.String else pl.col(c) for c in frame.columns]


ALL = {f.__name__: f for f in (overhead, million, forest, copies, latency, evaluate)}


def peak() -> float:
    """Megabytes this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(name: str) -> None:
    sys.path.insert(0, str(HERE))
    with tempfile.TemporaryDirectory() as folder:
        row = ALL[name](folder)
    print(json.dumps(row | {"peak": round(peak())}))


def main(names: list[str]) -> None:
    rows = []
    for name in names or ALL:
        done = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr}")
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
        print(
            f"{name}: {rows[-1]['result']}, ratio {rows[-1]['ratio']:.2f}, {'met' if rows[-1]['met'] else 'MISSED'}",
            flush=True,
        )
    if not names:
        write(rows)


def write(rows: list[dict[str, Any]]) -> None:
    import polars

    cores = len(os.sched_getaffinity(0))
    lines = [
        "# What the line costs",
        "",
        f"`python bench/line.py` on {cores} cores, Python {platform.python_version()}, polars {polars.__version__}, {time.strftime('%Y-%m-%d')}.",
        "The ratio is the result over its yardstick (for latency: yardstick over result), both taken in one process.",
        "",
        "| measured | result | yardstick in the same process | ratio | peak MB | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        ratio = f"{r['ratio']:.2f}"
        lines.append(
            f"| {r['what']} | {r['result']} | {r['yardstick']} | {ratio} | {r['peak']} | {r['target']} | {'yes' if r['met'] else '**no**'} |"
        )
    (HERE / "results" / "line.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2])
    else:
        main(sys.argv[1:])
