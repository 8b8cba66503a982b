"""Everything that can be found wrong before generating: the spec, its files, plugins, rules, cells and bars."""

from __future__ import annotations

from pathlib import Path

from synthmill.prepare import Prepared, prepared_from
from synthmill.spec import Spec


def check(spec: str | Path | Spec) -> Prepared:
    """Raises Refusal with one sentence for the first thing that is wrong."""
    prepared = prepared_from(spec)
    prepared.fit_checks()
    return prepared
