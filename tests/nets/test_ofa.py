"""Once-for-all's files: both widths, every spelling, kernel transforms, specialised nets, what is wrong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_network import golden_images, hollow_state
from ofa_network import (
    SPACES,
    SPECIALISED,
    SUPERNETS,
    WITH_WEIGHTS,
    arch_of_case,
    arch_of_specialised,
    golden_supernet_state,
    hollow_supernet_state,
    write_specialised,
)
from torch import Tensor

from anas_zoo.core.errors import CheckpointError
from anas_zoo.nets import Subnet, Supernet, load_authors_checkpoint
from anas_zoo.nets.sources import read_ofa_checkpoint, read_ofa_specialised
from anas_zoo.nets.sources.ofa import PUBLISHED_SUPERNETS, git_blob_id
from anas_zoo.space import Architecture, SearchSpace, count_by_walking

DROPOUT = 0.1
W10 = "ofa_mbv3_w1.0"
NETS = WITH_WEIGHTS[:2]
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


def with_noise_of_dropout(net: dict[str, Any], folder: Path) -> tuple[Subnet, Tensor, Tensor]:
    """A specialised net, its logits of the golden images, and the variance that dropout would give them."""
    subnet, _, _ = read_ofa_specialised(write_specialised(folder, net))
    images = golden_images(net["input_seed"], 2, net["resolution"])
    logits = by_batch_statistics(subnet, images)
    features = subnet.forward_head(subnet.forward_features(images), pre_logits=True)
    weight = subnet.get_parameter("classifier.weight")
    return subnet, logits, DROPOUT / (1 - DROPOUT) * features**2 @ (weight**2).T


@torch.no_grad()
@pytest.mark.parametrize("net", WITH_WEIGHTS, ids=[net["id"] for net in WITH_WEIGHTS])
def test_golden_logits_of_the_specialised_nets(net: dict[str, Any], tmp_path: Path) -> None:
    """Their golden logits were taken with the nets' own dropout of a tenth of the features switched on.

    Which features were dropped is not known. So the differences are compared with what dropout makes: their
    squares are of its variance on average, and the spread of all logits is the one that it gives.
    """
    subnet, logits, variance = with_noise_of_dropout(net, tmp_path / "net")
    assert subnet.arch == Architecture.from_dict(arch_of_specialised(net))
    golden, (mean, std) = torch.tensor(net["train_logits"]), net["train_stats"]
    assert 0.3 < float(((logits[:, :8] - golden) ** 2 / variance[:, :8]).mean()) < 2
    assert float(((logits.flip(0)[:, :8] - golden) ** 2 / variance[:, :8]).mean()) > 3  # the other image's
    bias = subnet.get_parameter("classifier.bias")
    spread = torch.sqrt(bias.var() + (logits - bias).var() / (1 - DROPOUT))
    assert float(spread) == pytest.approx(std, rel=0.02)
    assert float(logits.mean()) == pytest.approx(mean, abs=4 * float(variance.mean().sqrt()) / 2000**0.5)


@torch.no_grad()
def test_the_dropout_of_the_golden_logits_is_a_tenth(tmp_path: Path) -> None:
    """Over all five nets the squares are 1 on average, within what 80 of them leave open."""
    ratios = []
    for net in WITH_WEIGHTS:
        _, logits, variance = with_noise_of_dropout(net, tmp_path / net["id"])
        ratios.append((logits[:, :8] - torch.tensor(net["train_logits"])) ** 2 / variance[:, :8])
    assert 0.7 < float(torch.stack(ratios).mean()) < 1.3


def spelled(name: str, mixed: int) -> str:
    """A current name in the older spelling; ``mixed`` leaves some parts as they are."""
    if mixed % 2 == 0:
        name = re.sub(r"^(blocks\.\d+)\.conv\.", r"\1.mobile_inverted_conv.", name)
    if mixed % 3 == 0:
        name = name.replace(".conv.conv.", ".conv.").replace(".bn.bn.", ".bn.")
    if name.startswith("classifier.") and mixed % 5 == 0:
        name = name.replace(".linear.", ".linear.linear.")
    return name


@pytest.mark.parametrize("spelling", ["older", "mixed"])
def test_every_spelling_gives_the_same_network(
    loaded: tuple[str, Supernet], spelling: str, tmp_path: Path
) -> None:
    width, supernet = loaded
    state = golden_supernet_state(width)
    names = [spelled(name, 0 if spelling == "older" else index) for index, name in enumerate(state)]
    assert len(set(names)) == len(state)
    assert not set(names) <= set(state)
    torch.save({f"module.{a}": b for a, b in zip(names, state.values(), strict=True)}, tmp_path / "old")
    again, coverage = read_ofa_checkpoint(tmp_path / "old")
    assert all(map(torch.equal, again.state_dict().values(), supernet.state_dict().values()))
    counters = sum(name.endswith("num_batches_tracked") for name in names)
    assert {reason: len(found) for reason, found in coverage.unused.items()} == {
        "counters of batches": counters
    }
    assert sorted([*coverage.used, *coverage.unused["counters of batches"]]) == sorted(names)
    assert f"475 tensors in the file: {475 - counters} used" in coverage.describe()


def _error(path: Path) -> str:
    """The message of the refusal: one line that begins with the file's name."""
    read = read_ofa_specialised if path.is_dir() else read_ofa_checkpoint
    with pytest.raises(CheckpointError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}")
    assert "\n" not in text
    return text


