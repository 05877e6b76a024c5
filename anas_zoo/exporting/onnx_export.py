"""A network as one self-contained file for a target, put in place once it has passed every gate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from anas_zoo.core.errors import CalibrationError, ExportError, NonFiniteError, OutputError, ParityError
from anas_zoo.core.files import disk_errors, sha256_bytes
from anas_zoo.entry import FileInfo, Preprocessing
from anas_zoo.exporting.checks import check_file
from anas_zoo.exporting.graph import BATCH, fold_batch_norm, write_graph
from anas_zoo.exporting.litert import to_litert
from anas_zoo.exporting.locate import with_departure
from anas_zoo.exporting.target import Target
from anas_zoo.exporting.traced import trace_graph
from anas_zoo.exporting.validate import validate_onnx
from anas_zoo.nets import Subnet
from anas_zoo.profiling.litert_session import litert_version, quantizer_version

# Changes whenever the same network is written in another way, for caches of exported files.
EXPORTER = "graph-2"

FOLDING_SIDE = 64  # pixels; folding is per channel, so the size of the images that prove it is free
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "int8": torch.float32}


def export_onnx(
    network: nn.Module,
    path: Path,
    *,
    target: Target,
    resolution: int,
    metadata: Mapping[str, str],
    images: Tensor | None = None,
    labels: Tensor | None = None,
    preprocessing: Preprocessing | None = None,
    calibration_images: Tensor | None = None,
    gate: Callable[[Path], None] | None = None,
) -> FileInfo:
    """Write ``network`` to ``path``: input "image" (batch, C, R, R), output "logits" (batch, classes).

    The same network gives the same bytes. A file that was at ``path`` is replaced, and only once the new
    one is complete and has passed :func:`anas_zoo.exporting.check_file` and, with ``images``,
    :func:`validate_onnx`; the network is left as it was.

    Args:
        network: a classifier; a calibrated subnet, or one of others in evaluation mode.
        path: the file to write; its folder is made.
        target: what the file has to be.
        resolution: side R of the images in pixels.
        metadata: written into the file beside a subnet's architecture id, the resolution, the target and the
            versions of the tools, whose keys begin with "anas." and cannot be given.
        images: preprocessed (N, C, R, R) float32 to compare file and network on; None leaves that to
            :func:`validate_onnx`.
        labels: their classes, (N,) integers, where known.
        preprocessing: of the images; needed where the target's input is uint8.
        calibration_images: preprocessed (N, C, R, R) float32 of the training split, needed for int8.
        gate: gets the whole file under another name, last of all, and raises what keeps it from appearing.

    Returns the file's line for report.json; its parity is None when no images were given.

    Raises :class:`CalibrationError` for a subnet whose batch norm statistics were not measured on it;
    :class:`NonFiniteError` for weights that are not finite; :class:`ExportError` for a graph that is not
    what was asked for; :class:`OutputError` when ``path`` cannot be written; with images what
    :func:`validate_onnx` raises. Nothing is left at ``path`` then that was not there before.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a {target.suffix} file")
    with disk_errors(path):  # first, for the conversion takes seconds
        path.parent.mkdir(parents=True, exist_ok=True)
    content = convert(
        network,
        target=target,
        resolution=resolution,
        metadata=metadata,
        preprocessing=preprocessing,
        calibration_images=calibration_images,
    )
    parity = None
    with disk_errors(path):
        unchecked = path.with_name(f".{path.name}.{os.getpid()}.unchecked")
        try:
            with unchecked.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            check_file(unchecked, target, name=path)
            if images is not None:
                try:
                    parity = validate_onnx(
                        unchecked,
                        network,
                        images,
                        labels,
                        target=target,
                        preprocessing=preprocessing,
                        name=path,
                    )
                except ParityError as exc:
                    raise with_departure(exc, unchecked, network, images, target, preprocessing) from exc
            if gate is not None:
                gate(unchecked)
            os.replace(unchecked, path)
        finally:
            unchecked.unlink(missing_ok=True)
    return FileInfo(
        target=target.name,
        size_bytes=len(content),
        sha256=sha256_bytes(content),
        opset=target.opset,
        input=target.input,
        processor=target.processor,
        parity=parity,
    )


