"""Stage: a published entry or supernet -> whether it still is, and does, what was published."""

from __future__ import annotations

from pathlib import Path

from anas_zoo import zoo
from anas_zoo.entry import CheckedFolder
from anas_zoo.zoo.shelf import locate


def verify(entry: str | Path | CheckedFolder) -> zoo.Verification:
    """Compare a published entry with its own manifest and golden logits, in torch and in onnxruntime.

    Of a supernet: that it is what was published, fits its space, and computes.

    Args:
        entry: a model of the shelf, the folder of an entry or a supernet, or ``hf://org/name``.

    Raises :class:`EntryError` that names the file that is missing or altered, or whose logits differ.
    """
    return zoo.verify(locate(entry))
