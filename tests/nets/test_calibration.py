"""BN calibration: what it measures, that it repeats, and when it stops being one."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from anas_zoo.core.errors import CalibrationError
from anas_zoo.nets import Subnet, Supernet, calibrate_bn
from anas_zoo.nets.calibration import _even
from anas_zoo.space import SearchSpace

DIGITS = SearchSpace.load("digits")
SUPERNET = Supernet(DIGITS, 10, generator=torch.Generator().manual_seed(0))
ARCH = DIGITS.sample(np.random.default_rng(1))


def _batches(count: int = 3, size: int = 8) -> list[Tensor]:
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(size, 3, 16, 16, generator=generator) for _ in range(count)]


def _statistics(subnet: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in subnet.state_dict().items() if "running" in name}


def test_the_statistics_are_the_mean_over_the_batches() -> None:
    subnet, batches = SUPERNET.extract(ARCH), _batches()
    calibrate_bn(subnet, batches)
    conv, norm = subnet.get_submodule("stem.conv"), subnet.get_submodule("stem.bn")
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        maps = [conv(batch) for batch in batches]
    mean = torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0)
    var = torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0)
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(norm.running_var, var, rtol=1e-4, atol=1e-6)


def _activations(subnet: Subnet, images: Tensor) -> Tensor:
    with torch.no_grad():
        return subnet.get_submodule("stem.conv")(images)  # type: ignore[no-any-return]


@pytest.mark.parametrize("sizes", [[128, 1], [1, 128], [100, 29], [64, 64, 1], [128, 128, 3]])
def test_every_image_counts_the_same_however_they_are_cut(sizes: list[int]) -> None:
    """Not the last image as much as the 128 before it."""
    generator = torch.Generator().manual_seed(4)
    # Images differ in scale and offset, so that it matters which ones count.
    scale = torch.rand(sum(sizes), 1, 1, 1, generator=generator) * 3 + 0.2
    images = torch.randn(sum(sizes), 3, 16, 16, generator=generator) * scale + scale
    cut, whole = SUPERNET.extract(ARCH), SUPERNET.extract(ARCH)
    calibrate_bn(cut, images.split(sizes))
    calibrate_bn(whole, [images])
    norm = cut.get_submodule("stem.bn")
    assert isinstance(norm, nn.BatchNorm2d)
    mean = _activations(whole, images).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-3, atol=1e-4)
    for name, value in _statistics(cut).items():
        wanted = _statistics(whole)[name]
        assert float((value - wanted).norm() / wanted.norm()) < 0.03, name
    assert cut.calibration.sha256 == whole.calibration.sha256  # type: ignore[union-attr]


@given(images=st.integers(1, 200), cuts=st.lists(st.integers(1, 70), min_size=1, max_size=40))
def test_batches_are_evened_out(images: int, cuts: list[int]) -> None:
    """The same images in order, in batches that are never larger than the largest given, nor tiny."""
    numbers = torch.arange(images).view(-1, 1, 1, 1)
    ends = [end for end in itertools.accumulate(cuts) if end < images]
    parts = numbers.tensor_split(ends)
    largest = max(8, *map(len, parts))
    made = list(_even(iter(parts)))
    assert torch.equal(torch.cat(made), numbers)
    assert max(map(len, made)) <= largest
    assert len(made) == 1 or min(map(len, made)) >= 4


def test_equal_batches_stay_as_they_are_and_single_images_are_joined() -> None:
    """So that the published procedure, a cumulative average over batches of one size, gives the same."""
    for sizes in ([8, 8], [128, 128, 128], [64]):
        images = torch.arange(sum(sizes)).view(-1, 1, 1, 1)
        assert [len(batch) for batch in _even(images.split(sizes))] == sizes
    assert [len(batch) for batch in _even(torch.zeros(16, 1, 1, 1).split(1))] == [8, 8]


def test_the_record_says_what_was_used() -> None:
    subnet, batches = SUPERNET.extract(ARCH), _batches()
    assert subnet.calibration is None
    assert not subnet.is_calibrated()
    record = calibrate_bn(subnet, batches)
    assert subnet.calibration == record
    assert subnet.is_calibrated()
    assert record.model_dump() == {
        "batches": 3,
        "images": 24,
        "resolution": 16,
        "sha256": hashlib.sha256(torch.cat(batches).numpy().tobytes()).hexdigest(),
    }


def test_the_same_images_give_the_same_network() -> None:
    one, two = SUPERNET.extract(ARCH), SUPERNET.extract(ARCH)
    calibrate_bn(one, _batches())
    calibrate_bn(two, iter(_batches()))
    calibrate_bn(two, _batches())  # a second time starts from nothing
    assert all(torch.equal(value, one.state_dict()[name]) for name, value in two.state_dict().items())
    other = SUPERNET.extract(ARCH)
    assert calibrate_bn(other, _batches(size=7)).sha256 != one.calibration.sha256  # type: ignore[union-attr]


def test_dropout_does_not_disturb() -> None:
    plain = SUPERNET.extract(ARCH)
    dropping = Subnet(ARCH, DIGITS.structure, num_classes=10, drop_rate=0.9, drop_path_rate=0.9)
    dropping.load_state_dict(plain.state_dict())
    dropping.train()
    state = torch.get_rng_state()
    assert calibrate_bn(dropping, _batches()) == calibrate_bn(plain, _batches())
    assert torch.equal(state, torch.get_rng_state())
    ours = _statistics(dropping)
    assert all(torch.equal(value, ours[name]) for name, value in _statistics(plain).items())
    assert not any(module.training for module in dropping.modules())


def test_training_ends_a_calibration() -> None:
    subnet = SUPERNET.extract(ARCH)
    calibrate_bn(subnet, _batches())
    subnet(_batches()[0])
    assert subnet.is_calibrated()
    assert all(m.momentum == 0.1 for m in subnet.modules() if isinstance(m, nn.BatchNorm2d))
    subnet.train()(_batches()[0])
    assert not subnet.is_calibrated()


def test_what_is_no_calibration() -> None:
    subnet = SUPERNET.extract(ARCH)
    with pytest.raises(CalibrationError, match="at least one batch"):
        calibrate_bn(subnet, [])
    with pytest.raises(CalibrationError, match=r"are \(N, C, R, R\), got \(3, 16, 16\)"):
        calibrate_bn(subnet, [_batches()[0][0]])
    with pytest.raises(CalibrationError, match=r"got \(0, 3, 16, 16\)"):
        calibrate_bn(subnet, [_batches()[0][:0]])
    with pytest.raises(CalibrationError, match="non-finite"):
        calibrate_bn(subnet, [torch.full((2, 3, 16, 16), float("inf"))])
    with pytest.raises(CalibrationError, match=r"of one shape, got \(3, 16, 16\) and \(3, 12, 12\)"):
        calibrate_bn(subnet, [_batches()[0], torch.zeros(8, 3, 12, 12)])
    assert not subnet.is_calibrated()


def test_a_failure_leaves_no_older_record() -> None:
    subnet = SUPERNET.extract(ARCH)
    calibrate_bn(subnet, _batches(2))

    def failing() -> Iterator[Tensor]:
        yield from _batches(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate_bn(subnet, failing())
    assert not subnet.is_calibrated()
    assert all(m.momentum == 0.1 for m in subnet.modules() if isinstance(m, nn.BatchNorm2d))
