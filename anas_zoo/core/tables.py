"""Tables of text, for a terminal and in Markdown; those of a page come from its template (core/pages.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anas_zoo.core.text import markdown, printable


class Markdown(str):
    """A cell that is Markdown already; every other cell is shown as it is, character by character."""


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of aligned columns, two spaces apart; columns of numbers stand to the right."""
    listed = [[printable(cell) for cell in row] for row in rows]
    columns = list(zip(heads, *listed, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [any(map(_is_number, column[1:])) for column in columns]
    rule = ["-" * width for width in widths]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in (heads, rule, *listed)
    ]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown; a cell of other people's text can be no markup, unless it is :class:`Markdown`."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    return str(value) if isinstance(value, Markdown) else markdown(value)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))  # thousands are set apart by commas
    except ValueError:
        return False
    return True
