"""Groups of commands: the program itself, and commands with commands below them (``anas latency fit``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from anas_zoo.errors import AnasError, nearest

__all__ = ["CommandGroup", "UsageError", "add_commands", "make_group"]


class UsageError(AnasError):
    """A command line that does not say what to do."""

    exit_code = 2


class CommandGroup(TyperGroup):
    """A group that answers an unknown command with the nearest one."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; raises :class:`UsageError` with the nearest name."""
        command = super().get_command(ctx, cmd_name)
        if command is None and not cmd_name.startswith("-"):
            known = self.list_commands(ctx)
            hint = nearest(cmd_name, known) or f"; commands: {', '.join(known)}"
            raise UsageError(f"no command {cmd_name!r}{hint}; see: {ctx.command_path} --help")
        return command


def make_group(help_text: str, commands: Mapping[str, Callable[..., None]]) -> typer.Typer:
    """A command with ``commands`` below it, each explained by its docstring; alone it shows its help."""
    group = typer.Typer(cls=CommandGroup, rich_markup_mode=None)

    def alone(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help(), err=True)
            raise typer.Exit(UsageError.exit_code)

    group.callback(invoke_without_command=True, help=help_text, short_help=help_text)(alone)
    add_commands(group, commands)
    return group


def add_commands(group: typer.Typer, commands: Mapping[str, Callable[..., None]]) -> None:
    """Add ``commands`` by their names, with their docstrings as help."""
    for name, function in commands.items():
        # The first line of the docstring whole, where typer would cut it off with dots.
        group.command(name, short_help=(function.__doc__ or "").partition("\n")[0])(function)
