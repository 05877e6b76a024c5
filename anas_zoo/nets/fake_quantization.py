"""A network that computes as its int8 file will: weights and values rounded, gradients as if they were not.

Quantization-aware training (Jacob et al., arXiv:1712.05877, section 3), with the straight-through estimator
of Bengio et al. (arXiv:1308.3432).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from anas_zoo.nets.blocks import Block, ConvNormAct, SqueezeExcite
from anas_zoo.nets.subnet import Subnet

# As the targets for onnxruntime have it (reduce_range): without VNNI, 8 bits saturate.
WEIGHT_LEVELS = 64
VALUE_LEVELS = 255


@contextlib.contextmanager
def fake_quantized(subnet: Subnet) -> Iterator[None]:
    """Within this, ``subnet`` computes with 8 bits; parameters get the gradients of the rounded ones.

    Weights of convolutions and the classifier have 7 bits and a scale for each output channel, as a file has
    them after its batch norms are folded, which a scale for each channel does not see. Rounded are the image
    and what layers, blocks and squeeze-and-excite put out, each with the range of its batch, so that nothing
    has to be remembered between steps. Squeeze-and-excite itself stays in float, as in int8 files.

    Backward has to be done within, too. Afterwards the weights are what they were.
    """
    kept = {
        module: module.weight.data
        for name, module in subnet.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and ".se." not in name
    }
    kinds = (ConvNormAct, Block, SqueezeExcite)
    layers = [module for module in subnet.modules() if isinstance(module, kinds)]
    handles = [layer.register_forward_hook(_round_output) for layer in layers]
    handles.append(subnet.register_forward_pre_hook(_round_input))
    try:
        for module, weight in kept.items():
            module.weight.data = rounded_weight(weight)
        yield
    finally:
        for module, weight in kept.items():
            module.weight.data = weight
        for handle in handles:
            handle.remove()


def rounded_weight(weight: Tensor) -> Tensor:
    """``weight`` (out, ...) in 7 bits, symmetric, with a scale for each output channel."""
    scale = weight.flatten(1).abs().amax(1).clamp_min(1e-12) / WEIGHT_LEVELS
    scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return (weight / scale).round_() * scale


def rounded_value(value: Tensor) -> Tensor:
    """``value`` in 8 bits, asymmetric, between its own ends and 0; its gradient passes as it is."""
    least, most = value.detach().float().aminmax()
    low, high = least.clamp(max=0), most.clamp(min=0)
    scale = ((high - low) / VALUE_LEVELS).clamp_min(1e-12)
    zero = (-low / scale).round().to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(value.float(), scale, zero, 0, VALUE_LEVELS).to(value.dtype)


def _round_output(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return rounded_value(output)


def _round_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (rounded_value(inputs[0]), *inputs[1:])
