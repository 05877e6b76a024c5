"""The work of a network by kind, in the units that its running time is made of; additive over its parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anas_zoo.space import Architecture, BlockPlan, Structure, plan_network
from anas_zoo.space.plan import conv_side

__all__ = ["WORK", "block_work", "head_work", "stem_work", "work_of"]

# Multiply-adds, elements and weights in millions, so that a coefficient is milliseconds per million.
WORK = {
    "network": "1 per network: the call itself",
    "block": "1 per block: the operators' fixed cost",
    "se": "1 per squeeze-and-excite: its small operators' fixed cost",
    "stem_macs": "multiply-adds of the stem",
    "wide_macs": "multiply-adds of 1×1 convolutions onto more channels",
    "narrow_macs": "multiply-adds of 1×1 convolutions onto fewer or as many channels",
    "depthwise3_macs": "multiply-adds of depthwise 3×3 convolutions",
    "depthwise_macs": "multiply-adds of larger depthwise convolutions",
    "act_elements": "outputs that pass an activation",
    "depthwise_elements": "outputs of depthwise convolutions",
    "gated_elements": "elements that squeeze-and-excite pools and scales",
    "block_elements": "inputs and outputs of blocks: read, added, written",
    "pooled_elements": "inputs of pooled shortcuts",
    "weights": "weights of convolutions, read once per image",
    "vector_weights": "weights that one vector is multiplied with: mixing, classifier, squeeze-and-excite",
}

MILLION = 1e6

Values = npt.NDArray[np.float64]


def _row(**amounts: float) -> Values:
    counts = {"network", "block", "se"}
    return np.array([amounts.get(name, 0.0) / (1.0 if name in counts else MILLION) for name in WORK])


def stem_work(out_chs: int, kernel_size: int, side: int) -> Values:
    """Work of the first convolution, whose output has ``side``, in the order of :data:`WORK`."""
    elements = out_chs * side**2
    return _row(network=1, stem_macs=3 * kernel_size**2 * elements, act_elements=elements)


def block_work(block: BlockPlan, in_side: int) -> Values:
    """Work of one block on an ``in_side`` × ``in_side`` input."""
    out_side = conv_side(in_side, block.stride)
    before, after = block.mid_chs * in_side**2, block.mid_chs * out_side**2
    expand = block.in_chs * block.mid_chs if block.expands else 0
    shortcut = block.in_chs * block.out_chs if "conv" in block.shortcut else 0
    depthwise = after * block.kernel_size**2
    project = block.mid_chs * block.out_chs
    return _row(
        block=1,
        se=bool(block.se_chs),
        wide_macs=expand * in_side**2,
        narrow_macs=(project + shortcut) * out_side**2,
        depthwise3_macs=depthwise if block.kernel_size == 3 else 0,
        depthwise_macs=0 if block.kernel_size == 3 else depthwise,
        act_elements=after + (before if block.expands else 0),
        depthwise_elements=after,
        gated_elements=after if block.se_chs else 0,
        block_elements=block.in_chs * in_side**2 + block.out_chs * out_side**2,
        pooled_elements=block.in_chs * in_side**2 if "pool" in block.shortcut else 0,
        weights=expand + project + shortcut + block.mid_chs * block.kernel_size**2,
        vector_weights=2 * block.mid_chs * block.se_chs,
    )


def head_work(in_chs: int, mid_chs: int, out_chs: int, side: int, num_classes: int) -> Values:
    """Work of the head and its classifier on a ``side`` × ``side`` input."""
    macs, elements = in_chs * mid_chs * side**2, mid_chs * side**2
    return _row(
        wide_macs=macs,
        act_elements=elements + out_chs,
        weights=in_chs * mid_chs,
        vector_weights=out_chs * (mid_chs + num_classes),
    )


def work_of(structure: Structure, arch: Architecture, num_classes: int) -> Values:
    """Work of one network, (kinds,) in the order of :data:`WORK`, part by part."""
    plan = plan_network(structure, arch)
    side = conv_side(arch.resolution, structure.stem.stride)
    rows = [stem_work(plan.stem_chs, structure.stem.kernel_size, side)]
    for block in plan.blocks():
        rows.append(block_work(block, side))
        side = conv_side(side, block.stride)
    last_chs = plan.stages[-1][-1].out_chs
    rows.append(head_work(last_chs, plan.head_mid_chs, plan.head_chs, side, num_classes))
    total: Values = np.sum(rows, axis=0)
    return total
