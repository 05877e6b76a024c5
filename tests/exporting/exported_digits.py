"""A small calibrated subnet and its exported file, made once for all tests of this folder; others folded."""

from __future__ import annotations

import copy
import functools
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from anas_zoo.exporting import Target, export_onnx
from anas_zoo.exporting.graph import fold_batch_norm
from anas_zoo.nets import Subnet, Supernet, calibrate_bn
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig

SPACE = SearchSpace.load("digits")
SIDE = SPACE.smallest.resolution
TARGET = Target.load("ort-cpu-fp32")


def images(count: int, side: int = SIDE, seed: int = 1) -> Tensor:
    """Random images (count, 3, side, side)."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def calibrated(arch: Architecture) -> Subnet:
    """A subnet of random weights, its statistics measured on random images."""
    subnet = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0)).extract(arch)
    calibrate_bn(subnet, [images(16, arch.resolution, seed) for seed in (2, 3)])
    return subnet


def folded(arch: Architecture) -> Subnet:
    """A calibrated subnet whose batch norms are part of its convolutions."""
    return fold_batch_norm(calibrated(arch), images(2))


def folded_of(config: SpaceConfig, seed: int) -> tuple[Subnet, Tensor]:
    """A folded subnet, drawn with ``seed``, and its calibration images (4, 3, side, side).

    The folding itself compares it with the subnet, in double precision.
    """
    space = SearchSpace(config)
    arch = space.sample(np.random.default_rng(seed))
    subnet = Subnet(arch, space.structure, num_classes=7)
    batch = images(4, arch.resolution, seed=0)
    calibrate_bn(subnet, [torch.cat([batch, batch.flip(0)])])
    return fold_batch_norm(subnet, batch[:1]), batch


@functools.cache
def _smallest() -> Subnet:
    return calibrated(SPACE.smallest)


def smallest() -> Subnet:
    """The calibrated smallest subnet, a fresh copy for each test."""
    return copy.deepcopy(_smallest())


@functools.cache
def file_bytes() -> bytes:
    """The exported file of :func:`smallest`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(smallest(), path, target=TARGET, resolution=SIDE, metadata={"name": "digits_s"})
        return path.read_bytes()


def proto() -> onnx.ModelProto:
    """The exported file as a graph of its own to tamper with."""
    return onnx.load_model_from_string(file_bytes())


def write_file(path: Path, content: bytes | onnx.ModelProto | None = None) -> Path:
    """Put a (tampered) exported file at ``path``."""
    content = file_bytes() if content is None else content
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path
