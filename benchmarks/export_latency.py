"""Latency of a0-a6 as exported here, in int8 and as lite forms, and of what a user would take instead.

    python benchmarks/export_latency.py --work runs/export_latency [--rounds 20] [--out benchmarks/results]

The networks: AttentiveNAS' a0 to a6; the same with ReLU and without squeeze-and-excite (lite); once-for-all's
specialised nets; and timm's, from a plain `torch.onnx.export`, as a user has them without this project. Each
is timed where it has a file: in onnxruntime, in OpenVINO, which reads the same file, and, what is of this
project's family, in LiteRT; in int8 too. One image, one thread.

Within a runtime all files are open at once and take turns, round after round, so that a disturbance of the
machine falls on all alike; in its turn a file is called several times, and the first call, which meets caches
full of another file's weights, is not counted. A figure is the median over all calls, of the process' CPU
time. Weights are random, with batch norm calibrated on noise, since latency does not depend on them. The
accuracies beside are published ones, measured by nobody here. Exported files stay in ``--work``, where a
second call finds them: the exports take ten minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
import timm
import torch
from own_images_report import made_on
from shared import RESULTS, options, write
from timm.utils import reparameterize_model
from torch import Tensor, nn

import anas_zoo  # noqa: F401  # timm learns of the models
from anas_zoo.core.files import atomic_write
from anas_zoo.core.progress import stage
from anas_zoo.core.tables import markdown_table
from anas_zoo.exporting import Target
from anas_zoo.exporting.graph import INPUT, OUTPUT
from anas_zoo.exporting.onnx_export import convert
from anas_zoo.exporting.runtimes import open_runner
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.profiling.timing import interleave
from anas_zoo.space import Architecture, SearchSpace

# Published top-1: the AttentiveNAS paper's table and, for the same architectures, AlphaNet's weights.
OURS = {
    "a0": (77.3, 77.87),
    "a1": (78.4, 78.94),
    "a2": (78.8, 79.20),
    "a3": (79.1, 79.41),
    "a4": (79.8, 80.01),
    "a5": (80.1, None),
    "a6": (80.7, 80.78),
}
# timm's name: (side, published top-1 at that side, weights that it was published for), by timm's results
# table and model cards.
TIMM = {
    "mobilenetv4_conv_small": (224, 73.8, "e2400_r224_in1k"),
    "mobilenetv4_conv_medium": (256, 79.9, "e500_r256_in1k"),
    "mobilenetv3_large_100": (224, 77.2, "ra4_e3600_r224_in1k"),
    "efficientnet_b0": (224, 78.6, "ra4_e3600_r224_in1k"),
    "efficientnet_b1": (240, 80.4, "ra4_e3600_r240_in1k"),
    "hgnetv2_b0": (224, 77.4, "ssld_stage2_ft_in1k"),
    "hgnetv2_b1": (224, 78.9, "ssld_stage2_ft_in1k"),
    "levit_128": (224, 78.5, "fb_dist_in1k"),
    "efficientvit_b1": (224, 79.3, "r224_in1k"),
    "repvit_m0_9": (224, 79.1, "dist_450e_in1k"),
    "fastvit_t8": (256, 77.2, "apple_dist_in1k"),
    **{
        f"hardcorenas_{letter}": (224, top1, "miil_green_in1k")
        for letter, top1 in zip("abcdef", (75.9, 76.5, 77.1, 77.4, 77.9, 78.1), strict=True)
    },
}
SPECIALISED = Path(__file__).parents[1] / "tests" / "golden" / "ofa_mbv3.json"
SERIES = ("note10_", "flops-")  # of once-for-all's specialised nets

ORT, OPENVINO, LITERT = "ort-cpu-fp32", "openvino-fp32", "litert-fp32"
FLOATS = {ORT: "onnxruntime", OPENVINO: "OpenVINO", LITERT: "LiteRT"}
INT8 = {"ort-cpu-int8": "onnxruntime, int8", "litert-int8": "LiteRT, int8"}
TARGETS = FLOATS | INT8
CALLS = 6  # of a file in its turn
CALIBRATION_IMAGES = 128
K = TypeVar("K")


@dataclass(frozen=True)
class Row:
    """A network: its family, side and published top-1, None where nobody trained it; its file by target."""

    name: str
    family: str
    side: int
    top1_pct: float | None
    files: dict[str, Path] = field(default_factory=dict)


def family_rows(folder: Path) -> list[Row]:
    """Those that this project exports: a0 to a6, their lite forms, and once-for-all's specialised nets."""
    space = SearchSpace.load("attentive_nas")
    lite = space.structure.simplified(act="relu", se=False)
    rows = []
    for name, published in OURS.items():
        arch = timm.create_model(f"attentive_nas_{name}").arch
        best = max(top1 for top1 in published if top1 is not None)
        every = [*FLOATS, *INT8]
        rows.append(exported(folder, name, "a0 to a6", Subnet(arch, space.structure), best, every))
        rows.append(exported(folder, f"{name}_lite", "lite", Subnet(arch, lite), None, every))
    for net in json.loads(SPECIALISED.read_text())["specialised"]:
        if not net["id"].startswith(SERIES):
            continue
        name = "ofa_" + net["id"].split("_top1")[0]
        published = net["published_top1_pct"]
        rows.append(exported(folder, name, "once-for-all", specialised(net), published, [*FLOATS, *INT8]))
    return rows


