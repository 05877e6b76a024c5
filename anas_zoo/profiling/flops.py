"""Multiply-adds of a network by fvcore's trace, which must agree with the exact count to the last integer."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anas_zoo.core.errors import ProfileError
from anas_zoo.entry import Cost
from anas_zoo.space import (
    count_by_walking,
    macs_by_kind,
    network_layers,
    params_as_authors_count,
)

if TYPE_CHECKING:
    from torch import nn

    from anas_zoo.nets import Subnet


# fvcore's operators whose counts are the multiply-adds that the paper, and the exact count, speak of.
RECONCILED = ("conv", "linear")

# Those of attention, which none of our networks has.
MATRIX_PRODUCTS = ("matmul", "bmm", "baddbmm", "addmm", "einsum")

# Attention in one operator, which a network in the form for export has not.
UNCOUNTED_PRODUCTS = {"aten::scaled_dot_product_attention"}

# Counted by fvcore as well (hence its larger total) but no multiply-adds of the paper's convention.
COUNTED_BESIDE = ("batch_norm", "adaptive_avg_pool2d")

# Operators that fvcore has no count for. Each is here with the reason why it has no multiply-adds; one that
# is not here stops the profile, since leaving it out would be counting it as zero.
ZERO_MACS = {
    "aten::adaptive_max_pool2d": "comparisons only",
    "aten::add": "element-wise addition of a shortcut, no products",
    "aten::avg_pool2d": "sums and one scale per output, of shortcuts; not a convolution in the paper's count",
    "aten::hardsigmoid": "element-wise activation of the squeeze-and-excite gate",
    "aten::hardswish_": "element-wise activation",
    "aten::hardtanh_": "element-wise activation, which ReLU6 is",
    "aten::mul": "element-wise scaling by a gate, products that are not summed",
    "aten::pad": "zeros around an image",
    "aten::sigmoid": "element-wise activation of the squeeze-and-excite gate",
    "aten::silu_": "element-wise activation",
    "aten::sub": "differences of sides, for the padding that they need",
}


def profile_flops(subnet: Subnet, resolution: int) -> Cost:
    """Trace ``subnet`` on one (C, resolution, resolution) image and reconcile it with the exact count.

    The network itself is not touched. Raises :class:`ProfileError` when the trace or the parameters disagree
    with :func:`anas_zoo.space.count_by_walking` (both numbers are named), when an operator is met that nobody
    can count, or when the network cannot run at that size.
    """
    if resolution < 1:
        raise ProfileError(f"resolution must be a positive number of pixels, got {resolution}")
    arch = dataclasses.replace(subnet.arch, resolution=resolution)
    macs, params = count_by_walking(subnet.structure, arch, subnet.num_classes)
    live = sum(parameter.numel() for parameter in subnet.parameters())
    who = f"architecture {subnet.arch.id}"
    if live != params:
        raise ProfileError(f"{who}: the network has {live:,} parameters, the exact count is {params:,}")

    counts, unknown = _trace(subnet, resolution, who)
    unlisted = {name: times for name, times in unknown.items() if name not in ZERO_MACS}
    unlisted |= {name: n for name, n in counts.items() if name not in RECONCILED + COUNTED_BESIDE}
    if unlisted:
        listing = ", ".join(sorted(unlisted))
        raise ProfileError(f"{who}: it uses operators that the exact count does not know: {listing}")
    traced = sum(counts.get(name, 0) for name in RECONCILED)
    if traced != macs:
        raise ProfileError(
            f"{who} at {resolution}×{resolution}: fvcore traces {traced:,} multiply-adds in convolutions "
            f"and linear layers, the exact count is {macs:,}"
        )
    layers = network_layers(subnet.structure, arch, subnet.num_classes)
    return Cost(
        macs=macs,
        macs_by_kind=macs_by_kind(layers),
        params=params,
        params_folded=sum(layer.folded_params for layer in layers),
        params_authors=_as_authors_count(subnet),
        fvcore_total=sum(counts.values()),
        fvcore_by_operator=dict(sorted(counts.items())),
        resolution=resolution,
    )


def profile_traced(network: nn.Module, resolution: int) -> Cost:
    """What any ``network`` costs on the CPU for one (3, resolution, resolution) image, by fvcore alone.

    Convolutions, linear layers and products of matrices are counted; there is no exact count to agree with.
    Raises :class:`ProfileError` for products that fvcore has no count for, and where it cannot run.
    """
    counts, unknown = _trace(network, resolution, "the network")
    if missed := sorted(UNCOUNTED_PRODUCTS & unknown.keys()):
        raise ProfileError(f"fvcore has no count for the products of {', '.join(missed)}")
    return Cost(
        macs=sum(counts.get(name, 0) for name in (*RECONCILED, *MATRIX_PRODUCTS)),
        params=sum(parameter.numel() for parameter in network.parameters()),
        counted_by="fvcore",
        fvcore_total=sum(counts.values()),
        fvcore_by_operator=dict(sorted(counts.items())),
        resolution=resolution,
    )


def _trace(network: nn.Module, resolution: int, who: str = "it") -> tuple[dict[str, int], dict[str, int]]:
    """(count by operator, calls of operators without a count) of one forward pass in evaluation mode."""
    import torch  # here, so that session.py beside this module comes without torch

    with _fvcore_quiet():
        from fvcore.nn import FlopCountAnalysis

        # A copy: fvcore hangs hooks on every layer and leaves them there when the trace fails.
        network = copy.deepcopy(network).eval()
        uncheckpointed: Any = getattr(network, "set_grad_checkpointing", None)  # timm's interface
        if uncheckpointed is not None:
            uncheckpointed(False)
        device = next(network.parameters()).device
        channels: Any = getattr(network, "in_chans", 3)
        image = torch.zeros(1, channels, resolution, resolution, device=device)
        analysis = FlopCountAnalysis(network, image)
        # What it would only log about is read from its results, and is an error where it matters.
        analysis.unsupported_ops_warnings(False)
        analysis.uncalled_modules_warnings(False)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of branches that the trace does not follow
                counts = analysis.by_operator()
        except RuntimeError as exc:
            reason = " ".join(str(exc).split())[:300]
            raise ProfileError(f"{who} cannot run at {resolution}×{resolution}: {reason}") from exc
        unknown = analysis.unsupported_ops()
    return {name: int(count) for name, count in counts.items()}, dict(unknown)


@contextmanager
def _fvcore_quiet() -> Iterator[None]:
    """fvcore scripts a loss function at its import, which torch announces to end some day."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=DeprecationWarning)
        yield


def _as_authors_count(subnet: Subnet) -> int | None:
    """Parameters with the shortcut convolutions that AttentiveNAS' extraction keeps; None without such."""
    if subnet.structure.shortcut != "always":
        return None
    return params_as_authors_count(subnet.structure, subnet.arch, subnet.num_classes)
