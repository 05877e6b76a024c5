"""The once-for-all authors' networks in the MobileNetV3 space: the two supernets and the specialised nets.

Kernel sizes and expand ratios are chosen for each block, and smaller depthwise kernels are learned linear
transforms of the larger ones' centres (Cai et al., arXiv:1908.09791). The files spell the layers in two ways,
``conv.conv.weight`` and ``conv.weight``, ``mobile_inverted_conv`` and ``conv``, mixed too.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from anas_zoo.core.errors import CheckpointError
from anas_zoo.core.hints import Call
from anas_zoo.core.outside import refuse_irregular
from anas_zoo.core.schema import read_json
from anas_zoo.entry import Preprocessing
from anas_zoo.nets.sources.coverage import COUNTERS, ForeignTensors, KeyCoverage, listed
from anas_zoo.nets.sources.torch_file import MAX_BYTES, read_torch_file, state_dict_of
from anas_zoo.nets.subnet import Subnet
from anas_zoo.nets.supernet import Supernet
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.space.plan import make_divisible

KIND = "ofa"
WHAT = "the once-for-all authors' checkpoint"
SPACES = {"1.0": "ofa_mbv3_w1_0", "1.2": "ofa_mbv3_w1_2"}  # by width multiplier
# The git blob ids of the supernets that the authors publish, and their names there.
PUBLISHED_SUPERNETS = {
    "55d835981d8acd1053657a951b18887a724ddcbf": "ofa_mbv3_d234_e346_k357_w1.0",
    "d75a3613bae216091f61fc4b7df77d49cc82ed32": "ofa_mbv3_d234_e346_k357_w1.2",
}
NET_CONFIG, RUN_CONFIG, INIT = "net.config", "run.config", "init"
CROP_PCT = 0.875
MAX_RESOLUTION = 1024  # the largest of theirs is 260

_UNUSED = {COUNTERS: re.compile(r"\.num_batches_tracked$")}
_TWICE = ("conv", "bn", "linear")  # layers whose names the dynamic ones repeat
_MATRIX = re.compile(r"\.(\dto\d)_matrix$")
_BLOCK = re.compile(r"^blocks\.(\d+)\.")
_STEM, _HEAD, _MIX = (
    "first_conv.conv.weight",
    "final_expand_layer.conv.weight",
    "feature_mix_layer.conv.weight",
)
_LAYERS = {"expand": "inverted_bottleneck", "depthwise": "depth_conv", "project": "point_linear"}


def read_ofa_checkpoint(path: str | Path, *, num_classes: int | None = None) -> tuple[Supernet, KeyCoverage]:
    """A once-for-all supernet of width 1.0 or 1.2, told apart by the shapes, and what was used of the file.

    Reads torch's old and zip formats; a dict with ``"state_dict"`` or a bare state dict. Running statistics
    are loaded as they are: recalibrate what you extract. ``num_classes`` is how many it has to have.

    Raises :class:`CheckpointError` when the file cannot be read, is of another network or of a width that is
    not known, or does not hold exactly the supernet's tensors.
    """
    path = Path(path)
    found, spelled = _tensors(path, "the once-for-all supernet")
    if not any(map(_MATRIX.search, found.tensors)):
        raise CheckpointError(
            f"{path}: holds a single network of once-for-all, no supernet; give its folder, with "
            f"{NET_CONFIG}, {RUN_CONFIG} and {INIT}: ",
            Call("import ofa", "FOLDER", out="DIR"),
        )
    space = _space(found, spelled)
    classes = found.count_classes(spelled.get("classifier.linear.bias", ""), num_classes)
    with torch.device("meta"):  # shapes only: the weights come from the file, not from a random generator
        supernet = Supernet(space, classes)
    depths = [stage.depth[-1] for stage in space.config.stages]
    return supernet, found.fill(supernet, _names(supernet.state_dict(), depths, spelled))


def read_ofa_specialised(
    folder: str | Path, *, num_classes: int | None = None
) -> tuple[Subnet, SearchSpace, KeyCoverage]:
    """A specialised net of once-for-all with its running statistics; its space; what was used of ``init``.

    The architecture is what the shapes of the weights say, at the resolution of ``run.config``, which may be
    beyond those of the space. What ``net.config`` says of kernel sizes has to be the same.

    Raises :class:`CheckpointError` when a file is missing, cannot be read or is of another network.
    """
    folder = Path(folder)
    path = folder / INIT
    resolution = _resolution(folder / RUN_CONFIG)
    found, spelled = _tensors(path, "a specialised net of once-for-all")
    if any(map(_MATRIX.search, found.tensors)):
        raise CheckpointError(
            f"{path}: holds a supernet of once-for-all, no specialised net; give the file: ",
            Call("import ofa", path, out="SUPERNET"),
        )
    space = _space(found, spelled)
    arch = _architecture(found, spelled, space, resolution)
    _check_net_config(folder / NET_CONFIG, arch)
    classes = found.count_classes(spelled.get("classifier.linear.bias", ""), num_classes)
    with torch.device("meta"):
        subnet = Subnet(arch, space.structure, num_classes=classes)
    coverage = found.fill(subnet, _names(subnet.state_dict(), arch.depth, spelled))
    return subnet.eval(), space, coverage


def ofa_preprocessing(resolution: int | None = None) -> Preprocessing:
    """How the authors evaluate: short side to ⌈R / 0.875⌉ (bilinear), centre crop R, ImageNet's mean and std.

    With a ``resolution`` to the pixel; for a supernet, whose subnets have several, it is ⌊R / 0.875⌋.
    """
    if resolution is None:
        return Preprocessing(interpolation="bilinear", crop_pct=CROP_PCT)
    # Rounded down, so that resolution / crop_pct is the wanted side or a little more, which is floored.
    crop_pct = math.floor(10_000 * resolution / math.ceil(resolution / CROP_PCT)) / 10_000
    return Preprocessing(interpolation="bilinear", crop_pct=crop_pct)


def git_blob_id(path: Path) -> str:
    """The id that git gives to a file's content, by which a published file is known as the authors' own."""
    refuse_irregular(path, CheckpointError, most_bytes=MAX_BYTES)
    try:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        with path.open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be read ({exc.strerror})") from exc
    return digest.hexdigest()


def _tensors(path: Path, network: str) -> tuple[ForeignTensors, dict[str, str]]:
    """The file's tensors, and its own name of each by the plain one."""
    tensors, beside = state_dict_of(read_torch_file(path, WHAT), path)
    found = ForeignTensors(path, tensors, beside, KIND, network, _UNUSED)
    spelled: dict[str, str] = {}
    for name in tensors:
        if (other := spelled.setdefault(_plain(name), name)) != name:
            raise CheckpointError(f"{path}: holds one tensor under two names, {other} and {name}")
    if _HEAD not in spelled:
        raise found.of_another_network()
    return found, spelled


