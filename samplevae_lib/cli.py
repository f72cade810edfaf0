"""The command line: `python -m samplevae_lib run`, `index`, `weights`, `sort` and `map`."""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from samplevae_lib import paths


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        commands = {"run": _run, "index": _index, "weights": _weights, "sort": _sort, "map": _map}
        return commands[options.command](options)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        if isinstance(error, OSError) and options.command not in ("sort", "map"):
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    if options.figures:
        os.environ["SAMPLEVAE_FIGURES"] = options.figures
    return _execute(
        options,
        profile=options.profile,
        only=options.only.split(","),
        parameters=dict(_parameter(given) for given in options.parameter),
        refit=("all",) if options.refit else (),
        force=options.force or options.refit,
    )


def _execute(options: argparse.Namespace, *, force: bool, profile: str, **planned: Any) -> int:
    """Run notebooks, show how it went; 0 if all went well."""
    from samplevae_lib import runner

    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    jobs = runner.plan_jobs(
        data=options.data, seed=options.seed, profile=profile, threads=threads, **planned
    )
    outcomes = runner.run_jobs(jobs, workers=options.jobs, force=force, scheduler=options.scheduler)
    print(runner.summary(outcomes))
    print(f"\nFigures and tables: {paths.figures(profile)}")
    print(f"Notebooks as pages: {paths.executed(profile)}")
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _index(options: argparse.Namespace) -> int:
    from samplevae_lib.experiment import index

    entries = [index.find(id) for id in options.id] or index.every()
    print(*entries, sep="\n\n")
    return 0


def _weights(options: argparse.Namespace) -> int:
    """List the shipped weights, or train some anew and ship them."""
    from samplevae_lib import weights
    from samplevae_lib.training import drum_recipe

    if not options.name:
        print(weights.overview())
        return 0
    chosen: dict[str, list[str]] = defaultdict(list)
    for given in options.name:
        notebook, _, name = given.partition("/")
        chosen[notebook].append(weights.file_name(name) if name else "all")
    if vocoders := chosen.pop("vocoders", None):
        _ship_vocoders(vocoders, options)
    for name in chosen.pop("synthesised", []) + chosen.pop("classifiers", []):
        print(drum_recipe.ship(name, data=options.data, seed=options.seed))
    status = 0
    for notebook, names in chosen.items():
        status |= _execute(
            options, force=True, profile="reference", only=[notebook], refit=names,
            ship="half" if options.half else "full",
        )  # fmt: skip
    return status


def _ship_vocoders(names: list[str], options: argparse.Namespace) -> None:
    from samplevae_lib.inversion import vocoder_recipe

    known = list(vocoder_recipe.RECIPES)
    if lost := set(names) - {"all", *known}:
        raise ValueError(f"no vocoder {', '.join(sorted(lost))}; there are {', '.join(known)}")
    for name in known if names == ["all"] else names:
        print(vocoder_recipe.ship(name, data=options.data, seed=options.seed))


def _sort(options: argparse.Namespace) -> int:
    """Sort a folder of drum samples into a table, and a copy of it into folders."""
    from samplevae_lib import sorting

    beside = Path(options.folder).expanduser().resolve().parent / "samplevae-sorted.csv"
    csv = Path(options.csv).expanduser() if options.csv else beside
    if os.path.lexists(csv):
        raise ValueError(f"{csv} exists already: name another file with --csv")
    table = sorting.sort(options.folder, sure=options.sure, target=options.copy)
    sorting.write_csv(csv, table)
    print(f"{sorting.summary(table)}\n\nTable: {str(csv)!r}")
    if options.copy:
        copies = sorting.copy_sorted(options.folder, table, options.copy)
        print(f"Copies: {len(copies)} files in {options.copy!r}")
    return 0


def _map(options: argparse.Namespace) -> int:
    """Lay a folder out as a map, and open it in JupyterLab or write it as one page."""
    from samplevae_lib import library, theses

    page = Path(options.html).expanduser() if options.html else None
    if page and os.path.lexists(page):
        raise ValueError(f"{page} exists already: name another file with --html")
    opened = library.open(options.folder)
    print(opened, flush=True)
    if page:
        from samplevae_lib.widgets import map_page

        print(f"Page: {str(map_page.write(opened, page, title=opened.title))!r}")
        return 0
    notebook = paths.notebooks() / f"{theses.notebook('11').name}.ipynb"
    environment = os.environ | {"SAMPLEVAE_LIBRARY": str(opened.folder)}
    os.execve(sys.executable, [sys.executable, "-m", "jupyterlab", str(notebook)], environment)
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
    run.add_argument("--only", default="", metavar="03,07", help="these notebooks alone")
    run.add_argument("--force", action="store_true", help="also what is up to date")
    run.add_argument(
        "--refit",
        action="store_true",
        help="train every model anew but the vocoders, shipped weights or not",
    )
    run.add_argument("--figures", metavar="DIR", help="results go there, not to figures/")
    run.add_argument(
        "--parameter", "-p", action="append", default=[], metavar="NAME=VALUE",
        help="a further parameter of the notebook",
    )  # fmt: skip
    index = commands.add_parser(
        "index", help="notebook, cell, library functions and files of an id"
    )
    index.add_argument("id", nargs="*", help="of a table, figure or claim; all if none is given")
    weights = commands.add_parser(
        "weights", help="list the weights that come with the project, or train some anew"
    )
    weights.add_argument(
        "name", nargs="*", metavar="NOTEBOOK[/NAME]",
        help="trained anew and shipped, such as 03/dilated-0, 03 or vocoders/22050",
    )  # fmt: skip
    weights.add_argument(
        "--half", action="store_true", help="keep matrices and kernels in half precision"
    )
    sort = commands.add_parser(
        "sort", help="sort a folder of drum samples: a table, and a copy in folders if wanted"
    )
    sort.add_argument("folder", metavar="FOLDER", help="its files stay as they are")
    sort.add_argument(
        "--csv", metavar="FILE", help="the table (default: samplevae-sorted.csv beside FOLDER)"
    )
    sort.add_argument("--copy", metavar="DIR", help="copies go to DIR/kick, … and DIR/unsure")
    sort.add_argument(
        "--sure", type=float, default=0.5, metavar="0.x",
        help="what is less probable is unsure (default 0.5)",
    )  # fmt: skip
    mapped = commands.add_parser(
        "map", help="a folder of sounds as a map in JupyterLab, or as one page to share"
    )
    mapped.add_argument("folder", metavar="FOLDER", help="its files stay as they are")
    mapped.add_argument("--html", metavar="FILE", help="write one page, and open no JupyterLab")
    for command in (run, weights):
        _add_shared(command)
    return parser


def _add_shared(command: argparse.ArgumentParser) -> None:
    """Options of every command that executes notebooks."""
    command.add_argument("--data", default="auto", help="auto (default), real or stand-in")
    command.add_argument("--seed", type=int, default=0, help="where all chance starts (default 0)")
    command.add_argument("--jobs", type=_positive, default=1, help="notebooks at once (default 1)")
    command.add_argument("--scheduler", metavar="tcp://…", help="execute on dask workers")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number
