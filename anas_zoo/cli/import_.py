"""``anas import``: checkpoints of others -> supernets and entries, one command for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from anas_zoo.cli.groups import make_group
from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.hints import Call, as_command_line

if TYPE_CHECKING:
    from anas_zoo.pipeline.imported_entry import ImportedEntry

NameOption = Annotated[
    str | None,
    typer.Option(help="Name of the supernet or entry. Default: the one that it is known by here."),
]
EvaluationOption = Annotated[
    int,
    typer.Option(
        "--evaluation-images", min=0, metavar="N", help="Measure accuracy on at most N images; 0 for none."
    ),
]


def attentive_nas(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="The supernet's file.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="SUPERNET", help="The new folder of the supernet.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the supernet.")] = "attentive_nas",
    entries: Annotated[
        Path | None,
        typer.Option(
            "--entries", metavar="DIR", help="The new folder of entries: calibrated, exported models."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|DIR",
            help="Images for --entries: to calibrate batch norm on, and to measure accuracy on if their "
            "classes are known.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="Only this one; repeatable. Default: a0 to a6."),
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch",
            metavar="ID|FILE",
            help="An architecture that a search evaluated, by its id, or a .json file of one; repeatable.",
        ),
    ] = None,
    search: Annotated[
        Path | None,
        typer.Option("--search", metavar="DIR", help="The folder of the search where --arch is looked up."),
    ] = None,
    calibration_images: Annotated[
        int, typer.Option("--calibration-images", min=2, metavar="N", help="Calibrate on at most N images.")
    ] = 2048,
    evaluation_images: EvaluationOption = 1000,
    preprocessing: Annotated[
        Literal["native", "reference"],
        typer.Option(
            help="Mode that is recorded, and that entries are calibrated in; see docs/preprocessing.md."
        ),
    ] = "native",
    as_json: JsonOption = False,
) -> None:
    """Make a supernet of the AttentiveNAS or AlphaNet authors' checkpoint, or entries of its models.

    No code of the file is run. What is made carries the licence of the authors' weights, CC-BY-NC-4.0.
    Accuracy is measured where the images lie in folders named by class, as WordNet ids or as ImageNet's
    descriptions; see docs/sources.md.
    """
    from anas_zoo.pipeline.import_attentive_nas import import_attentive_nas

    imported = import_attentive_nas(
        checkpoint,
        out=out,
        name=name,
        entries=entries,
        data=data,
        model=model,
        arch=arch,
        search=search,
        calibration_images=calibration_images,
        evaluation_images=evaluation_images,
        preprocessing=preprocessing,
    )
    if as_json:
        print_json(imported.to_dict())
        return
    folders = [*([imported.supernet] if imported.supernet is not None else []), *imported.entries]
    print_lines(imported.coverage.describe(), *(f"imported {folder}" for folder in folders))
    rows = [
        [name, a.preprocessing, a.top1, str(a.images), a.split]
        for name, found in imported.accuracies.items()
        for a in found
    ]
    if rows:
        print_table(["entry", "preprocessing", "top-1", "images", "split"], rows)
    print_lines(f"  look at one: {as_command_line([Call('show', folders[0])])}")


def ofa(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="The file of a supernet, or the folder of a specialised net (net.config, run.config, init).",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The new folder of the supernet or of the entry.")
    ],
    name: NameOption = None,
    licence: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="SPDX name of the weights' licence. Default: that of the authors' files."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="NAME|DIR", help="Images to measure the accuracy of a specialised net on."
        ),
    ] = None,
    evaluation_images: EvaluationOption = 1000,
    as_json: JsonOption = False,
) -> None:
    """Make a supernet of once-for-all's checkpoint (width 1.0 or 1.2), or an entry of a specialised net.

    No code of the files is run. The authors' own files are recognised and carry the licence MIT; any other
    has none unless --licence gives one. See docs/sources.md.
    """
    from anas_zoo.pipeline.import_ofa import import_ofa
    from anas_zoo.pipeline.imported_entry import ImportedEntry

    imported = import_ofa(
        checkpoint, out, name=name, licence=licence, data=data, evaluation_images=evaluation_images
    )
    if as_json:
        print_json(imported.to_dict())
        return
    if isinstance(imported, ImportedEntry):
        _print_entry(imported)
        return
    print_lines(imported.coverage.describe(), f"imported {imported.folder}", f"  weights: {imported.source}")
    _print_next(imported.folder, imported.licence)


def _print_entry(imported: ImportedEntry) -> None:
    coverage = [] if imported.coverage is None else [imported.coverage.describe()]
    print_lines(*coverage, f"imported {imported.folder}", f"  weights: {imported.source}")
    if (accuracy := imported.accuracy) is not None:
        images = f"{accuracy.images} images of {accuracy.source} ({accuracy.split})"
        print_lines(f"  top-1 {accuracy.top1} on {images}")
    _print_next(imported.folder, imported.licence)


def _print_next(folder: Path, licence: str | None) -> None:
    if licence is None:
        print_lines("  no licence is known: give one with --licence here, or when it is published")
    print_lines(f"  look at it: {as_command_line([Call('show', folder)])}")


def timm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="timm's name of the network.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The new folder of the supernet or of the entry.")
    ],
    as_: Annotated[
        Literal["supernet", "entry"],
        typer.Option("--as", help="A supernet to search, or an entry that is the network as it is."),
    ] = "supernet",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A state dict of the network, .safetensors or torch.save's, instead of a download.",
        ),
    ] = None,
    resolution: Annotated[
        list[int] | None,
        typer.Option(
            "--resolution",
            min=1,
            metavar="R",
            help="Of a supernet, a side of the input in pixels that can be chosen; repeatable. Default: "
            "steps of 32 from two fifths of timm's up to it.",
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", metavar="SPDX", help="Licence of the weights. Default: what timm says of its own."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="NAME|DIR", help="Images to measure the accuracy of an entry on."),
    ] = None,
    evaluation_images: EvaluationOption = 1000,
    as_json: JsonOption = False,
) -> None:
    """Make a pretrained network of timm's a supernet, whose largest subnet it is, or an entry as it is.

    A supernet can be made of networks of inverted residual blocks: EfficientNet, MobileNetV2 and V3, MNASNet,
    FBNet, TinyNet and others; an entry of any classifier of timm's. See docs/sources.md.
    """
    from anas_zoo.pipeline.import_timm import import_timm
    from anas_zoo.pipeline.imported_entry import ImportedEntry

    imported = import_timm(
        name,
        out=out,
        as_=as_,
        checkpoint=checkpoint,
        resolution=resolution,
        licence=licence,
        data=data,
        evaluation_images=evaluation_images,
    )
    if as_json:
        print_json(imported.to_dict())
        return
    if isinstance(imported, ImportedEntry):
        _print_entry(imported)
        return
    print_lines(
        imported.coverage.describe(),
        f"imported {imported.folder}; its largest subnet differs from timm's network by "
        f"{imported.difference:.1g} of the logits' deviation",
        f"  fine-tune it: {as_command_line([Call('train', init=imported.folder, data='DIR', out='RUN')])}",
    )


import_ = make_group(
    "Read the checkpoints of others.", {"attentive-nas": attentive_nas, "ofa": ofa, "timm": timm}
)
