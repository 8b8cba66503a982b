"""One sentence instead of a traceback: which file, which key, which value, what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Refusal(Exception):
    """Work that cannot or may not be done. The command line prints it and exits with `code` (2: bad input, 3: a bar missed)."""

    code: int

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def choices(value: object, known: Iterable[object]) -> str:
    """`did you mean 'age'? Choices: age, sex` for the end of a sentence."""
    names = [str(k) for k in known]
    same = [n for n in names if n.casefold() == str(value).casefold()]
    near = same or difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    guess = f"did you mean '{near[0]}'? " if near else ""
    shown = ", ".join(names[:40]) + (f", ... ({len(names)} in all)" if len(names) > 40 else "")
    return f"{guess}Choices: {shown or 'none'}"


class Halt(Refusal):
    """What ends a run rather than a row: a budget that is spent, a key that is not accepted. Whatever is made when it is
    raised is not admitted, so that the same run can go on once the reason is gone."""


class MissingExtra(Refusal):
    """A plugin's library is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}: pip install 'synthmill[{extra}]'")
