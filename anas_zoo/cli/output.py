"""How results are printed: JSON for machines, plain aligned text for people; both to stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from anas_zoo.core.text import printable

__all__ = ["print_json", "print_lines", "print_pairs", "print_table"]


def print_json(value: Any) -> None:
    """Print plain data as indented JSON, readable by any parser (no NaN)."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_lines(*lines: str) -> None:
    """Print lines of a result."""
    typer.echo("\n".join(map(printable, lines)))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` under ``headers``, two spaces apart; columns of numbers stand to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    columns = list(zip(headers, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [any(map(_is_number, column[1:])) for column in columns]
    rule = ["-" * width for width in widths]
    for row in (headers, rule, *rows):
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())


def print_pairs(title: str, pairs: Mapping[str, str]) -> None:
    """Print a titled block of names and values."""
    width = max(map(len, pairs), default=0)
    print_lines("", title, *(f"  {name.ljust(width)}  {value}" for name, value in pairs.items()))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))  # thousands are set apart by commas
    except ValueError:
        return False
    return True
