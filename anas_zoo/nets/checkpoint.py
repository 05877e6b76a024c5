"""The tensors of a network in a safetensors file, and a supernet in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import nn

from anas_zoo.core.errors import CheckpointError, EntryError
from anas_zoo.core.files import atomic_write, sha256_bytes, write_json
from anas_zoo.core.hints import Call
from anas_zoo.core.plain_data import parse_json
from anas_zoo.entry import (
    MAX_CLASSES,
    SUPERNET,
    SUPERNET_WEIGHTS,
    Ancestor,
    Preprocessing,
    SupernetConfig,
    SupernetFolder,
    compose_supernet_config,
    is_supernet,
)
from anas_zoo.entry.tensors import tensor_shapes
from anas_zoo.nets.supernet import Supernet
from anas_zoo.space import SearchSpace

LISTED = 5  # tensors that an error names
# Before supernets had a record, the header of the file was one.
OLD_FORMAT = "anas-zoo supernet 1"


def weights_bytes(network: nn.Module) -> bytes:
    """The content of a network's safetensors file; the same weights give the same bytes."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return save(state, {"format": "pt"})


def check_tensors(path: Path, network: nn.Module, what: str) -> None:
    """Compare the tensors of a safetensors file with those of ``network``; none is read.

    Args:
        path: the file.
        network: of the architecture that the file should have, such as one on the device "meta".
        what: that architecture or space, for errors.

    Raises :class:`CheckpointError` for a truncated or foreign file, naming the tensors that are missing,
    unknown or of wrong type or shape.
    """
    found = tensor_shapes(path, CheckpointError)
    wanted = {
        name: f"{'F32' if tensor.is_floating_point() else 'I64'} {tuple(tensor.shape)}"
        for name, tensor in network.state_dict().items()
    }
    wrong = [
        f"{name} {found.get(name, 'is missing')} instead of {wanted.get(name, 'nothing')}"
        for name in {**wanted, **found}
        if found.get(name) != wanted.get(name)
    ]
    if wrong:
        more = f" and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
        raise CheckpointError(f"{path} does not fit {what}: {', '.join(wrong[:LISTED])}{more}")


def save_supernet(
    folder: Path,
    supernet: Supernet,
    *,
    name: str,
    licence: str | None,
    source: str,
    source_sha256: str | None = None,
    lineage: Sequence[Ancestor] = (),
    preprocessing: Preprocessing | None = None,
    label_names: Sequence[str] | None = None,
    trained: Mapping[str, Any] | None = None,
) -> SupernetConfig:
    """Write supernet.safetensors and supernet.json into ``folder``; the record is last, each is atomic.

    Args:
        folder: where they appear; it is made if it is not there.
        supernet: its space, classes and weights are recorded.
        name: of the supernet (letters, digits, '.', '_', '-').
        licence: SPDX name of the licence of the weights; None until one is chosen.
        source: where the weights come from, for people.
        source_sha256: hash of the checkpoint that they were taken from.
        lineage: the published weights that these were made from, the oldest first; their licences bind
            this one when the supernet is published.
        preprocessing: how images are made into inputs; default is native with ImageNet's mean and std.
        label_names: one label for each class.
        trained: how the weights came about, plain data.

    Returns the record. Raises :class:`EntryError` that lists every part that does not fit the others.
    """
    content = weights_bytes(supernet)
    weights = {
        "sha256": sha256_bytes(content),
        "source": source,
        "source_sha256": source_sha256,
        "licence": licence,
        "lineage": [ancestor.model_dump() for ancestor in lineage],
    }
    config = compose_supernet_config(
        name=name,
        space=supernet.space,
        num_classes=supernet.num_classes,
        weights=weights,
        preprocessing=preprocessing or Preprocessing(),
        label_names=label_names,
        trained=trained,
    )
    atomic_write(folder / SUPERNET_WEIGHTS, content)
    write_json(folder / SUPERNET, config.to_dict())
    return config


def load_supernet(folder: Path | SupernetFolder) -> Supernet:
    """The supernet that :func:`save_supernet` wrote into ``folder``.

    That of a run trained by version 0.2 or before, which has no supernet.json, is read as well.

    Raises :class:`EntryError` for a record that is missing or cannot be, or another file than it names, and
    :class:`CheckpointError` when the file is missing, truncated, foreign, does not hold every tensor of its
    space in the right shape, or has values that are not finite.
    """
    found = folder if isinstance(folder, SupernetFolder) else SupernetFolder(folder)
    path = found.folder / SUPERNET_WEIGHTS
    if not is_supernet(found.folder) and path.exists():
        return _load(path, *_old_header(path))
    config = found.config
    if not path.exists():
        raise EntryError(f"{found.folder} lacks {SUPERNET_WEIGHTS}, which {SUPERNET} names; get it again")
    supernet = _load(path, found.space, config.num_classes)
    if found.sha256(SUPERNET_WEIGHTS) != config.weights.sha256:
        raise EntryError(
            f"{path} is not the file that {SUPERNET} names (SHA-256 differs); get the supernet again"
        )
    return supernet


def _load(path: Path, space: SearchSpace, num_classes: int) -> Supernet:
    with torch.device("meta"):
        supernet = Supernet(space, num_classes)
    check_tensors(path, supernet, f"the space {space.name}")
    supernet.load_state_dict(load_file(path), assign=True)
    for name, tensor in supernet.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {name} holds values that are not finite")
    return supernet


def _old_header(path: Path) -> tuple[SearchSpace, int]:
    """Space and number of classes of a supernet without a record."""
    tensor_shapes(path, CheckpointError)
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("anas", "{}")
    try:
        header = parse_json(text)
        if not isinstance(header, dict) or header.get("format") != OLD_FORMAT:
            raise CheckpointError(
                f"{path} is not a supernet of anas-zoo, which has a {SUPERNET} beside it; train one: ",
                Call("train", out="RUN"),
            )
        space = SearchSpace.from_dict(header["space"], f"{path}: space")
        num_classes = header["num_classes"]
        if type(num_classes) is not int or not 0 < num_classes <= MAX_CLASSES:
            raise ValueError(f"{str(num_classes)[:40]} classes")
    except (KeyError, TypeError, ValueError) as exc:
        raise CheckpointError(f"{path}: damaged header ({exc})") from exc
    return space, num_classes
