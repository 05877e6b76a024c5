"""A pretrained network of timm's as the largest subnet of a supernet, its channels sorted by importance."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.models import create_model, is_model, list_models
from torch import Tensor, nn

from anas_zoo.core.errors import CheckpointError, nearest
from anas_zoo.core.hints import Option
from anas_zoo.nets.sources.coverage import COUNTERS, ForeignTensors, KeyCoverage
from anas_zoo.nets.sources.timm_structure import NotOfTheFamily, ReadNetwork, read_network
from anas_zoo.nets.sources.torch_file import read_torch_file, state_dict_of
from anas_zoo.nets.supernet import Supernet

KIND = "timm"
MODULES = ("efficientnet", "mobilenetv3", "hardcorenas")  # of timm's that may have such networks
# Of the logits' deviation. Both compute the same in another order of channels.
TOLERANCE = 1e-4
CHECKED_IMAGES = 2
UNUSED = {COUNTERS: re.compile(r"\.num_batches_tracked$")}


class NotElasticError(CheckpointError):
    """A network of timm's of which no supernet can be made."""


@dataclass(frozen=True)
class TimmSource:
    """A supernet made of a network of timm's.

    Attributes:
        supernet: its largest subnet computes what timm's network does.
        coverage: what became of every tensor.
        config: timm's ``pretrained_cfg``, as plain data.
        difference: largest difference from timm's logits over their standard deviation, as measured.
    """

    supernet: Supernet
    coverage: KeyCoverage
    config: Mapping[str, Any]
    difference: float


def read_timm_network(
    name: str, *, checkpoint: str | Path | None = None, resolutions: Sequence[int] | None = None
) -> TimmSource:
    """Make a supernet of timm's network ``name``, whose weights timm downloads, or of a ``checkpoint`` of it.

    Mid channels of elastic blocks are sorted by the L1 norm of the weights that project them (once-for-all,
    arXiv:1908.09791, section 3.3), so that leading slices are the important ones; with them go the batch
    norms and squeeze-and-excite. The function of the network stays the same: its logits are compared.

    Args:
        name: as timm has it, ``tf_efficientnet_lite0`` or ``efficientnet_b0.ra_in1k``.
        checkpoint: a file of its state dict, safetensors or ``torch.save``'s; no code of it is run.
        resolutions: the choices of the side of the input, in pixels; by default steps of 32 from two
        fifths of
            timm's up to it.

    Raises :class:`CheckpointError` for a name that timm does not know or that is of another family, for a
    checkpoint of another network, and where the logits differ.
    """
    base = known_network(name, MODULES)
    reason = why_not_elastic(base)  # before anything is downloaded
    if reason is not None:
        raise NotElasticError(f"{name} cannot be made a supernet: {reason}", *_inside(base))
    model, coverage = _built(name, None if checkpoint is None else Path(checkpoint))
    config = model.pretrained_cfg
    side = int(config["input_size"][1])
    read = read_network(model, base, side, resolutions)
    supernet = supernet_of(model, read)
    for block in read.sortable:
        sort_mid_channels(supernet.get_submodule(block))
    difference = _difference(model, supernet, side)
    if not difference <= TOLERANCE:  # so that NaN fails too
        raise CheckpointError(
            f"{name}: after the conversion its logits differ from timm's by {difference:.2g} of their "
            f"deviation, at most {TOLERANCE:g} is rounding; please report it"
        )
    used = tuple(read.names)
    counters = tuple(key for key in model.state_dict() if key.endswith("num_batches_tracked"))
    coverage = coverage or KeyCoverage(used=used, unused={COUNTERS: counters})
    return TimmSource(supernet, coverage, dict(config), difference)


def known_network(name: str, modules: Sequence[str] = ()) -> str:
    """timm's ``name`` without a tag; raises :class:`CheckpointError` for none of timm's.

    The error names the nearest, of those ``modules`` where some are given.
    """
    base = name.partition(".")[0]
    if not is_model(base):
        hint = nearest(base, list_models(module=list(modules)))
        raise CheckpointError(f"timm has no network {name!r}{hint}")
    return base


def _inside(name: str) -> tuple[str, ...]:
    """The nearest names of the family, for an error."""
    others = [other for other in list_models(module=list(MODULES)) if other != name]
    near = difflib.get_close_matches(name, others, n=8, cutoff=0.3)
    found = [other for other in near if why_not_elastic(other) is None][:3] or ["efficientnet_b0"]
    return (f"; of this family are for example {', '.join(found)} (docs/sources.md has the list)",)


