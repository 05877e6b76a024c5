"""Groups of commands, such as ``anas predictor fit``, and the hint for a mistyped one at every level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from anas_zoo.cli.derived import with_options
from anas_zoo.core.errors import AnasError, nearest

HELP_NAMES = ["-h", "--help"]
# Commands of earlier versions, and what they are called now.
_RENAMED = {"authors": "attentive-nas"}


class UsageError(AnasError):
    """A command line that does not say what to do."""

    exit_code = 2


class HintingGroup(TyperGroup):
    """A group that answers an unknown command with the nearest one."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; raises :class:`UsageError` for an unknown one."""
        command = super().get_command(ctx, cmd_name)
        if command is None and not cmd_name.startswith("-"):
            known = list(self.commands)
            now = _RENAMED.get(cmd_name)
            hint = nearest(now if now in known else cmd_name, known) or f"; commands: {', '.join(known)}"
            raise UsageError(f"no command {cmd_name!r}{hint}; see: {ctx.command_path} --help")
        return command


def make_group(help_text: str, commands: Mapping[str, Callable[..., None]]) -> typer.Typer:
    """A group with ``help_text`` and its ``commands``, functions whose docstrings are their help."""
    # Plain help and plain errors: quick to start, and one line a mistake (see anas_zoo/cli/run.py).
    group = typer.Typer(
        cls=HintingGroup,
        help=help_text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": HELP_NAMES},
    )

    def program(context: typer.Context) -> None:
        # Without a command: the help, as it is no success, to stderr.
        if context.invoked_subcommand is None:
            typer.echo(context.get_help(), err=True)
            raise typer.Exit(UsageError.exit_code)

    group.callback(invoke_without_command=True, help=help_text)(program)
    register(group, commands)
    return group


def register(
    group: typer.Typer, commands: Mapping[str, Callable[..., None]], *, wanted: str | None = None
) -> None:
    """Add ``commands`` to ``group``; with ``wanted`` the others can be listed, but have no options."""
    for name, function in commands.items():
        complete = with_options(function) if wanted in (None, name) else _listed
        # The first line of the docstring whole, where typer would cut it off with dots.
        group.command(name, short_help=(function.__doc__ or "").partition("\n")[0])(complete)


def _listed() -> None:
    """A command in a list of them."""
