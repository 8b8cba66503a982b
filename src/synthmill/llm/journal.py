"""Every answer, kept the moment it arrives, under a digest of what decides it: nothing is paid for twice.

SQLite in WAL mode, one file for all runs of a workspace. A killed process loses what was still under way and nothing else;
several processes may share it. Errors and refusals are kept too, so that a replay is the same; `prune` forgets them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthmill.refusal import Refusal

from .budget import Line, Spending
from .desk import Entry
from .question import Answer, canonical

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    address BLOB PRIMARY KEY, model TEXT NOT NULL, run TEXT NOT NULL, stage TEXT NOT NULL, at REAL NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, money REAL, tries INTEGER NOT NULL,
    error TEXT NOT NULL, refused INTEGER NOT NULL, question BLOB NOT NULL, answer BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_run ON answers (run);
CREATE TABLE IF NOT EXISTS asks (
    run TEXT NOT NULL, model TEXT NOT NULL, stage TEXT NOT NULL, asked INTEGER NOT NULL, remembered INTEGER NOT NULL,
    PRIMARY KEY (run, model, stage));
"""
_VERSION = 1
_FEW = 500
"""Addresses looked up in one statement; SQLite takes 999 at least."""


def journal_path(workspace: Path) -> Path:
    """The journal of all runs in a folder; $SYNTHMILL_JOURNAL names another."""
    named = os.environ.get("SYNTHMILL_JOURNAL")
    return Path(named) if named else workspace / ".synthmill" / "journal.sqlite"