def _plain(name: str) -> str:
    """A tensor's name with every layer named once and ``conv`` for the block's convolutions."""
    parts = name.split(".")
    begins = 1
    if parts[0] == "blocks" and len(parts) > 3:
        begins = 3
        parts[2] = "conv" if parts[2] == "mobile_inverted_conv" else parts[2]
    pairs = itertools.pairwise(parts[begins:])
    kept = [here for here, following in pairs if not (here == following and here in _TWICE)]
    return ".".join([*parts[:begins], *kept, parts[-1]])


def _names(ours: Iterable[str], depths: Sequence[int], spelled: Mapping[str, str]) -> dict[str, str]:
    """Our name of each of the file's tensors that a network needs; they count blocks through all stages."""
    first = [0, *itertools.accumulate(depths)]
    plain = {_theirs(name, first): name for name in ours if not name.endswith("num_batches_tracked")}
    return {spelled.get(theirs, theirs): name for theirs, name in plain.items()}


def _theirs(ours: str, first: Sequence[int]) -> str:
    """Their plain name of one of our tensors; ``first``: the number of each stage's first block."""
    layer, _, rest = ours.partition(".")
    if layer == "stages":
        stage, block, layer, rest = rest.split(".", 3)
        begin = f"blocks.{first[int(stage)] + int(block)}.conv."
        if layer == "se":
            return f"{begin}depth_conv.se.fc.{rest}"
        if rest.startswith("conv.transform."):
            rest = f"conv.{rest.removeprefix('conv.transform.')}_matrix"
        return f"{begin}{_LAYERS[layer]}.{rest}"
    begin = {
        "stem": "first_conv",
        "head": "final_expand_layer",
        "mix": "feature_mix_layer.conv",
        "classifier": "classifier.linear",
    }[layer]
    return f"{begin}.{rest}"


def _space(found: ForeignTensors, spelled: Mapping[str, str]) -> SearchSpace:
    """The space of the width multiplier that most of the outermost layers have.

    Raises :class:`CheckpointError` where none fits more than one of them.
    """
    outer = {_STEM: "stem", _HEAD: "last convolution", _MIX: "feature mix"}
    chs = [(found.shape(spelled.get(name, "")) or (0,))[0] for name in outer]
    known = {width: SearchSpace.load(name) for width, name in SPACES.items()}
    widths = {width: _outer_chs(space) for width, space in known.items()}
    fits = {width: sum(a == b for a, b in zip(chs, wanted, strict=True)) for width, wanted in widths.items()}
    best = max(fits, key=lambda width: fits[width])
    if fits[best] < 2:
        has = ", ".join(
            f"{name} {number or 'missing'}" for name, number in zip(outer.values(), chs, strict=True)
        )
        needed = "; ".join(f"{width}: {', '.join(map(str, wanted))}" for width, wanted in widths.items())
        raise CheckpointError(
            f"{found.path}: the channels fit no width multiplier of once-for-all's MobileNetV3 space ({has}; "
            f"known are {needed})"
        )
    return known[best]


