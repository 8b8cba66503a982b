"""What a plugin is and how it is found: `use: family.name` is a module path, constructor parameters are the configuration."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_type_hints, runtime_checkable

import numpy as np
import polars as pl

from .cells import Cell
from .frame import Status, seed_of
from .refusal import Refusal, choices
from .schema import Schema


@dataclass(frozen=True)
class Request:
    """k: admission order. ordinal: place within the cell. n: rows wanted. given: rows to complete, in a chain."""

    k: int
    cell: Cell
    ordinal: int
    n: int
    seed: int
    given: pl.DataFrame | None = None

    def rng(self, *names: object) -> np.random.Generator:
        """The request's own stream; `names` open independent ones."""
        return np.random.default_rng(seed_of(self.seed, *names) if names else self.seed)


@dataclass(frozen=True)
class Verdicts:
    """One verdict per judged row. status: (n,) UInt8 of Status; score: (n,) Float32; reason: one for all, or (n,) String."""

    status: pl.Series
    score: pl.Series | None = None
    reason: pl.Series | str | None = None

    @classmethod
    def where(cls, ok: pl.Series, reason: pl.Series | str | None, score: pl.Series | None = None) -> Verdicts:
        """Pass where `ok`; null counts as a fail."""
        return cls((~ok.fill_null(False)).cast(pl.UInt8), score, reason)

    @classmethod
    def all_pass(cls, n: int) -> Verdicts:
        return cls(pl.zeros(n, pl.UInt8, eager=True))

    @classmethod
    def errors(cls, n: int, reason: str) -> Verdicts:
        return cls(pl.repeat(int(Status.ERROR), n, dtype=pl.UInt8, eager=True), None, reason)


@runtime_checkable
class Generator(Protocol):
    """Answers a request with at most n candidates whose columns and types are `schema()`.

    Optional: `fit(train: Frame, schema: Schema)` before anything is asked (train: the columns of `schema.modelled`);
    `save(folder: Path)` and `load(folder: Path)` of what was fitted, without pickle;
    `conditions(axes: Sequence[str]) -> bool`: can it answer for a given cell? (absent: no);
    `constrains = True`: it draws `schema.constraints` by itself (absent: it learns and draws in the space of a
    `tables.plan.Plan`, where they hold by construction);
    `kind`: "cpu", or "io" when it waits on something outside; `completes = True`: it adds columns to `request.given`;
    a parameter `target` or `lead` that is None is told the target, and the columns cells will be asked by, before `fit`;
    `notes`: sentences about what was learned, for the user; `impute(frame, seed)`: its missing values, drawn;
    `remove(rows: Sequence[int]) -> dict[str, list]`: forgets rows of train, answers the levels each category has left;
    `parents_depth: int`: the generation of the deepest seed or document it starts from; records are one deeper;
    `parents: list[str]`: the files and runs these lie in, by content, for the lineage;
    `origins(request) -> synthmill.origins.Origins`: the same answer, with the rows of train its values came from.
    """

    def schema(self) -> dict[str, pl.DataType]: ...

    def generate(self, request: Request) -> pl.DataFrame: ...


@runtime_checkable
class Check(Protocol):
    """Judges a frame of payload columns, one verdict per row.

    Optional: `expect(columns: dict[str, DataType])`, before `fit`: what candidates will have; `fit(train, schema)`;
    `needs_real = True` when it compares with real data; `remember(admitted: Frame)`: it then runs at admission, in order;
    `private = True`: its rejects derive from single real records and are kept under `private/`;
    `examples() -> (good: Frame, bad: Frame)`: rows it must pass and must reject once fitted on `good`.
    """

    def judge(self, frame: pl.DataFrame) -> Verdicts: ...


Better = Literal["higher", "lower", "half", "none"]


