"""How results are printed: JSON for machines, plain aligned text for people; both to stdout.

A command that resumes is printed as this process was started, and of many processes one prints.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

from anas_zoo.core.hints import Call, Part, as_command_line
from anas_zoo.core.tables import text_table
from anas_zoo.core.text import printable


def print_json(value: Any) -> None:
    """Print plain data as indented JSON, readable by any parser (no NaN)."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_lines(*lines: str) -> None:
    """Print lines of a result."""
    typer.echo("\n".join(map(printable, lines)))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` under ``heads``, two spaces apart; columns of numbers stand to the right."""
    typer.echo("\n".join(text_table(heads, rows)))


def print_pairs(title: str, pairs: Mapping[str, str]) -> None:
    """Print a titled block of names and values."""
    width = max(map(len, pairs), default=0)
    print_lines("", title, *(f"  {name.ljust(width)}  {value}" for name, value in pairs.items()))


def as_started(parts: Iterable[Part]) -> str:
    """The command line's text of ``parts``, its commands with torchrun where that started this process."""
    return "".join(
        _with_torchrun(part) if isinstance(part, Call) else as_command_line([part]) for part in parts
    )


def _with_torchrun(call: Call) -> str:
    command = as_command_line([call])
    count, here = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if count == 1:
        return command
    processes = f"--nproc-per-node {count}" if count == here else "..."
    return f"torchrun {processes} -m anas_zoo.cli {command.removeprefix('anas ')}"


def first_process() -> bool:
    """Whether this process, of all that torchrun started, is the one that prints."""
    return os.environ.get("RANK", "0") == "0"
