"""Batch norm calibration: running statistics measured on recorded images, the same every time.

The supernet normalises by batch statistics and never updates running ones, so what an extracted subnet
inherits says nothing about its own activations (AttentiveNAS, section 4; reference: reset, then a
cumulative average).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from anas_zoo.core.errors import CalibrationError
from anas_zoo.entry import Calibration

SMALLEST = 8  # images of a batch whose statistics say something of the others


def calibrate_bn(subnet: nn.Module, batches: Iterable[Tensor]) -> Calibration:
    """Reset every batch norm and measure its statistics as the average over all images of ``batches``.

    Every image counts the same, whatever batch it is in. Within the network a batch is normalised by its own
    statistics, and those of a few left-over images are far off: so batches of unequal sizes are cut anew,
    into ones of the largest size given, and what remains at the end into halves of up to that size.

    Args:
        subnet: any network with ``BatchNorm2d`` layers, changed in place and left in evaluation mode.
        batches: preprocessed images, each (N, C, R, R) float32; the same ones give the same result. Batches
            of fewer than 8 images are joined.

    Returns the record of what was used, also kept as ``subnet.calibration``.
    Raises :class:`CalibrationError` without any batch, for images that are not of one shape, or when the
    statistics are not finite.
    """
    norms = [m for m in subnet.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    subnet.calibration = None  # type: ignore[assignment] # an earlier record must not outlive a failure
    subnet.eval()  # dropout and drop-connect stay off
    device = next(subnet.parameters()).device
    digest, count, images, resolution = hashlib.sha256(), 0, 0, 0
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        with torch.no_grad():
            for batch in _even(batches):
                count, images, resolution = count + 1, images + len(batch), batch.shape[-1]
                for norm in norms:
                    norm.momentum = (
                        len(batch) / images
                    )  # of equal batches 1, 1/2, 1/3: the cumulative average
                subnet(batch.to(device))
                digest.update(batch.detach().cpu().contiguous().numpy().tobytes())
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
    if count == 0:
        raise CalibrationError("no calibration images: give at least one batch")
    for norm in norms:
        if norm.running_var is not None and not torch.isfinite(norm.running_var).all():
            raise CalibrationError("calibration gave non-finite statistics: the weights diverged")
    record = Calibration(batches=count, images=images, resolution=resolution, sha256=digest.hexdigest())
    subnet.calibration = record  # type: ignore[assignment]
    return record


def _even(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same images in the same order, in batches of the largest size so far, the last two alike."""
    kept: list[Tensor] = []
    held, size = 0, SMALLEST
    for batch in batches:
        if batch.ndim != 4 or len(batch) == 0:
            raise CalibrationError(f"calibration batches are (N, C, R, R), got {tuple(batch.shape)}")
        if kept and batch.shape[1:] != kept[0].shape[1:]:
            shapes = f"{tuple(kept[0].shape[1:])} and {tuple(batch.shape[1:])}"
            raise CalibrationError(f"calibration images are all of one shape, got {shapes}")
        kept.append(batch)
        held, size = held + len(batch), max(size, len(batch))
        if held < 2 * size:
            continue
        images = _joined(kept)
        whole = held // size - 1  # one more stays, to be joined with what is left over
        yield from images[: whole * size].split(size)
        kept, held = [images[whole * size :]], held - whole * size
    if held:
        yield from _joined(kept).tensor_split(2 if held > size else 1)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
