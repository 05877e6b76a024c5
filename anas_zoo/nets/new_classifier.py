"""A trained network for other classes: its weights, but for a new classifier."""

from __future__ import annotations

import torch
from torch import nn

from anas_zoo.nets.blocks import init_weights
from anas_zoo.nets.subnet import Subnet
from anas_zoo.nets.supernet import Supernet
from anas_zoo.space import Structure


def with_new_classifier(
    trained: Subnet,
    num_classes: int,
    *,
    generator: torch.Generator,
    structure: Structure | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> Subnet:
    """The network of ``trained`` with its weights, but for a new classifier of ``num_classes`` outputs.

    The classifier is drawn from ``generator`` (normal, 0.01; zero bias). With a ``structure`` that is the
    network's but for activations and squeeze-and-excite that it leaves out, the result has that one.
    """
    with torch.random.fork_rng(devices=[]):  # layers initialise themselves from the global generator
        subnet = Subnet(
            trained.arch,
            trained.structure if structure is None else structure,
            num_classes=num_classes,
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
        )
    _take_over(subnet, trained, subnet.classifier, generator)
    return subnet


def supernet_with_new_classifier(
    trained: Supernet, num_classes: int, *, generator: torch.Generator
) -> Supernet:
    """The supernet ``trained`` with its weights, but for a new classifier, drawn likewise."""
    supernet = Supernet(trained.space, num_classes, generator=torch.Generator())
    _take_over(supernet, trained, supernet.classifier, generator)
    return supernet


def _take_over(
    network: nn.Module, trained: nn.Module, classifier: nn.Module, generator: torch.Generator
) -> None:
    init_weights(classifier, generator)
    own = {f"classifier.{name}": tensor for name, tensor in classifier.state_dict().items()}
    weights = trained.state_dict() | own
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
