"""Tensors of an entry: the header of a safetensors file, and the golden images with their logits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors
from safetensors.numpy import load_file

from anas_zoo.core.errors import AnasError, EntryError
from anas_zoo.core.outside import refuse_irregular
from anas_zoo.core.text import printable

MAX_GOLDEN = 64  # images; entries of ours have 8

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Golden:
    """Preprocessed ``images`` (N, 3, R, R) and their ``logits`` (N, classes), both float32."""

    images: Floats
    logits: Floats


def tensor_shapes(path: Path, error: type[AnasError]) -> dict[str, str]:
    """Type and shape of each tensor of a safetensors file, as "F32 (8, 10)"; no tensor is read.

    safetensors itself sees to it that the tensors fill the file, each once, without gaps or overlaps.
    Raises ``error`` for anything else.
    """
    refuse_irregular(path, error)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {printable(k): f"{s.get_dtype()} {tuple(s.get_shape())}" for k, s in slices.items()}
    except FileNotFoundError as exc:
        raise error(f"{path}: no such file") from exc
    except (safetensors.SafetensorError, OSError, ValueError) as exc:
        reason = printable(" ".join(str(exc).split()))
        raise error(
            f"{path}: truncated or no safetensors file ({reason}); get it again from its source"
        ) from exc


def read_golden(path: Path, resolution: int, num_classes: int) -> Golden:
    """The golden images and logits of a network with that input and output.

    Raises :class:`EntryError` when the file is absent, unreadable, or does not fit.
    """
    found, side = tensor_shapes(path, EntryError), resolution
    fitting = (
        {"images": f"F32 {(n, 3, side, side)}", "logits": f"F32 {(n, num_classes)}"}
        for n in range(1, MAX_GOLDEN + 1)
    )
    if found not in fitting:  # before it is read: the network gets what the file says
        listed = ", ".join(f"{name} {what}" for name, what in found.items()) or "nothing"
        raise EntryError(
            f"{path}: images F32 (N, 3, {side}, {side}) and logits F32 (N, {num_classes}) are needed, "
            f"N from 1 to {MAX_GOLDEN}; it has {listed[:300]}"
        )
    tensors = load_file(path)
    if not all(np.isfinite(values).all() for values in tensors.values()):
        raise EntryError(f"{path}: holds values that are not finite")
    return Golden(tensors["images"], tensors["logits"])
