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
    from anas_zoo.space import Architecture, SearchSpace
    from anas_zoo.zoo import create_model, list_models

    __version__: str

__all__ = [
    "AnasError",
    "Architecture",
    "SearchSpace",
    "__version__",
    "create_model",
    "list_models",
]

_HOME = {
    "AnasError": "anas_zoo.core.errors",
    "Architecture": "anas_zoo.space",
    "SearchSpace": "anas_zoo.space",
    "create_model": "anas_zoo.zoo",
    "list_models": "anas_zoo.zoo",
}


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
    return sorted({*globals(), *__all__})


_timm_hook.install()
