"""Do other people's tools take what leaves a run? TRL's trainers what `export` writes, Argilla and Label Studio what `review`
writes, each with its own code in an environment of its own (bench/envs, built on first use below `--envs`).

    python bench/handover.py

The records are those of a stub model: this is about forms. Prints a line of JSON for each file; exit code 1 where anything was refused.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import peers

import synthmill
from synthmill.spec import parse_spec

TOOL = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
RUNS: dict[str, list[dict[str, Any]]] = {
    "pairs": [{"use": "text.self_instruct", "model": "stub"}, {"use": "text.preference", "model": "stub", "judging": "scores", "least": 0.01, "answers": 3}],
    "talks": [{"use": "text.conversation", "model": "stub", "turns": 2}],
    "tools": [{"use": "text.conversation", "model": "stub", "turns": 2, "tools": [TOOL]}],
}  # fmt: skip
EXPORTS = [
    ("pairs", "messages", "messages.jsonl", {}),
    ("pairs", "prompt-completion", "prompt-completion.parquet", {}),
    ("pairs", "prompt-completion", "prompt-completion-chat.jsonl", {"chat": True}),
    ("pairs", "preference", "preference.jsonl", {}),
    ("pairs", "preference", "preference-chat.parquet", {"chat": True}),
    ("pairs", "sharegpt", "sharegpt.jsonl", {}),
    ("pairs", "alpaca", "alpaca.jsonl", {}),
    ("pairs", "text", "text.parquet", {"columns": {"text": "output"}}),
    ("talks", "messages", "messages.parquet", {}),
    ("talks", "prompt-completion", "prompt-completion-tools.parquet", {}),
    ("tools", "messages", "messages-tools.jsonl", {}),
]


def made(folder: Path, records: int = 8) -> dict[str, Path]:
    """A run of each kind."""
    out = {}
    for name, generate in RUNS.items():
        spec = {"name": name, "cover": {"total": records}, "generate": generate}
        synthmill.make(parse_spec(spec), folder / name)
        out[name] = folder / name
    return out


def exported(runs: dict[str, Path], folder: Path) -> int:
    folder.mkdir()
    for name, format, file, more in EXPORTS:
        synthmill.export(runs[name], folder / file, format, **more)
    return len(EXPORTS)


def lines(python: Path, script: str, folder: Path) -> list[dict[str, Any]]:
    """What a script says in another environment. Raises CannotRun where it fails as a whole."""
    done = subprocess.run(
        [python, Path(__file__).with_name(script), folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise peers.CannotRun(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it said nothing")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]


def trl(runs: dict[str, Path], python: Path, folder: Path) -> list[dict[str, Any]]:
    exported(runs, folder / "files")
    return lines(python, "trainers.py", folder / "files")


def people(runs: dict[str, Path], python: Path, folder: Path) -> list[dict[str, Any]]:
    """Out, through the tool's own classes, and back."""
    run = folder / "run"
    shutil.copytree(runs["pairs"], run)
    synthmill.hand_out(run, folder / "tasks.json", "label-studio")
    synthmill.hand_out(run, folder / "records.json", "argilla", show=True)
    found = lines(python, "annotators.py", folder)
    for told, file in zip(found, ("tasks-back.json", "records-back.json"), strict=True):
        told["read back"] = synthmill.take_back(run, folder / file)["records"]
    return found


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--envs", type=Path, default=Path.home() / ".cache" / "synthmill-peers")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        runs = made(folder)
        found = trl(runs, peers.environment("trl", args.envs), folder)
        found += people(runs, peers.environment("annotate", args.envs), folder)
    for told in found:
        print(json.dumps(told, ensure_ascii=False))
    return int(any("error" in t or t.get("valid") is False for t in found))


if __name__ == "__main__":
    sys.exit(main())
