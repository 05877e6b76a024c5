"""A draft: an entry's folder before publishing. Stages add their files and their part of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import torch
from pydantic import BaseModel
from safetensors.torch import load_file, save
from torch import Tensor

from anas_zoo.core.errors import AnasError, CheckpointError, EntryError
from anas_zoo.core.files import atomic_write, output_folder, sha256_bytes, sha256_file, write_json
from anas_zoo.core.geometry import InputForm
from anas_zoo.core.outside import refuse_irregular
from anas_zoo.core.schema import parse
from anas_zoo.core.text import printable
from anas_zoo.entry.config import EntryConfig
from anas_zoo.entry.entry import CONFIG, GOLDEN, REPORT, WEIGHTS, read_config
from anas_zoo.entry.report import EntryReport, FileInfo
from anas_zoo.nets import Calibration, Subnet
from anas_zoo.zoo.config import weights_bytes

__all__ = ["check_weights", "file_info", "load_subnet", "read_golden", "write_draft", "write_report"]

MAX_GOLDEN = 64  # images; entries of ours have 8


def write_draft(
    folder: Path, subnet: Subnet, config: EntryConfig, report: EntryReport, golden_images: Tensor
) -> None:
    """Write config.json, model.safetensors, report.json and golden.safetensors as a new ``folder``.

    Args:
        folder: the new folder; it must not hold anything yet.
        subnet: the network that ``config`` was built from, left in evaluation mode.
        config: see :func:`anas_zoo.zoo.build_config`.
        report: what is known so far.
        golden_images: (N, 3, R, R) float32, preprocessed; their logits are computed here.

    Raises :class:`EntryError` when the network is not the one of ``config`` or the images do not fit it,
    :class:`OutputError` when ``folder`` is taken.
    """
    weights = weights_bytes(subnet)
    recorded = config.anas.weights
    if subnet.arch != config.arch or recorded is None or sha256_bytes(weights) != recorded.sha256:
        raise EntryError(
            f"{config.anas.name}: the network changed after its config was built; build it again"
        )
    side = config.arch.resolution
    if golden_images.ndim != 4 or tuple(golden_images.shape[1:]) != (3, side, side) or not len(golden_images):
        raise EntryError(
            f"{config.anas.name}: golden images are (N, 3, {side}, {side}), got {tuple(golden_images.shape)}"
        )
    images = golden_images.detach().cpu().to(torch.float32).contiguous()
    subnet.eval()
    with torch.no_grad():
        logits = subnet(images.to(next(subnet.parameters()).device)).cpu().contiguous()
    with output_folder(folder) as staging:
        write_json(staging / CONFIG, config.to_dict())
        atomic_write(staging / WEIGHTS, weights)
        write_report(staging, report)
        atomic_write(staging / GOLDEN, save({"images": images, "logits": logits}))


def write_report(folder: Path, report: EntryReport) -> None:
    """Replace the report.json of a draft, atomically."""
    write_json(folder / REPORT, report.to_dict())


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return dict(value) if isinstance(value, Mapping) else value


def file_info(
    path: Path,
    *,
    target: str,
    opset: int,
    input: InputForm = "float32-nchw",
    parity: object | None = None,
    quantization: object | None = None,
    latency: Sequence[object] = (),
) -> FileInfo:
    """The report's line about an exported file: its size and hash as it lies on disk, and its evidence.

    Args:
        path: the .onnx file.
        target: name of the deployment target.
        opset: its ONNX opset.
        input: form of its input.
        parity: a ``ParityReport`` or a mapping with its fields.
        quantization: how an int8 file was made.
        latency: ``Latency``s or mappings with their fields.

    Raises :class:`EntryError` when a field is missing or of wrong type.
    """
    data: Mapping[str, Any] = {
        "target": target,
        "size_bytes": path.stat().st_size,
        "sha256": sha256_file(path),
        "opset": opset,
        "input": input,
        "parity": None if parity is None else _plain(parity),
        "quantization": None if quantization is None else _plain(quantization),
        "latency": [_plain(item) for item in latency],
    }
    return parse(FileInfo, dict(data), path.name, error=EntryError)


def _header(path: Path, error: type[AnasError]) -> dict[str, str]:
    """Type and shape of each tensor of a safetensors file, as "F32 (8, 10)"; no tensor is read.

    safetensors itself sees to it that the tensors fill the file, each once, without gaps or overlaps.
    """
    refuse_irregular(path, error)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {printable(k): f"{s.get_dtype()} {tuple(s.get_shape())}" for k, s in slices.items()}
    except FileNotFoundError as exc:
        raise error(f"{path}: no such file") from exc
    except (safetensors.SafetensorError, OSError, ValueError) as exc:
        reason = printable(" ".join(str(exc).split()))
        raise error(
            f"{path}: truncated or no safetensors file ({reason}); get the entry again from its source"
        ) from exc


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def check_weights(folder: Path, config: EntryConfig) -> Path:
    """The weights file of an entry, after it was compared with the network that the config describes.

    Raises :class:`CheckpointError` for a truncated or foreign file, naming the tensors that are missing,
    unknown or of wrong shape; :class:`EntryError` when its hash is not the one of the config.
    """
    path = folder / WEIGHTS
    found = _header(path, CheckpointError)
    with torch.device("meta"):
        network = Subnet(config.arch, config.model_args.structure, num_classes=config.num_classes)
    wanted = {
        name: f"{'F32' if tensor.is_floating_point() else 'I64'} {tuple(tensor.shape)}"
        for name, tensor in network.state_dict().items()
    }
    problems = []
    if missing := [name for name in wanted if name not in found]:
        problems.append(f"missing {_listed(missing)}")
    if unknown := [name for name in found if name not in wanted]:
        problems.append(f"unknown {_listed(unknown)}")
    if wrong := [name for name in wanted if name in found and found[name] != wanted[name]]:
        told = [f"{name} {found[name]} instead of {wanted[name]}" for name in wrong]
        problems.append(f"wrong type or shape: {_listed(told)}")
    if problems:
        raise CheckpointError(
            f"{path} does not fit architecture {config.anas.arch_id}: " + "; ".join(problems)
        )
    if config.anas.weights is None or config.anas.weights.sha256 != sha256_file(path):
        raise EntryError(f"{path} is not the file that {CONFIG} names (SHA-256 differs); get the entry again")
    return path


def load_subnet(folder: str | Path) -> Subnet:
    """The network of an entry or a draft, with its weights and the record of its calibration.

    Raises :class:`EntryError` or :class:`CheckpointError` as :func:`check_weights` does.
    """
    folder = Path(folder)
    config = read_config(folder)
    path = check_weights(folder, config)
    with torch.random.fork_rng(devices=[]):  # layers initialise themselves from the global generator
        subnet = Subnet(config.arch, config.model_args.structure, num_classes=config.num_classes)
    subnet.load_state_dict(load_file(path))
    restore_calibration(subnet, config)
    return subnet.eval()


def restore_calibration(subnet: Subnet, config: EntryConfig) -> None:
    """Give ``subnet`` the record of how its loaded batch norm statistics were measured."""
    record = config.anas.calibration
    subnet.calibration = None if record is None else Calibration(**record.model_dump())


def read_golden(folder: Path, config: EntryConfig) -> tuple[Tensor, Tensor]:
    """The golden images (N, 3, R, R) and logits (N, classes) of an entry.

    Raises :class:`EntryError` when the file is absent, unreadable, or does not fit the config.
    """
    path, side = folder / GOLDEN, config.arch.resolution
    found = _header(path, EntryError)
    fitting = (
        {"images": f"F32 {(n, 3, side, side)}", "logits": f"F32 {(n, config.num_classes)}"}
        for n in range(1, MAX_GOLDEN + 1)
    )
    if found not in fitting:  # before it is read: the network gets what the file says
        told = ", ".join(f"{name} {what}" for name, what in found.items()) or "nothing"
        raise EntryError(
            f"{path}: images F32 (N, 3, {side}, {side}) and logits F32 (N, {config.num_classes}) are needed, "
            f"N from 1 to {MAX_GOLDEN}; it has {told[:300]}"
        )
    tensors = load_file(path)
    images, logits = tensors["images"], tensors["logits"]
    if not (torch.isfinite(images).all() and torch.isfinite(logits).all()):
        raise EntryError(f"{path}: holds values that are not finite")
    return images, logits
