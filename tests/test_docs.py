"""The documents are true: their code runs, their specs are valid, their tables are those of the code, their links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import synthmill
from synthmill.cli.main import _parser
from synthmill.data import adult
from synthmill.plugins import FAMILIES, describe, find, known, parameters
from synthmill.spec import BlendNeed, Budget, Cover, EngineNeed, Fill, GuardNeed, RealNeed, Spec, load_spec, parse_spec

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SECTIONS: dict[str, type[BaseModel]] = {
    "spec": Spec, "real": RealNeed, "cover": Cover, "blend": BlendNeed, "guard": GuardNeed, "fill": Fill, "engine": EngineNeed, "budget": Budget,
}  # fmt: skip
README = DOCS.parent / "README.md"
page_names = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
with_readme = pytest.mark.parametrize("page", [*PAGES, README], ids=lambda p: str(p.relative_to(DOCS.parent)))


@dataclass(frozen=True)
class Block:
    """A fenced block. title: the file it is to be written to, "" for none."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    fenced = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)
    for language, title, text in fenced.findall(page.read_text("utf-8")):
        yield Block(language, title, text)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table `my.csv`, which is the current folder."""
    adult().head(400).write_csv(tmp_path / "my.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small_run(desk: Path) -> None:
    """The tutorial's run `runs/my`, with few records and one metric."""
    text = next(b.text for b in blocks(DOCS / "tutorial.md") if b.title == "spec.yaml")
    data = yaml.safe_load(text) | {"evaluate": ["fidelity"], "release": {}}
    data["cover"]["quota"] = 10
    (desk / "small.yaml").write_text(json.dumps(data))
    assert synthmill.make("small.yaml", "runs/my").accepted == 40


@page_names
def test_code_runs(page: Path, desk: Path) -> None:
    code = [b for b in blocks(page) if b.language in ("python", "yaml")]
    for b in code:
        if b.title:
            (desk / b.title).write_text(b.text)
        elif b.language == "python" and "runs/my" in b.text and not (desk / "runs" / "my").exists():
            small_run(desk)
    names: dict[str, Any] = {}
    for b in code:
        if b.language == "python" and not b.title:
            exec(compile(b.text, f"{page.name}", "exec"), names)


@with_readme
def test_specs_are_valid(page: Path) -> None:
    """A block with a title is a whole spec; one without is a part of one."""
    for b in blocks(page):
        if b.language == "yaml":
            data = yaml.safe_load(b.text)
            whole = data if b.title else {"name": "part", "generate": "tabular.copula", **data}
            parse_spec(whole, f"{page.name}: {b.title}")


@pytest.mark.parametrize("name", ["write-a-generator", "write-a-simulator", "write-a-check", "write-a-metric"])
def test_a_plugin_takes_few_lines(name: str) -> None:
    """Under 20 lines of code for what stands first on the page; blank lines are not code."""
    first = next(b for b in blocks(DOCS / f"{name}.md") if b.language == "python" and b.title)
    assert len([line for line in first.text.splitlines() if line.strip()]) < 20


@with_readme
def test_commands_are_commands(page: Path) -> None:
    for b in blocks(page):
        if b.language != "console":
            continue
        said = [line[2:] for line in b.text.splitlines() if line.startswith("$ ")]
        assert said, f"{page.name}: a console block without a command"
        for line in said:
            words = shlex.split(line, comments=True)
            if words[:1] == ["synthmill"] and words[1:] != ["--help"]:
                _parser().parse_args(words[1:])


def anchors(page: Path) -> set[str]:
    """The names of a page's headings as a link writes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@with_readme
def test_links_lead_somewhere(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        there = page.parent / target if target else page
        assert there.is_file() or (page == README and there.is_dir()), f"{page.name}: {target}"
        assert not heading or heading in anchors(there), f"{page.name}: {target}#{heading}"


def test_every_page_is_in_the_map() -> None:
    linked = set(re.findall(r"\]\(([^)]+)\)", (DOCS / "index.md").read_text("utf-8")))
    assert linked == {p.relative_to(DOCS).as_posix() for p in PAGES} - {"index.md"}


def table(text: str, heading: str) -> dict[str, list[str]]:
    """First cell -> the others, of the first table below a heading."""
    below = re.split(rf"^##+ {re.escape(heading)}$", text, flags=re.M)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.M)
    assert rows, f"no table below {heading}"
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", r.strip("|\n"))] for r in rows[0].splitlines()[2:]]
    return {c[0].strip("`"): c[1:] for c in cells}


def type_in_words(schema: dict[str, Any]) -> str:
    """A JSON schema as a person would say it."""
    if "anyOf" in schema:
        return " or ".join(type_in_words(s) for s in schema["anyOf"] if s.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{v}`" for v in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema or "additionalProperties" in schema or schema.get("type") == "object":
        return "mapping"
    plain = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "array": "list",
    }
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    bounds = [f"{sign} {schema[k]:g}" for k, sign in signs.items() if k in schema]
    return " ".join([plain[schema["type"]], ", ".join(bounds)]).strip()


def default_in_words(model: type[BaseModel], key: str) -> str:
    field = model.model_fields[key]
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel) or field.default in (None, {}, []):
        return "none"
    return f"`{json.dumps(field.default)}`".replace('"', "")


@pytest.mark.parametrize("section", SECTIONS)
def test_the_reference_is_the_model(section: str) -> None:
    model = SECTIONS[section]
    written = table((DOCS / "spec.md").read_text("utf-8"), "The top level" if section == "spec" else f"`{section}`")
    schema = model.model_json_schema()["properties"]
    expected = {k: [type_in_words(p), default_in_words(model, k)] for k, p in schema.items()}
    assert {k: v[:2] for k, v in written.items()} == expected
    assert all(v[2] for v in written.values()), "a key without a meaning"


def test_every_plugin_and_parameter_is_told() -> None:
    pages = {"generate": "generators", "measure": "metrics"}
    for family in FAMILIES:
        text = (DOCS / f"{pages.get(family, 'checks')}.md").read_text("utf-8")
        text += (DOCS / "text.md").read_text("utf-8") if family == "generate" else ""
        for use, _, options in describe(family):
            for word in (use, *(o.split("=")[0] for o in options)):
                assert f"`{word}`" in text, f"{family}: {use}: {word}"


def test_every_measure_is_told() -> None:
    text = (DOCS / "metrics.md").read_text("utf-8")
    for use in known("measure"):
        told = table(text, f"`{use}`")
        measures = {m for m in find("measure", use).measures if not m.endswith("_unfiltered")}
        assert set(told) == measures
        assert parameters(find("measure", use)).keys() <= set(re.findall(r"`(\w+)`", text))


def test_the_house_is_as_drawn() -> None:
    """Every file and folder at the top of the package is in the design, and nothing else is."""
    drawn = re.search(r"^    src/synthmill/\n((?:^      .*\n)+)", (DOCS / "design.md").read_text("utf-8"), re.M)
    assert drawn
    told = {w.rstrip("/") for line in drawn[1].splitlines() for w in re.findall(r"(\w+(?:\.py|/))(?=\s|$)", line[:54])}
    package = Path(synthmill.__file__).parent
    there = {p.name for p in package.iterdir() if p.suffix == ".py" or (p.is_dir() and (p / "__init__.py").exists())}
    assert told == there


def test_the_tutorials_spec_is_fit_to_run(desk: Path) -> None:
    text = next(b.text for b in blocks(DOCS / "tutorial.md") if b.title == "spec.yaml")
    (desk / "spec.yaml").write_text(text)
    load_spec("spec.yaml")
    assert len(synthmill.check("spec.yaml").job.cells) == 4