def _save(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


def test_a_checkpoint_of_another_family_is_answered_with_its_import(tmp_path: Path) -> None:
    theirs = _save(hollow_state(), tmp_path / "attentive.pth")
    assert f"looks like AttentiveNAS' or AlphaNet's checkpoint: anas import attentive-nas {theirs}" in _error(
        theirs
    )
    for spelling in (0, 1):
        names = {spelled(name, spelling): value for name, value in hollow_supernet_state(W10).items()}
        path = _save(names, tmp_path / f"ofa{spelling}.pth")
        with pytest.raises(CheckpointError, match=r"looks like once-for-all's checkpoint: anas import ofa"):
            load_authors_checkpoint(path)
    other = _error(_save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "linear.pth"))
    assert "another network than the once-for-all supernet; it has 'weight', 'bias'" in other
    assert "anas import" not in other


def test_channels_that_fit_no_width_multiplier(tmp_path: Path) -> None:
    state = hollow_supernet_state(W10)
    state["first_conv.conv.weight"] = torch.zeros(32, 3, 3, 3)
    one = _error(_save(state, tmp_path / "one.pth"))  # one layer: the file of w1.0 with a wrong tensor
    assert "1 of wrong shape: first_conv.conv.weight is (32, 3, 3, 3), needed (16, 3, 3, 3)" in one
    state["final_expand_layer.conv.weight"] = torch.zeros(1248, 208, 1, 1)
    assert _error(_save(state, tmp_path / "two.pth")).endswith(
        "the channels fit no width multiplier of once-for-all's MobileNetV3 space (stem 32, last convolution "
        "1248, feature mix 1280; known are 1.0: 16, 960, 1280; 1.2: 24, 1152, 1536)"
    )


def test_what_is_missing_or_too_many_is_listed(tmp_path: Path) -> None:
    state = hollow_supernet_state(W10)
    del state["blocks.3.conv.depth_conv.conv.5to3_matrix"]
    state["blocks.0.conv.extra.weight"] = torch.zeros(1)
    text = _error(_save(state, tmp_path / "odd.pth"))
    assert "not the once-for-all supernet; 1 missing: blocks.3.conv.depth_conv.conv.5to3_matrix" in text
    assert "1 unexpected: blocks.0.conv.extra.weight" in text
    state = hollow_supernet_state(W10)
    state["blocks.3.mobile_inverted_conv.depth_conv.bn.weight"] = torch.zeros(144)
    assert "one tensor under two names, blocks.3.conv.depth_conv.bn.bn.weight and blocks.3.mobile" in _error(
        _save(state, tmp_path / "twice.pth")
    )


def test_a_supernet_and_a_single_network_are_not_mistaken(tmp_path: Path) -> None:
    folder = write_specialised(tmp_path / "net", WITH_WEIGHTS[0], hollow=True)
    assert "holds a single network of once-for-all, no supernet; give its folder" in _error(folder / "init")
    _save(hollow_supernet_state(W10), folder / "init")
    assert "holds a supernet of once-for-all, no specialised net; give the file: " in _error(folder)


def test_a_folder_whose_files_do_not_belong_together(tmp_path: Path) -> None:
    first, second = (write_specialised(tmp_path / str(n), net, hollow=True) for n, net in enumerate(NETS))
    shutil.copyfile(second / "net.config", first / "net.config")
    assert "describes another network than init beside it holds" in _error(first)
    (first / "net.config").write_text("[]")
    assert "describes no network" in _error(first)
    (first / "net.config").unlink()
    assert "net.config: no such file" in _error(first)
    for text, said in (
        ("{}", "image_size is no side of images in pixels, but 'None'"),
        ('{"image_size": 1e9}', "but '1000000000.0'"),
        ("[160]", "image_size is no side"),
        ("", "not valid JSON"),
    ):
        (second / "run.config").write_text(text)
        assert said in _error(second)


def test_blocks_that_the_space_has_not(tmp_path: Path) -> None:
    net = WITH_WEIGHTS[0]
    folder = write_specialised(tmp_path / "net", net, hollow=True)
    state = torch.load(folder / "init", weights_only=True)["state_dict"]
    depthwise = "blocks.3.conv.depth_conv.conv.weight"
    chs = state[depthwise].shape[0]
    for shape, said in (
        ((chs, 1, 9, 9), "it has no block 3 (kernel size 9)"),
        ((chs + 8, 1, 3, 3), f"it has no block 3 (24 → {chs + 8} → 40 channels)"),
    ):
        _save(state | {depthwise: torch.zeros(shape)}, folder / "init")
        assert said in _error(folder)
    _save(state | {"blocks.999999999999.conv.depth_conv.conv.weight": torch.zeros(1)}, folder / "init")
    assert "blocks are not numbered from 0 on" in _error(folder)
    last = max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    shorter = {name: value for name, value in state.items() if not name.startswith(f"blocks.{last}.")}
    shorter = {n: v for n, v in shorter.items() if not n.startswith(f"blocks.{last - 1}.")}
    _save(shorter, folder / "init")
    assert "too few or too many blocks in mb5" in _error(folder)


def test_damaged_and_hostile_files(tmp_path: Path) -> None:
    path = _save({"state_dict": hollow_supernet_state(W10)}, tmp_path / "cut.pth")
    path.write_bytes(path.read_bytes()[:-1000])
    assert "truncated or another kind of file; give the once-for-all authors' checkpoint" in _error(path)
    evil = _save({"state_dict": {}, "net": torch.nn.Linear(1, 1)}, tmp_path / "evil.pth")
    assert "nothing of it was run" in _error(evil)
    assert "holds no state dict" in _error(_save([1], tmp_path / "list.pth"))
    assert "no such file" in _error(tmp_path / "absent.pth")


def test_a_file_is_known_by_its_git_blob_id(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello\n")
    assert git_blob_id(tmp_path / "a") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
    facts = {one["file"]["git_blob"]: one["file"]["name"] for one in SUPERNETS.values()}
    assert facts == PUBLISHED_SUPERNETS
