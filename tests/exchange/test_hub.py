"""Pushing: what goes along and what never does, by a stand-in and by the hub's own client against a server on the loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from test_training import ASKED, texts_run

import synthmill
from synthmill.documents import write_documents
from synthmill.exchange.hub import CARD
from synthmill.refusal import Refusal
from synthmill.verbs.export import Wanted


class Fake:
    def __init__(self, fails: Exception | None = None) -> None:
        self.fails, self.files, self.repos = fails, {}, {}

    def create_repo(self, repo_id: str, **how: Any) -> None:
        if self.fails:
            raise self.fails
        self.repos[repo_id] = how

    def create_commit(self, repo_id: str, operations: list[Any], **how: Any) -> str:
        self.files = {place: Path(w).read_bytes() if isinstance(w, str) else w for place, w in operations}
        return f"https://hub.example.org/{repo_id}"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = texts_run(tmp_path / "run", pl.DataFrame(ASKED), spec={"licence": "CC0-1.0"})
    write_documents(run)
    (run.root / "private" / "secret.txt").write_text("a real person")
    (run.root / "review.json").write_text("{}")
    return run.root


def test_data_and_documents_go_and_nothing_else(run: Path) -> None:
    hub = Fake()
    where, made = synthmill.push(run, "me/it", api=hub)
    assert (where, made) == ("https://hub.example.org/me/it", None)
    assert hub.repos == {"me/it": {"repo_type": "dataset", "private": True, "exist_ok": True}}
    assert sorted(hub.files) == [CARD, "croissant.json", "data/00000.parquet"]
    assert hub.files[CARD] == (run / CARD).read_bytes()
    assert not any(b"a real person" in content for content in hub.files.values())


def test_a_format_is_a_configuration_that_datasets_loads(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    hub = Fake()
    synthmill.push(run, "me/it", Wanted("messages"), public=True, api=hub)
    assert hub.repos["me/it"]["private"] is False
    there = tmp_path / "there"
    for name, content in hub.files.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(content)
    head = yaml.safe_load((there / CARD).read_text().split("---\n")[1])
    assert [c["config_name"] for c in head["configs"]] == ["default", "messages"]
    cache = str(tmp_path / "cache")
    assert load_dataset(str(there), "messages", split="train", cache_dir=cache)[0]["messages"][1]["content"] == "one"
    assert load_dataset(str(there), split="train", cache_dir=cache)[0]["instruction"] == "a"


def test_a_run_that_missed_its_bars_stays_unless_said(tmp_path: Path) -> None:
    run = texts_run(tmp_path / "run", pl.DataFrame(ASKED), released=False)
    write_documents(run)
    with pytest.raises(Refusal, match="missed its release bars") as e:
        synthmill.push(run.root, "me/it", api=Fake())
    assert e.value.code == 3
    assert synthmill.push(run.root, "me/it", unreleased=True, api=Fake())[0]


def test_tokens_come_from_the_environment_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match="name of an environment variable") as e:
        synthmill.push(run, "me/it", token="hf_0123456789")
    assert "hf_0123456789" not in str(e.value)
    monkeypatch.delenv("MY_TOKEN", raising=False)
    with pytest.raises(Refusal, match="MY_TOKEN is not set"):
        synthmill.push(run, "me/it", token="MY_TOKEN")
    with pytest.raises(Refusal, match="expected OWNER/NAME"):
        synthmill.push(run, "it", api=Fake())
    (run / CARD).unlink()
    with pytest.raises(Refusal, match="`synthmill report"):
        synthmill.push(run, "me/it", api=Fake())


class Hub(BaseHTTPRequestHandler):
    """The three requests of a small commit."""

    seen: list[tuple[str, str | None, bytes]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.path, self.headers.get("Authorization"), body))
        here = f"http://{self.headers['Host']}"
        if self.path.endswith("/create"):
            told: Any = {"url": f"{here}/datasets/me/it"}
        elif "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            told = {"files": files}
        else:
            told = {"commitUrl": f"{here}/datasets/me/it/commit/abc", "commitOid": "abc", "success": True}
        answer = json.dumps(told if self.status == 200 else {"error": "no"}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Hub]]]:
    import huggingface_hub.constants

    monkeypatch.setenv("MY_TOKEN", "secret-token")
    monkeypatch.setattr(
        huggingface_hub.constants, "HF_HUB_OFFLINE", False
    )  # tests that load data switch it on for good
    handler = type("Mine", (Hub,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def test_the_hubs_own_client_sends_one_commit(run: Path, hub: tuple[str, type[Hub]]) -> None:
    url, handler = hub
    where, _ = synthmill.push(run, "me/it", token="MY_TOKEN", hub=url)
    assert where == f"{url}/datasets/me/it/commit/abc"
    assert {who for _, who, _ in handler.seen} == {"Bearer secret-token"}
    asked = json.loads(handler.seen[0][2])
    assert asked.get("private") is True or asked.get("visibility") == "private"
    commits = [body for path, _, body in handler.seen if "/commit/" in path]
    assert len(commits) == 1
    sent = [json.loads(line)["value"] for line in commits[0].splitlines() if b'"file"' in line]
    assert {f["path"] for f in sent} == {CARD, "croissant.json", "data/00000.parquet"}
    content = {f["path"]: base64.b64decode(f["content"]) for f in sent}
    assert content["data/00000.parquet"] == (run / "data" / "00000.parquet").read_bytes()


@pytest.mark.parametrize(
    ("status", "said"), [(401, "token is not accepted"), (403, "may not write"), (404, "no such owner")]
)
def test_what_the_hub_says_no_to_is_one_sentence(run: Path, hub: tuple[str, type[Hub]], status: int, said: str) -> None:
    url, handler = hub
    handler.status = status
    with pytest.raises(Refusal, match=said) as e:
        synthmill.push(run, "me/it", token="MY_TOKEN", hub=url)
    assert "secret-token" not in str(e.value)


def test_a_hub_that_is_not_there_is_one_sentence(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match="--push me/it: ConnectionError: nobody") as e:
        synthmill.push(run, "me/it", api=Fake(ConnectionError("nobody")))
    assert e.value.code == 1