@dataclass(frozen=True)
class Measure:
    """A number with its 95% interval. better: which way is good; "half": 0.5 is ideal (an AUC that should see nothing).

    floor and ceiling: the same number for a table known to be bad and for fresh real rows, where they were measured.
    detail: JSON data for the report (per column, per pair); aggregates only, never a single real record.
    uncut: the interval before it was cut at the values the number can take, for pooling; not kept on disk.
    """

    name: str
    value: float
    low: float
    high: float
    better: Better = "higher"
    detail: dict[str, Any] = field(default_factory=dict)
    floor: float | None = None
    ceiling: float | None = None
    note: str = ""
    uncut: tuple[float, float] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Evidence:
    """Everything a metric may look at. Frames hold payload columns only.

    synthetic: the table being judged. draws: further tables of the same generator under other seeds (may be empty).
    unfiltered: synthetic plus what the `copies` filter took out, if that is known. blend: the blended training set;
    anchored: how many of its rows, the first ones, are real, if that is known.
    holdout is never seen by anything that fits or prompts.
    reference: how the table came to be when it is a floor or a ceiling ("uniform", "independent", "bootstrap",
    "fresh"), else "". entity: the column of train and holdout whose values are resampled as one; None: every row is its
    own. share: the part of train's rows this is, where a metric is pooled over cells.
    """

    synthetic: pl.DataFrame
    train: pl.DataFrame
    holdout: pl.DataFrame
    schema: Schema
    seed: int
    target: str | None = None
    draws: tuple[pl.DataFrame, ...] = ()
    unfiltered: pl.DataFrame | None = None
    blend: pl.DataFrame | None = None
    reference: str = ""
    entity: str | None = None
    anchored: int | None = None
    share: float = 1.0

    def rng(self, *names: object) -> np.random.Generator:
        return np.random.default_rng(seed_of(self.seed, "evidence", *names))

    def part(self, rows: int, least: int = 500) -> int:
        """A cell's part of a metric's budget of rows, so that pooling over cells costs what the whole would."""
        return max(min(rows, least), round(rows * self.share))


@runtime_checkable
class Metric(Protocol):
    """Compares data with held-out real data.

    Optional: `measures: tuple[str, ...]`: the names it can answer with, so that a bar on another is refused early;
    `references: tuple[str, ...]`: which floors and ceilings to measure it on ("uniform", "independent", "bootstrap",
    "fresh"): `measure` is called again with those tables. Where cells were rebalanced: `pooled = True`: `measure` is
    called for each cell, and its measures are pooled at real shares; `as_made = True`: it wants the table as it was
    made; without either it gets a subset at real shares.
    `suits(train, schema, target)`: refuses, before anything is made, what it could only leave unmeasured.
    """

    def measure(self, evidence: Evidence) -> list[Measure]: ...


@runtime_checkable
class Monitor(Protocol):
    """Watches the run, never a row: `observe` answers None, a warning, or a refusal to go on."""

    def observe(self, admitted: pl.DataFrame) -> Alarm | None: ...


@dataclass(frozen=True)
class Alarm:
    message: str
    stop: bool = False


FAILURES = (Exception, SystemExit, pl.exceptions.PanicException)
"""What a plugin may end with. A panic inside polars is no Exception, and a script's `sys.exit` must not end the run."""


def sentence(e: BaseException) -> str:
    """An exception as one line."""
    text = str(e).strip().split("\n")[0]
    return f"{type(e).__name__}: {text}" if text else type(e).__name__


@contextmanager
def blamed(at: str) -> Iterator[None]:
    """Around what a plugin does outside of requests (building, fitting, saving): whatever it raises is one sentence that
    begins with `at`, the place in the spec and the plugin's name. Its own refusals keep their code; the rest is code 1."""
    try:
        yield
    except Refusal as e:
        said = str(e).removeprefix(f"{at}: ").removeprefix(f"{at.rpartition(': ')[2]}: ")
        e.args = (f"{at}: {said}",)
        raise e from None
    except FAILURES as e:
        raise Refusal(f"{at}: {sentence(e)}", 1) from e


FAMILIES = ("generate", "verify", "filter", "monitor", "measure")


def known(family: str) -> list[str]:
    """Names that `use:` accepts in a family, from the folder itself. A folder is a plugin too where its `__init__` holds one."""
    package = importlib.import_module(f"synthmill.{family}")
    names = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    found = (
        m.name.removeprefix(package.__name__ + ".")
        for m in names
        if not m.ispkg or _public(importlib.import_module(m.name))
    )
    return sorted(n for n in found if not any(part.startswith("_") for part in n.split(".")))


def find(family: str, use: str, at: str = "") -> type:
    """The plugin's class. `pkg.module:Class` and `path/to/file.py:Class` name third parties' plugins."""
    at = at or family
    if ":" in use:
        found = load_object(use, at)
        if not inspect.isclass(found):
            raise Refusal(f"{at}: use: {use} is not a class")
        return found
    if use not in known(family):
        raise Refusal(f"{at}: use: '{use}' is not known; {choices(use, known(family))}")
    module = importlib.import_module(f"synthmill.{family}.{use}")
    return public_class(module)


