"""The command line of what leaves a run: to trainers and hubs (export), to people and back (review)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from synthmill.refusal import Refusal


def handing(verbs: Any, verb: Any) -> None:
    """Adds the verbs. verb: what the command line adds a verb with."""
    p = verb(verbs, "export", _export, "a finished run's records in a format that trainers read; push them to a hub")
    p.add_argument("run_dir", metavar="RUN")
    p.add_argument(
        "--format", help="messages, prompt-completion, preference, sharegpt, alpaca or text (default: messages)"
    )
    p.add_argument(
        "--columns", metavar="ROLE=COLUMN,...", help="which columns play which roles, where their names do not tell"
    )
    p.add_argument("--to", metavar="FILE", help="a .jsonl or .parquet file (default: <name>-<format>.jsonl)")
    p.add_argument("--chat", action="store_true", help="prompts and completions as lists of messages")
    p.add_argument("--keep", metavar="COLUMN,...", help="further columns that go along")
    p.add_argument("--drop-rejected", action="store_true", help="leave out what most people who reviewed it rejected")
    p.add_argument("--blend", action="store_true", help="the run's blend in place of its records")
    p.add_argument("--include-real", action="store_true", help="allow real rows in the file")
    p.add_argument("--push", metavar="OWNER/NAME", help="put the data, its card and croissant.json on a hub")
    p.add_argument(
        "--token", default="HF_TOKEN", metavar="NAME", help="environment variable with the token (default: HF_TOKEN)"
    )
    p.add_argument("--hub", metavar="URL", help="push to this hub (default: $HF_ENDPOINT, or the Hugging Face hub)")
    p.add_argument("--public", action="store_true", help="let everybody read a new repository")
    p.add_argument("--unreleased", action="store_true", help="push although the run missed its release bars")

    p = verb(verbs, "review", _review, "hand records out for people to judge; read their verdicts back")
    p.add_argument("run_dir", metavar="RUN")
    p.add_argument("--out", metavar="FILE", help="write tasks to this JSON file")
    p.add_argument("--format", default="label-studio", help="label-studio or argilla (default: label-studio)")
    p.add_argument("--sample", type=int, default=100, metavar="N", help="how many records (default: 100)")
    p.add_argument("--of", default="both", help="both, accepted or rejected (default: both)")
    p.add_argument("--show", action="store_true", help="let people see the run's own verdicts")
    p.add_argument("--columns", metavar="COLUMN,...", help="what people see of a record (default: all)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--back", metavar="FILE", nargs="+", help="read verdicts from what the tool exported")
    p.add_argument("--json", action="store_true", help="the outcome as JSON")


def _export(a: argparse.Namespace) -> None:
    from synthmill.verbs.export import Wanted, export, push

    wanted = Wanted(
        a.format or "messages",
        _roles(a.columns),
        a.chat,
        tuple(_names(a.keep)),
        a.drop_rejected,
        a.blend,
        a.include_real,
    )
    if a.push and not a.format and (a.columns or a.chat or a.keep or a.drop_rejected or a.to):
        raise Refusal("export --push: say which --format; without one the run's data goes as it was made")
    if a.to or not a.push:
        _exported(export(a.run_dir, a.to, **vars(wanted)), "wrote")
    if a.push:
        where, made = push(a.run_dir, a.push, wanted if a.format else None, a.token, a.hub, a.public, a.unreleased)
        if made is not None:
            _exported(made, "with")
        print(f"pushed: {where}")


def _exported(made: Any, verb: str) -> None:
    for role, n in made.left_out.items():
        print(f"note: {n:,} records have no {role} and are left out")
    if made.rejected:
        print(f"note: {made.rejected:,} records that people rejected are left out")
    place = f" to {made.path}" if verb == "wrote" else ""
    print(f"{verb} {made.rows:,} records as {made.plan.format}{place} ({made.plan})")


def _roles(given: str | None) -> dict[str, str]:
    out = {}
    for part in _names(given):
        role, equals, column = (x.strip() for x in part.partition("="))
        if not equals or not role:
            raise Refusal(f"--columns: '{part}': expected ROLE=COLUMN, for example prompt=question,completion=answer")
        out[role] = column
    return out


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def _review(a: argparse.Namespace) -> None:
    from synthmill.run import Run
    from synthmill.verbs.review import hand_out, reviewed, take_back

    if a.out and a.back:
        raise Refusal("review: --out hands records out and --back reads verdicts; one at a time")
    if a.out:
        made = hand_out(a.run_dir, a.out, a.format, a.sample, a.of, a.show, _names(a.columns), a.seed)
        print(
            f"wrote {made.accepted:,} accepted and {made.rejected:,} rejected records to {made.path}; set the project up with {made.beside}"
        )
        return
    found = take_back(a.run_dir, a.back) if a.back else reviewed(Run.open(a.run_dir))
    if found is None:
        raise Refusal(f"review: nobody has reviewed {a.run_dir} yet; --out FILE hands records out")
    print(json.dumps(found, indent=1, ensure_ascii=False) if a.json else "\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> Sequence[str]:
    lines = [f"{found['records']:,} records judged by {found['people']:,} people"]
    people = found["between people"]
    if people is None:
        lines.append("between people: no record was judged by two, so how far they agree is not known")
    else:
        by_chance = f"chance alone: {people['chance']:.0%}" if people["chance"] is not None else ""
        lines.append(
            f"between people: {_told(people['agreement'])} of pairs agree ({by_chance}), alpha {_told(people['alpha'])}"
        )
        lines += [f"  Cohen's kappa {_told(people['kappa'])}"] if "kappa" in people else []
    lines.append(f"with the run's verdicts: kappa {_told(found['with the run']['kappa'])}, on the records handed out")
    for line in found["with each check"]:
        what = (
            "accepted by the run: people accept" if line["by"] is None else f"rejected by {line['by']}: people reject"
        )
        ties = f", {line['ties']:,} more with as many for as against" if line["ties"] else ""
        lines.append(f"  {what} {line['agreed']:,} of {line['records']:,}: {_told(line['share'])}{ties}")
    return lines


def _told(m: dict[str, float | None]) -> str:
    if m["value"] is None:
        return "not defined"
    span = f" ({m['low']:.2f} to {m['high']:.2f})" if m["low"] is not None else " (too few for an interval)"
    return f"{m['value']:.2f}{span}"
