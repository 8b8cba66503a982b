"""What a person reads in the terminal: live progress while the line runs, and what came of it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from synthmill.accounts import sentences
from synthmill.documents import findings
from synthmill.documents.audit import STATUS
from synthmill.documents.collapse import sentences_of
from synthmill.evaluation import Evaluation
from synthmill.frame import Status
from synthmill.job import Progress
from synthmill.lab.sweep import Sweep
from synthmill.prepare import Prepared
from synthmill.verbs.audit import Audit
from synthmill.verbs.collapse import Collapse, Price
from synthmill.verbs.contributions import Contributions
from synthmill.verbs.expense import Expense
from synthmill.verbs.make import Observer, Result
from synthmill.verbs.preview import Preview

out = Console(highlight=False, soft_wrap=True)
MANY = 12
"""Cells shown one by one; beyond, those with most missing."""


@contextmanager
def watching(quiet: bool) -> Iterator[Observer]:
    """An observer that shows live progress on a terminal, and a line now and then elsewhere."""
    if quiet:
        yield Observer()
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        last = [time.monotonic()]

        def line(p: Progress) -> None:
            if time.monotonic() - last[0] > 10:
                last[0] = time.monotonic()
                console.print(f"  {_headline(p)}")

        yield Observer(lambda text: console.print(escape(text)), line)
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        seen: list[Progress] = []

        def say(text: str) -> None:
            live.update(Text(""))
            live.console.print(escape(text))

        def watch(p: Progress) -> None:
            if not seen or p.seconds - seen[-1].seconds > 0.12:
                seen[:] = [p]
                live.update(_progress(p))

        yield Observer(say, watch)


@contextmanager
def counting(quiet: bool) -> Iterator[Callable[[int, int, str, float | None], None]]:
    """Progress of an experiment: done, of how many, what was done, seconds left if they are known. One line that moves on
    a terminal; elsewhere one now and then."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    last = [time.monotonic()]

    def told(done: int, total: int, text: str, left: float | None) -> str:
        rest = "" if left is None or not done else f", {duration(left)} left"
        return f"{done:,} of {total:,}{rest}: {escape(text)}"

    if quiet:
        yield lambda *_: None
    elif not console.is_terminal:

        def line(done: int, total: int, text: str, left: float | None) -> None:
            if time.monotonic() - last[0] > 10:
                last[0] = time.monotonic()
                console.print(f"  {told(done, total, text, left)}")

        yield line
    else:
        with console.status("starting") as status:
            yield lambda *step: status.update(told(*step))


def _headline(p: Progress) -> str:
    asked = sum(c.quota for c in p.cells)
    accepted = int(p.accepted.sum())
    rate = accepted / max(p.seconds, 1e-9)
    left = (asked - accepted) / rate if rate else math.inf
    share = accepted / p.candidates if p.candidates else 0.0
    return f"{accepted:,} of {asked:,} accepted, {rate:,.0f}/s, {share:.0%} of candidates, {duration(left)} left"


def _progress(p: Progress) -> Group:
    cells = Table.grid(padding=(0, 2))
    missing = sorted(p.cells, key=lambda c: int(p.accepted[c.index]) - c.quota)
    for c in missing[:MANY]:
        have = int(p.accepted[c.index])
        filled = round(24 * have / max(1, c.quota))
        cells.add_row(escape(c.label[:48]), "█" * filled + "░" * (24 - filled), f"{have:,} / {c.quota:,}")
    checks = Table.grid(padding=(0, 2))
    for name, row in zip(p.names, p.tally, strict=True):
        if row[Status.FAIL] or row[Status.ERROR]:
            errors = f", {row[Status.ERROR]:,} errors" if row[Status.ERROR] else ""
            checks.add_row(escape(name), f"{row[Status.FAIL]:,} rejected{errors}")
    warned = [Text(f"warning: {w}", style="yellow") for w in p.warnings[-3:]]
    return Group(Text(_headline(p), style="bold"), cells, checks, *warned)


def duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown time"
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def checked(prepared: Prepared, source: str) -> None:
    real, cells = prepared.real, prepared.job.cells
    out.print(f"{source}: valid")
    if real is not None:
        out.print(
            f"  real: {real.train.height:,} rows to learn from, {real.holdout.height:,} held out, {len(real.schema.names)} columns"
        )
    out.print(f"  {len(cells)} cell{'s' * (len(cells) > 1)}, {sum(c.quota for c in cells):,} records asked")
    for note in prepared.notes:
        out.print(f"  note: {escape(note)}")


def previewed(p: Preview, source: str) -> None:
    for i, (row, verdict) in enumerate(
        zip(p.candidates.iter_rows(named=True), p.verdicts.iter_rows(named=True), strict=True), 1
    ):
        out.print(f"[bold]candidate {i}[/]")
        text = ", ".join(f"{k}={_short(v)}" for k, v in row.items())
        out.print(escape(fill(text, max(60, out.width), initial_indent="  ", subsequent_indent="  ")))
        for check, said in verdict.items():
            style = "green" if said == "pass" else "red"
            out.print(f"  {escape(check)}: [{style}]{escape(str(said))}[/]")
    for reason, n in Counter(p.errors).most_common(MANY):
        out.print(f"[red]{n} of {p.probe} candidates could not be made[/]: {escape(reason)}")
    out.print(
        f"\nabout {p.yield_:.0%} of candidates pass ({p.probe} tried), before duplicates build up and cells fill; the full run of "
        f"{p.asked:,} records takes {_about(p.seconds)} and {max(p.megabytes, 0.01):.2g} MB."
        + (f"\n{_expense(p.expense)}." if p.expense else "")
        + f" Next: synthmill make {source}"
    )


def _expense(e: Expense) -> str:
    low, high = e.rate[0], e.rate[2]
    said = f"with {low:.0%} to {high:.0%} passing, {_span(e.tokens)} tokens of language models"
    return said + (
        ", at a cost that is not known (no prices)" if e.money is None else f", at a cost of {_span(e.money)}"
    )


def _span(x: tuple[float, float, float]) -> str:
    return f"about {_number(x[1])} ({_number(x[0])} to {_number(x[2])})"


def _about(seconds: float) -> str:
    return duration(seconds) if seconds < 1 else f"about {duration(seconds)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def made(result: Result) -> int:
    """Prints what a run came to and returns the exit code: 3 when a release bar was missed."""
    run = result.run
    manifest = run.manifest
    asked = sum(c["quota"] for c in manifest["cells"])
    out.print(f"\n[bold]{result.accepted:,} of {asked:,} records accepted[/] in {escape(str(run.root))}")
    state = manifest["state"]
    for name, row in zip(manifest["checks"], state["tally"], strict=True):
        if row[Status.FAIL] or row[Status.ERROR]:
            errors = f", {row[Status.ERROR]:,} errors" if row[Status.ERROR] else ""
            out.print(f"  {escape(name)}: {row[Status.FAIL]:,} rejected{errors}")
    if surplus := sum(r[Status.SURPLUS] for r in state["tally"]):
        out.print(f"  surplus: {surplus:,} good records whose cell was full (kept in rejected/)")
    for label, n in result.short[:MANY]:
        out.print(f"  [yellow]short {n:,}[/] in {escape(label)}")
    if len(result.short) > MANY:
        out.print(f"  and {len(result.short) - MANY} more short cells (see the report)")
    for sentence in sentences(manifest.get("spending", ())):
        out.print(f"  {escape(sentence)}")
    if result.stopped:
        out.print(f"  [yellow]stopped:[/] {escape(result.stopped)}")
        if "budget" in result.stopped:
            out.print("  raise the budget in the spec and run the same command to go on")
        elif state["halted"]:
            out.print("  the run stays as it is; change the generator or the monitor and start anew with --fresh")
    for note in manifest.get("learned", ()):
        out.print(f"  {escape(note)}")
    for warning in result.warnings:
        out.print(f"  [yellow]warning:[/] {escape(warning)}")
    if result.blend is not None:
        out.print(
            f"  blend: {result.blend.real:,} real + {result.blend.synthetic:,} synthetic ({result.blend.share:.0%} real)"
        )
        for note in result.blend.notes:
            out.print(f"  [yellow]note:[/] {escape(note)}")
    if result.evaluation is not None:
        evaluated(result.evaluation)
    for bar in result.bars:
        out.print(escape(bar.sentence), style="green" if bar.held else "red")
    out.print(f"\nreport: {escape(str(run.root / 'report.html'))}")
    if result.bars and not result.released:
        out.print("[bold]not released:[/] the data stays in the run, marked unreleased")
        return 3
    return 0


