"""``anas export``: a draft -> an ONNX file for a deployment target."""

from __future__ import annotations

from typing import Annotated

import typer

from anas_zoo.cli.options import EntryArgument
from anas_zoo.cli.output import print_lines

__all__ = ["export"]


def export(
    entry: EntryArgument,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="T", help="A deployment target; repeatable. Default: ort-cpu-fp32."),
    ] = None,
) -> None:
    """Export a draft to one ONNX file per target, inside its folder."""
    from anas_zoo.cli.entries import find_entry
    from anas_zoo.pipeline.deploy import DEFAULT_TARGET, export_draft

    folder = find_entry(entry)
    paths = [export_draft(folder, name) for name in target or [DEFAULT_TARGET]]
    print_lines(
        *(f"exported {path} ({path.stat().st_size / 1e3:.0f} kB)" for path in paths),
        f"  next: anas validate {folder}",
    )
