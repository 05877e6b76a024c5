"""What quantization-aware training is worth: `anas finetune --qat` beside the same fine-tuning without it.

    python benchmarks/qat.py RUN [RUN ...] --out runs/qat [--epochs 10] [--learning-rate 0.005]

Every draft of the runs is fine-tuned twice on its run's training images, with the same recipe and seed, once
with `--qat`; the network as it was stands beside them. Both are taught by the network as it was. Each is
written for onnxruntime and for LiteRT, in float and in int8, with nothing in float but what the target keeps
so in any case and no gate, and measured on the images of the test and the search split: neither was trained
on. What is finished is not made again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from int8_speed import CALIBRATION_IMAGES
from shared import RESULTS, machine_in_words, options, write

from anas_zoo.core.files import write_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import ImagesAt, balanced_choice, with_preprocessing
from anas_zoo.data.chosen_images import CALIBRATION
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target
from anas_zoo.exporting.onnx_export import convert
from anas_zoo.exporting.runtimes import open_runner
from anas_zoo.pipeline import Run
from anas_zoo.zoo import load_subnet

TARGETS = ("ort-cpu-fp32", "ort-cpu-int8", "ort-vnni-int8", "litert-int8")
WAYS = {"as it was": None, "fine-tuned": [], "fine-tuned, --qat": ["--qat"]}


def finetuned(draft: Path, data: str, out: Path, args: Any, more: list[str]) -> Path:
    """The draft of a fine-tuning of ``draft``, as a user types it."""
    if not (out / "subnets").exists():
        recipe = {"train.epochs": args.epochs, "train.learning_rate": args.learning_rate, "threads": 1}
        settings = [word for key, value in recipe.items() for word in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "anas_zoo.cli", "finetune", str(draft), "--data", data]
        command += ["--out", str(out), *more]
        command += [*settings, "--licence", "Apache-2.0", "--resume"]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    (found,) = (path.parent for path in (out / "subnets").glob("*/config.json"))
    return found


def measured(run: Run, draft: Path, scratch: Path) -> dict[str, Any]:
    """Top-1 of each target's file, how often it names the class that float names, and noise, in percent.

    Noise is the root mean square difference from float's logits over the deviation of these.
    """
    config = Entry.read(draft).config
    source = with_preprocessing(run.source, config.anas.preprocessing)
    side = config.resolution
    chosen = balanced_choice(run.split.train, run.source.labels, CALIBRATION_IMAGES, [0, CALIBRATION])
    calibration = ImagesAt.readable(source, chosen, side)(side)
    images = ImagesAt(source, [*run.split.test, *run.split.search])
    pixels, labels = images(side).numpy(), images.labels.numpy()
    found: dict[str, Any] = {"images": len(labels)}
    first: np.ndarray | None = None
    for name in TARGETS:
        target = Target.load(name)
        file = scratch / f"file{target.suffix}"
        file.write_bytes(
            convert(
                load_subnet(draft),
                target=target,
                resolution=side,
                metadata={},
                calibration_images=calibration,
            )
        )
        runner = open_runner(file, target)
        assert not isinstance(runner, str), runner
        parts = [runner.run(part) for part in np.array_split(pixels, len(pixels) // 64 + 1)]
        logits = np.concatenate(parts)
        first = logits if first is None else first
        found[name] = {
            "top1_pct": 100.0 * float((logits.argmax(1) == labels).mean()),
            "agreement_pct": 100.0 * float((logits.argmax(1) == first.argmax(1)).mean()),
            "noise_pct": 100.0 * float(np.sqrt(np.square(logits - first).mean()) / first.std()),
        }
    return found


def report(rows: dict[str, dict[str, dict[str, Any]]], args: Any) -> list[str]:
    """The page."""
    table = []
    cost: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for network, ways in rows.items():
        for way, found in ways.items():
            plain = found[TARGETS[0]]["top1_pct"]
            cells = []
            for name in TARGETS[1:]:
                one = found[name]
                change = one["top1_pct"] - plain
                same, noise = one["agreement_pct"], one["noise_pct"]
                cells.append(f"{one['top1_pct']:.2f} ({change:+.2f}), {same:.1f}, {noise:.1f}")
                cost.setdefault((way, name), []).append((change, same, noise))
            table.append([network if way == "as it was" else "", way, f"{plain:.2f}", *cells])
    heads = ["network", "", "float, %", *(f"{name}, %" for name in TARGETS[1:])]
    means = []
    for way in WAYS:
        both = [np.mean(cost[way, name], axis=0) for name in TARGETS[1:]]
        means.append([way, *(f"{change:+.2f}, {same:.1f}, {noise:.1f}" for change, same, noise in both)])
    images = {found["images"] for ways in rows.values() for found in ways.values()}
    return [
        "# Quantization-aware training",
        "",
        f"`anas finetune --qat` beside the same fine-tuning without it, {args.epochs} epochs, on "
        f"{' or '.join(map(str, sorted(images)))} images of test and search split, on which neither was "
        "trained: [the script](../qat.py). In brackets: points against the network's own float file; then "
        "how often both name the same class, and the noise in the logits, both in percent. int8 files have "
        "nothing more in float than their target keeps so in any case.",
        "",
        f"On {machine_in_words()}; torch {torch.__version__}. Made by `python benchmarks/qat.py "
        f"{' '.join(f'runs/{run.name}' for run in args.runs)} --out runs/qat`.",
        "",
        "Means over the networks:",
        "",
        markdown_table(["", *(f"{name}: points, agrees %, noise %" for name in TARGETS[1:])], means),
        "",
        markdown_table(heads, table),
    ]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the page")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for folder in args.runs:
        run = Run.open(folder)
        data = str(run.located.data)
        for name, draft in run.drafts().items():
            for place, (way, more) in enumerate(WAYS.items()):
                file = args.out / f"{folder.name}_{name}_{place}.json"
                if not file.exists():
                    made = draft if more is None else finetuned(draft, data, file.with_suffix(""), args, more)
                    write_json(file, measured(run, made, args.out))
                rows.setdefault(name, {})[way] = json.loads(file.read_text())
    write(args.results / "qat.md", report(rows, args))


if __name__ == "__main__":
    main()
