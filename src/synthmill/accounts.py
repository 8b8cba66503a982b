"""The desk of a run: which of its plugins hold language models, what they may spend, and what they have spent."""

from __future__ import annotations

import dataclasses
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .job import Job
from .llm.budget import Budget, Line, Spending
from .llm.desk import Desk
from .llm.journal import Journal, journal_path
from .llm.model import Model
from .refusal import Refusal
from .run import Run

_DEEP = 3
_MANY = 100
"""Of a list, what is looked at: a field may hold a whole corpus."""


def models_of(thing: Any, depth: int = _DEEP) -> Iterator[Model]:
    """The models a plugin holds: in its fields, and in the lists, mappings and dataclasses there."""
    if isinstance(thing, Model):
        yield thing
    elif depth and isinstance(thing, Mapping):
        for value in thing.values():
            yield from models_of(value, depth - 1)
    elif depth and isinstance(thing, list | tuple):
        for value in thing[:_MANY]:
            yield from models_of(value, depth - 1)
    elif depth == _DEEP or (depth and dataclasses.is_dataclass(thing) and not isinstance(thing, type)):
        for value in getattr(thing, "__dict__", {}).values():
            yield from models_of(value, depth - 1)


def offline() -> bool:
    """Is what the journal does not know not to be asked?"""
    return os.environ.get("SYNTHMILL_OFFLINE", "") not in ("", "0")


def staged(job: Job) -> list[tuple[str, Model]]:
    """(stage, model) of everything in a job that asks."""
    parts = [*((s.use, s.plugin) for s in job.maker.steps), *((s.use, s.plugin) for s in job.stations)]
    return [(use, m) for use, plugin in parts for m in models_of(plugin)]


def check_models(job: Job, source: str, metrics: Sequence[tuple[str, Any]] = ()) -> None:
    """Raises Refusal for what could only be found out by spending: no key, a cap on money without prices, workers that
    share no journal. metrics: what will be built once the run is filled, by name."""
    found = staged(job)
    job.asking = bool(found)
    for use, model in [*found, *((use, m) for use, metric in metrics for m in models_of(metric))]:
        if not offline():
            model.check(f"{source}: {use}")
        if job.budget.money is not None and model.prices is None:
            raise Refusal(
                f"{source}: budget.money: what {model.model} costs is not known ({use}); give the model's prices per million "
                "tokens, such as 'prices: {input: 0.15, output: 0.6}' ({input: 0, output: 0} for one of your own)"
            )
    if found and job.engine.kind == "process":
        raise Refusal(f"{source}: engine.kind: process: {found[0][0]} asks a language model, which threads of one process "
                      "share; leave 'kind' out")  # fmt: skip


def open_desk(job: Job, run: Run | None = None, workspace: Path | None = None) -> None:
    """Lets every model of the job ask through one desk with the workspace's journal; what a stopped run has spent counts.

    run: None for a taste without a run; workspace: where the journal is then.
    """
    found = staged(job)
    if not found:
        return
    desk = job.desk = job.desk or _desk(job, run, workspace)
    for use, model in found:
        model.open(desk, use)


def opener(job: Job, run: Run) -> Callable[[str, Any], None]:
    """(name, plugin): lets the models of what is built after filling ask through the run's desk, under the same caps."""

    def opened(use: str, plugin: Any) -> None:
        for model in models_of(plugin):
            job.desk = job.desk or _desk(job, run)
            job.desk.reopen()
            model.open(job.desk, use)

    return opened


def _desk(job: Job, run: Run | None, workspace: Path | None = None) -> Desk:
    folder = run.root.parent if run is not None else workspace or Path("runs")
    journal = Journal(journal_path(folder), _account(run) if run is not None else "")
    kept = run.manifest.get("spending", []) if run is not None else []
    spending = _continued(journal.spent(), kept) if run is not None else Spending()
    return Desk(journal, Budget(job.budget.tokens, job.budget.money), spending, offline(), tasting=run is None)


def sentences(spending: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a run's models were asked and what that cost, a line for each model and stage."""
    return [_sentence(told) for told in spending]


def _sentence(told: Mapping[str, Any]) -> str:
    cost = "cost not known" if told["money"] is None else f"cost {told['money']:,.4g}"
    parts = [f"{told['prompt_tokens']:,} tokens in, {told['completion_tokens']:,} out, {cost}"]
    parts += [f"{told['remembered']:,} more were in the journal"] if told["remembered"] else []
    parts += [f"{told['repeats']:,} tries repeated"] if told["repeats"] else []
    parts += [f"{told['errors']:,} errors"] if told["errors"] else []
    parts += [f"{told['refusals']:,} refusals"] if told["refusals"] else []
    return f"{told['stage']} asked {told['model']} {told['asked']:,} questions: {'; '.join(parts)}"


def _account(run: Run) -> str:
    """Under which name this run's answers are paid for. Not its digest: a run started anew has spent nothing yet."""
    if "account" not in run.manifest:
        run.manifest["account"] = f"{run.root.name}-{secrets.token_hex(4)}"
        run.commit()
    return str(run.manifest["account"])


def _continued(journaled: Spending, kept: list[dict[str, Any]]) -> Spending:
    """The journal knows what was paid up to the last moment, unless it was pruned; the manifest knows the rest."""
    for told in kept:
        key = told["model"], told["stage"]
        line = Line(**{k: v for k, v in told.items() if k not in ("model", "stage")})
        known = journaled.lines.get(key, Line())
        if known.asked > line.asked:
            known.remembered = line.remembered
            line = known
        journaled.lines[key] = line
    return journaled
