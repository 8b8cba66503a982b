"""A run on a hub of datasets: its data, card and croissant.json in one commit, and nothing else of it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import polars as pl

from synthmill.documents.features import feature
from synthmill.refusal import MissingExtra, Refusal
from synthmill.run import Run

CARD = "README.md"
DOCUMENTS = (CARD, "croissant.json")


class Api(Protocol):
    """What is used of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, repo_type: str, private: bool, exist_ok: bool) -> Any: ...

    def create_commit(self, repo_id: str, operations: list[Any], *, commit_message: str, repo_type: str) -> Any: ...


class Converted(Protocol):
    """What a conversion says of itself."""

    @property
    def plan(self) -> Any: ...


C = TypeVar("C", bound=Converted)


def pushed(
    run: Run,
    repository: str,
    convert: Callable[[Path], C | None],
    token: str,
    hub: str | None,
    public: bool,
    api: Api | None = None,
) -> tuple[str, C | None]:
    """convert: writes the records in another format to the file it is given, or answers None. Other parameters as in `push`."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise Refusal(f"--push: '{repository}' is no repository; expected OWNER/NAME")
    for name in DOCUMENTS:
        if not (run.root / name).is_file():
            raise Refusal(f"{run.root / name}: not there; `synthmill report {run.root}` writes it")
    add, client = _client(token, hub) if api is None else (_pair, api)
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, str | bytes] = {
            str(f.relative_to(run.root)): str(f) for f in (run.path("data", p) for p in range(run.manifest["parts"]))
        }
        files |= {name: str(run.root / name) for name in DOCUMENTS}
        file = Path(folder) / "train.parquet"
        made = convert(file)
        if made is not None:
            name = str(made.plan.format)
            files[f"{name}/train.parquet"] = str(file)
            files[CARD] = with_configuration(
                (run.root / CARD).read_text("utf-8"), name, pl.read_parquet_schema(file)
            ).encode()
        operations = [add(place, what) for place, what in sorted(files.items())]
        where = _said(lambda: _sent(client, repository, operations, run, public), repository)
    return where, made


def _pair(place: str, what: str | bytes) -> Any:
    return place, what


def _sent(client: Api, repository: str, operations: list[Any], run: Run, public: bool) -> str:
    client.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
    told = f"synthmill run {run.id}"
    done = client.create_commit(repository, operations, commit_message=told, repo_type="dataset")
    return str(getattr(done, "commit_url", done))


def with_configuration(card: str, name: str, schema: Any) -> str:
    """A card whose YAML also names the files of another format, with their types. `default` stays the records as made."""
    import yaml

    _, head, body = card.split("---\n", 2)
    told = yaml.safe_load(head)
    told["configs"] = [*told["configs"], {"config_name": name, "data_files": f"{name}/*.parquet"}]
    types = [{"name": n, **feature(t)} for n, t in schema.items()]
    told["dataset_info"] = [told["dataset_info"], {"config_name": name, "features": types}]
    return f"---\n{yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=1000)}---\n{body}"


def _client(token: str, hub: str | None) -> tuple[Callable[[str, str | bytes], Any], Api]:
    """The library's own client. It gets the token it is to use and looks for no other."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", token):
        raise Refusal(
            "--token: expected the name of an environment variable, such as HF_TOKEN, and never the token itself"
        )
    value = os.environ.get(token, "")
    if not value:
        raise Refusal(f"--token: the environment variable {token} is not set; it has to hold a token that may write")
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
    except ImportError:
        raise MissingExtra("--push", "huggingface_hub", "hub") from None

    def add(place: str, what: str | bytes) -> Any:
        return CommitOperationAdd(path_in_repo=place, path_or_fileobj=what)

    return add, HfApi(endpoint=hub, token=value)


def _said(work: Callable[[], str], repository: str) -> str:
    """What the hub says no to, in one sentence; its answers carry no token."""
    try:
        return work()
    except Refusal:
        raise
    except Exception as e:  # the library raises its own, its HTTP client's and the system's
        status = getattr(getattr(e, "response", None), "status_code", None)
        why = {
            401: "the token is not accepted",
            403: "the token may not write there",
            404: "there is no such owner or repository, or the token may not see it",
        }.get(status or 0) or f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else 'it said nothing'}"
        raise Refusal(f"--push {repository}: {why}", 1) from None
