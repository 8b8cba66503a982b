"""Texts said over in other words: found by embeddings, with a limit taken from strangers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl
import pytest

from synthmill.filter.duplicates import Duplicates
from synthmill.frame import rng_of
from synthmill.lineage import version_of
from synthmill.llm.embedding import Embedder
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.texts.meaning import POOL, Meaning, limit, tail
from synthmill.texts.static import Static

CONCEPTS, DIMENSIONS = 400, 64


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three words for each concept, nearly in one direction."""
    rng = rng_of("meaning", "vectors")
    centers = rng.normal(size=(CONCEPTS, DIMENSIONS))
    path = tmp_path_factory.mktemp("vectors") / "words.vec"
    lines = [f"{3 * CONCEPTS} {DIMENSIONS}"]
    for c in range(CONCEPTS):
        for form in "abc":
            numbers = centers[c] + 0.1 * rng.normal(size=DIMENSIONS)
            lines.append(f"c{c}{form} " + " ".join(f"{x:.4f}" for x in numbers))
    path.write_text("\n".join(lines) + "\n")
    return path


def said(n: int, forms: str = "abc", name: str = "texts", length: int = 12) -> list[str]:
    """The same concepts whatever the forms, in words that differ with them."""
    concepts = rng_of("meaning", name).integers(0, CONCEPTS, (n, length))
    drawn = rng_of("meaning", forms).choice(list(forms), (n, length))
    return [" ".join(f"c{c}{f}" for c, f in zip(*row, strict=True)) for row in zip(concepts, drawn, strict=True)]


def frame(texts: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"t": texts}, schema={"t": pl.String})


def test_a_text_said_over_in_other_words_is_found_and_strangers_are_not(vectors):
    check = Duplicates(rate=0, text="t", meaning=str(vectors))
    first = frame(said(600, "a"))
    assert (check.judge(first).status == 0).mean() > 0.99
    check.remember(first)
    again = check.judge(frame(said(200, "b")))
    assert (again.status == 1).mean() > 0.95
    assert again.reason[0].startswith("means what an admitted text says (cosine 0.")
    assert (check.judge(frame(said(400, "b", "others"))).status == 0).mean() > 0.98
    assert (Duplicates(rate=0, text="t").judge(frame([*said(50, "a"), *said(50, "b")])).status == 0).all()


def test_within_a_batch_the_earlier_text_wins(vectors):
    check = Duplicates(rate=0, text="t", meaning=str(vectors))
    status = check.judge(frame([*said(100, "a"), *said(100, "b")])).status
    assert (status[:100] == 0).all()
    assert (status[100:] == 1).mean() > 0.95


