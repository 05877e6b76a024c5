"""A timm model from the shelf, from a folder, or from the Hub, with one line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from anas_zoo.core.errors import EntryError
from anas_zoo.entry import CONFIG, WEIGHTS, Entry
from anas_zoo.entry.licence import no_weights
from anas_zoo.zoo.draft import check_weights
from anas_zoo.zoo.hub import HubAddress, fetch
from anas_zoo.zoo.shelf import LOCAL, resolve

__all__ = ["create_model"]

GENERIC = "attentive_nas"  # the entry point of any architecture; it is no entry


def create_model(source: str | Path, pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """A timm model.

    Args:
        source: a name on the shelf (see :func:`anas_zoo.list_models`), an entry's folder, "hf-hub:org/name",
            or whatever else :func:`anas_zoo.zoo.shelf.resolve` takes, as the command line does.
            "attentive_nas" with ``arch=`` makes any architecture.
        pretrained: load the weights, after they were compared with the config's hash.
        **kwargs: what ``timm.create_model`` takes, such as ``num_classes`` or ``features_only``.

    Raises :class:`NotOnShelfError` for an unknown name, :class:`NoWeightsError` for
    weights that are not there, :class:`CheckpointError` for a file that does not load,
    :class:`EntryError` for a folder that is no entry or was altered, :class:`HubError` for
    what the Hub refuses.
    """
    import timm

    import anas_zoo.nets.timm_models  # noqa: F401  (registers the architecture)

    if source == GENERIC:
        return timm.create_model(GENERIC, pretrained=pretrained, **kwargs)  # type: ignore[no-any-return]
    found = resolve(source)
    if isinstance(found, HubAddress):
        return _from_hub(found, pretrained, kwargs)
    return _from_folder(found, pretrained, kwargs)


def _from_hub(address: HubAddress, pretrained: bool, kwargs: dict[str, Any]) -> nn.Module:
    """The model of checked copies: what lies in the Hub's cache may have changed since it was written."""
    with tempfile.TemporaryDirectory(prefix="anas-hub-") as temporary:
        folder = Path(temporary)
        pinned = fetch(address, folder, names=[CONFIG, WEIGHTS] if pretrained else [CONFIG])
        model = _from_folder(folder, pretrained, kwargs)
    cfg = getattr(model, "pretrained_cfg", None)
    if isinstance(cfg, dict):
        cfg |= {"file": None, "hf_hub_id": f"{pinned.repo_id}@{pinned.revision}", "source": "hf-hub"}
    return model


def _from_folder(folder: Path, pretrained: bool, kwargs: dict[str, Any]) -> nn.Module:
    import timm

    entry = Entry(folder)
    config = entry.config
    if pretrained:
        if not (folder / WEIGHTS).exists():
            if config.anas.weights is None:
                raise no_weights(config)
            raise EntryError(f"{folder} lacks {WEIGHTS}, which {CONFIG} names; get the entry again")
        check_weights(entry)
    model: nn.Module = timm.create_model(f"{LOCAL}{folder}", pretrained=pretrained, **kwargs)
    if pretrained and getattr(model, "as_published", False):
        model.calibration = config.anas.calibration  # type: ignore[assignment]
    return model
