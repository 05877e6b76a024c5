"""A draft from a network, and the network of a draft or an entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from anas_zoo.core.errors import CheckpointError, EntryError
from anas_zoo.core.files import atomic_write, canonical_json, output_folder, sha256_bytes, write_json
from anas_zoo.entry import (
    CONFIG,
    GOLDEN,
    WEIGHTS,
    Ancestor,
    Entry,
    EntryConfig,
    EntryReport,
    Preprocessing,
    SpaceInfo,
    WeightsInfo,
    compose_config,
    write_report,
)
from anas_zoo.entry.tensors import tensor_shapes
from anas_zoo.nets import Subnet
from anas_zoo.nets.checkpoint import check_tensors, weights_bytes
from anas_zoo.nets.timm_net import timm_net
from anas_zoo.space import SearchSpace


def build_config(
    subnet: Subnet,
    *,
    name: str,
    space: SearchSpace | SpaceInfo,
    preprocessing: Preprocessing | None = None,
    label_names: Sequence[str] | None = None,
    licence: str | None,
    source: str,
    source_sha256: str | None = None,
    lineage: Sequence[Ancestor] = (),
) -> EntryConfig:
    """config.json of a subnet with its weights, made from the network itself so that they cannot differ.

    Args:
        subnet: the network; its architecture, classes, weights and calibration are recorded.
        name: the entry's name (letters, digits, '.', '_', '-').
        space: the space that the architecture comes from, or another entry's record of it.
        preprocessing: how images are made into inputs; default is native with ImageNet's mean and std.
        label_names: one label for each class.
        licence: SPDX name of the licence of the weights, such as "Apache-2.0"; None until chosen.
        source: where the weights come from, for people.
        source_sha256: hash of the checkpoint that they were taken from.
        lineage: the published weights that these were made from, the oldest first; their licences bind
            this one when the entry is published.

    Raises :class:`EntryError` that lists every part that does not fit the others.
    """
    return compose_config(
        name=name,
        arch=subnet.arch,
        structure=subnet.structure,
        space=SpaceInfo(name=space.name, id=space.id),
        num_classes=subnet.num_classes,
        preprocessing=preprocessing or Preprocessing(),
        label_names=label_names,
        licence=licence,
        weights=WeightsInfo(
            sha256=sha256_bytes(weights_bytes(subnet)),
            source=source,
            source_sha256=source_sha256,
            licence=licence,
            lineage=tuple(lineage),
        ),
        calibration=subnet.calibration if subnet.is_calibrated() else None,
    )


def write_draft(
    folder: Path, network: nn.Module, config: EntryConfig, report: EntryReport, golden_images: Tensor
) -> None:
    """Write config.json, model.safetensors, report.json and golden.safetensors as a new ``folder``.

    Args:
        folder: the new folder; it must not hold anything yet.
        network: that ``config`` was built from, left in evaluation mode.
        config: see :func:`build_config` and :func:`anas_zoo.entry.compose_other_config`.
        report: what is known so far.
        golden_images: (N, 3, R, R) float32, preprocessed; their logits are computed here.

    Raises :class:`EntryError` when the network is not the one of ``config`` or the images do not fit it,
    :class:`OutputError` when ``folder`` is taken.
    """
    weights = weights_bytes(network)
    recorded = config.anas.weights
    other = isinstance(network, Subnet) and network.arch != config.arch
    if other or recorded is None or sha256_bytes(weights) != recorded.sha256:
        raise EntryError(
            f"{config.anas.name}: the network changed after its config was built; build it again"
        )
    side = config.resolution
    if golden_images.ndim != 4 or tuple(golden_images.shape[1:]) != (3, side, side) or not len(golden_images):
        raise EntryError(
            f"{config.anas.name}: golden images are (N, 3, {side}, {side}), got {tuple(golden_images.shape)}"
        )
    images = golden_images.detach().cpu().to(torch.float32).contiguous()
    network.eval()
    with torch.no_grad():
        logits = network(images.to(next(network.parameters()).device)).cpu().contiguous()
    with output_folder(folder) as staging:
        write_json(staging / CONFIG, config.to_dict())
        atomic_write(staging / WEIGHTS, weights)
        write_report(staging, report)
        atomic_write(staging / GOLDEN, save({"images": images, "logits": logits}))


def check_weights(entry: Entry) -> Path:
    """The weights file of an entry, after it was compared with the network that the config describes.

    Raises :class:`CheckpointError` for a truncated or foreign file, naming the tensors that are missing,
    unknown or of wrong shape; :class:`EntryError` when its hash is not the one of the config.
    """
    path, config = entry.folder / WEIGHTS, entry.config
    if config.is_own:
        shapes = {k: text.partition(" ")[2] for k, text in tensor_shapes(path, CheckpointError).items()}
        if (found := shapes_id(shapes)) != config.anas.arch_id:
            raise CheckpointError(f"{path} has the tensors of {found}, not of {config.anas.arch_id}")
    else:
        check_tensors(path, untrained(config, on_meta=True), f"architecture {config.anas.arch_id}")
    if config.anas.weights is None or config.anas.weights.sha256 != entry.sha256(WEIGHTS):
        raise EntryError(f"{path} is not the file that {CONFIG} names (SHA-256 differs); get the entry again")
    return path


def load_network(entry: Entry | str | Path) -> nn.Module:
    """The network of an entry or a draft with its weights, in evaluation mode.

    Raises :class:`EntryError` for a network of code that is not here, and as :func:`check_weights` does.
    """
    entry = entry if isinstance(entry, Entry) else Entry(entry)
    config, path = entry.config, check_weights(entry)
    network = untrained(config)
    network.load_state_dict(load_file(path))
    if isinstance(network, Subnet):
        network.calibration = config.anas.calibration
    return network.eval()


def load_subnet(entry: Entry | str | Path) -> Subnet:
    """The subnet of an entry or a draft, with its weights and the record of its calibration.

    Raises :class:`EntryError` for a network of timm's own, and as :func:`load_network` does.
    """
    entry = entry if isinstance(entry, Entry) else Entry(entry)
    _ = entry.config.arch  # before its weights are read
    subnet = load_network(entry)
    assert isinstance(subnet, Subnet)
    return subnet


def shapes_id(shapes: Mapping[str, str]) -> str:
    """Short content hash of a network's tensors, by name their shapes as tuples are printed."""
    return sha256_bytes(canonical_json(dict(shapes)).encode())[:12]


def untrained(config: EntryConfig, *, on_meta: bool = False) -> nn.Module:
    """The network that a config describes, without its weights; with ``on_meta`` no more than its shapes.

    Raises :class:`EntryError` for a network of code that is not here.
    """
    if config.is_own:
        raise EntryError(
            f"{config.anas.name} is {config.title}, which torch cannot make; run its exported files"
        )
    if not config.is_subnet:
        return timm_net(config.architecture, config.num_classes, on_meta=on_meta)
    with torch.device("meta" if on_meta else "cpu"), torch.random.fork_rng(devices=[]):
        return Subnet(config.arch, config.structure, num_classes=config.num_classes)
