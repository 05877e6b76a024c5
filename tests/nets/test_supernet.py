"""The supernet and what is extracted from it compute the same, and nothing in a subnet is dead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import space_configs

from anas_zoo.core.errors import SpaceError
from anas_zoo.nets import Subnet, Supernet
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig

DIGITS = SearchSpace.load("digits")
REAL = SearchSpace.load("attentive_nas")
SUPERNET = Supernet(DIGITS, 10, generator=torch.Generator().manual_seed(0))
seeds = st.integers(0, 2**32 - 1)


def _draw(seed: int) -> Architecture:
    return DIGITS.sample(np.random.default_rng(seed))


def _images(seed: int, count: int = 4, side: int = 16) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@given(seed=seeds)
@settings(max_examples=15, deadline=None, database=None)
@torch.no_grad()
def test_a_subnet_computes_what_the_supernet_does(seed: int) -> None:
    arch = _draw(seed)
    images = _images(seed % 1000, side=arch.resolution)
    before = [b.clone() for b in SUPERNET.buffers()]
    expected = SUPERNET(images, arch)
    subnet = SUPERNET.extract(arch)
    assert not subnet.training
    torch.testing.assert_close(subnet.train()(images), expected, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(before, SUPERNET.buffers(), strict=True))
    SUPERNET.eval()
    torch.testing.assert_close(SUPERNET(images, arch), expected)
    SUPERNET.train()


@given(config=space_configs(), seed=seeds)
@settings(max_examples=25, deadline=None, database=None)
@torch.no_grad()
def test_so_it_does_in_any_space(config: SpaceConfig, seed: int) -> None:
    space = SearchSpace(config)
    supernet = Supernet(space, 10, generator=torch.Generator().manual_seed(seed % 1000)).double()
    for name, matrix in supernet.named_parameters():
        if ".transform." in name:
            matrix.add_(0.1 * torch.randn(matrix.shape, generator=torch.Generator().manual_seed(1)))
    for arch in (space.largest, space.smallest, space.sample(np.random.default_rng(seed))):
        images = _images(seed % 1000, side=arch.resolution).double()
        subnet = supernet.extract(arch).train()
        torch.testing.assert_close(subnet(images), supernet(images, arch), rtol=1e-6, atol=1e-9)
        assert sum(p.numel() for p in subnet.parameters()) == space.params([arch], num_classes=10)[0]


@torch.no_grad()
def test_so_it_does_in_the_real_space() -> None:
    supernet = Supernet(REAL, 20, generator=torch.Generator().manual_seed(1))
    arch = REAL.sample(np.random.default_rng(3))
    images = _images(0, count=2, side=64)
    expected = supernet(images, arch)
    torch.testing.assert_close(supernet.extract(arch).train()(images), expected, rtol=1e-3, atol=1e-6)


@given(seed=seeds)
@settings(max_examples=10, deadline=None, database=None)
def test_a_subnet_has_the_counted_parameters_and_uses_each(seed: int) -> None:
    arch = _draw(seed)
    subnet = SUPERNET.extract(arch).train()
    assert sum(p.numel() for p in subnet.parameters()) == DIGITS.params([arch], num_classes=10)[0]
    subnet(_images(1, count=8, side=arch.resolution)).square().mean().backward()
    for name, parameter in subnet.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


def test_parameters_of_the_real_space() -> None:
    for arch in (REAL.smallest, REAL.largest):
        with torch.device("meta"):
            subnet = Subnet(arch)
        assert sum(p.numel() for p in subnet.parameters()) == REAL.params([arch])[0]


def test_all_shared_weights_are_used_by_the_largest() -> None:
    supernet = Supernet(DIGITS, 10, generator=torch.Generator().manual_seed(0))
    supernet(_images(2, count=8, side=20), DIGITS.largest).square().mean().backward()
    unused = {name for name, p in supernet.named_parameters() if p.grad is None}
    # Where the largest architecture keeps the width, only others use the shortcut's convolution.
    assert all(name.endswith(".0.shortcut.conv.weight") for name in unused)
    assert "stages.1.0.shortcut.conv.weight" not in unused


def test_an_extraction_is_a_copy() -> None:
    supernet = Supernet(DIGITS, 10, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    subnet = supernet.extract(DIGITS.largest)
    with torch.no_grad():
        for tensor in subnet.state_dict().values():
            tensor.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    kept = {name: value.clone() for name, value in subnet.state_dict().items()}
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            tensor.sub_(5)
    assert all(torch.equal(value, kept[name]) for name, value in subnet.state_dict().items())
    pointers = {t.untyped_storage().data_ptr() for t in supernet.state_dict().values()}
    assert not pointers & {t.untyped_storage().data_ptr() for t in subnet.state_dict().values()}


def test_small_subnets_store_only_what_they_are() -> None:
    subnet = SUPERNET.extract(DIGITS.smallest)
    for name, tensor in subnet.state_dict().items():
        assert tensor.is_contiguous(), name
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size(), name


@pytest.mark.parametrize(
    "shape", [(1, 3, 12, 12), (1, 3, 13, 17), (2, 3, 31, 20), (3, 3, 4, 5), (1, 3, 1, 1)]
)
@torch.no_grad()
def test_any_batch_and_any_size(shape: tuple[int, ...]) -> None:
    subnet = SUPERNET.extract(_draw(5))
    images = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    logits = subnet(images)
    assert logits.shape == (shape[0], 10)
    # Nothing is resized on the way: the map has the side that the strides say.
    features = subnet.forward_features(images)
    assert features.shape[2:] == (-(-shape[2] // 4), -(-shape[3] // 4))
    for index in range(shape[0]):
        alone = subnet(images[index : index + 1])
        assert alone.shape == (1, 10)
        torch.testing.assert_close(alone[0], logits[index], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_the_supernet_runs_at_odd_sizes() -> None:
    arch = _draw(6)
    images = torch.randn(2, 3, 13, 18, generator=torch.Generator().manual_seed(0))
    expected = SUPERNET(images, arch)
    torch.testing.assert_close(SUPERNET.extract(arch).train()(images), expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_dropping_is_asked_for_and_drawn_from_the_generator() -> None:
    images, arch = _images(0), DIGITS.largest
    plain = SUPERNET(images, arch)
    state = torch.get_rng_state()

    def dropped(seed: int, **rates: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        logits: torch.Tensor = SUPERNET(images, arch, generator=generator, **rates)
        return logits

    for rates in ({"drop_rate": 0.5}, {"drop_path_rate": 0.5}):
        assert torch.equal(dropped(1, **rates), dropped(1, **rates))
        assert not torch.equal(dropped(1, **rates), dropped(2, **rates))
        assert not torch.equal(dropped(1, **rates), plain)
    assert torch.equal(SUPERNET(images, arch), plain)
    assert torch.equal(state, torch.get_rng_state())


def test_equal_seeds_give_equal_supernets() -> None:
    again = Supernet(DIGITS, 10, generator=torch.Generator().manual_seed(0))
    for name, value in again.state_dict().items():
        assert torch.equal(value, SUPERNET.state_dict()[name]), name


def test_widths_that_eight_does_not_divide() -> None:
    data = DIGITS.to_dict()
    data["stem"]["width"], data["head"]["width"] = [3, 11], [1, 9]
    for index, stage in enumerate(data["stages"]):
        stage["width"] = [2 + index, 7 + 2 * index]
    space = SearchSpace.from_dict(data)
    supernet = Supernet(space, 3, generator=torch.Generator().manual_seed(0))
    for seed in range(3):
        arch = space.sample(np.random.default_rng(seed))
        subnet = supernet.extract(arch).train()
        assert sum(p.numel() for p in subnet.parameters()) == space.params([arch], num_classes=3)[0]
        with torch.no_grad():
            torch.testing.assert_close(subnet(_images(0)), supernet(_images(0), arch), rtol=1e-4, atol=1e-5)


def test_a_subnet_of_no_known_space() -> None:
    foreign = Architecture.from_dict(DIGITS.smallest.to_dict() | {"resolution": 500})
    with pytest.raises(SpaceError, match=r"resolution is 500, allowed: \d+"):
        SUPERNET.extract(foreign)
    arch = Architecture.from_dict(DIGITS.smallest.to_dict() | {"resolution": 9, "width": [3, 5, 7, 9, 11]})
    subnet = Subnet(arch.to_dict(), DIGITS.structure.model_dump(mode="json"), num_classes=4)
    assert subnet.arch == arch
    assert subnet.structure == DIGITS.structure
    assert subnet.eval()(_images(0)).shape == (4, 4)
    with pytest.raises(SpaceError, match="outside the space 'attentive_nas'"):
        Subnet(REAL.smallest.to_dict() | {"resolution": 9})
    with pytest.raises(SpaceError, match="kernel_size 4 is even"):
        Subnet(arch.to_dict() | {"kernel_size": [3, 4, 3]}, DIGITS.structure)
    with pytest.raises(SpaceError, match="depth has 1 values, the space needs 3"):
        Subnet(arch.to_dict() | {"depth": [1]}, DIGITS.structure)
    with pytest.raises(SpaceError, match=r"unknown key 'stemm' \(did you mean 'stem'\?\)"):
        Subnet(arch, {"stemm": {}})
