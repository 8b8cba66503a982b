"""From a spec to a job: the anchor is read, plugins are built and fitted, cells are laid out. Nothing is generated here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from .accounts import check_models, open_desk, staged
from .cells import Cell
from .compose import Maker, maker
from .constraints import Combinations, Unique, check_types, parse
from .cover import cells_of
from .fitting import Fitting
from .guards import anchored, declared, seeded
from .job import Job, Station
from .lineage import Source, depth_after, version_of
from .llm.model import named
from .plugins import blamed, build, find, parameters, relative_to
from .real import Real, from_frame, load
from .refusal import Refusal
from .run import Run
from .schema import MODELLED
from .spec import RealNeed, Spec, Use, load_spec
from .tables.read import from_any, read

Say = Callable[[str], None]


@dataclass
class Prepared:
    """A spec with everything it names. source: the file it came from, for sentences; base: what its paths are relative to."""

    spec: Spec
    source: str
    base: Path
    real: Real | None
    job: Job
    digest: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The run's identity: the spec, the real data's content, and the plugins' own code. Fitting does not change it."""
        stations = [*self.job.stations, *self.job.monitors]
        plugins = [version_of(p) for p in [*(s.plugin for s in self.job.maker.steps), *(s.plugin for s in stations)]]
        plugins += [m.identity for _, m in staged(self.job) if m.identity != m.model]
        self.digest = self.spec.fill_digest(self.real.digest if self.real else "", plugins)

    @property
    def sources(self) -> list[Source]:
        parents = (self.real.digest,) if self.real else ()
        return [s.source(self.job.depth, parents) for s in self.job.maker.steps]

    @property
    def _fitting(self) -> Fitting:
        return Fitting(self.spec.engine.fit_timeout, self.spec.engine.kind, base=self.base)

    def fit(self, say: Say = lambda _: None, run: Run | None = None) -> None:
        """Fits generators and checks on train alone; with a run, generators are kept there, or found there."""
        with relative_to(self.base), named(self.spec.models):
            if run is not None:
                open_desk(self.job, run)
            self._fit_makers(say, run)
            self._fit_stations(say, self.job.maker.schema())

    def fit_checks(self) -> None:
        """Fits the checks alone, on the columns that will be made: what they find wrong needs no generating."""
        with relative_to(self.base):
            if self.real is not None and self.job.maker.needs_real:
                names = self.real.schema.of(*MODELLED, "identifier", "personal")
                made = self.real.schema.select(names).dtypes() | self.job.maker.schema()
            else:
                made = self.job.maker.schema()
            self._fit_stations(lambda _: None, made)

    def _fit_makers(self, say: Say, run: Run | None) -> None:
        job, real = self.job, self.real
        folder = (run.root / "models", run.root / "private" / "models") if run else None
        if run and folder and run.manifest.get("models"):
            job.maker = maker(run.manifest["generate"], self.source)
            open_desk(job, run)
            job.maker.load(*folder, run.manifest["columns"])
            return
        if job.maker.needs_real:
            if real is None:
                raise Refusal(
                    f"{self.source}: generate: {job.maker.firsts[0].use} learns from real data; add 'real: {{path: ...}}'"
                )
            say(
                f"fitting {', '.join(s.use for s in job.maker.steps if hasattr(s.plugin, 'fit'))} on {real.train.height:,} real rows"
            )
            job.maker.fit(real.train, real.schema, real.target, self._fitting, job.axes)
            for c, why in dict.fromkeys(p for s in job.maker.firsts if s.plan for p in s.plan.left):
                say(f"constraint '{c.text}' is not drawn by construction, only checked: {why}")
            for note in job.maker.notes:
                say(note)
        if run and folder:
            job.maker.save(*folder)
            run.manifest["generate"] = job.maker.declared()
            run.manifest["learned"] = job.maker.notes
            run.manifest["columns"] = real.schema.names if real and job.maker.needs_real else None
            run.manifest["generators"] = [vars(s) for s in self.sources]
            run.manifest["models"] = _files(run.root, *folder)
            run.commit()

    def _fit_stations(self, say: Say, made: Mapping[str, pl.DataType]) -> None:
        """Checks learn first which columns candidates will have, then what train is like; monitors also what is planned."""
        for station in [*self.job.stations, *self.job.monitors]:
            plugin = station.plugin
            with blamed(f"{self.source}: {station.at or station.use}"):
                if hasattr(plugin, "expect"):
                    plugin.expect(dict(made))
                if hasattr(plugin, "within") and plugin.within is None and self.real is not None:
                    plugin.within = [a for a in self.job.axes if a in self.real.schema.modelled]
                if hasattr(plugin, "fit") and self.real is not None:
                    columns = [c for c in self.real.schema.names if c in made]
                    say(f"fitting {station.use}")
                    station.plugin = self._fitting(
                        plugin, self.real.train.select(columns), self.real.schema.select(columns)
                    )


