"""``anas export``: a draft or an entry -> ONNX files for deployment targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from anas_zoo.cli.options import EntryArgument, JsonOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.core.errors import AnasError
    from anas_zoo.pipeline.export import Exported


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
    input: Annotated[
        Literal["float32-nchw", "uint8-nhwc"] | None,
        typer.Option(
            "--input",
            help="uint8-nhwc: the file takes raw images of any size and prepares them itself. Default: the "
            "target's.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|DIR",
            help="Training images for int8, outside a run; of a draft, where its run's images are now.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write there and not into the entry; for published ones."),
    ] = None,
    require_speedup: Annotated[
        bool,
        typer.Option(
            "--require-speedup",
            help="Refuse an int8 file that is slower here than float, or than its target's min_speedup. "
            "Default: its speed is measured and recorded.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Export a draft to one ONNX file per target, inside its folder; or any entry, with --out.

    Each file is compared with torch before it appears. What cannot run on this machine says so. Every target
    is tried; those that fail are listed at the end, the files of the others stay.
    """
    from anas_zoo.exporting import DEFAULT_TARGET
    from anas_zoo.pipeline.export import export as write

    made = write(
        entry,
        target=target or DEFAULT_TARGET,
        input=input,
        data=data,
        out=out,
        require_speedup=require_speedup,
    )
    if as_json:
        print_json(made.to_dict())
    else:
        _print_files(made.files)
        if made.files and out is None:
            print_lines(f"  next: anas validate {quoted(made.files[0].path.parent)}")
    if made.failed:
        _fail(made.failed, len(made.files))


def _fail(failed: Mapping[str, AnasError], written: int) -> NoReturn:
    """Say of each target why it failed; the same reason for all of several is said once."""
    from anas_zoo.core.errors import ExportError
    from anas_zoo.core.progress import note

    first = next(iter(failed.values()))
    if not written and len({str(error) for error in failed.values()}) == 1:
        raise first
    for name, error in failed.items():
        note(f"failed: {name}: ", *error.parts)
    complete = f"{written} file{'s are' if written != 1 else ' is'} complete"
    raise ExportError(
        f"{len(failed)} of {len(failed) + written} targets failed: {', '.join(failed)}; {complete}"
    ) from first


def _print_files(files: Sequence[Exported]) -> None:
    for file in files:
        parity = file.info.parity
        assert parity is not None
        lines = [f"exported {file.path} ({file.path.stat().st_size / 1e3:.0f} kB)"]
        lines.append(f"  logits within {parity.max_abs_logit_diff:.1e} of torch on {parity.images} images")
        if parity.not_run_here:
            lines.append(f"  not run here: {parity.not_run_here}; ran in {parity.runtime} instead")
        if file.info.quantization is not None:
            lines.append(f"  int8: {file.info.quantization.beside_float(file.info.size_bytes)}")
        print_lines(*lines)
