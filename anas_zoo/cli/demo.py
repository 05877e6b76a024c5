"""``anas demo``: ``anas run`` on the digits; and what both of them print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anas_zoo.cli.options import (
    DeviceOption,
    JsonOption,
    RecipeOption,
    SeedOption,
    SetOption,
)
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.hints import as_command_line
from anas_zoo.core.intervals import with_interval
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.pipeline.whole_way import RunResult


MINUTES = 3.0
LICENCE = "licence=Apache-2.0"  # of models of these images


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run's new folder.")] = Path(
        "runs/demo"
    ),
    recipe: RecipeOption = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Do what anas run does, on scikit-learn's handwritten digits: nothing is downloaded.

    A run that was stopped resumes when the command is repeated.
    """
    from anas_zoo.core.progress import Bar

    with Bar("load torch"):
        from anas_zoo.pipeline.whole_way import run

    new = recipe is None and not (out / "run.json").is_file()
    result = run(
        out,
        data="digits" if new else None,
        minutes=MINUTES if new else None,
        recipe=recipe,
        seed=seed,
        set_=[LICENCE, *(settings or ())] if new else settings,
        device=device,
    )
    print_models(result, as_json=as_json)


def print_models(result: RunResult, *, as_json: bool) -> None:
    """The models that a run made, which to take and how to load it, for people or for machines."""
    from anas_zoo.exporting import DEFAULT_TARGET

    if as_json:
        advice = [as_command_line(parts) for parts in result.advice]
        found = {"entries": result.rows, "advice": advice, "picture": str(result.picture)}
        found["recommended"] = str(result.recommended)
        print_json(found | {"seconds": result.seconds})
        return
    targets = [str(row.get("target", DEFAULT_TARGET)) for row in result.rows]  # older runs say nothing
    runtime, file, images = "onnxruntime", "ONNX file", "all test images"
    headings = ["top-1 %", "latency ms", "MFLOPs", "params (k)", "ONNX kB", "logit diff", "agree %"]
    if set(targets) == {DEFAULT_TARGET}:
        print_table(["name", *headings], [[row["name"], *_cells(row)] for row in result.rows])
    else:
        runtime, file = "in the target's runtime", "file"
        images = "all test images, int8 on the search images"
        headings = ["file kB" if heading == "ONNX kB" else heading for heading in headings]
        rows = [[row["name"], name, *_cells(row)] for row, name in zip(result.rows, targets, strict=True)]
        print_table(["name", "target", *headings], rows)
    print_lines(
        f"top-1: test split, with its 95 % interval; latency: one image, median, {runtime}, 1 thread;",
        f"MFLOPs: multiply-adds; logit diff and agreement: the {file} against torch, on {images}",
        "",
        *(as_command_line(parts) for parts in result.advice),
        "",
        "time      " + ", ".join(f"{title} {value:.0f} s" for title, value in result.seconds.items()),
        f"picture   {result.picture}",
        f"mistakes  {result.picture.parent / 'wrong'}",
        f"models    {result.entries[0].parent}",
        *(() if result.publish is None else (f"publish   {as_command_line([result.publish])}",)),
        "",
        *load_lines(result.recommended, _file_of(result)),
    )


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        with_interval(row["top1_pct"], row.get("images"), unit=""),
        f"{row['latency_ms']:.3f}",
        f"{row['macs'] / 1e6:.3f}",
        f"{row['params'] / 1e3:.1f}",
        f"{row['size_bytes'] / 1e3:.0f}",
        f"{row['max_abs_logit_diff']:.1e}",
        f"{row['top1_agreement_pct']:.1f}",
    ]


def _file_of(result: RunResult) -> str:
    """The exported file that the recommendation is of."""
    name = result.recommended.name
    return next(str(row.get("file", "model.onnx")) for row in result.rows if row["name"] == name)


def load_lines(entry: Path, file: str) -> list[str]:
    """The exact lines that load ``entry`` in each of the ways, ready to paste; of its exported ``file``."""
    name, folder, pasted = entry.name, entry.as_posix(), quoted(entry.as_posix())
    exported = [
        "onnxruntime alone (README.md of the entry has the preprocessing)",
        f'  session = onnxruntime.InferenceSession("{folder}/{file}")',
        '  logits = session.run(None, {"image": images})[0]  # (N, 3, R, R) float32 -> (N, classes)',
    ]
    if file.endswith(".tflite"):
        exported = [
            "LiteRT alone (README.md of the entry has the preprocessing)",
            "  from ai_edge_litert.interpreter import Interpreter",
            f'  run = Interpreter(model_path="{folder}/{file}").get_signature_runner()',
            '  logits = run(image=image)["logits"]  # (1, 3, R, R) float32 -> (1, classes)',
        ]
    return [
        "timm",
        "  import anas_zoo, timm",
        f'  model = timm.create_model("local-dir:{folder}", pretrained=True)',
        "torch.hub (from the checkout)",
        f'  model = torch.hub.load(".", "attentive_nas", source="local", entry="{folder}", pretrained=True)',
        *exported,
        "command line",
        f"  anas show {pasted}    anas verify {pasted}    anas predict {pasted} IMAGE...",
        f"the card of {name} is {folder}/README.md",
    ]
