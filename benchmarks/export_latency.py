"""Latency of a0-a6 as exported here, against a plain ``torch.onnx.export`` and timm's models, in one run.

    python benchmarks/export_latency.py [--threads 1 2] [--rounds 30] [--out benchmarks/results]

All files are open at once and take turns, round after round, so that a disturbance of the machine falls on
all alike. In its turn a file is called several times, one image a call; the first call is not counted, since
it meets caches full of another file's weights. One thread is timed by that thread's CPU time, two by the wall
clock; a figure is the median over all calls. Weights are random, with batch norm calibrated on noise, since
latency does not depend on them. The accuracies beside are published ones, measured by nobody here: the
AttentiveNAS paper's (BN calibrated on training images, 256 → crop 224 → resize), and timm's results table and
model cards at the side that is timed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import timm
import torch
from shared import RESULTS, options, write
from torch import nn

import anas_zoo  # noqa: F401  # timm learns of the models
from anas_zoo.core.progress import stage
from anas_zoo.core.tables import markdown_table
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.exporting.onnx_export import convert
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.profiling.latency import prepare_call
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.profiling.session import runtime_version
from anas_zoo.profiling.timing import clock_of, interleave

# Published top-1 of the paper's table; the side is the architecture's.
OURS = {"a0": 77.3, "a1": 78.4, "a2": 78.8, "a3": 79.1, "a4": 79.8, "a5": 80.1, "a6": 80.7}
# timm's name: (side, published top-1 at that side, weights that it was published for).
BASELINES = {
    "mobilenetv3_large_100": (224, 75.77, "ra_in1k"),
    "efficientnet_b0": (224, 77.69, "ra_in1k"),
    "efficientnet_b1": (256, 78.80, "ft_in1k"),
    "mobilenetv4_conv_small": (256, 74.62, "e2400_r224_in1k"),
    "mobilenetv4_conv_medium": (256, 79.93, "e500_r256_in1k"),
    "hardcorenas_f": (224, 78.10, "miil_green_in1k"),
    "fbnetv3_b": (256, 79.14, "ra2_in1k"),
}
SMALL, MEDIUM = "mobilenetv3_large_100", "efficientnet_b0"
# Ours over a baseline: the project's targets, set on the authors' formulation, which took 1.42, 0.89, 1.73.
TARGETS = {("a0", SMALL): 1.15, ("a2", MEDIUM): 0.75, ("a6", MEDIUM): 1.45}
PLAIN = "torch.onnx.export"
FLOAT, INT8 = "ort-cpu-fp32", "ort-cpu-int8"
CALLS = 6  # of a file in its turn


def export_plainly(network: nn.Module, path: Path, side: int) -> Path:
    """What a user without this project does."""
    program = torch.onnx.export(
        network.eval(),
        (torch.randn(2, 3, side, side),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
    return path


def settled(network: nn.Module, side: int) -> nn.Module:
    """With statistics of its own activations, so that these stay of ordinary size through all layers."""
    images = torch.randn(8, 3, side, side, generator=torch.Generator().manual_seed(0))
    if isinstance(network, Subnet):
        calibrate_bn(network, [images])
        return network.eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        network.train()(images)
    return network.eval()


def make_files(folder: Path) -> dict[str, Path]:
    """Every file by its row's name."""
    target, int8 = Target.load(FLOAT), Target.load(INT8)
    files = {}
    for name in OURS:
        stage(f"export {name}")
        network = settled(timm.create_model(f"attentive_nas_{name}"), side := side_of(name))
        assert isinstance(network, Subnet)
        files[name] = folder / f"{name}.onnx"
        export_onnx(network, files[name], target=target, resolution=side, metadata={})
        files[f"{name}, {INT8}"] = folder / f"{name}.int8.onnx"
        noise = torch.randn(128, 3, side, side, generator=torch.Generator().manual_seed(1))
        content = convert(network, target=int8, resolution=side, metadata={}, calibration_images=noise)
        files[f"{name}, {INT8}"].write_bytes(content)
        files[f"{name}, {PLAIN}"] = export_plainly(network, folder / f"{name}.plain.onnx", side)
    for name, (side, _, _) in BASELINES.items():
        stage(f"export {name}")
        files[name] = export_plainly(settled(timm.create_model(name), side), folder / f"{name}.onnx", side)
    return files


def side_of(name: str) -> int:
    if name in BASELINES:
        return BASELINES[name][0]
    size: Sequence[int] = timm.create_model(f"attentive_nas_{name}").pretrained_cfg["input_size"]
    return size[-1]