def _files(root: Path, *folders: Path) -> dict[str, str]:
    """Digest of every fitted file by its place in the run, so that a record names the very model that made it. Never
    empty: it also marks 'saved'."""
    files = sorted(p for f in folders if f.is_dir() for p in f.rglob("*") if p.is_file())
    digests = {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()[:16] for p in files}
    return {"saved": "yes"} | digests


def prepare(spec: Spec, source: str = "spec", base: Path | None = None, given: Any = None) -> Prepared:
    """Reads and builds; raises Refusal for whatever is wrong before any work starts.

    given: the real data instead of `spec.real.path`: a Real, or a polars, pandas or Arrow table.
    """
    base = base or Path(".")
    with relative_to(base), named(spec.models):
        made = maker(spec.generate, source)
        verify = _stations("verify", _verified(spec), source)
        filters = _stations("filter", [*spec.filter, *_benchmarks(spec), *_keys(spec)], source)
        monitors = _stations("monitor", spec.monitor, source)
        metrics = _check_evaluation(spec, source)
    real = (
        _real(spec, base, source) if given is None else given if isinstance(given, Real) else _framed(spec, base, given)
    )
    real = _constrained(spec, real, made, source)
    needy = [
        s.use for s in [*filters, *monitors] if hasattr(s.plugin, "fit") and getattr(s.plugin, "needs_real", False)
    ]
    if real is None and needy:
        raise Refusal(f"{source}: {needy[0]} compares with real data; add 'real: {{path: ...}}' or remove it")
    if spec.evaluate and real is None:
        raise Refusal(
            f"{source}: evaluate: there is no real data to compare with; add 'real: {{path: ...}}' or remove 'evaluate'"
        )
    if real is not None:
        with relative_to(base), named(spec.models):
            _check_suited(spec, real, source)
    if spec.blend is not None and real is None and spec.blend.real > 0:
        raise Refusal(
            f"{source}: blend: there is no real data to blend in; add 'real: {{path: ...}}' or remove 'blend'"
        )
    depth = depth_after([*([real.depth] if real and made.needs_real else []), *made.parents_depth])
    seeded(spec.guard, made.parents_depth, source)
    if real is not None and made.needs_real:
        anchored(spec.guard, real, depth, source)
    cells = _cells(spec, real, made, source)
    job = Job(
        seed=spec.seed,
        maker=made,
        cells=cells,
        verify=verify,
        filters=filters,
        monitors=monitors,
        depth=depth,
        max_attempts=spec.cover.max_attempts,
        fill=spec.fill,
        engine=spec.engine,
        budget=spec.budget,
    )
    check_models(job, source, metrics)
    notes = [*real.notes, *_broken(real)] if real else []
    return Prepared(spec, source, base, real, job, notes=notes)


def _verified(spec: Spec) -> list[Use]:
    """The spec's checks, and behind them that of its constraints, unless the user placed it."""
    row_wise = [c for c in spec.constraints if "unique" not in c]
    own = {"use": "constraints", "all": row_wise}
    uses = [own if u == {"use": "constraints"} else u for u in spec.verify]
    return uses if own in uses or not row_wise else [*uses, own]


def _benchmarks(spec: Spec) -> list[Use]:
    """The filter for the evaluation files the spec names, unless the user placed one of their own."""
    placed = any(u["use"] == "decontaminate" for u in spec.filter)
    return [{"use": "decontaminate", "files": spec.decontaminate}] if spec.decontaminate and not placed else []


def _keys(spec: Spec) -> list[Use]:
    return [{"use": "unique", "columns": list(c.columns)} for c in parse(spec.constraints) if isinstance(c, Unique)]


def _constrained(spec: Spec, real: Real | None, made: Maker, source: str) -> Real | None:
    """The anchor with what the spec declares in its schema. Raises Refusal where that names no column of it."""
    declared = parse(spec.constraints)
    try:
        check_types(declared, made.columns(real.schema if real else None) | (real.schema.dtypes() if real else {}))
    except Refusal as e:
        raise Refusal(f"{source}: {e}") from None
    fixed = next((c for c in declared if isinstance(c, Combinations)), None)
    if real is None and fixed:
        raise Refusal(
            f"{source}: constraints: {fixed.text} are those of real data; add 'real: {{path: ...}}' or remove it"
        )
    return replace(real, schema=replace(real.schema, constraints=declared)) if real and declared else real