def check_writable(target: Target) -> None:
    """Raise :class:`anas_zoo.core.extras.MissingPackageError` where a package lacks that writes its files."""
    if target.runtime == "litert":
        litert_version()
        if target.quantization is not None:
            quantizer_version()


def convert(
    network: nn.Module,
    *,
    target: Target,
    resolution: int,
    metadata: Mapping[str, str],
    preprocessing: Preprocessing | None = None,
    calibration_images: Tensor | None = None,
) -> bytes:
    """The content of the file that :func:`export_onnx` writes; arguments and errors are the same."""
    who = f"architecture {network.arch.id}" if isinstance(network, Subnet) else "the network"
    _refuse_unfit(network, resolution, who)
    if target.runtime == "litert" and not isinstance(network, Subnet):
        raise ExportError(
            f"files for {target.name} are written layer by layer, of subnets alone; this network can have "
            "those for onnxruntime and OpenVINO"
        )
    own = {
        **({"anas.arch_id": network.arch.id} if isinstance(network, Subnet) else {}),
        "anas.resolution": str(resolution),
        "anas.target": target.name,
        "anas.input": target.input,
        "anas.torch": torch.__version__,
        "anas.onnx": onnx.__version__,
    }
    if target.runtime == "litert":
        own["anas.litert"] = litert_version()
        if target.quantization is not None:
            own["anas.quantizer"] = quantizer_version()
    elif target.precision == "int8":  # its calibration ran there
        own["anas.onnxruntime"] = onnxruntime.__version__
    taken = sorted(own.keys() & metadata.keys())
    if taken:
        raise ExportError(f"the exporter writes these metadata itself, do not give them: {', '.join(taken)}")
    model = float_graph(network, target, resolution)
    if target.runtime == "litert":
        content = to_litert(model, {**metadata, **own}, for_int8=target.quantization is not None)
        if target.quantization is None:
            return content
        from anas_zoo.exporting.litert_quantization import quantize_litert

        return quantize_litert(content, calibration_images, target.quantization)
    if target.quantization is not None:
        from anas_zoo.exporting.quantization import quantize

        model = quantize(model, calibration_images, target.quantization)
    if target.input == "uint8-nhwc":
        from anas_zoo.exporting.image_input import with_image_input

        if preprocessing is None:
            raise ExportError(
                f"target {target.name} takes raw images and needs the preprocessing of the model"
            )
        model = with_image_input(model, preprocessing, resolution)
    onnx.helper.set_model_props(model, dict(sorted({**metadata, **own}.items())))
    return bytes(model.SerializeToString(deterministic=True))


def _refuse_unfit(network: nn.Module, resolution: int, who: str) -> None:
    if resolution < 1:
        raise ExportError(f"resolution must be a positive number of pixels, got {resolution}")
    if getattr(network, "num_classes", 1) < 1:
        raise ExportError(f"{who} has no classifier; reset_classifier(num_classes) gives it one")
    for name, tensor in network.state_dict().items():
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise NonFiniteError(f"{who}: {bad} of {tensor.numel()} values of {name} are not finite")
    if isinstance(network, Subnet) and not network.is_calibrated():
        raise CalibrationError(
            f"{who} is not calibrated: its batch norm statistics were not measured on it; "
            "run calibrate_bn(subnet, batches) with training images first"
        )


def float_graph(network: nn.Module, target: Target, resolution: int) -> Any:
    """The network as an ``onnx.ModelProto`` of the target's opset and batch, not quantized."""
    batch = BATCH if target.batch == "dynamic" else target.batch
    dtype = DTYPES[target.precision]
    if not isinstance(network, Subnet):
        return trace_graph(network, resolution, opset=target.opset, batch=batch, dtype=dtype)
    side = min(resolution, FOLDING_SIDE)
    noise = torch.randn(2, network.in_chans, side, side, generator=torch.Generator().manual_seed(0))
    folded = fold_batch_norm(network, noise)
    return write_graph(folded, resolution, opset=target.opset, batch=batch, dtype=dtype)
