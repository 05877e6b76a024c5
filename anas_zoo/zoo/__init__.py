"""Published entries: made, proved, found, loaded and run. Importing this loads neither torch nor timm."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from anas_zoo.zoo.shelf import entry_folder, list_models, locate

if TYPE_CHECKING:
    from anas_zoo.zoo.card import model_card
    from anas_zoo.zoo.draft import build_config, load_network, load_subnet, write_draft
    from anas_zoo.zoo.hub import Pulled, pull
    from anas_zoo.zoo.loading import create_model
    from anas_zoo.zoo.predict import Classifier, Prediction
    from anas_zoo.zoo.publishing import Plan, complete, plan_publication, publish, publish_to_hub
    from anas_zoo.zoo.supernets import load_supernet, locate_supernet
    from anas_zoo.zoo.verifying import Verification, verify

__all__ = [
    "Classifier",
    "Plan",
    "Prediction",
    "Pulled",
    "Verification",
    "build_config",
    "complete",
    "create_model",
    "entry_folder",
    "list_models",
    "load_network",
    "load_subnet",
    "load_supernet",
    "locate",
    "locate_supernet",
    "model_card",
    "plan_publication",
    "publish",
    "publish_to_hub",
    "pull",
    "verify",
    "write_draft",
]

_LAZY = {
    "Classifier": "predict",
    "Plan": "publishing",
    "Prediction": "predict",
    "Pulled": "hub",
    "Verification": "verifying",
    "build_config": "draft",
    "complete": "publishing",
    "create_model": "loading",
    "load_network": "draft",
    "load_subnet": "draft",
    "load_supernet": "supernets",
    "locate_supernet": "supernets",
    "model_card": "card",
    "plan_publication": "publishing",
    "publish": "publishing",
    "publish_to_hub": "publishing",
    "pull": "hub",
    "verify": "verifying",
    "write_draft": "draft",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
