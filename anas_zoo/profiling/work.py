"""The work of layers by kind, in the units that running time is made of: a sum over layers, as costs are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anas_zoo.space import Layer

# Multiply-adds, elements and weights in millions, so that a coefficient is milliseconds per million.
WORK = {
    "network": "1 per network: the call itself",
    "block": "1 per block: the operators' fixed cost",
    "se": "1 per squeeze-and-excite: its small operators' fixed cost",
    "dense": "1 per k×k convolution over all channels: its fixed cost; with a projection it is a block's too",
    "stem_macs": "multiply-adds of the stem",
    "wide_macs": "multiply-adds of 1×1 convolutions that expand",
    "narrow_macs": "multiply-adds of 1×1 convolutions that project, and of shortcuts",
    "depthwise3_macs": "multiply-adds of depthwise 3×3 convolutions",
    "depthwise_macs": "multiply-adds of larger depthwise convolutions",
    "dense_macs": "multiply-adds of k×k convolutions over all channels",
    "act_elements": "outputs that pass an activation",
    "depthwise_elements": "outputs of depthwise convolutions",
    "dense_elements": "outputs of k×k convolutions over all channels",
    "gated_elements": "elements that squeeze-and-excite pools and scales",
    "block_elements": "outputs of the stem and of projections: written, added, read",
    "weights": "weights of convolutions, read once per image",
    "vector_weights": "weights that one vector is multiplied with: mixing, classifier, squeeze-and-excite",
}
PLACE = {name: place for place, name in enumerate(WORK)}
COUNTS = {"network", "block", "se", "dense"}
# Newer than some files of latency models, which are of spaces that have none of it.
NEWER = {"dense", "dense_macs", "dense_elements"}
UNITS = np.array([1.0 if name in COUNTS else 1e6 for name in WORK])

# The kind of work that a layer's multiply-adds are; depthwise layers depend on their kernel.
MACS = {
    "stem": "stem_macs",
    **dict.fromkeys(("expand", "head"), "wide_macs"),
    **dict.fromkeys(("project", "shortcut"), "narrow_macs"),
    "dense": "dense_macs",
    **dict.fromkeys(("squeeze", "excite", "mix", "classifier"), "vector_weights"),
}
ACTIVATED = {"stem", "expand", "depthwise", "dense", "head", "mix"}
COUNTED_ONCE = {"stem": "network", "project": "block", "squeeze": "se", "dense": "dense"}


def work_of(layers: Sequence[Layer]) -> npt.NDArray[np.float64]:
    """Work of ``layers`` in their order, (kinds,) in the order of :data:`WORK`; additive over blocks."""
    found: npt.NDArray[np.float64] = np.zeros(len(WORK))

    def add(kind: str, amount: int) -> None:
        found[PLACE[kind]] += amount

    gated = 0  # outputs of the k×k layer, which a squeeze behind it pools
    for layer in layers:
        if layer.role == "depthwise":
            add("depthwise3_macs" if layer.kernel_size == 3 else "depthwise_macs", layer.macs)
        else:
            add(MACS[layer.role], layer.macs)
        if layer.role in ("depthwise", "dense"):
            add(f"{layer.role}_elements", layer.outputs)
            gated = layer.outputs
        if layer.role == "squeeze":
            add("gated_elements", gated)
        if layer.role in ("stem", "project"):
            add("block_elements", layer.outputs)
        if layer.role in ACTIVATED:
            add("act_elements", layer.outputs)
        if layer.role in COUNTED_ONCE:
            add(COUNTED_ONCE[layer.role], 1)
        if MACS.get(layer.role) not in ("stem_macs", "vector_weights"):
            add("weights", layer.weights)
    found /= UNITS
    return found
