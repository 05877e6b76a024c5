"""``anas profile``: what an entry costs, by every convention in one table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import EntryArgument, JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.errors import ProfileError

if TYPE_CHECKING:
    from anas_zoo.zoo import Cost

__all__ = ["profile"]


def profile(
    entry: EntryArgument,
    image_size: Annotated[
        str,
        typer.Option(metavar="HxW", help="Image size, for files that take raw images of any size."),
    ] = "480x640",
    as_json: JsonOption = False,
) -> None:
    """Count an entry's multiply-adds and parameters exactly, with fvcore's trace, and on its ONNX files."""
    from anas_zoo import zoo
    from anas_zoo.cli.entries import find_entry
    from anas_zoo.nets import Subnet
    from anas_zoo.profiling import count_onnx_macs, profile_flops

    size = _height_and_width(image_size)
    found = zoo.Entry.read(find_entry(entry))
    config = found.config
    subnet = Subnet(config.arch, config.model_args.structure, num_classes=config.num_classes)
    report = profile_flops(subnet.eval(), config.arch.resolution)
    graphs = {name: count_onnx_macs(found.folder / name, image_size=size) for name in found.report.files}
    cost = report.model_copy(update={"onnx": graphs or None})
    if as_json:
        print_json(cost.model_dump(mode="json"))
        return
    print_lines(f"{config.anas.name} at {cost.resolution}×{cost.resolution}", "")
    _print_cost(cost)


def _height_and_width(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", text)
    if match is None:
        raise ProfileError(f"--image-size is height and width in pixels, such as 480x640; got {text!r}")
    return int(match[1]), int(match[2])


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
