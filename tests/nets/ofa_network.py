"""The golden facts of once-for-all, and files in the authors' format with golden or with tiny tensors."""

from __future__ import annotations

import functools
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden_network import draw
from torch import Tensor

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "ofa_mbv3.json").read_text(encoding="utf-8")
)
SUPERNETS: dict[str, dict[str, Any]] = FACTS["supernets"]
SPACES = {"ofa_mbv3_w1.0": "ofa_mbv3_w1_0", "ofa_mbv3_w1.2": "ofa_mbv3_w1_2"}
SPECIALISED: list[dict[str, Any]] = FACTS["specialised"]
WITH_WEIGHTS = [net for net in SPECIALISED if "keys" in net]
STAGES, BLOCKS = 5, 4


def golden_tensor(name: str, shape: list[int]) -> Tensor:
    """The golden tensor of that name; the matrices of kernel transforms are near the identity."""
    if not name.endswith("_matrix"):
        return draw(name, shape)
    n = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy((np.eye(shape[0]) + 0.1 * n).astype(np.float32))


@functools.cache
def golden_supernet_state(width: str) -> dict[str, Tensor]:
    """The supernet's state dict with the golden weights; do not change it."""
    shapes = SUPERNETS[width]["state_dict"]
    return {name: golden_tensor(name, shape) for name, shape in shapes.items()}


def hollow_supernet_state(width: str) -> dict[str, Any]:
    """All tensors in their shapes, each one stored number seen many times: a file of kilobytes."""
    return {name: hollow_tensor(name, shape) for name, shape in SUPERNETS[width]["state_dict"].items()}


def hollow_tensor(name: str, shape: list[int]) -> Tensor:
    """A tensor of that shape which stores one number."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    return torch.full((), 0.5).expand(shape)


def arch_of_case(width: str, case: dict[str, Any]) -> dict[str, Any]:
    """A case's architecture as ours: the fixed first block is a stage, and absent blocks have no values."""
    given, chs = case["arch"], SUPERNETS[width]["state_dict"]
    depth = given["depth"]

    def present(key: str) -> list[list[int]]:
        return [given[key][BLOCKS * s : BLOCKS * s + depth[s]] for s in range(STAGES)]

    last_blocks = [1 + BLOCKS * s for s in range(STAGES)]
    widths = [chs[f"blocks.{block}.conv.point_linear.conv.conv.weight"][0] for block in last_blocks]
    stem = chs["first_conv.conv.weight"][0]
    return {
        "resolution": given["resolution"],
        "width": [stem, stem, *widths, chs["feature_mix_layer.conv.weight"][0]],
        "depth": [1, *depth],
        "kernel_size": [3, *present("kernel_size")],
        "expand_ratio": [1, *present("expand_ratio")],
    }


def arch_of_specialised(net: dict[str, Any]) -> dict[str, Any]:
    """A specialised net's architecture as ours."""
    return {
        "resolution": net["resolution"],
        "width": [net["stem"], *net["width"], net["head"][1]],
        "depth": [1, *net["depth"]],
        "kernel_size": [3, *net["kernel_size"]],
        "expand_ratio": [1, *net["expand_ratio"]],
    }


def write_specialised(folder: Path, net: dict[str, Any], *, hollow: bool = False) -> Path:
    """The folder of a specialised net as the authors hand it out, with golden or with tiny tensors."""
    make = hollow_tensor if hollow else golden_tensor
    folder.mkdir(parents=True)
    torch.save(
        {"state_dict": {name: make(name, shape) for name, shape in net["keys"].items()}}, folder / "init"
    )
    sizes = [3, *(size for stage in net["kernel_size"] for size in stage)]
    blocks = [{"mobile_inverted_conv": {"kernel_size": size}, "shortcut": None} for size in sizes]
    (folder / "net.config").write_text(json.dumps({"name": "MobileNetV3", "blocks": blocks}))
    (folder / "run.config").write_text(json.dumps({"image_size": net["resolution"]}))
    return folder
