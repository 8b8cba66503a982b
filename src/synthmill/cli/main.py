"""The command line: one subcommand per verb. Exit codes: 0 done, 1 the work failed, 2 bad input, 3 a release bar missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from synthmill import __version__
from synthmill.refusal import Refusal

from .journal import language
from .lab import experiments
from .trace import tracing


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not hasattr(arguments, "run"):
        parser.print_help()
        return 0
    try:
        return int(arguments.run(arguments) or 0)
    except Refusal as e:
        print(f"synthmill: {e}", file=sys.stderr)
        return e.code
    except KeyboardInterrupt:
        print("synthmill: stopped; the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away: `synthmill list | head`
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="synthmill",
        description="Manufactures training and test data that people can account for.",
        epilog="Start with: synthmill init your-data.csv",
    )
    top.add_argument("--version", action="version", version=f"synthmill {__version__}")
    verbs = top.add_subparsers(metavar="VERB", title="verbs")
    _specs(verbs)
    experiments(verbs, _verb, _outs)
    language(verbs, _verb, _outs)
    _models(verbs)
    _attacks(verbs)
    _runs(verbs)
    return top


def _specs(verbs: Any) -> None:
    """From the user's file to a run."""
    p = _verb(verbs, "init", _init, "write a commented spec for your data file")
    p.add_argument("real", help="CSV, TSV, Parquet, JSONL, Arrow/Feather file or database URL")
    p.add_argument("-o", "--out", default="spec.yaml", help="where to write it (default: spec.yaml)")
    p.add_argument("--table", help="table of a database")
    p.add_argument("--target", help="the column that models should predict (default: guessed)")
    p.add_argument("--force", action="store_true", help="overwrite an existing file")

    p = _verb(verbs, "need", _need, "what your data lacks, and a spec against it")
    p.add_argument("real")
    p.add_argument("--model-errors", metavar="FILE", help="real rows with a column error, loss, correct or prediction")
    p.add_argument("--error", metavar="COLUMN", help="the column of that file that tells the error")
    p.add_argument("--against", metavar="FILE", help="a newer real file: what has drifted?")
    p.add_argument("-o", "--out", default="need.yaml", help="where to write the spec (default: need.yaml)")
    p.add_argument("--table", help="table of a database")
    p.add_argument("--target", help="the column that models should predict")
    p.add_argument("--entity", help="the column that names whose rows belong together")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--json", action="store_true", help="all that was found, as JSON")
    p.add_argument("--force", action="store_true", help="overwrite an existing file")

    p = _verb(verbs, "check", _check, "validate a spec without doing any work")
    p.add_argument("spec")

    p = _verb(
        verbs,
        "preview",
        _preview,
        "ten candidates with every verdict, and what the whole run would cost; keeps nothing",
    )
    p.add_argument("spec")
    p.add_argument("-n", type=int, default=10)

    p = _verb(verbs, "make", _make, "run the whole line; the same command continues a stopped run")
    p.add_argument("spec")
    _outs(p)
    p.add_argument("--fresh", action="store_true", help="delete the run that is there and start anew")


