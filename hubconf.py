"""torch.hub entry points: one for every name on the shelf, and ``attentive_nas`` for all other models.

    torch.hub.list("OWNER/REPO")
    torch.hub.load("OWNER/REPO", "NAME", pretrained=True)
    torch.hub.load("path/to/checkout", "NAME", source="local", pretrained=True)

torch.hub runs this file before it looks at ``dependencies``, so nothing heavy is imported up here, and
takes every name without an underscore for an entry point.
"""

import json as _json
from collections.abc import Callable as _Callable
from pathlib import Path as _Path
from typing import Any as _Any

dependencies = ["numpy", "pydantic", "safetensors", "timm", "torch", "torchvision", "yaml"]

_SHELF = _Path(__file__).resolve().parent / "models"


def attentive_nas(pretrained: bool = False, *, entry: str | None = None, **kwargs: _Any) -> _Any:
    """A network of any architecture, or of any published entry.

    Args:
        pretrained: load the entry's weights.
        entry: a name on the shelf, an entry's folder, or "hf-hub:org/name"; then its config says the
            architecture.
        **kwargs: without ``entry``, ``arch={"resolution": ..., "width": [...], "depth": [...],
            "kernel_size": [...], "expand_ratio": [...]}``; and what ``timm.create_model`` takes, such as
            ``num_classes`` or ``features_only``.

    Returns a timm model.
    """
    from anas_zoo.zoo import create_model

    return create_model("attentive_nas" if entry is None else entry, pretrained=pretrained, **kwargs)


def _entry_point(folder: _Path, name: str) -> _Callable[..., _Any]:
    def create(pretrained: bool = False, **kwargs: _Any) -> _Any:
        from anas_zoo.zoo import create_model

        # By its folder: an anas_zoo imported earlier from elsewhere may have another shelf.
        return create_model(folder, pretrained=pretrained, **kwargs)

    how = "load its weights"
    if not (folder / "model.safetensors").is_file():
        how += "; they are not on the shelf, the error says how to get them"
    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"""The model {folder.name} of the shelf; its card is models/{folder.name}/README.md.

    Args:
        pretrained: {how}.
        **kwargs: what ``timm.create_model`` takes, such as ``num_classes`` or ``features_only``.

    Returns a timm model.
    """
    return create


_FOLDERS = {path.parent.name: path.parent for path in _SHELF.glob("*/config.json")}
_ALIASES = _SHELF / "aliases.json"
if _ALIASES.is_file():
    _FOLDERS |= {
        alias: _FOLDERS[name]
        for alias, name in _json.loads(_ALIASES.read_text(encoding="utf-8")).items()
        if name in _FOLDERS
    }
globals().update({name: _entry_point(folder, name) for name, folder in _FOLDERS.items()})
