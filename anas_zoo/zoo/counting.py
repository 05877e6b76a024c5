"""What the network of a config costs, counted again from the network itself."""

from __future__ import annotations

from dataclasses import dataclass

from anas_zoo.entry import EntryConfig
from anas_zoo.space import count_by_walking, params_as_authors_count


@dataclass(frozen=True)
class Counted:
    """Multiply-adds for one image and parameters.

    Attributes:
        macs: exact of a subnet; of a network of timm's own, what fvcore traces.
        params: of the network.
        params_authors: of a subnet, as the AttentiveNAS authors count.
    """

    macs: int
    params: int
    params_authors: int | None = None


def count_network(config: EntryConfig) -> Counted:
    """Count the network that ``config`` describes; its weights are not needed.

    Raises :class:`EntryError` for a network that the installed timm does not have.
    """
    if config.is_subnet:
        network = (config.structure, config.arch, config.num_classes)
        return Counted(*count_by_walking(*network), params_as_authors_count(*network))
    from anas_zoo.profiling.flops import profile_traced  # torch, which a subnet is counted without
    from anas_zoo.zoo.draft import untrained

    cost = profile_traced(untrained(config), config.resolution)
    return Counted(cost.macs, cost.params)
