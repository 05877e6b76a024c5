"""What onnxruntime makes of an exported graph, and where its time goes.

    python benchmarks/graph_forms.py [--networks a0 a2 a6] [--out benchmarks/results]

The operators of onnxruntime's own optimized graph with the share of each kind of node in one-thread time,
from its profile.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import onnxruntime
import timm
from export_latency import ORT, noise
from shared import RESULTS, options, write

from anas_zoo.core.progress import stage
from anas_zoo.core.tables import markdown_table
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.profiling.session import runtime_version

PROFILED_CALLS = 30
TYPICAL_PCT = 25  # percentile of a node's times that stands for it; a busy machine only adds to the others


def kind_of(operator: str, node: str) -> str:
    """A node's kind: its operator, and for convolutions and activations the layer's part."""
    layer = re.sub(r"^stages\.\d+\.\d+\.", "", node)
    layer = re.sub(r"(_nchwc|/.*|_token_?\d*)$", "", layer)
    if operator in ("Conv", "QuickGelu", "Sigmoid", "Mul", "Gemm", "FusedGemm"):
        return f"{operator} {re.sub(r'[._](conv|act|sigmoid|scale)$', '', layer)}"
    return operator


def shares(file: Path, side: int, scratch: Path) -> tuple[Counter[str], dict[str, float]]:
    """(operators of the optimized graph, milliseconds by kind of node), one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.enable_profiling, options.profile_file_prefix = True, str(scratch / "profile")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 3, side, side), dtype=np.float32)
    for _ in range(PROFILED_CALLS):
        session.run(None, {"image": image})
    events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"].removesuffix("_kernel_time")
            times[event["args"]["op_name"], name].append(event["dur"] / 1e3)
    by_kind: dict[str, float] = defaultdict(float)
    for (operator, name), values in times.items():
        by_kind[kind_of(operator, name)] += float(np.percentile(values, TYPICAL_PCT))
    return Counter(operator for operator, _ in times), dict(by_kind)


def network_of(name: str) -> Subnet:
    """AttentiveNAS' network of that name, with statistics of its own activations."""
    network = timm.create_model(f"attentive_nas_{name}")
    assert isinstance(network, Subnet)
    calibrate_bn(network, [noise(network.arch.resolution)])
    return network.eval()


def main() -> None:
    parser = options(__doc__, out=RESULTS)
    parser.add_argument("--networks", nargs="+", default=["a0", "a2", "a6"])
    args = parser.parse_args()
    target = Target.load(ORT)
    lines = ["# Forms of the exported graph", "", "`python benchmarks/graph_forms.py`"]
    lines += [f"on {describe_machine()}; {runtime_version()}, one thread, one image a call."]
    with tempfile.TemporaryDirectory() as folder:
        scratch, files = Path(folder), {}
        for name in args.networks:
            stage(f"export {name}")
            network = network_of(name)
            side = network.arch.resolution
            files[name] = scratch / f"{name}.onnx", side
            export_onnx(network, files[name][0], target=target, resolution=side, metadata={})
        for name, (file, side) in files.items():
            operators, by_kind = shares(file, side, scratch)
            total = sum(by_kind.values())
            lines += ["", f"## {name}: where the time goes", ""]
            lines += ["onnxruntime runs: " + ", ".join(f"{n} {op}" for op, n in operators.most_common()), ""]
            shown = [(kind, ms) for kind, ms in by_kind.items() if ms > 0.005 * total]
            shown.sort(key=lambda item: -item[1])
            rows = [(kind, f"{ms:.2f}", f"{100 * ms / total:.1f}") for kind, ms in shown]
            lines += [markdown_table(("nodes", "ms", "%"), rows)]
    write(args.out / "graph_forms.md", lines)


if __name__ == "__main__":
    main()
