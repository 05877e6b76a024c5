"""Networks of others as ONNX, by torch's own exporter; ours are written layer by layer (graph.py)."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from anas_zoo.core.errors import ExportError
from anas_zoo.core.stderr import silent_stderr
from anas_zoo.exporting.graph import BATCH, INPUT, OUTPUT


class _InPrecision(nn.Module):
    """A network that computes in another precision between inputs and logits in float32."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image.to(self.dtype))
        return logits.float()


def trace_graph(
    network: nn.Module, resolution: int, *, opset: int, batch: str | int = BATCH, dtype: torch.dtype
) -> Any:
    """``network`` as an ``onnx.ModelProto``: "image" (batch, 3, R, R) -> "logits" (batch, classes).

    By the older of torch's exporters: the newer needs opset 18, and leaves means over all pixels, which are
    slower than pools.

    Args:
        network: a classifier of images, on the CPU in evaluation mode; its weights are left as they are.
        resolution: side R of the images in pixels.
        opset: version of the operator set.
        batch: a number of images, or the name of a free dimension.
        dtype: of weights and arithmetic.

    Raises :class:`ExportError` for what torch cannot export.
    """
    fixed = batch if isinstance(batch, int) else None
    images = torch.zeros(fixed or 2, 3, resolution, resolution)
    axes = {} if fixed else {INPUT: {0: str(batch)}, OUTPUT: {0: str(batch)}}
    if dtype is not torch.float32:
        network = _InPrecision(copy.deepcopy(network).to(dtype), dtype)
    content = io.BytesIO()
    with contextlib.suppress(AttributeError):  # torch's own, so it may be gone one day
        torch._C._jit_set_onnx_log_output_stream("stderr")  # the whole graph, where an operator is refused
    with warnings.catch_warnings(), silent_stderr():
        warnings.simplefilter("ignore")  # that it is the older one, and of what it traces
        try:
            torch.onnx.export(
                network,
                (images,),
                content,  # type: ignore[arg-type]  # its annotation forgets buffers
                dynamo=False,
                opset_version=opset,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes=axes,
            )
        except Exception as exc:  # the exporter's types of errors are many
            reason = " ".join(str(exc).split())[:200] or type(exc).__name__
            raise ExportError(f"torch cannot export this network ({reason})") from exc
    return onnx.load_model_from_string(content.getvalue())
