"""Which of timm's families become entries: one network of each, through the gates of an export.

    python benchmarks/timm_families.py --out runs/timm_families

Of every module of timm's, the classifier with the fewest parameters, with drawn weights and batch norms that
have seen images: made in its form for export, counted by fvcore, written for ort-cpu-fp32, checked, counted
again on the graph, and compared with torch in batches of 1, 2, 3, 7 and 8 of drawn images, with
onnxruntime's graph optimizations and without. Drawn weights give logits of any size, so these may differ by
1e-4 of the largest. What is finished is not made again, so the command can be stopped and repeated.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared import RESULTS, options

from anas_zoo.core.errors import AnasError
from anas_zoo.core.files import atomic_write, write_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.nets.sources.timm_classifier import check_classifier
from anas_zoo.nets.timm_net import timm_net
from anas_zoo.profiling import count_onnx_macs
from anas_zoo.profiling.flops import profile_traced
from anas_zoo.profiling.session import open_session

CLASSES, IMAGES = 10, 8
OURS = "timm_models"  # the module that registers ours with timm
BATCHES, TOLERANCE = (1, 2, 3, 7, 8), 1e-4
MOST_PARAMETERS = 60e6  # of a family whose smallest is larger, nothing is said


def smallest_of_each() -> Iterator[tuple[str, str | None]]:
    """(module, the network of it with the fewest parameters; None where all are too large)."""
    from timm.models import list_modules

    for module in sorted(set(list_modules()) - {OURS}):
        sizes = {name: size for name in names_of(module) if (size := parameters(name)) is not None}
        fewest = min(sizes, key=lambda name: (sizes[name], name), default=None)
        if fewest is not None:
            yield module, fewest if sizes[fewest] <= MOST_PARAMETERS else None


def names_of(module: str) -> list[str]:
    """timm's networks of a module, without those for its own tests."""
    import timm

    return [name for name in timm.list_models(module=module) if not name.startswith("test_")]


def parameters(name: str) -> int | None:
    """How many a network has; None for one that cannot be made on the device meta, or is no classifier."""
    try:
        network: Any = timm_net(name, CLASSES, on_meta=True)
    except Exception:  # as what a network fails with is its own
        return None
    return int(sum(parameter.numel() for parameter in network.parameters()))


def through_the_gates(name: str, folder: Path) -> dict[str, Any]:
    """What came of one network."""
    torch.manual_seed(0)
    network: Any = timm_net(name, CLASSES)
    found: dict[str, Any] = {"name": name, "resolution": network.pretrained_cfg["input_size"][1]}
    try:
        config = check_classifier(name, network)
        side = int(config["input_size"][1])
        cost = profile_traced(network, side)
        file = folder / f"{name}.onnx"
        images = torch.randn(IMAGES, 3, side, side)
        with torch.no_grad():
            network.train()(images)
        export_onnx(network.eval(), file, target=Target.load("ort-cpu-fp32"), resolution=side, metadata={})
        found |= {
            "params": cost.params,
            "macs": cost.macs,
            "onnx_macs": count_onnx_macs(file).macs,
            "difference": difference(network, file, images),
        }
        file.unlink()
    except AnasError as exc:
        found["refused"] = str(exc).replace(f"{folder}/", "")
    return found


@torch.no_grad()
def difference(network: Any, file: Path, images: torch.Tensor) -> float:
    """Largest difference of the file's logits from torch's over the largest of these; NaN where it is one."""
    wanted = network(images).numpy()
    found = []
    for optimize in (True, False):
        session = open_session(file, optimize=optimize)
        for count in BATCHES:
            got = session.run(["logits"], {"image": images[:count].numpy()})[0]
            found.append(float(np.abs(got - wanted[:count]).max()))
    return max(found) / (float(np.abs(wanted).max()) or 1.0)  # some heads begin as zeros


def report(rows: list[dict[str, Any]]) -> str:
    """The page."""
    import timm

    for row in rows:
        if not row.get("difference", 0.0) <= TOLERANCE:  # so that NaN fails too
            row["refused"] = f"logits differ by {row['difference']:.2g} of the largest"
    passed = [row for row in rows if "refused" not in row]
    table = [
        [
            row["module"],
            row["name"],
            row["resolution"],
            *(
                [f"{row['params'] / 1e6:.1f}", f"{row['macs'] / 1e6:.0f}", graph_of(row), ""]
                if "refused" not in row
                else ["", "", "", row["refused"][:160]]
            ),
        ]
        for row in rows
    ]
    heads = ["module", "network", "input", "M parameters", "M multiply-adds", "graph's", "refused"]
    return "\n".join(
        [
            "# timm's families as entries",
            "",
            f"{len(passed)} of {len(rows)} families of timm {timm.__version__}, one network of each, pass "
            "the gates of an export in float: [the script](../timm_families.py) says which. Drawn weights; "
            f"torch {torch.__version__}. The graph's multiply-adds are counted on the ONNX file, as a "
            "difference from fvcore's.",
            "",
            markdown_table(heads, table),
            "",
        ]
    )


def graph_of(row: dict[str, Any]) -> str:
    """The graph's multiply-adds beside fvcore's."""
    if row["onnx_macs"] == row["macs"]:
        return "equal"
    return f"{100 * (row['onnx_macs'] / row['macs'] - 1):+.1f} %"


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the page")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module, name in smallest_of_each():
            if name is None:
                continue
            file = args.out / f"{name}.json"
            if not file.exists():
                print(name, flush=True)
                write_json(file, through_the_gates(name, args.out))
            rows.append({"module": module} | json.loads(file.read_text()))
    atomic_write(args.results / "timm_families.md", report(rows))


if __name__ == "__main__":
    main()
