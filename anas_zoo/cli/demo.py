"""``anas demo``: the whole way from images to published models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anas_zoo.cli.options import (
    DataOption,
    DeviceOption,
    JsonOption,
    RecipeOption,
    SamplingOption,
    SeedOption,
    SetOption,
)
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.pipeline import DemoResult


LicenceOption = Annotated[
    str | None,
    typer.Option(
        "--licence",
        metavar="SPDX",
        help="Licence of the models, such as Apache-2.0. Asked for before publishing.",
    ),
]


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run's new folder.")] = Path(
        "runs/demo"
    ),
    recipe: RecipeOption = None,
    data: DataOption = None,
    seed: SeedOption = None,
    sampling: SamplingOption = None,
    settings: SetOption = None,
    licence: LicenceOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a supernet, search it, and publish verified models: every stage in one go.

    A run that was stopped resumes when the command is repeated, or with --out alone: at its first unfinished
    stage, a training from its latest checkpoint.
    """
    from anas_zoo.core.progress import Bar

    with Bar("load torch"):
        from anas_zoo.pipeline.demo import demo as run

    result = run(
        out,
        recipe=recipe,
        data=data,
        seed=seed,
        sampling=sampling,
        set_=settings,
        licence=licence,
        device=device,
    )
    print_models(result, as_json=as_json)


def print_models(result: DemoResult, *, as_json: bool) -> None:
    """The models that a run made and how to load the best one, for people or for machines."""
    if as_json:
        print_json({"entries": result.rows, "picture": str(result.picture), "seconds": result.seconds})
        return
    print_table(
        ["name", "top-1 %", "MFLOPs", "params (k)", "latency ms", "ONNX kB", "logit diff", "agree %"],
        [_cells(row) for row in result.rows],
    )
    best = max(zip(result.rows, result.entries, strict=True), key=lambda pair: pair[0]["top1_pct"])[1]
    print_lines(
        "top-1: test split; MFLOPs: multiply-adds; latency: one image, median, onnxruntime, 1 thread;",
        "logit diff and agreement: the ONNX file on disk against torch, on all test images",
        "",
        "time      " + ", ".join(f"{title} {value:.0f} s" for title, value in result.seconds.items()),
        f"picture   {result.picture}",
        f"models    {result.entries[0].parent}",
        "",
        *load_lines(best),
    )


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["name"],
        f"{row['top1_pct']:.2f}",
        f"{row['macs'] / 1e6:.3f}",
        f"{row['params'] / 1e3:.1f}",
        f"{row['latency_ms']:.3f}",
        f"{row['size_bytes'] / 1e3:.0f}",
        f"{row['max_abs_logit_diff']:.1e}",
        f"{row['top1_agreement_pct']:.1f}",
    ]


def load_lines(entry: Path) -> list[str]:
    """The exact lines that load ``entry`` in each of the ways, ready to paste."""
    name, folder, pasted = entry.name, entry.as_posix(), quoted(entry.as_posix())
    return [
        "timm",
        "  import anas_zoo, timm",
        f'  model = timm.create_model("local-dir:{folder}", pretrained=True)',
        "torch.hub (from the checkout)",
        f'  model = torch.hub.load(".", "attentive_nas", source="local", entry="{folder}", pretrained=True)',
        "onnxruntime alone (README.md of the entry has the preprocessing)",
        f'  session = onnxruntime.InferenceSession("{folder}/model.onnx")',
        '  logits = session.run(None, {"image": images})[0]  # (N, 3, R, R) float32 -> (N, classes)',
        "command line",
        f"  anas show {pasted}    anas verify {pasted}    anas predict {pasted} IMAGE...",
        f"the card of {name} is {folder}/README.md",
    ]