class Journal:
    """run: whose answers these are, for what is spent; "" outside of runs. Thread-safe."""

    def __init__(self, path: Path, run: str = "") -> None:
        self.path, self._run = path, run
        self._reading, self._writing = threading.Lock(), threading.Lock()
        try:
            self._prepare()
            self._writer, self._reader = self._connect(), self._connect()
            self._writer.executescript(_SCHEMA)
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise Refusal(
                    f"{path}: a journal of version {version}, which is not readable here (this is {_VERSION})"
                )
            self._writer.execute(f"PRAGMA user_version = {_VERSION}")
        except (OSError, sqlite3.Error) as e:
            raise Refusal(f"{path}: the journal cannot be opened: {e}") from None

    def _prepare(self) -> None:
        """Prompts may hold what users showed the model: the folder is theirs alone, and no repository's."""
        folder = self.path.parent
        if not folder.exists():
            folder.mkdir(parents=True)
            if folder.name == ".synthmill":
                folder.chmod(0o700)
                (folder / ".gitignore").write_text("*\n")

    def _connect(self) -> sqlite3.Connection:
        c = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        c.execute("PRAGMA journal_mode = WAL")
        c.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a power cut the last moments
        return c

    def _rows(self, query: str, values: Sequence[Any] = ()) -> tuple[list[str], list[Any]]:
        """(names, rows). One connection for the readers of all threads: each would have a cache of its own."""
        with self._reading:
            found = self._reader.execute(query, values)
            return [d[0] for d in found.description], found.fetchall()

    def find(self, addresses: Sequence[str]) -> dict[str, Answer]:
        """The answers that are kept, by address."""
        found = {}
        for start in range(0, len(addresses), _FEW):
            part = [bytes.fromhex(a) for a in addresses[start : start + _FEW]]
            _, rows = self._rows(
                "SELECT address, prompt_tokens, completion_tokens, error, refused, answer FROM answers"
                f" WHERE address IN ({','.join('?' * len(part))})",
                part,
            )
            for row in rows:
                found[row[0].hex()] = _answer(*row)
        return found

    def store(self, entries: Sequence[Entry]) -> dict[str, Answer]:
        """Keeps answers in one transaction. Where another process was first its answer stays; those are returned."""
        now = time.time()
        rows = [row for e in entries if (row := _row(e, self._run, now)) is not None]
        with self._writing:
            c = self._writer
            c.execute("BEGIN IMMEDIATE")
            try:
                before = c.total_changes
                c.executemany("INSERT OR IGNORE INTO answers VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
                new = c.total_changes - before
                c.execute("COMMIT")
            except BaseException:
                c.execute("ROLLBACK")
                raise
        if new == len(rows):
            return {}
        kept = self.find([e.address for e in entries])
        return {e.address: kept[e.address] for e in entries if _differs(e, kept[e.address])}

    def book(self, lines: Mapping[tuple[str, str], tuple[int, int]]) -> None:
        """Adds (asked, remembered) per (model, stage), for the hit rate."""
        rows = [(self._run, *key, *n) for key, n in lines.items() if any(n)]
        with self._writing:
            self._writer.executemany(
                "INSERT INTO asks VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                " asked = asked + excluded.asked, remembered = remembered + excluded.remembered",
                rows,
            )

    def spent(self) -> Spending:
        """What this run's answers cost, from the answers themselves, so that a kill loses none of it."""
        _, rows = self._rows(
            "SELECT model, stage, count(*), sum(tries) - count(*), sum(error != '' AND NOT refused), sum(refused),"
            " sum(prompt_tokens), sum(completion_tokens), CASE WHEN count(money) = count(*) THEN sum(money) END"
            " FROM answers WHERE run = ? GROUP BY model, stage",
            (self._run,),
        )
        return Spending({(r[0], r[1]): Line(r[2], 0, *r[3:]) for r in rows})

    def about(self) -> list[dict[str, Any]]:
        """Per run, model and stage: answers kept, bytes, errors, refusals, tokens, money, and how often they were found."""
        names, rows = self._rows(
            "SELECT a.run, a.model, a.stage, count(*) AS answers, sum(length(question) + length(answer)) AS bytes,"
            " sum(error != '' AND NOT refused) AS errors, sum(refused) AS refusals,"
            " sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,"
            " CASE WHEN count(money) = count(*) THEN sum(money) END AS money, min(at) AS first, max(at) AS last"
            " FROM answers a GROUP BY a.run, a.model, a.stage ORDER BY first"
        )
        return [dict(zip(names, r, strict=True)) for r in rows]

    def hits(self) -> tuple[int, int]:
        """(questions asked, questions answered from here) of all runs so far."""
        _, [(asked, remembered)] = self._rows("SELECT coalesce(sum(asked), 0), coalesce(sum(remembered), 0) FROM asks")
        return int(asked), int(remembered)

    def questions(self, addresses: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What was asked, by address."""
        found = {}
        for a in addresses:
            _, rows = self._rows("SELECT question FROM answers WHERE address = ?", (bytes.fromhex(a),))
            if rows:
                found[a] = json.loads(_open(rows[0][0]))
        return found

    def export(self, run: str | None = None) -> Iterator[dict[str, Any]]:
        """Everything that is kept, oldest first, as JSON-able data."""
        with closing(self._connect()) as own:
            rows = own.execute(
                "SELECT address, model, run, stage, at, prompt_tokens, completion_tokens, money, tries, error, refused,"
                " question, answer FROM answers WHERE ? IS NULL OR run = ? ORDER BY at, address",
                (run, run),
            )
            names = [d[0] for d in rows.description]
            for row in rows:
                line = dict(zip(names, row, strict=True))
                yield line | {
                    "address": line["address"].hex(),
                    "refused": bool(line["refused"]),
                    "question": json.loads(_open(line["question"])),
                    "answer": json.loads(_open(line["answer"])),
                }

    def prune(
        self, errors: bool = False, run: str | None = None, model: str | None = None, days: float | None = None
    ) -> int:
        """Forgets answers that meet every condition given, and gives their room back. errors: errors and refusals alone."""
        conditions, values = ["1"], list[Any]()
        if errors:
            conditions.append("(error != '' OR refused)")
        for column, value in (("run", run), ("model", model)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        if days is not None:
            conditions.append("at < ?")
            values.append(time.time() - days * 86400)
        with self._writing:
            gone = self._writer.execute(f"DELETE FROM answers WHERE {' AND '.join(conditions)}", values).rowcount
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def close(self) -> None:
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()


def _row(e: Entry, run: str, now: float) -> tuple[Any, ...] | None:
    a = e.answer
    if a is None:
        return None
    said: dict[str, Any] = {"text": a.text, "finish": a.finish}
    said |= {"logprobs": a.logprobs} if a.logprobs is not None else {}
    said |= {"tool_calls": list(a.tool_calls)} if a.tool_calls else {}
    return (
        bytes.fromhex(e.address), e.model, run, e.stage, now, a.prompt_tokens, a.completion_tokens, e.cost.of(a),
        e.tries, a.error, int(a.refused), _shut(e.question), _shut(canonical(said)),
    )  # fmt: skip


def _answer(address: bytes, into: int, out: int, error: str, refused: int, blob: bytes) -> Answer:
    said = json.loads(_open(blob))
    tools = tuple(said.get("tool_calls", ()))
    return Answer(
        said["text"], said["finish"], into, out, error, bool(refused), said.get("logprobs"), tools, address.hex()
    )


def _differs(e: Entry, kept: Answer) -> bool:
    return e.answer is not None and replace(kept, address="") != replace(e.answer, address="")


def _shut(text: bytes) -> bytes:
    """Compressed where that saves anything. JSON begins with a brace, zlib never does."""
    return zlib.compress(text, 1) if len(text) > 256 else text


def _open(blob: bytes) -> bytes:
    return blob if blob[:1] == b"{" else zlib.decompress(blob)
