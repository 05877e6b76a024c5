"""What int8 costs each part of a network: top-1 with that part alone in int8, and with all but that part.

    python benchmarks/int8_sensitivity.py RUN:NAME [RUN:NAME ...] [--arch largest] [--out benchmarks/results]

NAME is a draft of the run RUN (``runs/demo:digits_m``), or ``smallest`` or ``largest``, which are taken from
its supernet and calibrated as a search does. Ranges come from training images, accuracies from the search
split: the choice of what stays in float must not see the test split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from shared import RESULTS, machine_in_words, options, session_of, write
from torch import Tensor

from anas_zoo.core.progress import stage
from anas_zoo.core.tables import Markdown, markdown_table
from anas_zoo.data import ImagesAt
from anas_zoo.exporting import Target
from anas_zoo.exporting.graph import fold_batch_norm, write_graph
from anas_zoo.exporting.quantization import quantize
from anas_zoo.exporting.sensitivity import rank_parts
from anas_zoo.exporting.target import KINDS, Quantization
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.pipeline import Run
from anas_zoo.zoo import load_subnet

TARGET = "ort-cpu-int8"
# What stayed in float, in this order, before the order was measured: large maps and few channels.
FIRST_STAGES = (("stem", "stages.0", "stages.1"), ("stem", "stages.0", "stages.1", "stages.2"))


def network_of(run: Run, name: str) -> Subnet:
    if name not in ("smallest", "largest"):
        return load_subnet(run.drafts_folder / name)
    arch = getattr(run.space, name)
    subnet = run.supernet.extract(arch)
    images = run.calibration_images(arch.resolution)
    calibrate_bn(subnet, images.split(run.recipe.search.calibration_batch_size))
    return subnet.eval()


class Study:
    """One network, its float graph, and the images to judge by."""

    def __init__(self, run: Run, name: str, target: Target) -> None:
        subnet = network_of(run, name)
        side = subnet.arch.resolution
        assert target.quantization is not None
        self.how = target.quantization
        source, split = run.source, run.split
        self.calibration: Tensor = ImagesAt(source, split.train).some(self.how.images)(side)
        scored = ImagesAt(source, split.search)
        self.images, self.labels = scored(side).numpy(), scored.labels.numpy()
        noise = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
        folded = fold_batch_norm(subnet, noise)
        self.model = write_graph(folded, side, opset=target.opset)
        self.float_logits = self.logits(self.model.SerializeToString())

    def logits(self, content: bytes) -> np.ndarray:
        session = session_of(content)
        parts = np.array_split(self.images, max(1, len(self.images) // 256))
        return np.concatenate([session.run(None, {"image": part})[0] for part in parts])

    def top1_pct(self, logits: np.ndarray) -> float:
        return 100.0 * float((logits.argmax(1) == self.labels).mean())

    def row(self, what: str, keep_float: tuple[str, ...], **changes: object) -> tuple[str, ...]:
        how = Quantization.model_validate(self.how.model_dump() | {"keep_float": keep_float} | changes)
        got = self.logits(quantize(self.model, self.calibration, how).SerializeToString())
        drop = self.top1_pct(self.float_logits) - self.top1_pct(got)
        agree = 100.0 * float((got.argmax(1) == self.float_logits.argmax(1)).mean())
        noise = float(np.sqrt(((got - self.float_logits) ** 2).mean() / self.float_logits.var()))
        return Markdown(what), f"{drop:+.2f}", f"{agree:.2f}", f"{100 * noise:.1f}"


def study(run: Run, name: str, target: Target) -> list[str]:
    one = Study(run, name, target)
    top1_pct = one.top1_pct(one.float_logits)
    lines = ["", f"## {run.recipe.data}, {name}", ""]
    lines += [f"{top1_pct:.2f} % top-1 in float on {len(one.labels)} images of the search split.", ""]
    rows = [one.row(f"{part} alone", tuple(p for p in KINDS if p != part)) for part in KINDS]
    rows.append(one.row("all", ()))
    rows += [one.row(f"all but {part}", (part,)) for part in KINDS]
    for number in range(len(run.space.structure.stages)):
        rows.append(one.row(f"all but se and stages.{number}", ("se", f"stages.{number}")))
    rows.append(one.row(f"**the target**: all but {', '.join(one.how.keep_float)}", one.how.keep_float))
    order = rank_parts(one.model, one.calibration, one.how)
    for count in sorted({min(count, len(order)) for count in one.how.keep_sensitive}):
        what = f"**the target**: all but se, and the {count} that cost most: {', '.join(order[:count])}"
        rows.append(one.row(what, one.how.keep_float, keep_parts=order[:count]))
    for parts in FIRST_STAGES:
        rows.append(one.row(f"all but se, {', '.join(parts)}", (*one.how.keep_float, *parts)))
    for method in ("entropy", "percentile"):
        rows.append(one.row(f"the target, ranges by {method}", one.how.keep_float, method=method))
    rows.append(one.row("the target, weights of 8 bits", one.how.keep_float, reduce_range=False))
    rows.append(one.row("the target, one scale per tensor", one.how.keep_float, per_channel=False))
    heads = ("in int8", "top-1 drop, points", "agreement, %", "noise of the logits, %")
    return [*lines, markdown_table(heads, rows)]


def main() -> None:
    parser = options(__doc__, out=RESULTS)
    parser.add_argument("networks", nargs="+", metavar="RUN:NAME")
    args = parser.parse_args()
    target = Target.load(TARGET)
    lines = ["# What int8 costs each part of a network", ""]
    lines += [f"`python benchmarks/int8_sensitivity.py {' '.join(args.networks)}`, onnxruntime"]
    lines += [
        f"{onnxruntime.__version__} on {machine_in_words()}. Noise is the root mean square difference over "
        "the logits' deviation."
    ]
    for network in args.networks:
        folder, _, name = network.rpartition(":")
        stage(f"quantize {network}")
        lines += study(Run.open(Path(folder)), name, target)
    write(args.out / "int8_sensitivity.md", lines)


if __name__ == "__main__":
    main()
