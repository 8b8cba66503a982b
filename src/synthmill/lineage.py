"""Where each record came from: narrow columns beside the data, one row per request, dictionaries in the manifest."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import polars as pl

from .frame import digest, seed_of
from .refusal import Refusal

ROWS = {"_k": pl.UInt32(), "_i": pl.UInt32(), "_cell": pl.Int32(), "_score": pl.Float32()}
REQUESTS = {"k": pl.UInt32(), "cell": pl.Int32(), "ordinal": pl.UInt32(), "n": pl.UInt32(), "member": pl.UInt8()}


@dataclass(frozen=True)
class Source:
    """One generator in the manifest. parents: digests of what it was fitted on; depth: of the records it makes."""

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
    it builds on; at a prompt, of its own source."""
    module = inspect.getmodule(thing)
    parts = [thing] if module is None or module.__name__ == "__main__" else _built_on(module)
    try:
        return digest([inspect.getsource(p) for p in parts])[:12]
    except (OSError, TypeError):
        return "unknown"


def _built_on(module: ModuleType) -> list[ModuleType]:
    """The module, then those of `tables/` and of its family's underscore files that it names, in order of name."""
    found, waiting = {module.__name__: module}, [module]
    while waiting:
        for value in list(vars(waiting.pop()).values()):
            name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
            if not isinstance(name, str) or name in found or name not in sys.modules:
                continue
            if name.startswith("synthmill.tables.") or (name.startswith("synthmill.") and "._" in name):
                found[name] = sys.modules[name]
                waiting.append(sys.modules[name])
    return [module, *(found[n] for n in sorted(found) if n != module.__name__)]


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
