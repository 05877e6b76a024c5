"""Batch norm folded into the convolution before it, on a copy, proven equal in double precision."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from anas_zoo.core.errors import ExportError
from anas_zoo.nets.blocks import ConvNormAct

__all__ = ["fold_batch_norm"]

# In double precision the two networks differ by rounding alone, some 1e-13 of the largest logit.
RELATIVE_TOLERANCE = 1e-9

M = TypeVar("M", bound=nn.Module)


def fold_batch_norm(network: M, images: Tensor) -> M:
    """A copy of ``network`` on the CPU in evaluation mode whose batch norms are part of its convolutions.

    Args:
        network: a network of :class:`ConvNormAct` layers; it is left as it is.
        images: (N, C, R, R) to compare both networks on, in double precision.

    Raises :class:`ExportError` when the folded network does not compute the same.
    """
    original = copy.deepcopy(network).cpu().double().eval()
    folded = copy.deepcopy(original)
    for layer in folded.modules():
        if isinstance(layer, ConvNormAct) and isinstance(layer.bn, nn.BatchNorm2d):
            layer.conv = fuse_conv_bn_eval(layer.conv, layer.bn)
            layer.register_module("bn", nn.Identity())
    with torch.no_grad():
        want, got = original(images.double()), folded(images.double())
    allowed = RELATIVE_TOLERANCE * max(1.0, float(want.abs().max()))
    difference = float((want - got).abs().max())
    if not difference <= allowed:  # so that NaN fails too
        raise ExportError(
            f"folding batch norm changes the logits by {difference:.3g}, at most {allowed:.3g} is rounding"
        )
    return folded.float()
