"""How results are printed: JSON for machines, plain aligned text for people; both to stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from anas_zoo.core.tables import text_table
from anas_zoo.core.text import printable

__all__ = ["print_json", "print_lines", "print_pairs", "print_table"]


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
