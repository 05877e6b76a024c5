"""Once-for-all's files: both widths, every spelling, kernel transforms, specialised nets, what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from golden_network import golden_images
from ofa_network import (
    SPACES,
    SPECIALISED,
    SUPERNETS,
    WITH_WEIGHTS,
    arch_of_case,
    arch_of_specialised,
    golden_supernet_state,
    write_specialised,
)
from torch import Tensor

from anas_zoo.nets import Subnet, Supernet
from anas_zoo.nets.sources import read_ofa_checkpoint, read_ofa_specialised
from anas_zoo.space import Architecture, SearchSpace, count_by_walking

CASES = [(width, name) for width, one in SUPERNETS.items() for name in one["cases"]]


@pytest.fixture(scope="module", params=list(SUPERNETS))
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Supernet]:
    path: Path = tmp_path_factory.mktemp("ofa") / "supernet"
    torch.save({"state_dict": golden_supernet_state(request.param)}, path)
    return request.param, read_ofa_checkpoint(path)[0]


def _agrees(logits: Tensor, fact: dict[str, Any]) -> None:
    """Within 1e-4 of the standard deviation, and the rounding to 5 decimals."""
    assert logits.shape == (2, 1000)
    mean, std = fact["train_stats"]
    allowed = 1e-4 * std + 5e-6
    torch.testing.assert_close(logits[:, :8], torch.tensor(fact["train_logits"]), rtol=0.0, atol=allowed)
    assert abs(float(logits.mean()) - mean) < allowed
    assert abs(float(logits.std()) - std) < allowed


def by_batch_statistics(subnet: Subnet, images: Tensor) -> Tensor:
    """Logits of a fixed network with the statistics of ``images``, as in training."""
    for module in subnet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
            module.momentum = 0.0
    return subnet(images)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("width", "name"), CASES)
def test_costs_are_the_golden_ones_to_the_last_integer(width: str, name: str) -> None:
    case = SUPERNETS[width]["cases"][name]
    space = SearchSpace.load(SPACES[width])
    arch = Architecture.from_dict(arch_of_case(width, case))
    space.validate(arch)
    assert count_by_walking(space.structure, arch, 1000) == (case["macs"], case["params"])
    assert int(space.macs([arch])[0]) == case["macs"]
    assert int(space.params([arch], num_classes=1000)[0]) == case["params"]


@pytest.mark.parametrize("net", SPECIALISED, ids=[net["id"] for net in SPECIALISED])
def test_costs_of_the_specialised_nets(net: dict[str, Any]) -> None:
    space = SearchSpace.load("ofa_mbv3_w1_0" if net["stem"] == 16 else "ofa_mbv3_w1_2")
    arch = Architecture.from_dict(arch_of_specialised(net))
    assert count_by_walking(space.structure, arch, 1000) == (net["macs"], net["params"])


@torch.no_grad()
@pytest.mark.parametrize("case", list(SUPERNETS["ofa_mbv3_w1.0"]["cases"]))
def test_golden_logits_of_the_supernets(loaded: tuple[str, Supernet], case: str) -> None:
    width, supernet = loaded
    fact = SUPERNETS[width]["cases"][case]
    arch = Architecture.from_dict(arch_of_case(width, fact))
    images = golden_images(fact["input_seed"], 2, arch.resolution)
    _agrees(supernet(images, arch), fact)
    _agrees(by_batch_statistics(supernet.extract(arch), images), fact)


@torch.no_grad()
@pytest.mark.parametrize("net", WITH_WEIGHTS, ids=[net["id"] for net in WITH_WEIGHTS])
def test_golden_logits_of_the_specialised_nets(net: dict[str, Any], tmp_path: Path) -> None:
    subnet, space, coverage = read_ofa_specialised(write_specialised(tmp_path / "net", net))
    assert subnet.arch == Architecture.from_dict(arch_of_specialised(net))
    assert space.name in SPACES.values()
    assert len(coverage.used) + sum(map(len, coverage.unused.values())) == len(net["keys"])
    images = golden_images(net["input_seed"], 2, net["resolution"])
    _agrees(by_batch_statistics(subnet, images), net)
