"""The commands and the program that holds them.

A new command is a module here with one function, whose docstring is its help, and one line in
:data:`COMMANDS`; a group of them is made with :func:`anas_zoo.cli.groups.make_group` and has a line in
:data:`GROUPS`. The module imports what it works with inside the function, so that ``anas --help``
stays quick; it prints results with :mod:`anas_zoo.cli.output` and raises an
:class:`AnasError` for what the user can fix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from anas_zoo.cli.bench import bench
from anas_zoo.cli.demo import demo
from anas_zoo.cli.diff import diff
from anas_zoo.cli.evaluate import evaluate
from anas_zoo.cli.export import export
from anas_zoo.cli.extract import extract
from anas_zoo.cli.finetune import finetune
from anas_zoo.cli.groups import HELP_NAMES, HintingGroup, UsageError, register
from anas_zoo.cli.import_ import import_
from anas_zoo.cli.index import index
from anas_zoo.cli.latency import latency
from anas_zoo.cli.list_models import list_models
from anas_zoo.cli.predict import predict
from anas_zoo.cli.predictor import predictor
from anas_zoo.cli.profile import profile
from anas_zoo.cli.publish import publish
from anas_zoo.cli.pull import pull
from anas_zoo.cli.search import search
from anas_zoo.cli.serve import serve
from anas_zoo.cli.show import show
from anas_zoo.cli.train import train
from anas_zoo.cli.validate import validate
from anas_zoo.cli.verify import verify
from anas_zoo.cli.whole_way import run

# In the order in which `anas --help` shows them: the way of a model, from its making to its use.
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "run": run,
    "train": train,
    "finetune": finetune,
    "search": search,
    "extract": extract,
    "profile": profile,
    "export": export,
    "validate": validate,
    "evaluate": evaluate,
    "publish": publish,
    "pull": pull,
    "verify": verify,
    "list": list_models,
    "show": show,
    "diff": diff,
    "index": index,
    "predict": predict,
    "serve": serve,
    "bench": bench,
}

# Commands that have commands themselves, as `anas predictor fit`; shown below the others.
GROUPS: dict[str, typer.Typer] = {
    "import": import_,
    "predictor": predictor,
    "latency": latency(),
}


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"anas {metadata.version('anas-zoo')}")
        raise typer.Exit


def _program(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Train one weight-shared supernet, search it for any budget, and ship each subnet found as a small,
    measured, verified model.

    Results go to stdout, everything else to stderr. The exit code is 0 only on success.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)


def make_app(wanted: str | None = None) -> typer.Typer:
    """The program ``anas`` with every command of :data:`COMMANDS` and every group of :data:`GROUPS`.

    Args:
        wanted: the command that runs; the others then have no options, which takes time to make.
    """
    # Plain help and plain errors: quick to start, and one line a mistake (see anas_zoo/cli/run.py).
    app = typer.Typer(
        name="anas",
        cls=HintingGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": HELP_NAMES},
    )
    app.callback(invoke_without_command=True)(_program)
    register(app, COMMANDS, wanted=wanted)
    for name, group in GROUPS.items():
        app.add_typer(group, name=name, short_help=group.info.help)
    return app
