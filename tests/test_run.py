from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filling import start
from lines import bytes_of, check_succeeded, hard, job, run_job
from synthmill.refusal import Refusal
from synthmill.run import Run, atomic, sentences

IDENTITY = {"name": "test", "digest": "d" * 32}


def refused(root: Path, **identity: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        Run.start(root, {**IDENTITY, **identity})
    assert "\n" not in str(caught.value)
    return caught.value


def edit(root: Path, **changes: Any) -> None:
    path = root / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_two_writers_on_one_run(tmp_path: Path) -> None:
    first = Run.start(tmp_path / "run", IDENTITY)
    e = refused(tmp_path / "run")
    assert "another process is working on this run" in str(e)
    assert e.code == 2
    first.close()
    Run.start(tmp_path / "run", IDENTITY).close()


def test_a_second_process_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    child = start(tmp_path / "run", quota=6000)
    assert child.stdout is not None
    child.stdout.readline()
    with pytest.raises(Refusal, match="another process"):
        run_job(hard(6000), tmp_path / "run")
    child.kill()
    child.wait()
    Run.start(tmp_path / "run", dict(Run.open(tmp_path / "run").manifest)).close()


def test_another_spec_on_the_same_folder(tmp_path: Path) -> None:
    Run.start(tmp_path / "run", IDENTITY).close()
    e = refused(tmp_path / "run", digest="e" * 32)
    assert "another spec, other real data or other plugin code (dddddddddddd, not eeeeeeeeeeee)" in str(e)
    assert "--out" in str(e)


@pytest.mark.parametrize("version", [0, 2, None, "one"])
def test_a_manifest_of_another_version(tmp_path: Path, version: Any) -> None:
    Run.start(tmp_path / "run", IDENTITY).close()
    edit(tmp_path / "run", version=version)
    assert f"version: {version!r} is not readable here" in str(refused(tmp_path / "run"))
    with pytest.raises(Refusal, match="version"):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("\xff\xfe", "not valid JSON"),
        ("[1]", "not the manifest of a run"),
        ('{"version": 1}', "it has no 'digest'"),
    ],
)
def test_a_damaged_manifest(tmp_path: Path, text: str, said: str) -> None:
    Run.start(tmp_path / "run", IDENTITY).close()
    (tmp_path / "run" / "manifest.json").write_bytes(text.encode("latin-1"))
    e = refused(tmp_path / "run")
    assert "manifest.json: damaged" in str(e)
    assert said in str(e)
    with pytest.raises(Refusal, match="damaged"):
        Run.open(tmp_path / "run")


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "not empty and not a run" in str(refused(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    with pytest.raises(Refusal, match="no manifest"):
        Run.open(tmp_path)
    with pytest.raises(Refusal, match="does not exist"):
        Run.open(tmp_path / "nowhere")


def test_data_without_a_manifest_is_never_swept_away(tmp_path: Path) -> None:
    run_job(job(), tmp_path / "run")
    before = bytes_of(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").unlink()
    assert "holds data but no manifest.json" in str(refused(tmp_path / "run"))
    assert bytes_of(tmp_path / "run") == before


def test_a_missing_or_damaged_part(tmp_path: Path) -> None:
    _, run = run_job(job(), tmp_path / "run")
    part = run.path("data", 0)
    whole = part.read_bytes()
    part.write_bytes(whole[:100])
    with pytest.raises(Refusal, match=r"data/00000.parquet: damaged"):
        Run.open(tmp_path / "run").data()
    part.unlink()
    with pytest.raises(Refusal, match=r"data/00000.parquet: missing"):
        Run.open(tmp_path / "run").data()
    with pytest.raises(Refusal, match=r"data/00000.parquet: missing"):
        run_job(job(), tmp_path / "run")


def test_nothing_was_made_yet(tmp_path: Path) -> None:
    Run.start(tmp_path / "run", IDENTITY).close()
    with pytest.raises(Refusal, match="nothing was made yet"):
        Run.open(tmp_path / "run").data()


def test_what_the_manifest_does_not_name_is_swept(tmp_path: Path) -> None:
    _, run = run_job(job(), tmp_path / "run")
    before = bytes_of(tmp_path / "run")
    strays = [
        "data/00001.parquet",
        "data/00001.parquet.tmp",
        "wip/000000.data",
        "lineage/rows-00007.parquet",
        "manifest.json.tmp",
    ]
    for name in strays:
        (run.root / name).write_bytes(b"half")
    run_job(job(), tmp_path / "run")
    assert bytes_of(tmp_path / "run") == before
    assert not [name for name in strays if (run.root / name).exists()]


def test_a_journal_line_cut_by_a_kill(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", IDENTITY)
    run.journal({"k": 1, "message": "late", "at": 0})
    run.close()
    with open(tmp_path / "run" / "journal.jsonl", "a") as f:
        f.write('{"k": 2, "mess')
    run = Run.start(tmp_path / "run", IDENTITY)
    run.journal({"k": 3, "message": "dead", "at": 1})
    assert [e["k"] for e in run.journaled()] == [1, 3]
    run.close()
    (tmp_path / "run" / "journal.jsonl").write_text("nonsense\n")
    with pytest.raises(Refusal, match=r"journal.jsonl: damaged"):
        Run.open(tmp_path / "run").journaled()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "document"
    atomic(path, lambda f: f.write(b"old"))

    def fail(f: Any) -> None:
        f.write(b"ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(Refusal, match="no space left") as caught, sentences(tmp_path):
        atomic(path, fail)
    assert caught.value.code == 1
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["document"]


@pytest.mark.parametrize("limit", [3_000, 6_000])
def test_a_full_disk_then_space_again(tmp_path: Path, limit: int) -> None:
    """A limit on the size of a file stands for the full disk; without it, the same command goes on to the same bytes."""
    check_succeeded(*run_job(hard(), tmp_path / "reference"))
    child = start(tmp_path / "run", file_limit=limit)
    assert child.stderr is not None
    said = child.stderr.read()
    assert child.wait(60) == 1
    assert said.count("\n") == 1
    assert "no space left; what was committed is safe" in said
    check_succeeded(*run_job(hard(), tmp_path / "run"))
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "reference")


def test_unwritable_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    e = refused(tmp_path / "file" / "run")
    assert "file/run: cannot be written: not a directory" in str(e)
    assert e.code == 2
    assert "cannot be written: file exists" in str(refused(tmp_path / "file"))
    if Path("/proc/self").exists():
        assert "/proc/synthmill: cannot be written" in str(refused(Path("/proc/synthmill")))


def test_a_disk_that_fails_while_the_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.start(tmp_path / "run", IDENTITY)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        run.commit,
        lambda: run.journal({}),
        lambda: run.write("report.html", "x"),
        lambda: run.checkpoint({}, {}),
    ):
        with pytest.raises(Refusal, match="no space left"):
            write()


def test_reading_some_columns_only(tmp_path: Path) -> None:
    _, run = run_job(job(), tmp_path / "run")
    assert run.data(["x"]).columns == ["x"]
    assert run.data(["x"])["x"].equals(run.data()["x"])


def test_the_journal_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", IDENTITY)
    run.journal({"k": 4, "message": "überfällig", "at": 2})
    assert run.journaled() == [{"k": 4, "message": "überfällig", "at": 2}]


def test_part_of(tmp_path: Path) -> None:
    _, run = run_job(job(), tmp_path / "run")
    assert run.part_of(f"{run.id}-3-17") == (3, 17)
    with pytest.raises(Refusal, match="this is run"):
        run.part_of("0123456789ab-3-17")
    for bad in ("", "x", f"{run.id}-3", f"{run.id}-a-1", f"{run.id}-²-1"):
        with pytest.raises(Refusal, match="not the id of a synthetic record"):
            run.part_of(bad)
    assert (
        run.rows().select(pl.concat_str(pl.lit(run.id), "_k", "_i", separator="-"))["literal"].equals(run.data()["_id"])
    )
