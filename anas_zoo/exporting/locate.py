"""Which layer of an exported file is the first that does not compute what torch's does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from anas_zoo.core.errors import AgreementError, AnasError, DataError, ExportError, ParityError
from anas_zoo.core.progress import track
from anas_zoo.entry import Preprocessing
from anas_zoo.exporting.graph import INPUT, OUTPUT
from anas_zoo.exporting.quantization import DEQUANTIZED
from anas_zoo.exporting.target import Target
from anas_zoo.nets.blocks import Block, ConvNormAct, PlainBlock, SqueezeExcite
from anas_zoo.profiling.session import open_session, read_graph

IMAGES = 8  # a fault of a layer shows on any
# A layer departs beyond this. Rounding is 1e-4 % in float32 and some percent in 8 bits, growing with depth.
DEPARTS_PCT = {"fp32": 0.1, "fp16": 3.0, "int8": 30.0}

Floats = npt.NDArray[np.float32]
Setting = Literal["without graph optimizations", "with graph optimizations"]


@dataclass(frozen=True)
class LayerGap:
    """How far one layer's output in a file is from torch's.

    Attributes:
        layer: the module of the network.
        plain_pct: root mean square difference without graph optimizations, in percent of the standard
            deviation of torch's output. Infinite where a value is not finite.
        optimized_pct: the same with them; the file ends at this layer then, so that what comes later cannot
            be at fault.
    """

    layer: str
    plain_pct: float
    optimized_pct: float


@dataclass(frozen=True)
class Departure:
    """The first layer that departs, by how much, and how the file was run then."""

    layer: str
    pct: float
    setting: Setting

    def __str__(self) -> str:
        return f"{self.layer} departs by {self.pct:.3g} % of its deviation {self.setting}"


def layer_gaps(
    path: Path,
    network: nn.Module,
    images: Tensor,
    *,
    target: Target,
    preprocessing: Preprocessing | None = None,
) -> list[LayerGap]:
    """Run the file layer by layer in onnxruntime on the CPU, in its order, and compare each with torch.

    Args:
        path: the ONNX file, as :func:`anas_zoo.exporting.export_onnx` wrote it.
        network: that it was made from.
        images: preprocessed (N, C, R, R) float32; a few of them are taken.
        target: of the file.
        preprocessing: of the images; needed where the file takes raw ones.

    Raises :class:`ExportError` for a file without the layers' names, or that cannot be run;
    :class:`DataError` without the preprocessing.
    """
    images = images[:IMAGES]
    pixels: npt.NDArray[Any] = np.ascontiguousarray(images.numpy())
    if target.input == "uint8-nhwc":
        from anas_zoo.exporting.image_input import raw_and_reference

        if preprocessing is None:
            raise DataError(f"{path} takes raw images; give the preprocessing of the model")
        pixels, images = raw_and_reference(images, preprocessing)
    model = read_graph(path, ExportError)
    made = {name for node in model.graph.node for name in node.output}
    named = ((layer, _value(layer, module, made)) for layer, module in network.named_modules())
    modules = {value: layer for layer, value in named if value is not None}
    order = [name for node in model.graph.node for name in node.output if name in modules]
    if len(order) < 2:
        raise ExportError(f"{path}: its values have no names of layers, so none can be compared")
    fixed = None if target.batch == "dynamic" else target.batch
    if fixed is not None:
        chosen = np.arange(fixed) % len(images)
        pixels, images = pixels[chosen], images[chosen]
    wanted = _torch_outputs(network, images, set(modules.values()))
    with tempfile.TemporaryDirectory(prefix="anas-locate-") as folder:
        runs = _Runs(model, Path(folder) / "part.onnx", pixels)
        plain = runs.outputs(order, optimize=False)
        return [
            LayerGap(
                modules[name],
                _distance_pct(plain[name], wanted[modules[name]]),
                _distance_pct(runs.outputs([name], optimize=True)[name], wanted[modules[name]]),
            )
            for name in track(order, "compare layers")
        ]


def first_departure(gaps: list[LayerGap], precision: str) -> Departure | None:
    """The first layer that departs by more than rounding in ``precision``; None where none does."""
    limit = DEPARTS_PCT[precision]
    for gap in gaps:
        if not gap.plain_pct <= limit:
            return Departure(gap.layer, gap.plain_pct, "without graph optimizations")
        if not gap.optimized_pct <= limit:
            return Departure(gap.layer, gap.optimized_pct, "with graph optimizations")
    return None


def with_departure(
    error: ParityError,
    path: Path,
    network: nn.Module,
    images: Tensor,
    target: Target,
    preprocessing: Preprocessing | None = None,
) -> ParityError:
    """``error``, which the file at ``path`` raised, with the first layer that departs, where there is one.

    Other classes alone are no matter of one layer: 8 bits round everywhere.
    """
    if isinstance(error, AgreementError):
        return error
    try:
        gaps = layer_gaps(path, network, images, target=target, preprocessing=preprocessing)
    except AnasError:  # a file without the layers' names, or a runtime that is not here
        return error
    found = first_departure(gaps, target.precision)
    where = str(found) if found else "no single layer departs by more than rounding"
    return type(error)(*error.parts, f"; layer by layer: {where}")


class _Runs:
    """Runs of parts of one graph on one batch of images; each part is written to ``file``."""

    def __init__(self, model: Any, file: Path, pixels: npt.NDArray[Any]) -> None:
        self._model, self._file, self._pixels = model, file, pixels

    def outputs(self, names: list[str], *, optimize: bool) -> dict[str, Floats]:
        """What the values of those names are."""
        graph = self._model.graph
        del graph.output[:]
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        onnx.save_model(self._model, str(self._file))
        session = open_session(self._file, optimize=optimize)
        return dict(zip(names, session.run(names, {INPUT: self._pixels}), strict=True))


def _value(layer: str, module: nn.Module, made: set[str]) -> str | None:
    """The name in the file of what a module of the network puts out; None where it has none of its own."""
    names: tuple[str, ...] = ()
    if isinstance(module, ConvNormAct):
        names = (f"{layer}.conv" if isinstance(module.act, nn.Identity) else f"{layer}.act",)
    elif isinstance(module, PlainBlock):
        names = (f"{layer}.dense.act",)
    elif isinstance(module, Block):
        names = (f"{layer}.add",)
    elif isinstance(module, SqueezeExcite):
        names = (f"{layer}.scale",)
    elif layer in ("global_pool", "mix", "mix_act"):
        names = (layer,)
    elif layer == "classifier":
        names = (OUTPUT,)
    # Quantization may leave the clipping of a ReLU to the rounding, after which the value is what it was.
    rounded = [f"{name}{DEQUANTIZED}" for name in names]
    return next((name for name in (*rounded, *names) if name in made), None)


def _torch_outputs(network: nn.Module, images: Tensor, layers: set[str]) -> dict[str, Floats]:
    """What the modules ``layers`` put out, in evaluation mode."""
    found: dict[str, Floats] = {}

    def keep(layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            found[layer] = output.detach().float().numpy().copy()  # an activation may work in place

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in _named(network, layers)]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(images)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return found


def _named(network: nn.Module, layers: set[str]) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module) for name, module in network.named_modules() if name in layers)


def _distance_pct(got: Floats, want: Floats) -> float:
    if got.size != want.size or not np.isfinite(got).all():
        return float("inf")
    exact = want.astype(np.float64).ravel()
    deviation = float(exact.std()) or float(np.abs(exact).max()) or 1.0
    return 100.0 * float(np.sqrt(np.square(got.astype(np.float64).ravel() - exact).mean())) / deviation
