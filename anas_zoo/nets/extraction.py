"""From the supernet's tensors to those of one fixed network: slicing by name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from anas_zoo.core.errors import CheckpointError
from anas_zoo.nets.elastic import leading_slice
from anas_zoo.nets.subnet import Subnet
from anas_zoo.space import Architecture, Structure

__all__ = ["extract_subnet"]


def extract_subnet(
    weights: Mapping[str, Tensor], structure: Structure, arch: Architecture, num_classes: int
) -> Subnet:
    """The fixed network of ``arch`` with copies of its slices of ``weights``.

    The batch counters of batch norms are zero: running statistics that were not measured on this
    network do not count as a calibration.
    """
    with torch.device("meta"):
        subnet = Subnet(arch, structure, num_classes=num_classes)
    state = {}
    for name, target in subnet.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
            continue
        if name not in weights:
            raise CheckpointError(f"the supernet lacks the tensor {name!r} of architecture {arch.id}")
        # Always a copy: a subnet must not change with the supernet that it came from.
        state[name] = leading_slice(weights[name], tuple(target.shape)).detach().clone()
        state[name] = state[name].contiguous()
    subnet.load_state_dict(state, assign=True)
    return subnet.eval()
