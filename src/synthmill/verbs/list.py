"""What there is to use, read from the code itself."""

from __future__ import annotations

from collections.abc import Sequence

from synthmill.plugins import FAMILIES, describe
from synthmill.refusal import Refusal, choices


def plugins(family: str | None = None) -> dict[str, list[tuple[str, str, Sequence[str]]]]:
    """family -> (name for `use:`, one line, parameters with their defaults) of every plugin that comes with synthmill."""
    if family is not None and family not in FAMILIES:
        raise Refusal(f"list: '{family}' is no family of plugins; {choices(family, FAMILIES)}")
    return {f: list(describe(f)) for f in ([family] if family else FAMILIES)}
