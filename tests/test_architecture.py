"""The house rules, read from the code itself: which way imports run, how large things are, what may not be in the files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "synthmill"
FILES = sorted(SOURCE.rglob("*.py"))

ORDER = (
    ("frame", "refusal", "constraints", "schema", "lineage", "origins", "cells", "plugins"),  # the vocabulary
    ("tables", "texts", "data", "llm"),  # mathematics of a modality, the sample that comes along, talking to models
    ("generate", "verify", "filter", "monitor", "measure"),  # the families
    ("spec", "conformance"),
    ("real", "run", "engine", "compose", "cover", "shares", "evaluation", "profile", "resample"),
    ("auditing", "candidates", "fitting", "job", "guards", "blending", "release", "proposal", "provenance", "gaps"),
    ("line", "prepare", "accounts", "documents", "exchange", "lab"),
    ("verbs",),
    ("cli",),
)
"""A room may import its own level and those above it in this list. `__init__` opens doors by name and imports nothing."""
LEVEL = {room: i for i, rooms in enumerate(ORDER) for room in rooms}
FAMILIES = ORDER[2]
HEAVY = {
    "sklearn", "scipy", "faker", "imblearn", "simpy", "pandas", "pyarrow", "torch", "duckdb", "sqlalchemy", "yaml",
    "matplotlib", "threadpoolctl", "adbc_driver_sqlite", "rich", "aiohttp", "jinja2", "xllamacpp", "jsonschema",
    "py3langid", "presidio_analyzer", "spacy", "tldextract", "transformers", "peft", "huggingface_hub",
}  # fmt: skip
LINE = ("line", "candidates", "fitting", "auditing")
"""The loop, what its workers do, fitting before it, and the attacks of an audit: the only users of the engine."""
LINES, FUNCTION_LINES, DEPTH = 400, 60, 2


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {name_of(p): p for p in FILES}


def room(module: str) -> str:
    return module.split(".")[0]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(absolute module, at module level) of every import; `from . import x` names x where x is a module."""
    tree = ast.parse(path.read_text("utf-8"))
    inner = {
        id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)
    }
    package = ["synthmill", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((a.name, id(node) not in inner) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inside = f"{origin}.{alias.name}".removeprefix("synthmill.")
                yield (f"synthmill.{inside}" if inside in MODULES else origin), id(node) not in inner


def own(path: Path) -> set[str]:
    """The project's own modules that a file imports, without the package's `__init__`."""
    found = (m.removeprefix("synthmill.") for m, _ in imports(path) if m.startswith("synthmill."))
    return set(found) - {name_of(path)}


def top_level(path: Path) -> set[str]:
    return {m for m, top in imports(path) if top}


@pytest.mark.parametrize("path", FILES, ids=lambda p: name_of(p) or "__init__")
def test_imports_run_one_way(path: Path) -> None:
    module = name_of(path)
    if not module:
        assert own(path) == set()
        return
    here = room(module)
    assert here in LEVEL, f"{here} has no level in ORDER: say where it belongs"
    for other in own(path):
        there = room(other)
        assert LEVEL[there] <= LEVEL[here], f"{module} imports {other}, which lies above it"
        if here in FAMILIES:
            assert there == here or LEVEL[there] < LEVEL[here], f"{module} imports {other}: families stay apart"
        if there == "engine":
            assert here in ("engine", *LINE), f"{module} imports the engine; only the line uses it"
        if there == "cli" != here:
            pytest.fail(f"{module} imports the command line")


def test_the_design_draws_these_levels() -> None:
    drawn = re.search(r"^    vocabulary (<-(?:.+\n)+)", (ROOT / "docs" / "design.md").read_text("utf-8"), re.M)
    assert drawn
    levels = [set(re.findall(r"\w+", level)) for level in drawn[1].split("<-")[1:]]
    assert levels == [set(rooms) for rooms in ORDER[1:]]


def test_plugins_import_only_vocabulary_and_shared_mathematics() -> None:
    allowed = {*ORDER[0], *ORDER[1]}
    for module, path in MODULES.items():
        if room(module) in FAMILIES:
            assert {room(m) for m in own(path)} <= {*allowed, room(module)}, module


def test_the_documents_read_runs_and_nothing_that_makes_them() -> None:
    for module, path in MODULES.items():
        if room(module) == "documents":
            assert {room(m) for m in own(path)} <= {"documents", "run", "profile", *ORDER[0], "tables"}, module


def test_no_import_cycles() -> None:
    """A package's front may open its own parts late (`engine` starts processes only when they pay); nothing else is late."""
    graph = {
        module: {m for m in own(path) if not m.startswith(f"{module}.") or f"synthmill.{m}" in top_level(path)}
        for module, path in MODULES.items()
    }
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module in done:
            return
        for other in sorted(graph.get(module, ())):
            walk(other, (*trail, module))
        done.add(module)

    for module in graph:
        walk(module, ())


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    for module, path in MODULES.items():
        heavy = {m.split(".")[0] for m in top_level(path)} & HEAVY
        assert heavy <= ({"rich"} if module == "cli.console" else set()), f"{module} imports {heavy} at module level"


def test_files_functions_and_hierarchies_stay_small() -> None:
    classes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= LINES, f"{module}: more than {LINES} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                assert size <= FUNCTION_LINES, f"{module}.{node.name}: {size} lines"
            if isinstance(node, ast.ClassDef):
                classes[node.name] = [b.id for b in node.bases if isinstance(b, ast.Name)]

    def depth(name: str) -> int:
        return 1 + max((depth(b) for b in classes.get(name, ()) if b in classes), default=0)

    assert {n for n in classes if depth(n) > DEPTH} == set()


def test_a_plugin_is_one_file_with_one_public_class() -> None:
    from synthmill.plugins import FAMILIES, find, known

    for family in FAMILIES:
        for use in known(family):
            doc = (find(family, use).__doc__ or "").strip().split("\n")[0]
            assert doc.endswith((".", ":")), f"{family}: {use} needs a one-line description"
            assert not doc.startswith(f"{find(family, use).__name__}("), f"{family}: {use} has no docstring of its own"


@pytest.mark.parametrize("statement", ["import synthmill", "import synthmill.cli.main as c; c.main(['--help'])"])
def test_the_door_is_light(statement: str) -> None:
    heavy = HEAVY | {"polars", "numpy", "pydantic"}
    script = f"""
import sys
try:
    exec({statement!r})
except SystemExit:
    pass
print(sorted({{m.split('.')[0] for m in sys.modules}} & {heavy!r}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_doors_are_functions_whatever_was_imported_before() -> None:
    script = """
import importlib, pkgutil, synthmill
for m in pkgutil.walk_packages(synthmill.__path__, 'synthmill.'):
    if not m.name.startswith(('synthmill.engine.worker',)):
        importlib.import_module(m.name)
print([n for n in synthmill.__all__ if n != '__version__' and not callable(getattr(synthmill, n))])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / n for n in listed.stdout.decode().split("\0") if n and (ROOT / n).is_file()]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    private = re.compile(
        rb"(?<![\w./])/(?:work|home|root|Users|tmp)/\w|pypi\.org|files\.pythonhosted|--index-url|--extra-index"
    )
    for path in tracked():
        if path.suffix in (".gz", ".png", ".parquet") or path == Path(__file__):
            continue
        found = private.search(path.read_bytes())
        assert found is None, f"{path.relative_to(ROOT)}: {found.group()!r}" if found else ""
