"""The Hugging Face Hub: entries given to it in one commit, and taken from it against their manifest."""

from __future__ import annotations

from anas_zoo.zoo.hub.address import HubAddress, is_address
from anas_zoo.zoo.hub.fetching import fetch
from anas_zoo.zoo.hub.pulling import SOURCE, Pulled, entry_from_hub, pull
from anas_zoo.zoo.hub.pushing import HubCommit, check_destination, push

__all__ = [
    "SOURCE",
    "HubAddress",
    "HubCommit",
    "Pulled",
    "check_destination",
    "entry_from_hub",
    "fetch",
    "is_address",
    "pull",
    "push",
]
