"""synthmill: training and test data that people can account for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_DOORS = {
    "init": "verbs.init",
    "need": "verbs.need",
    "check": "verbs.check",
    "preview": "verbs.preview",
    "make": "verbs.make",
    "extend": "verbs.extend",
    "blend": "verbs.blend",
    "trace": "verbs.trace",
    "list": "verbs.list",
    "report": "verbs.report",
    "export": "verbs.export",
    "push": "verbs.export",
    "hand_out": "verbs.review",
    "take_back": "verbs.review",
    "evaluate": "verbs.score",
    "audit": "verbs.audit",
    "judge_check": "verbs.judge_check",
    "collapse": "verbs.collapse",
    "blend_sweep": "verbs.sweep",
    "fit": "verbs.fit",
    "load": "verbs.fit",
    "sample": "verbs.sample",
    "impute": "verbs.impute",
    "models": "verbs.models",
    "pull": "verbs.models",
    "Model": "verbs.fit",
    "Spec": "spec",
    "Run": "run",
    "Bin": "cells",
    "Refusal": "refusal",
}
_NAMES = {"evaluate": "score", "list": "plugins"}
__all__ = [*_DOORS, "__version__"]


def __getattr__(name: str) -> Any:
    """Doors are imported when used, so that `import synthmill` loads nothing heavy."""
    if name not in _DOORS:
        raise AttributeError(f"module 'synthmill' has no attribute '{name}'")
    return getattr(import_module(f".{_DOORS[name]}", __name__), _NAMES.get(name, name))
