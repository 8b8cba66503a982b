"""What people say of a run's records: handed out to a tool for annotation, read back, and kept beside the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.exchange.agreement import between, majority, with_checks, with_run
from synthmill.exchange.annotation import FORMATS, Item, Opinion, read, written
from synthmill.frame import Status, payload, rng_of
from synthmill.refusal import Refusal, choices
from synthmill.run import Run, atomic, sentences

FILE = "review.json"
OF = ("both", "accepted", "rejected")
SAMPLE = 100


@dataclass(frozen=True)
class HandedOut:
    """path: the tasks; beside: what the tool is set up with."""

    path: Path
    beside: Path
    accepted: int
    rejected: int


def hand_out(
    root: str | Path,
    to: str | Path,
    format: str = "label-studio",
    sample: int = SAMPLE,
    of: str = "both",
    show: bool = False,
    columns: Sequence[str] = (),
    seed: int = 0,
) -> HandedOut:
    """Writes records of a run as tasks for people, in an order that tells nothing.

    sample: how many, as many accepted as rejected ones where there are so many of both. of: `accepted`, `rejected` or
    `both`. show: the run's verdicts go along as suggestions; people who see them agree with them more. Rejects of private
    checks, candidates that are errors and surplus ones are never among them. columns: what people see of a record (default: all).

    Raises Refusal: no such format or column, nothing to hand out, a file that cannot be written.
    """
    run = Run.open(root)
    if format not in FORMATS:
        raise Refusal(f"--format: '{format}' is none; {choices(format, FORMATS)}")
    if of not in OF:
        raise Refusal(f"--of: '{of}' is none; {choices(of, OF)}")
    if sample < 1:
        raise Refusal(f"--sample: {sample} is less than 1")
    known = payload(run.data()[:0])
    unknown = next((c for c in columns if c not in known), None)
    if unknown is not None:
        raise Refusal(f"--columns: no column '{unknown}'; {choices(unknown, known)}")
    accepted, rejected = _both(run)
    accepted, rejected = (
        (accepted if of != "rejected" else accepted[:0]),
        (rejected if of != "accepted" else rejected[:0]),
    )
    if not accepted.height + rejected.height:
        raise Refusal(f"{root}: there are no {of if of != 'both' else ''} records to hand out".replace("  ", " "))
    rng = rng_of("review", run.manifest["digest"], seed, of)
    bad = min(rejected.height, max(sample - accepted.height, sample // 2))
    good = min(accepted.height, sample - bad)
    picked = [*_items(accepted, rng.permutation(accepted.height)[:good], run),
              *_items(rejected, rng.permutation(rejected.height)[:bad], run)]  # fmt: skip
    items = [picked[i] for i in rng.permutation(len(picked))]
    path = Path(to)
    tasks, setup, ending = written(format, items, list(columns) or known, show)
    beside = path.with_name(f"{path.stem}.{ending}")
    with sentences(path):
        atomic(beside, lambda f: f.write(setup.encode()))
        atomic(path, lambda f: f.write(tasks.encode()))
    return HandedOut(path, beside, good, bad)


def take_back(root: str | Path, files: str | Path | Sequence[str | Path]) -> dict[str, Any]:
    """Reads verdicts of people, adds them to those that are there (a person's later word on a record replaces the earlier), and
    writes `review.json` and a report that is there anew. Answers the summary.

    Raises Refusal, and writes nothing: a file that is no export, a record that is not of this run, or one kept private.
    """
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(f) for f in files]
    opinions = [o for path in paths for o in _read(path)]
    if not opinions:
        raise Refusal(f"{paths[0]}: holds no verdict; has anybody answered yet?")
    run = Run.start(root, {"digest": Run.open(root).manifest["digest"]})
    try:
        known = _verdicts_of_run(run)
        unknown = sorted({o.record for o in opinions} - known.keys())
        if unknown:
            more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
            raise Refusal(
                f"{paths[0]}: record {unknown[0]}{more}: not among the public records of {root}; was it another run?"
            )
        before = [Opinion(**o) for o in (reviewed(run) or {"verdicts": []})["verdicts"]]
        kept = {(o.record, o.person): o for o in (*before, *opinions)}
        summary = _summary(list(kept.values()), known)
        run.write(FILE, json.dumps(summary, indent=1, ensure_ascii=False))
        if (run.root / "report.html").is_file():
            from synthmill.documents import write_documents

            write_documents(run)
    finally:
        run.close()
    return summary


def reviewed(run: Run) -> dict[str, Any] | None:
    """What people have said of a run so far; None where nobody has."""
    file = run.root / FILE
    return json.loads(file.read_text("utf-8")) if file.is_file() else None


def _read(path: Path) -> list[Opinion]:
    try:
        return read(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as e:
        said = (e.strerror or str(e)).lower() if isinstance(e, OSError) else "not UTF-8 text"
        raise Refusal(f"{path}: cannot be read: {said}") from None


def _both(run: Run) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accepted records, and candidates that a check said no to. An error is no judgement, a surplus record no reject."""
    return run.data(), run.rejected().filter(pl.col("_status") == int(Status.FAIL))


def _items(frame: pl.DataFrame, rows: Any, run: Run) -> list[Item]:
    columns, checks = payload(frame), run.manifest["checks"]
    out = []
    for row in frame[[int(i) for i in rows]].iter_rows(named=True):
        by = checks[row["_check"]] if row.get("_check") is not None else None
        out.append(Item(row["_id"], {c: row[c] for c in columns}, by, row.get("_reason") or ""))
    return out


def _verdicts_of_run(run: Run) -> dict[str, str | None]:
    """Record -> the check that rejected it, None for an accepted one."""
    accepted, rejected = _both(run)
    checks = run.manifest["checks"]
    out: dict[str, str | None] = dict.fromkeys(accepted["_id"])
    out |= {i: checks[c] for i, c in rejected.select("_id", "_check").iter_rows()}
    return out


def _summary(opinions: list[Opinion], known: dict[str, str | None]) -> dict[str, Any]:
    by_record: dict[str, dict[str, str]] = {}
    for o in sorted(opinions, key=lambda o: (o.record, o.person)):
        by_record.setdefault(o.record, {})[o.person] = o.verdict
    most = majority(by_record)
    return {
        "version": 1,
        "records": len(by_record),
        "people": len({o.person for o in opinions}),
        "between people": between(by_record),
        "with the run": with_run(known, most),
        "with each check": with_checks(known, most),
        "majority": most,
        "verdicts": [vars(o) for o in sorted(opinions, key=lambda o: (o.record, o.person))],
    }
