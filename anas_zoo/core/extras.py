"""Packages of the optional extras in pyproject.toml, and the error that says which extra to install."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from anas_zoo.core.errors import AnasError
from anas_zoo.core.progress import note
from anas_zoo.core.resources import install_command

# Top-level module: the package that has it, and the extra that installs it.
EXTRAS = {
    "ai_edge_litert": ("ai-edge-litert", "litert"),
    "ai_edge_quantizer": ("ai-edge-quantizer", "litert"),
    "datasets": ("datasets", "hf-datasets"),
    "matplotlib": ("matplotlib", "report"),
    "moocore": ("moocore", "search"),
    "openvino": ("openvino", "openvino"),
    "plotly": ("plotly", "report"),
    "pymoo": ("pymoo", "search"),
    "scipy": ("scipy", "search"),
    "skl2onnx": ("skl2onnx", "search"),
    "sklearn": ("scikit-learn", "train"),
    "tensorboard": ("tensorboard", "train"),
}


class MissingPackageError(AnasError):
    """A stage that needs a package which the plain installation leaves out."""


def missing_package(error: BaseException) -> MissingPackageError | None:
    """The error that says what to install, if ``error`` is a failed import of an extra; else None."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS:
        return None
    package, extra = EXTRAS[module]
    return MissingPackageError(f"{package} is not installed; run: {install_command(extra)}")


@contextlib.contextmanager
def extra_needed() -> Iterator[None]:
    """Raise :class:`MissingPackageError` where the block, or the decorated function, lacks an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (missing := missing_package(error)) is None:
            raise
        raise missing from error


@contextlib.contextmanager
def skipped_without_extra(what: str) -> Iterator[None]:
    """Skip the rest of the block, with a note, where it needs a package that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (missing := missing_package(error)) is None:
            raise
        note(f"no {what}: {missing}")
