"""A supernet as one safetensors file: the weights, and in its header the space that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from anas_zoo.core.errors import CheckpointError
from anas_zoo.core.files import atomic_write, canonical_json
from anas_zoo.core.hints import Call
from anas_zoo.core.outside import kind_of_file
from anas_zoo.core.plain_data import parse_json
from anas_zoo.nets.supernet import Supernet
from anas_zoo.space import SearchSpace

FORMAT = "anas-zoo supernet 1"
MAX_CLASSES = 100_000


def save_supernet(path: Path, supernet: Supernet, metadata: Mapping[str, str] | None = None) -> None:
    """Write weights, space and ``metadata`` (plain text values) to ``path``, atomically."""
    header = {
        "format": FORMAT,
        "space": supernet.space.to_dict(),
        "num_classes": supernet.num_classes,
        **(metadata or {}),
    }
    tensors = {name: tensor.cpu().contiguous() for name, tensor in supernet.state_dict().items()}
    # One key only: safetensors writes several in random order, and the same weights are to be the same bytes.
    atomic_write(path, save(tensors, {"anas": canonical_json(header)}))


def load_supernet(path: Path) -> Supernet:
    """The supernet that :func:`save_supernet` wrote.

    Raises :class:`CheckpointError` when the file is missing, truncated, foreign, or does not hold every
    tensor of its space in the right shape.
    """
    if not path.is_file():
        raise CheckpointError(f"no supernet checkpoint at {path}; train one: ", Call("train", out="RUN"))
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("anas", "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as exc:
        kind = kind_of_file(path)
        reason = f"it is {kind}" if kind else " ".join(str(exc).split())
        raise CheckpointError(f"{path} is not a readable safetensors file ({reason})") from exc
    try:
        header = parse_json(text)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} is not a supernet of anas-zoo; train one: ", Call("train", out="RUN")
            )
        space = SearchSpace.from_dict(header["space"], f"{path}: space")
        num_classes = header["num_classes"]
        if type(num_classes) is not int or not 0 < num_classes <= MAX_CLASSES:
            raise ValueError(f"{str(num_classes)[:40]} classes")
    except (KeyError, TypeError, ValueError) as exc:
        raise CheckpointError(f"{path}: damaged header ({exc})") from exc
    with torch.device("meta"):
        supernet = Supernet(space, num_classes)
    types = {name: tensor.dtype for name, tensor in supernet.state_dict().items()}
    try:
        supernet.load_state_dict(tensors, assign=True)
    except RuntimeError as exc:  # torch names every tensor that is missing, too many or of another shape
        raise CheckpointError(f"{path} does not fit its space: {' '.join(str(exc).split())[:500]}") from exc
    for name, tensor in supernet.state_dict().items():
        if tensor.dtype != types[name]:
            raise CheckpointError(f"{path}: {name!r} holds {tensor.dtype}, expected {types[name]}")
    return supernet
