"""``anas evaluate``: the accuracy of an entry on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from anas_zoo.cli.options import DataOption, DeviceOption, EntryArgument, FileOption, JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table

if TYPE_CHECKING:
    from anas_zoo.pipeline.evaluate import Evaluated


def evaluate(
    entry: EntryArgument,
    data: DataOption = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="PART",
            help="test, train or all, and search for the draft of a run. Default: test, or all images where "
            "the source has no test part.",
        ),
    ] = None,
    preprocessing: Annotated[
        Literal["native", "reference", "both"] | None,
        typer.Option(help="See docs/preprocessing.md. Default: the mode that the entry records."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="At most N images, balanced over the classes."),
    ] = None,
    runtime: Annotated[
        Literal["torch", "onnxruntime"],
        typer.Option(help="The weights in torch, or an exported file, prepared with numpy and Pillow."),
    ] = "torch",
    file: FileOption = None,
    device: DeviceOption = "auto",
    keep: Annotated[
        bool, typer.Option("--keep", help="Record the result in a draft's report and card.")
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet", metavar="FILE", help="A new .png: the images that it is most sure of and wrong about."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure an entry's accuracy on labelled images: top-1, and top-5 with more than 5 classes; by class.

    Classes are matched by name. The draft of a run is measured on the run's test split by default.
    (validate: a draft's exported files against torch; verify: a published entry against its own manifest.)
    """
    from anas_zoo.core.progress import Bar
    from anas_zoo.pipeline.evaluate import evaluate as measure

    with Bar("load torch"):
        import torch  # noqa: F401
    found = measure(
        entry,
        data=data,
        split=split,
        preprocessing=preprocessing,
        limit=limit,
        runtime=runtime,
        file=file,
        device=device,
        keep=keep,
        sheet=sheet,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def _print(found: Evaluated) -> None:
    from anas_zoo.zoo.evidence_tables import class_name, class_tables, measured_table

    heads, rows = measured_table(found.accuracies)
    print_table([heads[-1], *heads[:-1]], [[row[-1], *row[:-1]] for row in rows])
    own = found.preprocessing
    first = next((a for a in found.accuracies if a.preprocessing == own.mode), found.accuracies[0])
    for title, (columns, cells) in class_tables(first, found.label_names).items():
        print_lines("", title)
        print_table(columns, cells)
    if first.mistakes:
        print_lines("", "the surest mistakes")
        names = [
            [class_name(found.label_names, number) for number in (one.label, one.predicted)]
            for one in first.mistakes
        ]
        print_table(
            ["is", "taken for", "sure %", "image"],
            [
                [*pair, f"{one.confidence_pct:.1f}", found.images[one.image]]
                for pair, one in zip(names, first.mistakes, strict=True)
            ],
        )
    print_lines(
        "",
        "in brackets: the 95 % interval for that many images",
        "calibration error: how far confidence and accuracy are apart on average",
    )
    print_lines(
        f"{found.entry}, {found.runtime}; its own preprocessing is {own.mode}; native is with "
        f"{own.interpolation}, crop {own.crop_pct:g}"
    )
    if found.sheet is not None:
        print_lines(f"contact sheet {found.sheet}")
    if found.accuracies[0].split in ("all", "train"):
        print_lines("images that the network was trained on may be among these; --split says which to take")
