"""``anas finetune``: an entry and other images -> a new draft entry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import (
    DataOption,
    DeviceOption,
    EntryArgument,
    JsonOption,
    ResumeOption,
    SeedOption,
    SetOption,
)
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.intervals import with_interval
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.pipeline.finetune import Finetuned


def finetune(
    entry: EntryArgument,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder.")],
    data: DataOption = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", metavar="FILE", help="A .yaml file. Default: built-in values; change them with --set."
        ),
    ] = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The new entry's. Default: ENTRY_finetuned.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", metavar="L", help="SPDX name, of the new weights. Default: the entry's."),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            "--activation",
            metavar="A",
            help="relu, relu6, hard_swish or silu in the place of the entry's: relu makes int8 files faster.",
        ),
    ] = None,
    no_se: Annotated[
        bool, typer.Option("--no-se", help="Leave squeeze-and-excite out, which int8 files gain from too.")
    ] = False,
    qat: Annotated[
        bool,
        typer.Option("--qat", help="Train it as int8 files compute, so that they lose less, and export one."),
    ] = False,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give an entry a new head, train all of it on other images, and make a draft of a new entry.

    The head stays where the images' classes are the entry's. A draft of a run is fine-tuned on the images of
    that run with its split. With --activation, --no-se or --qat the entry as it was
    teaches the new network, on images of its classes.

    Several GPUs or machines: torchrun --nproc-per-node N -m anas_zoo.cli finetune ...; see docs/training.md.
    """
    from anas_zoo.core.progress import Bar

    with Bar("load torch"):
        from anas_zoo.pipeline.finetune import finetune as run

    found = run(
        entry,
        out,
        data=data,
        recipe=recipe,
        seed=seed,
        set_=settings,
        name=name,
        licence=licence,
        activation=activation,
        no_se=no_se,
        qat=qat,
        resume=resume,
        device=device,
    )
    if found is None:  # of a process beside the first
        return
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def _print(found: Finetuned) -> None:
    print_table(
        ["name", "top-1 %", "MFLOPs", "latency ms", "ONNX kB", "logit diff", "agree %"],
        [
            [
                found.name,
                with_interval(found.top1_pct, found.images, unit=""),
                f"{found.macs / 1e6:.3f}",
                f"{found.latency_ms:.3f}",
                f"{found.size_bytes / 1e3:.0f}",
                f"{found.max_abs_logit_diff:.1e}",
                f"{found.top1_agreement_pct:.1f}",
            ]
        ],
    )
    print_lines(
        "top-1: test split, with its 95 % interval; latency: one image, median, onnxruntime, 1 thread;",
        "logit diff and agreement: the ONNX file on disk against torch, on all test images",
        f"fine-tuned {found.draft}",
        f"  publish it, under {found.licence} or with another --licence: "
        f"anas publish {quoted(found.draft)} --to DIR",
    )
