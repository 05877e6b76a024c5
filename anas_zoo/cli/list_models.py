"""``anas list``: the shelf, or a folder of entries, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.intervals import with_interval

if TYPE_CHECKING:
    from anas_zoo.zoo.catalog import CatalogModel


HEADS = [
    "name",
    "px",
    "MFLOPs",
    "params (M)",
    "classes",
    "top-1 %",
    "ms",
    "weights",
    "licence",
    "same architecture",
]


def list_models(
    filter: Annotated[
        str,
        typer.Argument(metavar="[PATTERN]", help="Only names that match this pattern, such as 'digits_*'."),
    ] = "*",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only models whose weights are bundled.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--in", metavar="DIR", help="List the entries in this folder instead of the shelf."),
    ] = None,
    max_mflops: Annotated[
        float | None, typer.Option(min=0, metavar="X", help="At most this many millions of multiply-adds.")
    ] = None,
    min_top1_pct: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            metavar="PCT",
            help="At least this top-1: measured, or published if nothing was measured.",
        ),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="MS",
            help="At most this median for one image on one thread, where it was measured.",
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only weights under this licence, such as apache-2.0.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List models with size, cost, accuracy and latency; measured accuracy first, apart from published.

    The most accurate on each set of images comes first. A model whose accuracy or latency is unknown is left
    out where a limit asks for it.
    """
    from anas_zoo.cli.entries import summary
    from anas_zoo.core.resources import resource_folder
    from anas_zoo.zoo.catalog import read_folder, select

    known = read_folder(folder or resource_folder("models"))
    models = select(
        known,
        filter=filter,
        pretrained=pretrained,
        max_mflops=max_mflops,
        min_top1_pct=min_top1_pct,
        max_latency_ms=max_latency_ms,
        licence=licence,
    )
    if as_json:
        print_json([summary(model) for model in models])
        return
    if not models:
        print_lines(f"none of {len(known)} models matches")
        return
    for number, (title, rows) in enumerate(_groups(models).items()):
        print_lines(*([""] if number else []), title)
        print_table(HEADS, rows)
    print_lines("", *_legend(models))


def _groups(models: list[CatalogModel]) -> dict[str, list[list[str]]]:
    """Rows by kind of accuracy and images: figures that cannot be compared stand in separate tables."""
    groups: dict[str, list[list[str]]] = {}
    for model in models:
        title = "top-1 not known"
        if model.top1_kind == "measured":
            title = f"top-1 measured on {model.data}"
        elif model.top1_kind == "published":
            title = f"top-1 published for {model.data}, not measured here"
        groups.setdefault(title, []).append(_row(model))
    return groups


def _row(model: CatalogModel) -> list[str]:
    quickest = model.quickest
    return [
        model.name,
        str(model.resolution),
        f"{model.macs / 1e6:.2f}",
        f"{model.params / 1e6:.3f}",
        str(model.num_classes),
        "-" if model.top1_pct is None else with_interval(model.top1_pct, model.top1_images, unit=""),
        "-" if quickest is None else f"{quickest[1].p50_ms:.3g}",
        "yes" if model.has_weights else "no",
        model.licence or "-",
        ", ".join(model.other_names),
    ]


def _legend(models: list[CatalogModel]) -> list[str]:
    lines = ["px: side of the input. MFLOPs: millions of multiply-adds at that size."]
    if any(model.top1_images is not None for model in models):
        lines.append("top-1 in brackets: the 95 % interval for the number of images that were measured.")
    machines = sorted({model.quickest[1].machine for model in models if model.quickest is not None})
    if machines:
        lines.append(f"ms: median for one image, one thread, on {' or '.join(machines)}.")
    return [*lines, "See one: anas show NAME. Compare two: anas diff NAME NAME"]
