"""A timm model from the shelf, from a folder, or from the Hub, with one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from anas_zoo.core.errors import EntryError
from anas_zoo.entry import CONFIG, WEIGHTS, Entry
from anas_zoo.entry.licence import no_weights
from anas_zoo.zoo.draft import check_weights
from anas_zoo.zoo.hub import HubAddress, snapshot
from anas_zoo.zoo.shelf import GENERIC, LOCAL, resolve


def create_model(source: str | Path | Entry, pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """A timm model.

    Args:
        source: a name on the shelf (see :func:`anas_zoo.list_models`), an entry or its folder,
            "hf-hub:org/name", or whatever else :func:`anas_zoo.zoo.shelf.resolve` takes.
            "attentive_nas" with ``arch=`` makes any architecture.
        pretrained: load the weights, after they were compared with the config's hash.
        **kwargs: what ``timm.create_model`` takes, such as ``num_classes`` or ``features_only``.

    Raises :class:`NotOnShelfError` for an unknown name, :class:`NoWeightsError` for
    weights that are not there, :class:`CheckpointError` for a file that does not load,
    :class:`EntryError` for a folder that is not an entry or was altered, :class:`HubError` for
    what the Hub refuses.
    """
    import timm

    import anas_zoo.zoo.timm_models  # noqa: F401  (registers the architecture)

    if source == GENERIC:
        return timm.create_model(GENERIC, pretrained=pretrained, **kwargs)  # type: ignore[no-any-return]
    found = source.folder if isinstance(source, Entry) else resolve(source)
    if isinstance(found, Path):
        folder = found
    else:
        folder = snapshot(found, [CONFIG, WEIGHTS] if pretrained else [CONFIG])
    entry = Entry(folder)
    if entry.config.anas.weights is None and pretrained:
        raise no_weights(entry.config)
    if entry.config.is_own:
        raise EntryError(f"{entry.name} is {entry.config.title}; run its exported files with onnxruntime")
    if pretrained:
        if not entry.has_weights:
            raise EntryError(f"{folder} lacks {WEIGHTS}, which {CONFIG} names; get the entry again")
        check_weights(entry)
    model: nn.Module = timm.create_model(f"{LOCAL}{folder}", pretrained=pretrained, **kwargs)
    cfg = getattr(model, "pretrained_cfg", None)
    if isinstance(found, HubAddress) and isinstance(
        cfg, dict
    ):  # timm's record of where the weights come from
        cfg |= {"file": None, "hf_hub_id": f"{found.repo_id}@{folder.name}", "source": "hf-hub"}
    return model
