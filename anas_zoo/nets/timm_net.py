"""A network of timm's own, as an entry holds it: made by its name, without weights."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from anas_zoo.core.errors import EntryError


def timm_net(name: str, num_classes: int, *, on_meta: bool = False) -> nn.Module:
    """timm's network ``name`` in evaluation mode, in the form that can be exported.

    That form computes the same; its attention is written out, so that fvcore and graphs count its products.

    Args:
        name: timm's, without a tag.
        num_classes: of its classifier.
        on_meta: only its shapes, on the device "meta" where it can be made there.

    Raises :class:`EntryError` for a name that the installed timm does not have.
    """
    import timm

    if not timm.is_model(name):
        raise EntryError(f"timm {timm.__version__} has no network {name!r}; a newer version may")
    with contextlib.ExitStack() as made_there, torch.random.fork_rng(devices=[]):
        if on_meta:
            made_there.enter_context(torch.device("meta"))
        try:
            network = timm.create_model(name, num_classes=num_classes, exportable=True)
        except (RuntimeError, NotImplementedError):
            if not on_meta:
                raise
            return timm_net(name, num_classes)  # some compute numbers while they are made
    return network.eval()  # type: ignore[no-any-return]
