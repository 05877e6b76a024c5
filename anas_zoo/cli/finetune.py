"""``anas finetune``: an entry and other images -> a new draft entry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from anas_zoo.core.hints import Call
from anas_zoo.core.text import quoted

__all__ = ["finetune"]


def finetune(
    entry: EntryArgument,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder.")],
    data: DataOption = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="FILE", help="A .yaml file; without it, defaults and --set do."),
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
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give an entry a new head, train all of it on other images, and make a draft of a new entry.

    Several GPUs or machines: torchrun --nproc-per-node N -m anas_zoo.cli finetune ...; see docs/training.md.
    """
    from anas_zoo.core.progress import Bar

    with Bar("load torch"):
        from anas_zoo.cli.entries import find_entry
        from anas_zoo.cli.resuming import resumable_run
        from anas_zoo.core.errors import OutputError
        from anas_zoo.core.progress import silence
        from anas_zoo.pipeline.deploy import table_row
        from anas_zoo.pipeline.finetune import finetune as fine_tune
        from anas_zoo.pipeline.finetune_recipe import FinetuneRecipe
        from anas_zoo.pipeline.finetune_run import FinetuneRun
        from anas_zoo.training import join_processes
        from anas_zoo.zoo import Entry

    changes = {"data": data, "seed": seed, "name": name, "licence": licence}
    again = Call("finetune", entry, out=out, resume=True)
    with resumable_run(out, again, "subnets"), join_processes(device) as workers:
        folder = find_entry(entry)
        if not workers.first:
            silence()
            workers.wait()  # the first process makes the folder
            fine_tune(FinetuneRun.open(out), folder, workers)
            return
        if resume and (out / "run.json").is_file():
            there = FinetuneRun.open(out).recipe
            kept = {key: getattr(there, key) if value is None else value for key, value in changes.items()}
            wanted = (
                there.changed(changes, settings)
                if recipe is None
                else FinetuneRecipe.load(recipe, kept, settings)
            )
        else:
            wanted = FinetuneRecipe.load(recipe, changes, settings)
        run = FinetuneRun.start(out, wanted, Entry.read(folder))
        if run.training_folder.exists() and not resume:
            raise OutputError(
                f"{out} holds a fine-tuning that was stopped; resume it: ",
                again,
                f"; or begin anew after: rm -r {quoted(out)}",
            )
        workers.wait()
        row = table_row(fine_tune(run, folder, workers))
    if as_json:
        print_json(row | {"draft": str(run.draft_folder), "licence": run.licence})
    else:
        _print(row, run.draft_folder, run.licence)


def _print(row: dict[str, Any], draft: Path, licence: str) -> None:
    print_table(
        ["name", "top-1 %", "MFLOPs", "latency ms", "ONNX kB", "logit diff", "agree %"],
        [
            [
                row["name"],
                f"{row['top1_pct']:.2f}",
                f"{row['macs'] / 1e6:.3f}",
                f"{row['latency_ms']:.3f}",
                f"{row['size_bytes'] / 1e3:.0f}",
                f"{row['max_abs_logit_diff']:.1e}",
                f"{row['top1_agreement_pct']:.1f}",
            ]
        ],
    )
    print_lines(
        "top-1: test split; latency: one image, median, onnxruntime, 1 thread;",
        "logit diff and agreement: the ONNX file on disk against torch, on all test images",
        f"fine-tuned {draft}",
        f"  publish it, under {licence} or with another --licence: anas publish {quoted(draft)} --to DIR",
    )