def measure(files: dict[str, Path], threads: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each file."""
    stage(f"time {len(files)} files, {threads} thread{'s' if threads > 1 else ''}, {rounds} rounds")
    calls = {name: prepare_call(path, threads=threads) for name, path in files.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            turn = interleave([call], CALLS, clock=clock_of(threads))
            times[name] += turn[0, 1:].tolist()
    return {name: float(np.median(values)) for name, values in times.items()}


def table(latency_ms: dict[str, float], top1_pct: dict[str, float]) -> str:
    heads = ["model", "side", "published top-1, %", "ms", f"of {SMALL}", f"of {MEDIUM}"]
    rows = []
    for name in sorted(top1_pct, key=lambda name: latency_ms[name]):
        ms = latency_ms[name]
        plain = latency_ms.get(f"{name}, {PLAIN}")
        ahead = [o for o in top1_pct if top1_pct[o] >= top1_pct[name] and latency_ms[o] < ms and o != name]
        figures = (f"{ms:.2f}", f"{ms / latency_ms[SMALL]:.3f}", f"{ms / latency_ms[MEDIUM]:.3f}")
        shares = "" if plain is None else f"{ms / plain:.3f}"
        place = f"behind {min(ahead, key=lambda o: latency_ms[o])}" if ahead else "on it"
        rows.append((name, side_of(name), f"{top1_pct[name]:.1f}", *figures, shares, place))
    return markdown_table([*heads, "of its plain export", "front"], rows)


def draw(path: Path, latency_ms: dict[str, float], top1_pct: dict[str, float], title: str) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for label, names, colour, marker in (
        ("a0–a6, exported here", list(OURS), "#1f6f8b", "o"),
        ("timm's, plain export", list(BASELINES), "#d1495b", "s"),
    ):
        ordered = sorted(names, key=lambda name: latency_ms[name])
        xs, ys = [latency_ms[n] for n in ordered], [top1_pct[n] for n in ordered]
        axes.plot(xs, ys, marker, color=colour, label=label, linestyle="-" if names == list(OURS) else "")
        for name, x, y in zip(ordered, xs, ys, strict=True):
            axes.annotate(name, (x, y), xytext=(5, -9), textcoords="offset points", fontsize=8)
    axes.set(xlabel="latency of one image, ms", ylabel="published ImageNet top-1, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = options(__doc__, out=RESULTS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    torch.manual_seed(0)
    top1_pct = OURS | {name: figure for name, (_, figure, _) in BASELINES.items()}
    with tempfile.TemporaryDirectory() as scratch:
        files = make_files(Path(scratch))
        found = {threads: measure(files, threads, args.rounds) for threads in args.threads}
    lines = ["# Latency of exported files", ""]
    lines += [f"`python benchmarks/export_latency.py --rounds {args.rounds}`"]
    versions = f"{runtime_version()}, torch {torch.__version__}, timm {timm.__version__}"
    lines += [f"on {describe_machine()}; {versions}."]
    lines += ["Accuracies are published ones (see the script); nothing of them was measured here.", ""]
    tags = [(name, tag) for name, (_, _, tag) in BASELINES.items()]
    lines += [markdown_table(("model", "weights of the published figure"), tags)]
    for threads, latency_ms in found.items():
        lines += ["", f"## {threads} thread{'s' if threads > 1 else ''} ({clock_of(threads)} clock)", ""]
        int8 = {name: latency_ms[f"{name}, {INT8}"] for name in OURS}
        rows = [(name, f"{ms:.2f}", f"{latency_ms[name] / ms:.2f}") for name, ms in int8.items()]
        lines += [
            table(latency_ms, top1_pct),
            "",
            markdown_table((INT8, "ms", "times as fast as float"), rows),
        ]
        if threads == 1:
            rows = [
                (f"{ours} / {base}", f"{asked:.2f}", f"{latency_ms[ours] / latency_ms[base]:.3f}")
                for (ours, base), asked in TARGETS.items()
            ]
            lines += ["", markdown_table(("target of the project", "asked", "measured"), rows)]
    write(args.out / "export_latency.md", lines)
    first = args.threads[0]
    title = f"onnxruntime, CPU, {first} thread{'s' if first > 1 else ''}, batch 1"
    draw(args.out / "export_latency.png", found[first], top1_pct, title)


if __name__ == "__main__":
    main()
