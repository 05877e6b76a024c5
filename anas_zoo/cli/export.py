"""``anas export``: a draft or an entry -> ONNX files for deployment targets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from anas_zoo.cli.options import EntryArgument, JsonOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.text import quoted

__all__ = ["export"]


def export(
    entry: EntryArgument,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="NAME|FILE",
            help="A deployment target (see: export/targets) or a .yaml file of your own; repeatable. "
            "Default: ort-cpu-fp32.",
        ),
    ] = None,
    form: Annotated[
        Literal["float32-nchw", "uint8-nhwc"] | None,
        typer.Option(
            "--input",
            help="uint8-nhwc: the file takes raw images of any size and prepares them itself. Default: the "
            "target's.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="NAME|DIR", help="Training images for int8, outside a run."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write there and not into the entry; for published ones."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export a draft to one ONNX file per target, inside its folder; or any entry, with --out.

    Each file is compared with torch before it appears. What cannot run on this machine says so.
    """
    from anas_zoo.cli.entries import find_entry
    from anas_zoo.export import Target
    from anas_zoo.pipeline.exporting import DEFAULT_TARGET, export_entry

    folder = find_entry(entry)
    names = target or [DEFAULT_TARGET]
    for name in names:  # all of them, before the first takes its time
        Target.load(name)
    files = [export_entry(folder, name, form=form, data=data, out=out) for name in names]
    if as_json:
        print_json({str(file.path): file.info.model_dump(mode="json") for file in files})
        return
    for file in files:
        parity = file.info.parity
        assert parity is not None
        lines = [f"exported {file.path} ({file.path.stat().st_size / 1e3:.0f} kB)"]
        lines.append(f"  logits within {parity.max_abs_logit_diff:.1e} of torch on {parity.images} images")
        if parity.not_run_here:
            lines.append(f"  not run here: {parity.not_run_here}; ran in {parity.runtime} instead")
        if file.info.quantization is not None:
            lines.append(f"  {file.info.quantization.speedup:.2f} times as fast as float here")
        print_lines(*lines)
    if out is None:
        print_lines(f"  next: anas validate {quoted(folder)}")
