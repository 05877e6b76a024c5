"""A classifier of timm's with its weights, of whatever family, as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anas_zoo.core.errors import CheckpointError
from anas_zoo.nets.sources.coverage import ForeignTensors, KeyCoverage
from anas_zoo.nets.sources.timm_network import (
    KIND,
    UNUSED,
    known_network,
    pretrained_or_file,
    tensors_of,
)
from anas_zoo.nets.timm_net import timm_net


@dataclass(frozen=True)
class TimmClassifier:
    """A classifier of timm's with its weights.

    Attributes:
        network: in evaluation mode, in the form that can be exported.
        architecture: timm's name of it, without a tag.
        config: timm's ``pretrained_cfg``, as plain data.
        coverage: what became of every tensor of a checkpoint; None where timm has downloaded the weights.
    """

    network: nn.Module
    architecture: str
    config: Mapping[str, Any]
    coverage: KeyCoverage | None

    @property
    def resolution(self) -> int:
        """Side of its input in pixels."""
        return int(self.config["input_size"][1])


def read_timm_classifier(name: str, *, checkpoint: str | Path | None = None) -> TimmClassifier:
    """timm's network ``name`` with the weights that timm downloads, or with those of a ``checkpoint`` of it.

    Args:
        name: as timm has it, such as ``vit_tiny_patch16_224`` or ``resnet18.a1_in1k``.
        checkpoint: a file of its state dict, safetensors or ``torch.save``'s; no code of it is run.

    Raises :class:`CheckpointError` for a name that timm does not know, for a checkpoint of another network,
    and for a network that does not make one row of logits of a square RGB image.
    """
    base = known_network(name)
    if checkpoint is None:
        network, coverage = pretrained_or_file(name, exportable=True).eval(), None
    else:
        network, coverage = _from_file(base, Path(checkpoint))
    return TimmClassifier(network, base, check_classifier(name, network), coverage)


def check_classifier(name: str, network: Any) -> dict[str, Any]:
    """timm's ``pretrained_cfg`` of ``network``, with the number of classes that it has.

    Raises :class:`CheckpointError` for one that does not make one row of logits of a square RGB image.
    """
    config = dict(network.pretrained_cfg) | {"num_classes": int(network.num_classes)}
    _check_images(name, config)
    side, classes = int(config["input_size"][1]), int(config["num_classes"])
    with torch.inference_mode():
        found = network(torch.zeros(2, 3, side, side))
    if not isinstance(found, Tensor) or not classes or found.shape != (2, classes):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise CheckpointError(
            f"{name} is no classifier: of 2 images it makes {shape}, and an entry has one row of logits each"
        )
    return config


def _check_images(name: str, config: Mapping[str, Any]) -> None:
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise CheckpointError(
            f"{name} takes images of {height}×{width} pixels in {channels} channels; those of entries are "
            "square, in RGB"
        )
    if (mode := config.get("crop_mode") or "center") != "center":
        raise CheckpointError(
            f"{name} was trained on images that were made square by {mode!r}; entries cut out the centre"
        )


def _from_file(name: str, path: Path) -> tuple[Any, KeyCoverage]:
    tensors, beside = tensors_of(path)
    found = ForeignTensors(path, tensors, beside, KIND, f"timm's {name}", UNUSED)
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(name)
    last = None if config is None else config.classifier
    last = last[0] if isinstance(last, tuple | list) else last
    network: Any = timm_net(name, found.count_classes(f"{last or 'classifier'}.bias"))
    names = {key: key for key in network.state_dict() if not key.endswith("num_batches_tracked")}
    return network, found.fill(network, names)
