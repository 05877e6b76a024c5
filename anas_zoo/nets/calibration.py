"""Batch norm calibration: running statistics measured on recorded images, the same every time.

The supernet normalises by batch statistics and never updates running ones, so what an extracted subnet
inherits says nothing about its own activations (AttentiveNAS, section 4; reference: reset, then a
cumulative average).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anas_zoo.errors import CalibrationError

__all__ = ["Calibration", "calibrate_bn"]


@dataclass(frozen=True)
class Calibration:
    """What the running statistics of a network were measured on.

    Attributes:
        batches: number of batches averaged.
        images: number of images in them.
        resolution: side of the images in pixels.
        sha256: hash of the preprocessed float32 images in order.
    """

    batches: int
    images: int
    resolution: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for an entry's config."""
        return asdict(self)


def calibrate_bn(subnet: nn.Module, batches: Iterable[Tensor]) -> Calibration:
    """Reset every batch norm and measure its statistics as the cumulative average over ``batches``.

    Args:
        subnet: any network with ``BatchNorm2d`` layers, changed in place and left in evaluation mode.
        batches: preprocessed images, each (N, C, R, R) float32; the same ones give the same result.

    Returns the record of what was used, also kept as ``subnet.calibration``.
    Raises :class:`CalibrationError` without any batch, or when the statistics are not finite.
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
            norm.momentum = None  # cumulative average: every batch counts the same
            norm.train()
        with torch.no_grad():
            for batch in batches:
                if batch.ndim != 4 or len(batch) == 0:
                    shape = tuple(batch.shape)
                    raise CalibrationError(f"calibration batches are (N, C, R, R), got {shape}")
                subnet(batch.to(device))
                digest.update(batch.detach().cpu().contiguous().numpy().tobytes())
                count, images, resolution = count + 1, images + len(batch), batch.shape[-1]
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
    if count == 0:
        raise CalibrationError("no calibration images: give at least one batch")
    for norm in norms:
        if norm.running_var is not None and not torch.isfinite(norm.running_var).all():
            raise CalibrationError("calibration gave non-finite statistics: the weights diverged")
    record = Calibration(count, images, resolution, digest.hexdigest())
    subnet.calibration = record  # type: ignore[assignment]
    return record