def specialised(net: Mapping[str, Any]) -> Subnet:
    """One of once-for-all's specialised nets, with random weights."""
    arch = Architecture.from_dict(
        {
            "resolution": net["resolution"],
            "width": [net["stem"], *net["width"], net["head"][1]],
            "depth": [1, *net["depth"]],
            "kernel_size": [3, *net["kernel_size"]],
            "expand_ratio": [1, *net["expand_ratio"]],
        }
    )
    return Subnet(arch, SearchSpace.load("ofa_mbv3_w1_0" if net["stem"] == 16 else "ofa_mbv3_w1_2").structure)


def exported(
    folder: Path, name: str, family: str, subnet: Subnet, top1_pct: float | None, targets: list[str]
) -> Row:
    """The files of a network of this project's family."""
    stage(f"export {name}")
    side = subnet.arch.resolution
    images = noise(side, CALIBRATION_IMAGES)
    calibrate_bn(subnet, [images[:8]])
    row = Row(name, family, side, top1_pct)
    for target_name in targets:
        target = Target.load(target_name)
        file = row.files[target_name] = folder / f"{name}.{target_name}{target.suffix}"
        if not file.exists():
            content = convert(
                subnet.eval(), target=target, resolution=side, metadata={}, calibration_images=images
            )
            atomic_write(file, content)
    return row


def timm_rows(folder: Path) -> list[Row]:
    """timm's, as a user without this project exports them."""
    rows = []
    for name, (side, top1_pct, _) in TIMM.items():
        stage(f"export {name}")
        path = folder / f"{name}.onnx"
        if not path.exists():
            export_plainly(settled(timm.create_model(name), side), path, side)
        rows.append(Row(name, "timm", side, top1_pct, {ORT: path, OPENVINO: path}))
    return rows


