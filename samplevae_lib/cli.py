"""The command line: `python -m samplevae_lib run` and `vocoder`."""

from __future__ import annotations

import argparse
import ast
import os
import sys
from typing import Any

from samplevae_lib import paths

VOCODERS = ("16000", "22050")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return {"run": _run, "vocoder": _vocoder}[options.command](options)
    except (ValueError, RuntimeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    from samplevae_lib import runner

    if options.figures:
        os.environ["SAMPLEVAE_FIGURES"] = options.figures
    jobs = runner.plan_jobs(
        profile=options.profile,
        data=options.data,
        seed=options.seed,
        only=options.only.split(","),
        parameters=dict(_parameter(given) for given in options.parameter),
        threads=max(1, (os.cpu_count() or 1) // options.jobs),
    )
    outcomes = runner.run_jobs(
        jobs, workers=options.jobs, force=options.force, scheduler=options.scheduler
    )
    print(runner.summary(outcomes))
    print(f"\nFigures and tables: {paths.figures()}\nNotebooks as pages: {paths.executed()}")
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _vocoder(options: argparse.Namespace) -> int:
    from samplevae_lib.inversion import vocoder_recipe

    print(vocoder_recipe.ship(options.name, data=options.data, seed=options.seed))
    return 0


def _parameter(given: str) -> tuple[str, Any]:
    name, equals, value = given.partition("=")
    if not equals:
        raise ValueError(f"--parameter {given!r}: expected NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # plain text needs no quotes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="samplevae", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute the notebooks and record every figure and table")
    run.add_argument("--profile", default="reference", help="smoke, reference (default) or paper")
    run.add_argument("--data", default="auto", help="auto (default), real or stand-in")
    run.add_argument("--only", default="", metavar="03,07", help="these notebooks alone")
    run.add_argument("--seed", type=int, default=0, help="where all chance starts (default 0)")
    run.add_argument("--jobs", type=_positive, default=1, help="notebooks at once (default 1)")
    run.add_argument("--force", action="store_true", help="also what is up to date")
    run.add_argument("--figures", metavar="DIR", help="results go there, not to figures/")
    run.add_argument("--scheduler", metavar="tcp://…", help="execute on dask workers")
    run.add_argument(
        "--parameter", "-p", action="append", default=[], metavar="NAME=VALUE",
        help="a further parameter of the notebook",
    )  # fmt: skip
    vocoder = commands.add_parser("vocoder", help="train a shipped vocoder anew (about an hour)")
    vocoder.add_argument("name", choices=VOCODERS, help="by its sample rate in Hz")
    vocoder.add_argument("--data", default="auto", help="auto (default), real or stand-in")
    vocoder.add_argument("--seed", type=int, default=0, help="where all chance starts (default 0)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number