def evaluated(evaluation: Evaluation) -> None:
    """Every measure with its interval, its floor and its ceiling."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("measure", min_width=max((len(m.name) for m in evaluation.measures), default=0))
    for head in ("value", "95% interval", "floor", "fresh real"):
        table.add_column(head, justify="right", no_wrap=True)
    notes: dict[str, str] = {}
    for row in evaluation.measures:
        table.add_row(
            escape(row.name),
            _number(row.value),
            "–" if math.isnan(row.low) and math.isnan(row.high) else f"{_number(row.low)} – {_number(row.high)}",
            _number(row.floor),
            _number(row.ceiling),
        )
        if row.note:
            notes.setdefault(row.note, row.name)
    out.print(table)
    for note in evaluation.notes:
        out.print(f"  [dim]{escape(note)}[/]")
    for note, name in notes.items():
        out.print(f"  [dim]{escape(name)}: {escape(note)}[/]")


_STYLES = {"leak": "bold red", "trace": "yellow", "hint": "yellow", "clear": "green", "unknown": "dim"}


def audited(made: Audit) -> None:
    """Each attack's finding in a sentence, its numbers beneath, and what DCR alone would have said."""
    measures = {m["name"]: m for m in made.data["measures"]}
    found = list(made.findings)
    status, line = findings.headline(found)
    out.print(f"[{_STYLES[status]}]{escape(line)}[/]")
    for left in made.data["left_out"]:
        out.print(f"[yellow]left out:[/] {escape(left)}")
    for f in found:
        out.print(f"\n[{_STYLES[f.status]}]{STATUS[f.status]:<14}[/][bold]{escape(findings.title(f.attack))}[/]")
        out.print(escape(fill(f.sentence, max(60, out.width), initial_indent="  ", subsequent_indent="  ")))
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("measure", min_width=34)
        for head in ("value", "95% interval", "copied rows", "fresh real"):
            table.add_column(head, justify="right", no_wrap=True)
        for name in f.measures:
            m = measures[name]
            low, high = _number(m["low"]), _number(m["high"])
            bounds = f"{low} – {high}" if m["value"] is not None else escape(m["note"])
            table.add_row(
                escape(name.removeprefix("attack.")),
                _number(m["value"]),
                bounds,
                _number(m["floor"]),
                _number(m["ceiling"]),
            )
        out.print(table)
    for said in (findings.about_dcr(measures, found), findings.stand_in(measures)):
        if said:
            out.print("\n" + escape(fill(said, max(60, out.width))))
    for note in (*made.data["notes"], *made.data["sampled"]):
        out.print(f"  [dim]{escape(note)}[/]")
    out.print(f"\nreport: {escape(str(made.folder / 'audit.html'))}")
    out.print(
        f"most exposed real records, not to be handed on: {escape(str(made.folder / 'private' / 'exposed.parquet'))}"
    )


def _number(x: float | None) -> str:
    if x is None or math.isnan(x):
        return "–"
    return f"{x:.4f}" if abs(x) < 100 else f"{x:,.0f}"