def export_plainly(network: nn.Module, path: Path, side: int) -> Path:
    """What a user without this project does, with branches that only training needs merged."""
    program = torch.onnx.export(
        reparameterize_model(network.eval()),
        (torch.randn(2, 3, side, side),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=[INPUT],
        output_names=[OUTPUT],
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
    return path


def settled(network: nn.Module, side: int) -> nn.Module:
    """With statistics of its own activations, so that these stay of ordinary size through all layers."""
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = None
    with torch.no_grad():
        network.train()(noise(side))
    return network.eval()


def noise(side: int, count: int = 8) -> Tensor:
    """Images of noise, (count, 3, side, side), always the same."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def measure(rows: list[Row], target_name: str, rounds: int) -> dict[str, float]:
    """Median milliseconds of the files for one target, by the network's name."""
    target = Target.load(target_name)
    calls: dict[str, Callable[[], object]] = {}
    for row in rows:
        if target_name in row.files:
            runner = open_runner(row.files[target_name], target)
            assert not isinstance(runner, str), runner
            assert runner.not_run_here is None, runner.not_run_here
            generator = np.random.default_rng(0)
            image = generator.standard_normal((1, 3, row.side, row.side)).astype(np.float32)
            calls[row.name] = partial(runner.run, image)
    stage(f"time {len(calls)} files in {TARGETS[target_name]}, {rounds} rounds")
    return median_ms(calls, rounds)


def median_ms(calls: Mapping[K, Callable[[], object]], rounds: int) -> dict[K, float]:
    """Median milliseconds of each call, in so many turns, the first call of which is not counted."""
    times: dict[K, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name] += interleave([call], CALLS, clock="cpu")[0, 1:].tolist()
    return {name: float(np.median(values)) for name, values in times.items()}


def front_of(rows: list[Row], ms: Mapping[str, float]) -> list[str]:
    """Names on the front of published top-1 over latency, from the fastest on."""
    found: list[str] = []
    best = 0.0
    known = [row for row in rows if row.top1_pct is not None and row.name in ms]
    for row in sorted(known, key=lambda row: (ms[row.name], -(row.top1_pct or 0))):
        if (row.top1_pct or 0) > best:
            found.append(row.name)
            best = row.top1_pct or 0
    return found


def table(rows: list[Row], found: Mapping[str, Mapping[str, float]]) -> str:
    """All networks that somebody trained, by latency in onnxruntime, with the fronts that they are on."""
    fronts = {target: front_of(rows, found[target]) for target in FLOATS}
    body = []
    for row in sorted((r for r in rows if r.top1_pct is not None), key=lambda r: found[ORT][r.name]):
        cells = []
        for target in TARGETS:
            ms = found[target].get(row.name)
            text = "" if ms is None else f"{ms:.2f}"
            cells.append(text)
        cells.append(", ".join(FLOATS[target] for target, names in fronts.items() if row.name in names))
        body.append([row.name, str(row.side), f"{row.top1_pct:.1f}", *cells])
    titles = [f"{title}, ms" for title in TARGETS.values()]
    head = ["network", "side", "published top-1 %", *titles, "on the front in float32 in"]
    return markdown_table(head, body)


def lite_table(rows: list[Row], found: Mapping[str, Mapping[str, float]]) -> str:
    """Lite networks: what is gained, and the published top-1 that they would have to reach."""
    body = []
    for row in (row for row in rows if row.family == "lite"):
        heavy = min(found[target][row.name.removesuffix("_lite")] for target in FLOATS)
        fastest = min(INT8, key=lambda target: found[target][row.name])
        own = min(found[target][row.name] for target in FLOATS)
        ms = found[fastest][row.name]
        within = [
            (other.top1_pct or 0, other.name)
            for other in rows
            for target in FLOATS
            if other.top1_pct is not None and found[target].get(other.name, np.inf) <= ms
        ]
        best = f"{max(within)[0]:.1f} ({max(within)[1]})" if within else "none is as fast"
        each = [f"{found[target][row.name]:.2f}" for target in TARGETS]
        body.append([row.name, *each, f"{own / ms:.2f}", f"{heavy / ms:.2f}", best])
    titles = [f"{title}, ms" for title in TARGETS.values()]
    head = ["network", *titles, "int8 × its float", "int8 × the float with SiLU", "best in no more time"]
    return markdown_table(head, body)


def draw(path: Path, rows: list[Row], found: Mapping[str, Mapping[str, float]]) -> None:
    """Published top-1 over latency, a panel for each runtime."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, panels = plt.subplots(1, len(FLOATS), figsize=(16, 6), sharey=True, layout="constrained")
    styles = {"a0 to a6": ("#0072B2", "D"), "once-for-all": ("#009E73", "^"), "timm": ("#D55E00", "s")}
    for axes, (target, title) in zip(panels, FLOATS.items(), strict=True):
        ms = found[target]
        front = front_of(rows, ms)
        places = {row.name: (ms[row.name], row.top1_pct) for row in rows if row.name in ms and row.top1_pct}
        for family, (colour, marker) in styles.items():
            own = [places[row.name] for row in rows if row.family == family and row.name in places]
            if own:
                axes.plot(*zip(*own, strict=True), marker, color=colour, label=family)
        axes.plot(
            *zip(*(places[name] for name in front), strict=True), color="#999999", linewidth=1, zorder=0
        )
        for name in (name for name in front if not name.startswith("ofa_")):
            axes.annotate(name, places[name], xytext=(4, -10), textcoords="offset points", fontsize=7)
        axes.set(xscale="log", xlabel=f"{title}, one image on one thread, ms", title=title)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5), numticks=12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both")
    panels[0].set(ylabel="published ImageNet top-1, %")
    panels[0].legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = options(__doc__, out=RESULTS)
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="folder of the exported files"
    )
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    rows = [*family_rows(args.work), *timm_rows(args.work)]
    found = {target: measure(rows, target, args.rounds) for target in TARGETS}
    tags = [(name, tag) for name, (_, _, tag) in TIMM.items()]
    write(
        args.out / "export_latency.md",
        [
            "# Latency of exported files",
            "",
            f"`python benchmarks/export_latency.py --work runs/export_latency --rounds {args.rounds}` on "
            f"{made_on()}. One image, one thread. Accuracies are published ones (AttentiveNAS' paper or, "
            "where higher, AlphaNet's; once-for-all's; timm's results table and model cards), not measured "
            "here. LiteRT has files of this project's family alone. What accuracy int8 files keep is not "
            "said: all weights here are random.",
            "",
            table(rows, found),
            "",
            "![Published top-1 over latency](export_latency.png)",
            "",
            "## Lite: ReLU, no squeeze-and-excite",
            "",
            "The same architectures, which nobody trained yet. *int8* is the faster of the two int8 files, "
            "*its float* the fastest of the same network's float files, *the float with SiLU* the fastest of "
            "the network that it is the lite form of. The last column is the best published top-1 among the "
            "float files of the first table that take no more time, which the int8 file would have to reach.",
            "",
            lite_table(rows, found),
            "",
            markdown_table(("timm's", "weights of the published figure"), tags),
        ],
    )
    draw(args.out / "export_latency.png", rows, found)


if __name__ == "__main__":
    main()