def test_strangers_exceed_the_limit_no_more_often_than_asked_for():
    rng = rng_of("meaning", "limit")
    points = rng.normal(size=(2_400, 48)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    strangers = tail(points[:POOL])
    fresh = points[POOL:1_400] @ points[1_400:].T
    assert (fresh >= limit(strangers, 1 / 40)).mean() == pytest.approx(1 / 40, rel=0.1)
    for chance in (1e-3, 1e-5):
        assert (fresh >= limit(strangers, chance)).mean() <= chance
    repeated = np.concatenate([points[:400], points[:100]])  # one pair in 1,250 is no pair of strangers
    assert limit(tail(repeated), 1e-5) == pytest.approx(limit(strangers, 1e-5), abs=0.03)


def test_a_pool_that_is_small_or_one_text_over_and_over_gives_no_higher_limit():
    points = np.eye(80, dtype=np.float32)
    assert limit(tail(points[:20]), 0.01) == 0.95
    assert limit(tail(np.repeat(points[:1], 100, axis=0)), 0.01) == 0.95


@pytest.mark.parametrize("size", [1, 30, 700])
def test_memory_does_not_depend_on_batches(vectors, size):
    rows = pl.Series(said(POOL + 100, "a"))
    whole, parts = Meaning(Static(vectors), 1e-3), Meaning(Static(vectors), 1e-3)
    whole.remember(rows)
    for start in range(0, len(rows), size):
        parts.remember(rows[start : start + size])
    asked = pl.Series(said(200, "b"))
    for one, other in zip(whole.repeats(asked), parts.repeats(asked), strict=True):
        assert one.tolist() == other.tolist()


def test_an_item_said_over_in_other_words_is_contamination(vectors, tmp_path):
    path = tmp_path / "bench.txt"
    path.write_text("\n".join(said(200, "a")))
    rows = frame([*said(200, "b"), *said(200, "b", "others"), "no word of these"])
    plain = build("filter", {"use": "decontaminate", "files": str(path)}).judge(rows)
    assert (plain.status == 0).all()
    verdicts = build("filter", {"use": "decontaminate", "files": str(path), "meaning": str(vectors)}).judge(rows)
    assert (verdicts.status[:200] == 1).mean() > 0.95
    assert verdicts.reason[7].startswith("means what bench.txt, row 8 says (cosine ")
    assert (verdicts.status[200:400] == 0).mean() > 0.98
    assert verdicts.status[400] == 2


def test_what_cannot_be_embedded_is_an_error_never_a_pass(vectors):
    verdicts = Duplicates(rate=0, text="t", meaning=str(vectors)).judge(frame(["c1a c2b", "no word of these", None]))
    assert verdicts.status.to_list() == [0, 2, 2]
    assert verdicts.reason[1] == "its text could not be embedded"


@pytest.mark.parametrize(
    ("text", "said"),
    [("a 1 2\nb 1\n", "line 2: expected a word and its numbers, as many"), ("a 1 x\n", "line 1: expected"),
     ("", "holds no word vectors"), ("a 1 nan\n", "line 1"), (None, "no such file")],
)  # fmt: skip
def test_files_that_are_no_vectors_are_refused(tmp_path, text, said):
    path = tmp_path / "v.vec"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Refusal, match=said):
        build("filter", {"use": "duplicates", "text": "t", "meaning": str(path)})


def test_other_vectors_are_another_run(vectors, tmp_path):
    (tmp_path / "v.vec").write_text("a 1 2\n")
    one, other = (version_of(Duplicates(text="t", meaning=str(p))) for p in (vectors, tmp_path / "v.vec"))
    assert one != other


def test_meaning_needs_columns_and_an_endpoint_an_address():
    with pytest.raises(Refusal, match="name them in 'text'"):
        build("filter", {"use": "duplicates", "meaning": "x.vec"})
    with pytest.raises(Refusal, match="base_url is required"):
        build("filter", {"use": "duplicates", "text": "t", "meaning": {"model": "m"}})


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[Any]]]:
    """Letters counted, as vectors; a text with 'bad' is refused, one with 'odd' gets garbage."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            status = 400 if "bad" in body["input"] else 200
            vector = [float(body["input"].count(chr(97 + k))) for k in range(26)]
            answer = (
                {"error": {"message": "no"}}
                if status == 400
                else {"data": [{"embedding": vector}], "usage": {"prompt_tokens": 3}}
            )
            raw = json.dumps({"data": []} if "odd" in body["input"] else answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()


def test_an_endpoint_embeds(endpoint):
    url, asked = endpoint
    made, errors = Embedder("m", url, retries=0).embed(["abba", "baab", "bad", "odd"])
    np.testing.assert_allclose(made[0, :3], [0.5**0.5, 0.5**0.5, 0], rtol=1e-6)
    assert (made[0] == made[1]).all()
    assert np.isnan(made[2:]).all()
    assert [bool(e) for e in errors] == [False, False, True, True]
    assert ("/v1/embeddings", {"model": "m", "input": "abba"}) in asked


def test_a_filter_asks_an_endpoint_and_its_errors_are_errors(endpoint):
    url, _ = endpoint
    check = build("filter", {"use": "duplicates", "rate": 0, "text": "t", "meaning": {"model": "m", "base_url": url}})
    verdicts = check.judge(frame(["listen to me", "silent moe et", "bad text", "what a wonderful world"]))
    assert verdicts.status.to_list() == [0, 1, 2, 0]


def test_a_vector_survives_the_journal(endpoint, tmp_path):
    from synthmill.llm.desk import Desk
    from synthmill.llm.journal import Journal

    url, asked = endpoint
    made = []
    for _ in range(2):
        model = Embedder("m", url)
        model.open(Desk(Journal(tmp_path / "j.sqlite")), "duplicates")
        made.append(model.embed(["abc"])[0])
    assert (made[0] == made[1]).all()
    assert len(asked) == 1
