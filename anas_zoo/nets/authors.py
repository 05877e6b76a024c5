"""The AttentiveNAS authors' checkpoint files: read without running code from them, mapped to our names.

Their file is a pickle that also holds an instance of a class of theirs. torch's restricted unpickler
reads it with an inert stand-in for that one class; a file that asks for anything else is refused.
"""

from __future__ import annotations

import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anas_zoo.core.errors import CheckpointError
from anas_zoo.core.outside import kind_of_file, refuse_irregular
from anas_zoo.nets.supernet import Supernet
from anas_zoo.space import SearchSpace

# The one class of the authors' that their files hold; an OrderedDict takes its place because that is the
# only mapping besides dict which the restricted unpickler lets have both items and attributes.
CONFIG_CLASS = "utils.config.Config"
MAX_BYTES = 4 * 2**30  # the authors' files have 0.2 GB
MAX_CLASSES = 100_000
LISTED = 10  # names listed per kind of problem; the rest is counted

_SHORTCUT = re.compile(r"^blocks\.\d+\.shortcut\.conv\.conv\.weight$")
# Why a tensor of theirs is not taken.
_REASONS = {
    "statistics of subnets that they trained alone": re.compile(r"\.bn_tracking\.\d+\."),
    "counters of batches": re.compile(r"\.num_batches_tracked$"),
    "shortcuts of blocks that never change their width": _SHORTCUT,
}
_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class KeyCoverage:
    """What became of every tensor of a checkpoint. Of those that are needed none is missing.

    Attributes:
        used: the authors' names of the tensors that were taken.
        unused: those that no architecture uses, by the reason.
        absent: tensors that such a file usually has, that no architecture uses, and that are not there.
        other: what the file holds beside its tensors; it was not looked at.
    """

    used: tuple[str, ...]
    unused: dict[str, tuple[str, ...]]
    absent: tuple[str, ...]
    other: tuple[str, ...]

    def describe(self) -> str:
        """One line for people."""
        reasons = ", ".join(f"{len(names)} {reason}" for reason, names in self.unused.items() if names)
        unused = sum(map(len, self.unused.values()))
        return (
            f"{len(self.used) + unused} tensors in the file: {len(self.used)} used, {unused} not used"
            f"{f' ({reasons})' if reasons else ''}, 0 missing"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "used": list(self.used),
            "unused": {reason: list(names) for reason, names in self.unused.items()},
            "missing": [],
            "absent_and_not_needed": list(self.absent),
            "other": list(self.other),
        }


def load_authors_checkpoint(path: str | Path, *, num_classes: int | None = None) -> Supernet:
    """The supernet of :func:`read_authors_checkpoint`, without the account of its tensors."""
    return read_authors_checkpoint(path, num_classes=num_classes)[0]


def read_authors_checkpoint(
    path: str | Path, *, num_classes: int | None = None
) -> tuple[Supernet, KeyCoverage]:
    """The supernet (space ``attentive_nas``) of the AttentiveNAS or AlphaNet authors, and what was used.

    Reads torch's old and zip formats; a dict with ``"state_dict"`` or a bare state dict; keys with or
    without ``module.``. Running statistics are loaded as they are: recalibrate what you extract.
    ``num_classes`` is the number of classes it has to have.

    Raises :class:`CheckpointError` when the file cannot be read, asks for a class that is not on the
    short list of harmless ones (nothing of it is run), or does not hold exactly the supernet's tensors:
    then every missing, misshapen, unexpected and non-finite one is listed by the authors' name.
    """
    path = Path(path)
    content = _unpickle(path)
    tensors = _state_dict(content, path)
    classes = _count_classes(tensors, path, num_classes)
    with torch.device("meta"):  # shapes only: the weights come from the file, not from a random generator
        supernet = Supernet(SearchSpace.load("attentive_nas"), classes)
    wanted = supernet.state_dict()
    names = dict(_names(supernet))
    _check(tensors, {theirs: wanted[ours].shape for theirs, ours in names.items()}, path)
    state = {
        name: torch.zeros_like(value, device="cpu")
        for name, value in wanted.items()
        if name.endswith("num_batches_tracked")
    }
    for theirs, ours in names.items():
        state[ours] = tensors[theirs].detach().to(torch.float32, copy=True).contiguous()
    supernet.load_state_dict(state, assign=True)
    return supernet, _coverage(content, tensors, names)


def _coverage(
    content: Mapping[str, Any], tensors: Mapping[str, Any], names: Mapping[str, str]
) -> KeyCoverage:
    unused: dict[str, list[str]] = {reason: [] for reason in _REASONS}
    for name in tensors:
        if name not in names:
            unused[next(reason for reason, of in _REASONS.items() if of.search(name))].append(name)
    blocks = {name.split(".")[1] for name in names if name.startswith("blocks.")}
    shortcuts = [f"blocks.{block}.shortcut.conv.conv.weight" for block in sorted(blocks, key=int)]
    return KeyCoverage(
        used=tuple(names),
        unused={reason: tuple(found) for reason, found in unused.items()},
        absent=tuple(name for name in shortcuts if name not in tensors),
        other=tuple(str(key) for key in content if key != "state_dict") if "state_dict" in content else (),
    )


