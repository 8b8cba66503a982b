"""A recipe of text on texts of your own: `python recipes/own.py document-qa FOLDER`.

Writes the recipe's spec with your file or folder in place of the one that comes along, and makes it. What is given on the
command line is all that is changed; for the rest, edit the spec that is written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

import synthmill
from synthmill.cli import console
from synthmill.refusal import Refusal, choices

HERE = Path(__file__).resolve().parent
SOURCES = {"document-qa": "documents", "self-instruct": "seeds", "preferences": "seeds"}
"""Recipe -> the key of its first generator that names the texts."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help=", ".join(SOURCES))
    parser.add_argument("source", help="your documents, seeds or prompts: a file or a folder")
    parser.add_argument("--records", type=int, help="accepted records in all")
    parser.add_argument("--not-in", nargs="+", default=[], metavar="FILE", help="evaluation files whose items no record may hold")  # fmt: skip
    parser.add_argument("--model", help="who writes: a known open model, a GGUF file, or a name at --base-url")
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint")
    parser.add_argument("--key", help="NAME of the environment variable with the endpoint's key")
    parser.add_argument("--out", help="run directory (default: runs/own-RECIPE)")
    return parser.parse_args()


def own(given: argparse.Namespace) -> dict[str, Any]:
    """The recipe's spec, with what the command line says in it. Raises Refusal."""
    if given.recipe not in SOURCES:
        raise Refusal(f"'{given.recipe}' is no recipe of text; {choices(given.recipe, SOURCES)}")
    if not Path(given.source).exists():
        raise Refusal(f"{given.source}: there is no such file")
    whole: dict[str, Any] = yaml.safe_load((HERE / given.recipe / "spec.yaml").read_text("utf-8"))
    shipped = whole["generate"][SOURCES[given.recipe]]
    whole = _replaced(whole, shipped, str(Path(given.source).resolve()))
    whole |= {
        "name": f"own-{given.recipe}",
        "base": str(HERE / given.recipe),
        "decontaminate": [str(Path(f).resolve()) for f in given.not_in],
    }
    if given.records is not None:
        whole["cover"]["total"] = given.records
    said = {"model": given.model, "base_url": given.base_url, "key": given.key}
    whole["models"]["writer"] |= {k: v for k, v in said.items() if v is not None}
    return whole


def _replaced(value: Any, old: str, new: str) -> Any:
    """Wherever the texts are named: in the generator, and in the checks that compare with them."""
    if isinstance(value, dict):
        return {k: _replaced(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [_replaced(v, old, new) for v in value]
    return new if value == old else value


def main() -> int:
    given = options()
    try:
        whole = own(given)
        written = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
        with tempfile.TemporaryDirectory() as name:
            tried = Path(name) / "spec.yaml"
            tried.write_text(written, "utf-8")
            synthmill.check(tried)
        out = Path(given.out or f"runs/{whole['name']}")
        file = out.with_name(f"{out.name}.yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written, "utf-8")
        with console.watching(False) as observer:
            result = synthmill.make(file, out, observer=observer)
    except Refusal as e:
        print(f"own.py: {e}", file=sys.stderr)
        return e.code
    return console.made(result)


if __name__ == "__main__":
    raise SystemExit(main())
