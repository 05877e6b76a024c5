"""anas-zoo: train one supernet, search it for any budget, publish small verified models.

Importing this package loads no torch: what is heavy is imported when it is first used. The models are
also timm's as soon as both packages are imported, in either order.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anas_zoo import _timm_hook

if TYPE_CHECKING:
    from anas_zoo.core.errors import AnasError
    from anas_zoo.pipeline.finetune import finetune
    from anas_zoo.pipeline.publish import publish
    from anas_zoo.pipeline.train import train
    from anas_zoo.pipeline.validate import validate
    from anas_zoo.pipeline.verify import verify
    from anas_zoo.space import Architecture, SearchSpace
    from anas_zoo.zoo import Classifier, Entry, create_model, list_models, pull

    __version__: str

# The public API: stages that are commands too, of the same names and options, and what they work on.
_HOME = {
    "AnasError": "anas_zoo.core.errors",
    "Architecture": "anas_zoo.space",
    "Classifier": "anas_zoo.zoo",
    "Entry": "anas_zoo.zoo",
    "SearchSpace": "anas_zoo.space",
    "create_model": "anas_zoo.zoo",
    "finetune": "anas_zoo.pipeline.finetune",
    "list_models": "anas_zoo.zoo",
    "publish": "anas_zoo.pipeline.publish",
    "pull": "anas_zoo.zoo",
    "train": "anas_zoo.pipeline.train",
    "validate": "anas_zoo.pipeline.validate",
    "verify": "anas_zoo.pipeline.verify",
}

__all__ = [
    "AnasError",
    "Architecture",
    "Classifier",
    "Entry",
    "SearchSpace",
    "__version__",
    "create_model",
    "finetune",
    "list_models",
    "publish",
    "pull",
    "train",
    "validate",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("anas-zoo")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


_timm_hook.install()