def traced(story: dict[str, Any], as_json: bool) -> None:
    if as_json:
        json.dump(story, sys.stdout, indent=1, default=str, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    for key, value in story.items():
        _tell(key, _origin(value) if key == "origin" else value, 0)


def _origin(told: dict[str, Any]) -> dict[str, Any]:
    """A line for each column, such as `fold 2, leaf 41, donors 53`; several draws with a plus between."""
    lines = {}
    for column, value in told.items():
        draws = (
            {column: value}
            if isinstance(value, dict) and not any(isinstance(v, dict) for v in value.values())
            else value
        )
        if isinstance(draws, dict):
            single = list(draws) == [column]
            parts = [
                ("" if single else f"{d}: ") + ", ".join(f"{k} {v}" for k, v in about.items())
                for d, about in draws.items()
            ]
            lines[column] = " + ".join(parts)
        else:
            lines[column] = value
    return lines


def contributed(found: Contributions, as_json: bool) -> None:
    if as_json:
        json.dump(dataclasses.asdict(found), sys.stdout, indent=1, default=str)
        sys.stdout.write("\n")
        return
    if found.note:
        out.print(f"note: {escape(found.note)}")
    known = "" if found.records == found.accepted else f" of {found.accepted:,}, as other generators do not tell"
    out.print(
        f"{found.givers:,} real {found.what} gave to {found.records:,} records{known}: "
        f"one gave at most {found.most:.0%} of a record, and {found.share:.3%} of all values"
    )
    out.print(f"wrote {escape(str(found.file))}, which names them")


def _tell(key: str, value: Any, depth: int) -> None:
    pad = "  " * depth
    if isinstance(value, dict) and value:
        out.print(f"{pad}[bold]{escape(key)}[/]")
        for k, v in value.items():
            _tell(str(k), v, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for v in value:
            name, told = (v["role"], v["content"]) if set(v) == {"role", "content"} else (key, v)
            _tell(name, told, depth)
    elif value is not None:
        text = str(value).replace("\n", f"\n{pad}  ") if isinstance(value, str) or not depth else _short(value)
        out.print(f"{pad}{escape(key)}: {escape(text)}")


def listed(family: str, plugins: Sequence[tuple[str, str, Sequence[str]]]) -> None:
    out.print(f"[bold]{family}[/]")
    for name, line, parameters in plugins:
        out.print(f"  [cyan]{escape(name)}[/]  {escape(line)}")
        if parameters:
            out.print(f"      {escape(', '.join(parameters))}", style="dim")


def priced(price: Price) -> None:
    out.print(
        f"{price.tables:,} tables to make and judge, about {duration(price.seconds)} on one core; nothing was kept"
    )


def collapsed(found: Collapse) -> None:
    for sentence in sentences_of(found.summary):
        out.print(f"  {re.sub('<[^>]+>', '', sentence)}")
    out.print("  (medians: the mean alone hides collapse)")
    out.print(
        f"\nreport: {found.root / 'report.html'}; data: generations.parquet, generations.csv, collapse.json beside it"
    )


def swept(found: Sweep) -> None:
    """Lines rather than a table, which would be broken to the width of a terminal that is not there."""
    wide = max(len(m.label) for m in found.mixes)
    out.print(f"{'':{wide}}  {'real':>9}  {'synthetic':>9}  {found.score:>7}  {'gain':>7}  95% interval of the gain")
    out.print(f"{'real rows alone':{wide}}  {'':>9}  {'':>9}  {_number(found.baseline[0]):>7}")
    for m in found.mixes:
        value, low, high = m.gain
        rest = f"{_number(m.score[0]):>7}  {value:>+7.4f}  {low:+.4f} – {high:+.4f}"
        out.print(f"{m.label:{wide}}  {m.real:>9,}  {m.synthetic:>9,}  {rest}")
    out.print(f"\n[bold]recommended[/] {escape(found.why)}")
