"""Stage: an entry -> what it costs, by every convention."""

from __future__ import annotations

import re
from pathlib import Path

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.hints import Option
from anas_zoo.entry import Cost, Entry
from anas_zoo.entry.manifest import ONNX
from anas_zoo.nets import Subnet
from anas_zoo.profiling import count_onnx_macs, profile_flops
from anas_zoo.profiling.flops import profile_traced
from anas_zoo.zoo.draft import untrained
from anas_zoo.zoo.shelf import locate


def profile(entry: str | Path | Entry, *, image_size: str = "480x640") -> Cost:
    """Count an entry's multiply-adds and parameters exactly, with fvcore's trace, and on its ONNX files.

    Args:
        entry: a model of the shelf, the folder of a draft or an entry, or ``hf://org/name``.
        image_size: height and width in pixels of an image, such as ``"480x640"``, for files with
            preprocessing inside, which take any.

    Raises :class:`ProfileError` when two counts disagree or an operator is met that nobody can count, and
    :class:`EntryError` for an entry that cannot be read.
    """
    size = _height_and_width(image_size)
    found = Entry.read(locate(entry))
    config = found.config
    network = untrained(config).eval()
    if isinstance(network, Subnet):
        cost = profile_flops(network, config.resolution)
    else:
        cost = profile_traced(network, config.resolution)
    names = [name for name in found.report.files if name.endswith(ONNX)]
    graphs = {name: count_onnx_macs(found.folder / name, image_size=size) for name in names}
    return cost.model_copy(update={"onnx": graphs or None})


def _height_and_width(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", text)
    if match is None:
        raise ProfileError(
            Option("image_size"), f" is height and width in pixels, such as 480x640; got {text!r}"
        )
    return int(match[1]), int(match[2])