def _models(verbs: Any) -> None:
    """What needs no spec: a fitted generator, and any tool's file."""
    p = _verb(verbs, "fit", _fit, "fit a generator to a file and keep it")
    p.add_argument("real")
    p.add_argument("-o", "--out", default="model", help="folder of the model (default: model)")
    p.add_argument("--use", default="tabular.forest", help="which generator (see: synthmill list)")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of it, such as privacy=strict"
    )
    p.add_argument("--target", help="the column of classes, for generators that work class by class")
    p.add_argument("--table", help="table of a database")
    p.add_argument(
        "--timeout", type=float, default=3600.0, help="seconds that fitting may take, 0 for no end (default: 3600)"
    )

    p = _verb(verbs, "sample", _sample, "rows from a fitted model, or from a run's")
    p.add_argument("model", help="folder of a model or a run")
    p.add_argument("-n", type=int, required=True, help="how many rows")
    p.add_argument(
        "--where", action="append", default=[], metavar="COLUMN=VALUE", help="for example income='>50K', or 'age>=30'"
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("-o", "--out", help="file to write (.csv, .parquet, .jsonl, .arrow); default: CSV to the terminal")

    p = _verb(
        verbs, "impute", _impute, "a file's missing values, drawn by a fitted model given what is known of each row"
    )
    p.add_argument("model", help="folder of a model or a run")
    p.add_argument("file", help="the table with missing values; what it knows is left as it is")
    p.add_argument("--table", help="table of a database")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("-o", "--out", required=True, help="file to write (.csv, .parquet, .jsonl, .arrow)")

    p = _verb(verbs, "evaluate", _evaluate, "score any synthetic file, of any tool, against real data")
    p.add_argument("synthetic")
    p.add_argument("--real", required=True)
    p.add_argument(
        "--holdout", help="your own held-out file (default: a fifth of the real data, which the tool may have seen)"
    )
    p.add_argument("--target", help="the column that models should predict")
    p.add_argument("--entity", help="the column that names whose rows belong together")
    p.add_argument("--seed", type=int, default=0)
    _outs(p)


def _attacks(verbs: Any) -> None:
    """What any tool's file gives away."""
    p = _verb(
        verbs, "audit", _audit, "attack any synthetic file, of any tool: what it gives away about the real people"
    )
    p.add_argument("synthetic")
    p.add_argument("--train", required=True, help="the real rows it was made from")
    p.add_argument("--holdout", required=True, help="real rows of the same kind that it was not made from")
    p.add_argument("--attacks", help="only these, with commas between (default: all; see: synthmill list measure)")
    p.add_argument("--secret", help="columns to infer, with commas between (default: each in turn)")
    p.add_argument("--aux", help="columns known of a person when one is inferred (default: all others)")
    p.add_argument("--link", metavar="A,B:C,D", help="columns of the two files to link (default: every other one)")
    p.add_argument(
        "--generator", help="what made the file, for shadow models: a generator's name (default: a stand-in)"
    )
    p.add_argument("--target", help="the column of classes, for generators that work class by class")
    p.add_argument("--entity", help="the column that names whose rows belong together")
    p.add_argument(
        "--exposed", type=int, default=100, help="how many real records to list under private/ (default: 100)"
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("-o", "--out", help="folder to write to (default: runs/audit-<file>)")
    p.add_argument("--quiet", action="store_true", help="no progress, only the outcome")


def _runs(verbs: Any) -> None:
    """What is done to a run that is there."""
    p = _verb(verbs, "extend", _extend, "more accepted records in a finished run")
    p.add_argument("run_dir", metavar="RUN")
    p.add_argument("--quota", type=int, required=True, help="records to add to every cell")
    p.add_argument("--cell", help="only to this cell, for example income=>50K")
    p.add_argument("--quiet", action="store_true")

    p = _verb(verbs, "blend", _blend, "mix a run's records with real training rows")
    p.add_argument("run_dir", metavar="RUN")
    p.add_argument(
        "--real", type=float, dest="share", help="least share of the whole that is real, 0 to 1 (default: the spec's)"
    )
    p.add_argument(
        "--regime", help="accumulate: every real row stays; replace: the share is exact (default: the spec's)"
    )
    p.add_argument("--per-cell", action="store_true")
    p.add_argument("--export", help="also write the blend to this file")
    p.add_argument("--include-real", action="store_true", help="allow real rows in the exported file")

    p = _verb(verbs, "report", _report, "write a run's report, card and croissant.json anew")
    p.add_argument("run_dir", metavar="RUN")

    tracing(verbs, _verb)

    p = _verb(verbs, "list", _list, "generators, checks, monitors and metrics with their parameters")
    p.add_argument("family", nargs="?", choices=("generate", "verify", "filter", "monitor", "measure"))


def _verb(verbs: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    p: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
    p.set_defaults(run=run)
    return p


def _outs(p: argparse.ArgumentParser, where: str = "run directory (default: runs/<name>)") -> None:
    p.add_argument("-o", "--out", help=where)
    p.add_argument("--quiet", action="store_true", help="no progress, only the outcome")


def _init(a: argparse.Namespace) -> None:
    from synthmill.verbs.init import init

    out = init(a.real, a.out, table=a.table, target=a.target, force=a.force)
    print(f"wrote {out}; read it, then: synthmill preview {out}")


def _need(a: argparse.Namespace) -> None:
    import json

    from synthmill.verbs.need import need

    options = {
        k: getattr(a, k) for k in ("model_errors", "error", "against", "target", "entity", "table", "seed", "force")
    }
    found = need(a.real, a.out, **options)
    print(json.dumps(found.to_json(), indent=1) if a.json else "\n".join(found.lines()))


def _check(a: argparse.Namespace) -> None:
    from synthmill.verbs.check import check

    from . import console

    console.checked(check(a.spec), a.spec)


def _preview(a: argparse.Namespace) -> None:
    from synthmill.verbs.preview import preview

    from . import console

    console.previewed(preview(a.spec, a.n), a.spec)


def _make(a: argparse.Namespace) -> int:
    from synthmill.verbs.make import make

    from . import console

    with console.watching(a.quiet) as observer:
        result = make(a.spec, a.out, observer=observer, fresh=a.fresh)
    return console.made(result)


def _fit(a: argparse.Namespace) -> None:
    from synthmill.verbs.fit import fit_file

    model = fit_file(a.real, {"use": a.use, **_settings(a.set)}, a.table, a.target, a.timeout or None)
    model.save(a.out)
    for note in model.notes:
        print(f"note: {note}")
    print(f"fitted {a.use} on {a.real}; kept in {a.out}. Next: synthmill sample {a.out} -n 1000 -o rows.csv")


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """`key=value` as in a spec: values are read as YAML."""
    import yaml

    settings = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise Refusal(f"--set {text}: expected KEY=VALUE, for example privacy=strict")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise Refusal(f"--set {text}: the value is no YAML; put it in quotes") from None
    return settings


def _sample(a: argparse.Namespace) -> None:
    from synthmill.verbs.sample import sample, write_table

    frame = sample(a.model, a.n, a.where, a.seed)
    if a.out:
        write_table(frame, a.out)
        print(f"wrote {frame.height:,} rows to {a.out}")
    else:
        sys.stdout.write(frame.write_csv())


def _impute(a: argparse.Namespace) -> None:
    from synthmill.verbs.impute import at_odds, counted, impute
    from synthmill.verbs.sample import write_table

    frame = impute(a.model, a.file, a.table, a.seed)
    write_table(frame, a.out)
    drawn = ", ".join(f"{n:,} of {c}" for c, n in counted(frame).items())
    print(f"wrote {frame.height:,} rows to {a.out}; drawn: {drawn or 'nothing, no value was missing'}{at_odds(frame)}")


def _extend(a: argparse.Namespace) -> int:
    from synthmill.verbs.extend import extend

    from . import console

    with console.watching(a.quiet) as observer:
        result = extend(a.run_dir, a.quota, a.cell, observer=observer)
    return console.made(result)


def _evaluate(a: argparse.Namespace) -> None:
    from synthmill.verbs.score import score

    from . import console

    with console.watching(a.quiet) as observer:
        made, folder = score(
            a.synthetic,
            a.real,
            a.out,
            holdout=a.holdout,
            target=a.target,
            entity=a.entity,
            seed=a.seed,
            observer=observer,
        )
    console.evaluated(made)
    print(f"\nreport: {folder / 'report.html'}")


def _audit(a: argparse.Namespace) -> None:
    from synthmill.verbs.audit import ATTACKS, audit

    from . import console

    with console.watching(a.quiet) as observer:
        made = audit(
            a.synthetic,
            a.train,
            a.holdout,
            a.out,
            attacks=_names(a.attacks) or ATTACKS,
            secret=_names(a.secret),
            aux=_names(a.aux),
            link=_sides(a.link),
            generator=a.generator,
            target=a.target,
            entity=a.entity,
            listed=a.exposed,
            seed=a.seed,
            observer=observer,
        )
    console.audited(made)


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def _sides(given: str | None) -> tuple[list[str], list[str]] | None:
    if given is None:
        return None
    left, colon, right = given.partition(":")
    if not colon or not _names(left) or not _names(right):
        raise Refusal(f"--link: {given!r}: expected the columns of two files, for example age,sex:zip,income")
    return _names(left), _names(right)


def _blend(a: argparse.Namespace) -> None:
    from synthmill.verbs.blend import blend
    from synthmill.verbs.sample import write_table

    made = blend(a.run_dir, a.share, a.per_cell, a.regime)
    for note in made.notes:
        print(f"note: {note}")
    print(f"blend: {made.real:,} real and {made.synthetic:,} synthetic records ({made.share:.0%} real)")
    if a.export:
        if made.real and not a.include_real:
            raise Refusal(
                f"--export: the blend holds {made.real:,} real rows; add --include-real if they may leave this machine"
            )
        write_table(made.frame, a.export)
        print(f"wrote {made.frame.height:,} rows to {a.export}")


def _report(a: argparse.Namespace) -> None:
    from synthmill.verbs.report import report

    for path in report(a.run_dir):
        print(path)


def _list(a: argparse.Namespace) -> None:
    from synthmill.verbs.list import plugins

    from . import console

    for family, found in plugins(a.family).items():
        console.listed(family, found)
