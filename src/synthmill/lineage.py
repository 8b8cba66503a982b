"""Where each record came from: narrow columns beside the data, one row per request, dictionaries in the manifest."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from .frame import digest, seed_of
from .plugins import BY_FILE
from .refusal import Refusal

ROWS = {"_k": pl.UInt32(), "_i": pl.UInt32(), "_cell": pl.Int32(), "_score": pl.Float32()}
REQUESTS = {"k": pl.UInt32(), "cell": pl.Int32(), "ordinal": pl.UInt32(), "n": pl.UInt32(), "member": pl.UInt8()}

TRACED = {"_asked": pl.List(pl.String), "_parents": pl.List(pl.String)}
"""What a generator that asks others may add to its rows: addresses of the answers each was made of, and ids of the seeds or
documents it came from. They go to the lineage and are no part of the record."""
PARENTS = {"_k": pl.UInt32(), "_i": pl.UInt32(), "_parents": pl.List(pl.String())}
_SYNTHETIC = r"^[0-9a-f]{12}-\d+-\d+$"


def shown(columns: Iterable[str]) -> list[pl.Expr]:
    """`TRACED` columns as lineage shows them: of the parents only ids of synthetic records. Those of seeds and documents are the
    user's own, and may name people."""
    made = pl.element().filter(pl.element().str.contains(_SYNTHETIC))
    return [pl.col(c).list.eval(made) if c == "_parents" else pl.col(c) for c in columns]


def unshown(frame: pl.DataFrame) -> pl.DataFrame:
    """`PARENTS` of the rows that have such others."""
    if "_parents" not in frame.columns:
        return pl.DataFrame(schema=PARENTS)
    others = pl.element().filter(~pl.element().str.contains(_SYNTHETIC))
    return frame.select("_k", "_i", pl.col("_parents").list.eval(others)).filter(pl.col("_parents").list.len() > 0)


def traced(frame: pl.DataFrame, column: str) -> pl.Series:
    """One of these columns as lists of text: a text alone is a list of one, an absent column one of nulls."""
    if column not in frame.columns:
        return pl.Series(column, [None] * frame.height, dtype=pl.List(pl.String))
    s = frame[column]
    if isinstance(s.dtype, pl.List):
        return s.cast(pl.List(pl.String))
    return pl.Series(column, [None if v is None else [str(v)] for v in s], dtype=pl.List(pl.String))


@dataclass(frozen=True)
class Source:
    """One generator in the manifest. parents: what it was fitted on or starts from, by digest; depth: of the records it makes."""

    use: str
    version: str
    config: dict[str, Any]
    digest: str
    depth: int
    parents: tuple[str, ...] = ()
    licence: str | None = None


def depth_after(parents: Iterable[int]) -> int:
    """0 is real; a synthetic record is one generation deeper than its deepest parent."""
    return 1 + max(parents, default=0)


def version_of(plugin: object) -> str:
    """What decides a plugin's behaviour: its declared `version`, or the source of its module, and of the functions it
    was given (`functions`). An edited plugin is a different plugin."""
    declared = getattr(plugin, "version", None)
    own = str(declared) if declared else source_digest(type(plugin))
    given = [source_digest(f) for f in getattr(plugin, "functions", ())]
    return digest(own, given)[:12] if given else own


def source_digest(thing: Any) -> str:
    """12 hex digits of the source of the module that defines a class or function, with the project's own mathematics that
    it builds on, and the modules of the user's own that it imports; at a prompt, of its own source."""
    module = inspect.getmodule(thing)
    alone = module is None or module.__name__ == "__main__"
    parts = [thing] if module is None or alone else _built_on(module)
    try:
        sources = [inspect.getsource(p) for p in parts]
    except (OSError, TypeError):
        return "unknown"
    return digest(sources, *([] if module is None or alone else _imported(module)))[:12]


def _built_on(module: ModuleType) -> list[ModuleType]:
    """The module, then those of `tables/`, `texts/` and its family's underscore files that it names, in order of name."""
    found, waiting = {module.__name__: module}, [module]
    while waiting:
        for value in list(vars(waiting.pop()).values()):
            name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
            if not isinstance(name, str) or name in found or name not in sys.modules:
                continue
            if name.startswith(("synthmill.tables.", "synthmill.texts.")) or (
                name.startswith("synthmill.") and "._" in name
            ):
                found[name] = sys.modules[name]
                waiting.append(sys.modules[name])
    return [module, *(found[n] for n in sorted(found) if n != module.__name__)]


def _imported(module: ModuleType) -> list[tuple[str, str]]:
    """(place, source) of the user's own files that a module imports, and those import, as their text says: in its
    package, or beside and below a file that is in none. Installed libraries have versions of their own."""
    file = Path(module.__file__ or "").resolve()
    name = "" if module.__name__.startswith(BY_FILE) else module.__name__
    depth = name.count(".") + (file.name == "__init__.py")
    root = file.parents[min(depth, len(file.parents) - 1)]
    inside = root / name.split(".")[0] if depth else root
    if name.split(".")[0] in _OTHERS or _INSTALLED & set(file.parts):
        return []
    found, waiting = {file: ""}, [file]
    while waiting:
        here = waiting.pop()
        for other in _imports(here, root):
            if other not in found and inside in other.parents and not _INSTALLED & set(other.relative_to(root).parts):
                found[other] = other.read_text("utf-8", errors="replace")
                waiting.append(other)
    return sorted((f.relative_to(root).as_posix(), text) for f, text in found.items() if f != file)


_OTHERS = {"synthmill", *sys.stdlib_module_names}
_INSTALLED = {"site-packages", "dist-packages"}


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """The files under `root` that a file's import statements may mean; a package stands for its `__init__.py`."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(root, alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[min(node.level, len(file.parents)) - 1] if node.level else root
            origin = node.module.split(".") if node.module else []
            names = [(base, [*origin, alias.name]) for alias in node.names]
        else:
            continue
        for base, parts in names:
            for k in range(0 if base != root else 1, len(parts) + 1):
                place = base.joinpath(*parts[:k])
                yield from (f for f in (place / "__init__.py", place.with_name(f"{place.name}.py")) if f.is_file())


def request_seed(seed: int, uses: list[str], cell: str, ordinal: int, *stream: object) -> int:
    """The seed of a request from names alone, so that it need not be stored. stream: of a further draw or a preview."""
    return seed_of("request", seed, uses, cell, ordinal, *stream)


def config_digest(config: Mapping[str, Any]) -> str:
    return digest(dict(config))[:12]


def parse_id(record: str) -> tuple[str, int, int]:
    """(run, k, i) of a synthetic record's id. Raises Refusal when it is not one."""
    run, _, rest = record.partition("-")
    k, _, i = rest.partition("-")
    if len(run) != 12 or not all(n.isascii() and n.isdigit() for n in (k, i)):
        raise Refusal(f"'{record}' is not the id of a synthetic record; ids look like 0123456789ab-0-17")
    return run, int(k), int(i)