def _broken(real: Real) -> list[str]:
    """Sentences on declared constraints that real rows break, or that no table model can draw."""
    notes = []
    for c in real.schema.constraints:
        if isinstance(c, Unique) or not set(c.columns) <= set(real.schema.names):
            continue
        apart = [n for n in c.columns if real.schema[n].kind not in MODELLED]
        if apart:
            kind = real.schema[apart[0]].kind
            notes.append(f"constraint '{c.text}': '{apart[0]}' is {kind}, which is made apart from the other columns: "
                         "few rows will meet it unless a generator of yours does")  # fmt: skip
        share = 0.0 if isinstance(c, Combinations) else 1 - float(c.holds(real.train).to_numpy().mean())
        if share > 0:
            shown = f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
            notes.append(f"constraint '{c.text}': {shown} of the real rows break it; made rows will not")
    return notes


def _real(spec: Spec, base: Path, source: str) -> Real | None:
    if spec.real is None:
        return None
    if spec.real.path is None:
        raise Refusal(f"{source}: real: 'path' is required (or give the table in Python)")
    try:
        return load(spec.real, base, spec.seed)
    except Refusal as e:
        where = "" if str(e).startswith("real.") else "real: "
        raise Refusal(f"{source}: {where}{e}", e.code) from None


def _framed(spec: Spec, base: Path, table: Any) -> Real:
    """The anchor made of a table given in Python, as the spec's `real` asks."""
    need = spec.real or RealNeed()
    return from_frame(
        from_any(table)[0],
        target=need.target,
        entity=need.entity,
        holdout=read(base / need.holdout) if isinstance(need.holdout, str) else need.holdout,
        columns=need.columns,
        seed=spec.seed,
        accept_synthetic=need.accept_synthetic,
    )


def prepared_from(spec: str | Path | Spec, real: Any = None) -> Prepared:
    """From a spec's file or the Spec itself. real: as in `prepare`."""
    if isinstance(spec, Spec):
        return prepare(spec, "spec", Path("."), real)
    loaded, base = load_spec(spec)
    return prepare(loaded, str(spec), base, real)


def _check_evaluation(spec: Spec, source: str) -> list[tuple[str, Any]]:
    """Metrics and bars are needed last, and checked first. Answers the metrics by name."""
    from .evaluation import check_uses
    from .release import check_bars

    metrics = [(str(u["use"]), build("measure", u, f"{source}: evaluate.{j}")) for j, u in enumerate(spec.evaluate)]
    try:
        check_uses(spec.evaluate)
        check_bars(spec.release, spec.evaluate)
    except Refusal as e:
        raise Refusal(f"{source}: {e}") from None
    return metrics


def _check_suited(spec: Spec, real: Real, source: str) -> None:
    """A metric may look at the real table before anything is made, and refuse what it could only leave unmeasured."""
    for j, use in enumerate(spec.evaluate):
        metric = build("measure", use, f"{source}: evaluate.{j}")
        if hasattr(metric, "suits"):
            try:
                metric.suits(real.train, real.schema, real.target)
            except Refusal as e:
                raise Refusal(f"{source}: evaluate.{j}: {use['use']}: {e}") from None


def _stations(family: str, uses: Sequence[Use], source: str) -> list[Station]:
    """Named as declared; a second `rules` is `rules.2`, so that everything said of a check is said of one."""
    names = [str(u["use"]) for u in uses]
    seen = [names[: j + 1].count(n) for j, n in enumerate(names)]
    out = []
    for j, (n, k, u) in enumerate(zip(names, seen, uses, strict=True)):
        at = f"{source}: {family}.{j}"
        own = list(parameters(find(family, n, at))) if family != "monitor" else list(u)
        config, known = declared(u, own, f"{at}: {n}")
        out.append(Station(n if k == 1 else f"{n}.{k}", build(family, config, at), f"{family}.{j}: {n}", **known))
    return out


def _cells(spec: Spec, real: Real | None, made: Maker, source: str) -> list[Cell]:
    """Cells over the columns that will be made; their values and shares are read from train where it has these columns."""
    columns = made.columns(real.schema if real is not None else None)
    anchored = real is not None and set(spec.cover.axes) <= set(real.schema.names)
    return cells_of(spec.cover, columns, real.train if real is not None and anchored else None, source)
