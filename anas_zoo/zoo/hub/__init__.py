"""The Hugging Face Hub: folders given to it in one commit, and taken from it against their manifest."""

from __future__ import annotations

from anas_zoo.zoo.hub.address import HubAddress, is_address
from anas_zoo.zoo.hub.pulling import Pulled, pull, snapshot
from anas_zoo.zoo.hub.pushing import HubCommit, check_destination, push

__all__ = [
    "HubAddress",
    "HubCommit",
    "Pulled",
    "check_destination",
    "is_address",
    "pull",
    "push",
    "snapshot",
]