def why_not_elastic(name: str) -> NotOfTheFamily | None:
    """Why timm's network of that name cannot be made a supernet; None if it can."""
    try:
        with torch.device("meta"):
            model = create_model(name)
    except Exception:  # some networks of other families cannot be made without memory
        return NotOfTheFamily("it is not of inverted residual blocks")
    try:
        read_network(model, name, int(model.pretrained_cfg["input_size"][1]))
    except NotOfTheFamily as exc:
        return exc
    return None


def pretrained_network(name: str, **options: Any) -> Any:
    """timm's network with its weights; ``options`` are those of ``timm.create_model``.

    Raises :class:`CheckpointError` where timm has none or cannot get them.
    """
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of every retry
    try:
        return create_model(name, pretrained=True, **options)
    except Exception as exc:  # what a download fails with is not one class
        reason = " ".join(str(exc).split())[:200]
        raise CheckpointError(f"timm could not get the weights of {name} ({reason})") from exc
    finally:
        logger.setLevel(level)


def pretrained_or_file(name: str, **options: Any) -> Any:
    """As :func:`pretrained_network`; the error says that there is a way without a network."""
    try:
        return pretrained_network(name, **options)
    except CheckpointError as exc:
        instead = "; download them on a machine that can, and give the file: "
        raise CheckpointError(*exc.parts, instead, Option("checkpoint", "FILE")) from exc


def _built(name: str, checkpoint: Path | None) -> tuple[Any, KeyCoverage | None]:
    """timm's network in evaluation mode with its weights, and the account of a checkpoint's tensors."""
    if checkpoint is None:
        return pretrained_or_file(name).eval(), None
    tensors, beside = tensors_of(checkpoint)
    found = ForeignTensors(checkpoint, tensors, beside, KIND, f"timm's {name}", UNUSED)
    with torch.device("meta"):
        model = create_model(name, num_classes=found.count_classes("classifier.bias")).eval()
    state = model.state_dict()
    names = {key: key for key in state if not key.endswith("num_batches_tracked")}
    return model, found.fill(model, names)


def tensors_of(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The state dict of a file of timm's, and what is beside it; raises :class:`CheckpointError`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        try:
            return load_file(path), ()
        except (SafetensorError, OSError) as exc:
            raise CheckpointError(
                f"{path}: {' '.join(str(exc).split())}; give a checkpoint of timm's"
            ) from exc
    return state_dict_of(read_torch_file(path, "a checkpoint of timm's"), path)


def supernet_of(model: nn.Module, read: ReadNetwork) -> Supernet:
    """The supernet with the tensors of timm's network by our names, in timm's order of channels."""
    theirs = model.state_dict()
    with torch.device("meta"):
        supernet = Supernet(read.space, theirs["classifier.bias"].shape[0])
    state = {
        name: torch.zeros_like(tensor, device="cpu")
        for name, tensor in supernet.state_dict().items()
        if name.endswith("num_batches_tracked")
    }
    for timms, ours in read.names.items():
        state[ours] = theirs[timms].detach().to(torch.float32, copy=True).contiguous()
    supernet.load_state_dict(state, assign=True)
    return supernet


@torch.no_grad()
def sort_mid_channels(block: nn.Module) -> None:
    """Put a block's mid channels in order of importance, the largest L1 norm of projecting weights first.

    The block (an :class:`anas_zoo.nets.elastic.ElasticBlock` that expands) computes what it did.
    """
    parts: Any = block
    order = parts.project.conv.weight.abs().sum(dim=(0, 2, 3)).argsort(descending=True, stable=True)
    for layer in (parts.expand, parts.depthwise):
        _reorder(layer.conv, "weight", order)
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            _reorder(layer.bn, tensor, order)
    _reorder(parts.project.conv, "weight", order, axis=1)
    if parts.se is None:
        return
    _reorder(parts.se.reduce, "weight", order, axis=1)
    for tensor in ("weight", "bias"):
        _reorder(parts.se.expand, tensor, order)
    # Where fewer mid channels mean fewer reduced ones, these are leading slices too.
    reduced = parts.se.expand.weight.abs().sum(dim=(0, 2, 3)).argsort(descending=True, stable=True)
    for tensor in ("weight", "bias"):
        _reorder(parts.se.reduce, tensor, reduced)
    _reorder(parts.se.expand, "weight", reduced, axis=1)


def _reorder(layer: nn.Module, name: str, order: Tensor, *, axis: int = 0) -> None:
    tensor: Tensor = getattr(layer, name)
    tensor.copy_(tensor.index_select(axis, order))


@torch.no_grad()
def _difference(model: nn.Module, supernet: Supernet, side: int) -> float:
    """Largest difference of the largest subnet's logits from timm's, over timm's deviation."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(CHECKED_IMAGES, 3, side, side, generator=generator)
    wanted = model(images)
    got = supernet.extract(supernet.space.largest)(images)
    return float((wanted - got).abs().max() / wanted.std())
