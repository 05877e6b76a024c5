"""anas-zoo: train one supernet, search it for any budget, publish small verified models.

Each stage is one function, of the name and the options of its command; see docs/python.md. Errors are
:class:`anas_zoo.core.errors.AnasError`, messages go to the logger ``anas_zoo``.

Importing this package loads no torch: what is heavy is imported when it is first used. The models are
also timm's as soon as both packages are imported, in either order.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anas_zoo import _timm_hook

if TYPE_CHECKING:
    from anas_zoo.entry import Entry
    from anas_zoo.pipeline.evaluate import evaluate
    from anas_zoo.pipeline.export import export
    from anas_zoo.pipeline.export_module import export_module
    from anas_zoo.pipeline.extract import extract
    from anas_zoo.pipeline.finetune import finetune
    from anas_zoo.pipeline.profile import profile
    from anas_zoo.pipeline.publish import publish
    from anas_zoo.pipeline.search import search
    from anas_zoo.pipeline.train import train
    from anas_zoo.pipeline.validate import validate
    from anas_zoo.pipeline.verify import verify
    from anas_zoo.pipeline.whole_way import run
    from anas_zoo.zoo import Classifier, create_model, list_models, load_supernet, pull

    __version__: str

__all__ = [
    "Classifier",
    "Entry",
    "create_model",
    "evaluate",
    "export",
    "export_module",
    "extract",
    "finetune",
    "list_models",
    "load_supernet",
    "profile",
    "publish",
    "pull",
    "run",
    "search",
    "train",
    "validate",
    "verify",
]

_HOME = {
    "Classifier": "anas_zoo.zoo",
    "Entry": "anas_zoo.entry",
    "create_model": "anas_zoo.zoo",
    "list_models": "anas_zoo.zoo",
    "load_supernet": "anas_zoo.zoo",
    "pull": "anas_zoo.zoo",
    "run": "anas_zoo.pipeline.whole_way",
}  # of the others: the stage's module


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("anas-zoo")
    elif name in __all__:
        from anas_zoo.core.extras import extra_needed

        home = _HOME.get(name, f"anas_zoo.pipeline.{name}")
        with extra_needed():
            value = getattr(import_module(home), name)
        if not isinstance(value, type):
            value = extra_needed()(value)
            value.__module__ = __name__  # so it is pickled by this name, and help() shows it
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)


_timm_hook.install()