def _unpickle(path: Path) -> Any:
    """What the file holds, by torch's restricted unpickler; every failure is a CheckpointError."""
    refuse_irregular(path, CheckpointError, most_bytes=MAX_BYTES)
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise CheckpointError(f"{path}: the file is empty; download the checkpoint again")
        _refuse_zip_bomb(path)
        with torch.serialization.safe_globals([(OrderedDict, CONFIG_CLASS)]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path}: no such file; give the path of the authors' checkpoint") from exc
    except CheckpointError:
        raise
    except Exception as exc:  # a damaged pickle fails in as many ways as there are operations in it
        text = " ".join(str(exc).split())
        refused = re.search(r"GLOBAL ([\w.<>]+)", text)
        if refused:
            raise CheckpointError(
                f"{path}: refused, because reading it would need {refused[1]!r}, which is not plain data "
                f"(allowed: tensors and {CONFIG_CLASS}); nothing of it was run"
            ) from exc
        kind = kind_of_file(path)
        begins = "" if kind in ("", "a zip archive", "a pickle") else f" ({kind})"  # as torch's own begin
        raise CheckpointError(
            f"{path}: not a checkpoint that torch can read; it is truncated or another kind of file{begins}; "
            "give the authors' checkpoint, downloaded whole"
        ) from exc


def _refuse_zip_bomb(path: Path) -> None:
    """torch's zip format stores its parts as they are, so a file is never smaller than what it holds."""
    if not zipfile.is_zipfile(path):
        return  # torch's old format
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise CheckpointError(
            f"{path}: a compressed zip file, which torch never writes; nothing was unpacked"
        )
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise CheckpointError(f"{path}: a zip file whose parts overlap; nothing was unpacked")


def _state_dict(content: Any, path: Path) -> dict[str, Any]:
    """The state dict in ``content`` with the keys that matter, without ``module.``."""
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise CheckpointError(
            f"{path}: holds no state dict, but {type(state).__name__}; "
            "a checkpoint is a state dict or a dict with the key 'state_dict'"
        )
    return {key.removeprefix("module."): value for key, value in state.items()}


def _count_classes(tensors: Mapping[str, Any], path: Path, wanted: int | None) -> int:
    bias = tensors.get("classifier.linear.linear.bias")
    if not isinstance(bias, Tensor) or bias.ndim != 1 or len(bias) == 0:
        return wanted or 1000  # reported with everything else that is wrong
    if len(bias) > MAX_CLASSES:
        raise CheckpointError(f"{path}: its classifier has {len(bias)} classes, at most {MAX_CLASSES} are")
    if wanted is not None and wanted != len(bias):
        raise CheckpointError(f"{path}: its classifier has {len(bias)} classes, {wanted} were asked for")
    return len(bias)


def _names(supernet: Supernet) -> Iterator[tuple[str, str]]:
    """(authors' name, our name) of every tensor that the supernet needs."""

    def conv_norm(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
        yield f"{theirs}.conv.conv.weight", f"{ours}.conv.weight"
        for tensor in _NORM_TENSORS:
            yield f"{theirs}.bn.bn.{tensor}", f"{ours}.bn.{tensor}"

    yield from conv_norm("first_conv", "stem")
    number = 0  # the authors count blocks through all stages, each at full depth
    for stage_index, stage in enumerate(supernet.space.config.stages):
        for index in range(stage.depth[-1]):
            ours = f"stages.{stage_index}.{index}"
            theirs = f"blocks.{number}.mobile_inverted_conv"
            if stage.expand_ratios[index][-1] > 1:
                yield from conv_norm(f"{theirs}.inverted_bottleneck", f"{ours}.expand")
            yield from conv_norm(f"{theirs}.depth_conv", f"{ours}.depthwise")
            if stage.se:
                for layer in ("reduce", "expand"):
                    for tensor in ("weight", "bias"):
                        se = f"{theirs}.depth_conv.se.fc.{layer}.{tensor}"
                        yield se, f"{ours}.se.{layer}.{tensor}"
            yield from conv_norm(f"{theirs}.point_linear", f"{ours}.project")
            if index == 0:  # later blocks never change the width: their shortcut convolution is dead
                yield f"blocks.{number}.shortcut.conv.conv.weight", f"{ours}.shortcut.conv.weight"
            number += 1
    yield from conv_norm("last_conv.final_expand_layer", "head")
    yield "last_conv.feature_mix_layer.conv.conv.weight", "mix.weight"
    for tensor in ("weight", "bias"):
        yield f"classifier.linear.linear.{tensor}", f"classifier.{tensor}"


def _check(tensors: Mapping[str, Any], shapes: Mapping[str, torch.Size], path: Path) -> None:
    """Raise one CheckpointError with everything by which ``tensors`` differ from ``shapes``."""
    missing = [name for name in shapes if name not in tensors]
    if len(missing) == len(shapes):
        found = _listed([repr(name) for name in tensors]) or "nothing"
        raise CheckpointError(f"{path}: holds another network, none of AttentiveNAS' tensors; it has {found}")
    unexpected = [
        name
        for name in tensors
        if name not in shapes and not any(reason.search(name) for reason in _REASONS.values())
    ]
    misshapen, foreign, infinite = [], [], []
    for name, shape in shapes.items():
        value = tensors.get(name)
        if value is None and name not in tensors:
            continue
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
            foreign.append(f"{name} ({type(value).__name__})")
        elif not value.is_floating_point():
            foreign.append(f"{name} ({value.dtype})")
        elif value.shape != shape:
            misshapen.append(f"{name} is {tuple(value.shape)}, needed {tuple(shape)}")
        elif not torch.isfinite(value).all():
            infinite.append(name)
    kinds: list[tuple[str, list[str]]] = [
        ("missing", missing),
        ("of wrong shape", misshapen),
        ("not dense floating-point tensors", foreign),
        ("unexpected", unexpected),
        ("not finite", infinite),
    ]
    problems = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in kinds if names]
    if problems:
        raise CheckpointError(f"{path}: not the AttentiveNAS supernet; " + "; ".join(problems))


def _listed(names: list[str]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")
