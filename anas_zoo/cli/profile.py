"""``anas profile``: what an entry costs, by every convention in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import EntryArgument, JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table

if TYPE_CHECKING:
    from anas_zoo.entry import Cost


def profile(
    entry: EntryArgument,
    image_size: Annotated[
        str,
        typer.Option(metavar="HxW", help="Image size, for files that take raw images of any size."),
    ] = "480x640",
    as_json: JsonOption = False,
) -> None:
    """Count an entry's multiply-adds and parameters exactly, with fvcore's trace, and on its ONNX files."""
    from anas_zoo.entry import Entry
    from anas_zoo.pipeline.profile import profile as count
    from anas_zoo.zoo.shelf import locate

    found = Entry(locate(entry))
    cost = count(found, image_size=image_size)
    if as_json:
        print_json(cost.model_dump(mode="json"))
        return
    print_lines(f"{found.name} at {cost.resolution}×{cost.resolution}", "")
    _print_cost(cost)


def _print_cost(cost: Cost) -> None:
    from anas_zoo.zoo.cost_table import cost_rows

    print_table(
        ["what", "count", "difference", "why"],
        [[row.what, f"{row.count:,}", _signed(row.difference), row.why] for row in cost_rows(cost)],
    )


def _signed(difference: int | None) -> str:
    if difference is None:
        return ""
    return f"{difference:+,}" if difference else "0"
