"""A calibrated subnet as one self-contained ONNX file with a dynamic batch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch

from anas_zoo.errors import CalibrationError, ExportError, OutputError
from anas_zoo.export.checks import BATCH, INPUT, OUTPUT, check_file
from anas_zoo.export.folding import fold_batch_norm
from anas_zoo.export.target import Target
from anas_zoo.files import disk_errors, sha256_bytes
from anas_zoo.nets import Subnet
from anas_zoo.schema import Schema

__all__ = ["FileReport", "export_onnx"]


class FileReport(Schema):
    """What was written.

    Attributes:
        target: name of the target.
        size_bytes: size of the file.
        sha256: hash of the file.
        opset: version of the ONNX operator set.
    """

    target: str
    size_bytes: int
    sha256: str
    opset: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return self.model_dump(mode="json")


def export_onnx(
    subnet: Subnet, path: Path, *, target: Target, resolution: int, metadata: Mapping[str, str]
) -> FileReport:
    """Write ``subnet`` to ``path``: input "image" (batch, C, R, R), output "logits" (batch, classes).

    The same network gives the same bytes. A file that was at ``path`` is replaced, and only once the new
    one is complete and has passed :func:`anas_zoo.export.check_file`; the subnet is left as it was.

    Args:
        subnet: a calibrated network with a classifier.
        path: the file to write; its folder is made.
        target: what the file has to be.
        resolution: side R of the images in pixels.
        metadata: written into the file beside the architecture's id, the resolution, the target and the
            versions of the tools, whose keys begin with "anas." and cannot be given.

    Raises :class:`CalibrationError` for a subnet whose batch norm statistics were not measured on it;
    :class:`ExportError` for weights that are not finite or a graph that is not what was asked for;
    :class:`anas_zoo.errors.OutputError` when ``path`` cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a .onnx file")
    _refuse_unfit(subnet, resolution)
    own = {
        "anas.arch_id": subnet.arch.id,
        "anas.resolution": str(resolution),
        "anas.target": target.name,
        "anas.torch": torch.__version__,
        "anas.onnx": onnx.__version__,
    }
    taken = sorted(own.keys() & metadata.keys())
    if taken:
        raise ExportError(f"the exporter writes these metadata itself, do not give them: {', '.join(taken)}")

    with disk_errors(path):  # first, for the conversion takes seconds
        path.parent.mkdir(parents=True, exist_ok=True)
    model = _convert(subnet, target, resolution)
    _clean(model)
    onnx.helper.set_model_props(model, dict(sorted({**metadata, **own}.items())))
    content = model.SerializeToString(deterministic=True)
    _write_checked(path, content, target)
    return FileReport(
        target=target.name, size_bytes=len(content), sha256=sha256_bytes(content), opset=target.opset
    )


def _write_checked(path: Path, content: bytes, target: Target) -> None:
    """Put ``content`` at ``path`` once it has been written as a whole and read back as a sound file."""
    with disk_errors(path):
        unchecked = path.with_name(f".{path.name}.{os.getpid()}.unchecked")
        try:
            with unchecked.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            check_file(unchecked, target, name=path)
            os.replace(unchecked, path)
        finally:
            unchecked.unlink(missing_ok=True)


def _refuse_unfit(subnet: Subnet, resolution: int) -> None:
    who = f"architecture {subnet.arch.id}"
    if resolution < 1:
        raise ExportError(f"resolution must be a positive number of pixels, got {resolution}")
    if subnet.num_classes < 1:
        raise ExportError(f"{who} has no classifier; reset_classifier(num_classes) gives it one")
    for name, tensor in subnet.state_dict().items():
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise ExportError(f"{who}: {bad} of {tensor.numel()} values of {name} are not finite")
    if not subnet.is_calibrated():
        raise CalibrationError(
            f"{who} is not calibrated: its batch norm statistics were not measured on it; "
            "run calibrate_bn(subnet, batches) with training images first"
        )


def _convert(subnet: Subnet, target: Target, resolution: int) -> Any:
    """The ``onnx.ModelProto`` of ``subnet`` as torch writes it."""
    generator = torch.Generator().manual_seed(0)
    # Two images: torch.export takes a batch of one for a constant.
    images = torch.randn(2, subnet.in_chans, resolution, resolution, generator=generator)
    try:
        # Folded before and not by torch's own optimiser: a third fewer nodes to trace, and an exact check.
        folded = fold_batch_norm(subnet, images)
        folded.set_grad_checkpointing(False)
        # The exporter built on torch.export takes about 4 s for a small network, the older one on
        # TorchScript 0.3 s. But that one is deprecated, and it fails on these networks: it keeps a side
        # length, which decides the padding of a pooled shortcut, as a computed value. (torch 2.15)
        program = torch.onnx.export(
            folded,
            (images,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=target.opset,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            external_data=False,
            verbose=False,
        )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as exc:
        reason = " ".join(str(exc).split())[:300]
        raise ExportError(
            f"architecture {subnet.arch.id} cannot be exported at {resolution}: {reason}"
        ) from exc
    assert program is not None
    return program.model_proto


def _clean(model: Any) -> None:
    """Remove what describes the exporting machine and not the network: stack traces, paths, scopes.

    The shapes of values inside the graph go too: every runtime infers them itself.
    """
    graph = model.graph
    model.doc_string = ""
    del model.metadata_props[:]
    del graph.value_info[:]
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
