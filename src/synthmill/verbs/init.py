"""A commented spec for the user's own table, to read and change."""

from __future__ import annotations

from pathlib import Path

from synthmill.proposal import propose
from synthmill.refusal import Refusal
from synthmill.run import atomic, sentences


def init(
    real: str | Path,
    out: str | Path = "spec.yaml",
    *,
    table: str | None = None,
    target: str | None = None,
    force: bool = False,
) -> Path:
    """Writes the spec and returns where. table: of a database. target: what models should predict (default: guessed).

    Raises Refusal for a table that cannot be read, and for a file that is there already unless `force`.
    """
    out = Path(out)
    if out.exists() and not force:
        raise Refusal(f"{out}: is there already; --force overwrites it, -o names another")
    text = propose(real, table=table, target=target, out=out)
    with sentences(out):
        atomic(out, lambda f: f.write(text.encode()))
    return out
