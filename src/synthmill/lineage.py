"""Where each record came from: narrow columns beside the data, one row per request, dictionaries in the manifest."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    """12 hex digits of the source of the module that defines a class or function; of its own source at a prompt."""
    for part in (inspect.getmodule(thing), thing):
        try:
            if part is not None and getattr(part, "__name__", "") != "__main__":
                return digest(inspect.getsource(part))[:12]
        except (OSError, TypeError):
            continue
    return "unknown"


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
