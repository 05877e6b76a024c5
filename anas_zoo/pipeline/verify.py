"""Stage: a published entry -> whether it still is, and does, what was published."""

from __future__ import annotations

from pathlib import Path

from anas_zoo import zoo
from anas_zoo.entry import Entry
from anas_zoo.zoo.shelf import locate


def verify(entry: str | Path | Entry) -> zoo.Verification:
    """Compare a published entry with its own manifest and golden logits, in torch and in onnxruntime.

    Args:
        entry: a model of the shelf, an entry's folder, or ``hf://org/name``.

    Raises :class:`EntryError` that names the file that is missing or altered, or whose logits differ.
    """
    return zoo.verify(locate(entry))
