"""The three kinds of golden logits: supernet by batch statistics, subnet, subnet after calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from golden_network import FACTS, golden_images, golden_state
from torch import Tensor

from anas_zoo.nets import Supernet, calibrate_bn, load_authors_checkpoint
from anas_zoo.space import Architecture


@pytest.fixture(scope="module")
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Supernet:
    path: Path = tmp_path_factory.mktemp("golden") / "authors.pth"
    torch.save({"state_dict": golden_state()}, path)
    loaded = load_authors_checkpoint(path)
    path.unlink()
    return loaded


def _agrees(logits: Tensor, fact: dict[str, Any], kind: str, noise: float = 0.0) -> None:
    """Within 1e-4 of the standard deviation (and the rounding to 5 decimals), or within ``noise``."""
    assert logits.shape == (2, 1000)
    wanted = torch.tensor(fact[f"{kind}_logits"])
    mean, std = fact[f"{kind}_stats"]
    allowed = max(1e-4 * std + 5e-6, noise)
    torch.testing.assert_close(logits[:, :8], wanted, rtol=0.0, atol=allowed)
    assert abs(float(logits.mean()) - mean) < allowed
    assert abs(float(logits.std()) - std) < allowed


@torch.no_grad()
def _check(supernet: Supernet, fact: dict[str, Any]) -> None:
    arch = Architecture.from_dict(fact["arch"])
    seed, side = fact["input_seed"], arch.resolution
    images = golden_images(seed, 2, side)
    _agrees(supernet(images, arch), fact, "supernet_train")
    subnet = supernet.extract(arch)
    logits = subnet(images)
    # With the drawn running statistics activations grow from block to block until, in the deepest networks,
    # a change of the input in its last bits moves the logits by more than the tolerance.
    noise = float((subnet(images * (1 + 2**-22)) - logits).abs().max())
    _agrees(logits, fact, "subnet_eval", noise=10 * noise)
    calibrate_bn(subnet, (golden_images(seed + i, 8, side) for i in (1, 2)))
    _agrees(subnet(images), fact, "subnet_calibrated")


def test_golden_logits_of_a0(supernet: Supernet) -> None:
    assert FACTS[0]["name"] == "a0"
    _check(supernet, FACTS[0])


@pytest.mark.slow
@pytest.mark.parametrize("fact", FACTS[1:], ids=[fact["name"] for fact in FACTS[1:]])
def test_golden_logits(supernet: Supernet, fact: dict[str, Any]) -> None:
    _check(supernet, fact)
