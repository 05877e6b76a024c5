"""The AttentiveNAS and AlphaNet authors' checkpoints, mapped to our names.

Their file is a pickle that also holds an instance of a class of theirs, which is read as plain data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch

from anas_zoo.nets.sources.coverage import COUNTERS, ForeignTensors, KeyCoverage
from anas_zoo.nets.sources.torch_file import read_torch_file, state_dict_of
from anas_zoo.nets.supernet import Supernet
from anas_zoo.space import SearchSpace

KIND = "attentive-nas"
WHAT = "the AttentiveNAS or AlphaNet authors' checkpoint"
CONFIG_CLASS = "utils.config.Config"  # the one class of the authors' that their files hold

# Why a tensor of theirs is not taken.
_UNUSED = {
    "statistics of subnets that they trained alone": re.compile(r"\.bn_tracking\.\d+\."),
    COUNTERS: re.compile(r"\.num_batches_tracked$"),
    "shortcuts of blocks that never change their width": re.compile(
        r"^blocks\.\d+\.shortcut\.conv\.conv\.weight$"
    ),
}
_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")


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
    tensors, beside = state_dict_of(read_torch_file(path, WHAT, inert=[CONFIG_CLASS]), path)
    found = ForeignTensors(path, tensors, beside, KIND, "the AttentiveNAS supernet", _UNUSED)
    classes = found.count_classes("classifier.linear.linear.bias", num_classes)
    with torch.device("meta"):  # shapes only: the weights come from the file, not from a random generator
        supernet = Supernet(SearchSpace.load("attentive_nas"), classes)
    names = dict(_names(supernet))
    blocks = range(sum(stage.depth[-1] for stage in supernet.space.config.stages))
    shortcuts = [f"blocks.{block}.shortcut.conv.conv.weight" for block in blocks]
    return supernet, found.fill(supernet, names, expected=shortcuts)


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