def _outer_chs(space: SearchSpace) -> list[int]:
    """Channels of stem, last convolution and feature mix."""
    config = space.config
    last = config.head.mid_chs(config.stages[-1].width[-1], config.head.width[-1])
    return [config.stem.width[-1], last, config.head.width[-1]]


def _resolution(path: Path) -> int:
    config = read_json(path, error=CheckpointError)
    side = config.get("image_size") if isinstance(config, dict) else None
    if type(side) is not int or not 0 < side <= MAX_RESOLUTION:
        raise CheckpointError(f"{path}: image_size is no side of images in pixels, but {str(side)[:40]!r}")
    return side


def _architecture(
    found: ForeignTensors, spelled: Mapping[str, str], space: SearchSpace, resolution: int
) -> Architecture:
    """The architecture that the shapes of the blocks have.

    Blocks of one stage are those that give its width; the stages' widths all differ. Raises
    :class:`CheckpointError` for blocks that the space has not.
    """
    stages = space.config.stages
    numbers = {match[1] for name in spelled if (match := _BLOCK.match(name))}
    if numbers != set(map(str, range(len(numbers)))):
        raise CheckpointError(f"{found.path}: its {len(numbers)} blocks are not numbered from 0 on")
    blocks: list[list[tuple[int, float]]] = [[] for _ in stages]
    wrong: list[str] = []
    stage, in_chs = 0, space.config.stem.width[-1]
    for number in range(len(numbers)):
        begin = f"blocks.{number}.conv"
        depthwise = found.shape(spelled.get(f"{begin}.depth_conv.conv.weight", ""))
        project = found.shape(spelled.get(f"{begin}.point_linear.conv.weight", ""))
        if depthwise is None or project is None or len(depthwise) != 4 or len(project) != 4:
            wrong.append(f"block {number} lacks its convolutions")
            continue
        out_chs, mid_chs, kernel_size = project[0], depthwise[0], depthwise[-1]
        if number and out_chs != stages[stage].width[-1] and stage + 1 < len(stages):
            stage += 1
        if number == 1 and stage == 0 and len(stages) > 1:
            stage = 1  # the first stage has one block, and may have the width of the next
        index = len(blocks[stage])
        ratio = _expand_ratio(in_chs, mid_chs, stages[stage].expand_ratios, index)
        if out_chs != stages[stage].width[-1] or ratio is None or index >= stages[stage].depth[-1]:
            wrong.append(f"block {number} ({in_chs} → {mid_chs} → {out_chs} channels)")
        elif kernel_size not in stages[stage].kernel_sizes[index]:
            wrong.append(f"block {number} (kernel size {kernel_size})")
        else:
            blocks[stage].append((kernel_size, ratio))
        in_chs = out_chs
    short = [s.name for s, b in zip(stages, blocks, strict=True) if len(b) not in s.depth]
    if wrong or short:
        raise CheckpointError(
            f"{found.path}: no network of the space {space.name}: "
            + (f"it has no {listed(wrong)}" if wrong else f"too few or too many blocks in {', '.join(short)}")
        )
    config = space.config
    return Architecture.from_dict(
        {
            "resolution": resolution,
            "width": [config.stem.width[-1], *(s.width[-1] for s in stages), config.head.width[-1]],
            "depth": [len(stage) for stage in blocks],
            "kernel_size": [[kernel_size for kernel_size, _ in stage] for stage in blocks],
            "expand_ratio": [[ratio for _, ratio in stage] for stage in blocks],
        }
    )


def _expand_ratio(in_chs: int, mid_chs: int, choices: Sequence[Sequence[float]], index: int) -> float | None:
    """The ratio of the space by which a block's middle has ``mid_chs``."""
    if index >= len(choices):
        return None
    fit = (ratio for ratio in choices[index] if make_divisible(round(in_chs * ratio)) == mid_chs)
    return next(fit, None)


def _check_net_config(path: Path, arch: Architecture) -> None:
    """Refuse a ``net.config`` of another network: of other blocks, or with other kernel sizes in them."""
    config = read_json(path, error=CheckpointError)
    blocks = config.get("blocks") if isinstance(config, dict) else None
    if not isinstance(blocks, list):
        raise CheckpointError(f"{path}: describes no network; give the authors' file")
    sizes = [
        size
        for depth, given in zip(arch.depth, arch.kernel_size, strict=True)
        for size in (given if isinstance(given, tuple) else (given,) * depth)
    ]
    differ = [
        str(number)
        for number, (block, size) in enumerate(zip(blocks, sizes, strict=False))
        if (said := set(_kernel_sizes(block))) and size not in said
    ]
    if len(blocks) != len(sizes) or differ:
        what = f"kernel sizes of block {', '.join(differ)}" if differ else f"{len(blocks)} blocks"
        raise CheckpointError(f"{path}: describes another network than {INIT} beside it holds ({what})")


def _kernel_sizes(value: object) -> Iterator[int]:
    """Every kernel size in plain data."""
    if isinstance(value, dict):
        if type(value.get("kernel_size")) is int:
            yield value["kernel_size"]
        for inner in value.values():
            yield from _kernel_sizes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _kernel_sizes(inner)