def public_class(module: Any) -> type:
    public = _public(module)
    if len(public) != 1:
        raise Refusal(f"{module.__name__}: one public class expected, found {[c.__name__ for c in public]}")
    return public[0]


def _public(module: Any) -> list[type]:
    """Its own classes whose names do not start with `_`; what it imports is not its own."""
    own = (v for n, v in vars(module).items() if not n.startswith("_"))
    return [v for v in own if inspect.isclass(v) and v.__module__ == module.__name__]


_FOLDER: ContextVar[Path] = ContextVar("folder of the spec", default=Path("."))


@contextmanager
def relative_to(folder: Path) -> Iterator[None]:
    """Within it, `file.py:name` is looked for beside the spec rather than in the current folder."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def beside(path: Path) -> Path:
    """A file that a plugin is configured with; relative ones lie beside the spec."""
    return _FOLDER.get() / path


BY_FILE = "_user_"
"""How the names of modules begin that were loaded from a file: no other process can import them by name."""


def load_object(name: str, at: str) -> Any:
    """`package.module:attribute` or `file.py:attribute`: the user's own code, imported by name, never evaluated."""
    where, _, attribute = name.rpartition(":")
    try:
        module = _module_of(where)
    except ModuleNotFoundError as e:
        raise Refusal(f"{at}: {name}: cannot import {where} ({e})") from e
    except FileNotFoundError as e:
        raise Refusal(f"{at}: {name}: there is no file {where}") from e
    except Exception as e:
        raise Refusal(f"{at}: {name}: importing {where} failed: {type(e).__name__}: {e}") from e
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise Refusal(f"{at}: {name}: {where} has no '{attribute}'; {choices(attribute, public)}")
    return getattr(module, attribute)


def _module_of(where: str) -> Any:
    if not where.endswith(".py"):
        return importlib.import_module(where)
    path = _FOLDER.get() / where
    if not path.is_file():
        raise FileNotFoundError(where)
    spec = importlib.util.spec_from_file_location(f"{BY_FILE}{path.stem}_{seed_of(str(path.resolve())):x}"[:60], path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and type hints look names up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def parameters(cls: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(cls).parameters)


def build(family: str, config: Mapping[str, Any], at: str = "") -> Any:
    """A configured plugin. Raises Refusal naming key, value and choices when the configuration is wrong."""
    at = at or family
    options = {k: v for k, v in config.items() if k != "use"}
    use = str(config["use"])
    cls = find(family, use, at)
    accepted = list(parameters(cls))
    for key in options:
        if key not in accepted:
            raise Refusal(f"{at}: {use}: unknown key '{key}'; {choices(key, accepted)}")
    for name, p in parameters(cls).items():
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and name not in options:
            raise Refusal(f"{at}: {use}: '{name}' is required")
    hints = get_type_hints(cls if dataclasses.is_dataclass(cls) else cls.__init__, include_extras=True)  # type: ignore[misc]
    read = {k: _read(v, hints.get(k, Any), f"{at}: {use}: {k}") for k, v in options.items()}
    try:
        return cls(**read)
    except Refusal as e:
        raise Refusal(f"{at}: {str(e).removeprefix(f'{family}: ')}", e.code) from None
    except ValueError as e:
        raise Refusal(
            f"{at}: {use}: {_lower(str(e).strip().splitlines()[0] if str(e).strip() else 'ValueError')}"
        ) from None
    except FAILURES as e:
        raise Refusal(f"{at}: {use}: {sentence(e)}", 1) from e


def _read(value: Any, hint: Any, at: str) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    lenient = not dataclasses.is_dataclass(hint) and not hasattr(hint, "model_config")
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True) if lenient else None).validate_python(
            value
        )
    except ValidationError as e:
        first = e.errors()[0]
        inner = ".".join(str(p) for p in first["loc"] if not isinstance(p, str) or "[" not in p)
        raise Refusal(f"{at}{'.' + inner if inner else ''}: {first['input']!r}: {_lower(first['msg'])}") from None


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def describe(family: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(name, first line of the docstring, parameters with defaults) of every plugin of a family, from the code."""
    for name in known(family):
        cls = find(family, name)
        line = (inspect.getdoc(cls) or "").split("\n")[0]
        yield name, line, [_parameter(p) for p in parameters(cls).values()]


def _parameter(p: inspect.Parameter) -> str:
    if p.default is p.empty:
        return p.name
    value = p.default() if "factory" in repr(p.default) and callable(p.default) else p.default
    return p.name if "factory" in repr(value) else f"{p.name}={value!r}"
